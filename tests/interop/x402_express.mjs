// An Express server of the official kind, with our plug-in for `exact` on Lightning, settles with our facilitator; the
// official client pays it.
import express from "express";
import { HTTPFacilitatorClient, x402ResourceServer } from "@x402/core/server";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from "@x402/core/http";
import { paymentMiddleware } from "@x402/express";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { LnbtcClient, requestHash, requestText } from "./lnbtc.mjs";
import { expect, run, saw, wallet } from "./seen.mjs";

const { FACILITATOR, RECEIVER, TOKEN, NETWORK, PAYTO } = process.env;
let origin;

/** What is bound: the configured origin, the target as it came, and the body. */
function bound({ adapter }) {
  const body = adapter.getBody();
  return { method: adapter.getMethod(), url: origin + adapter.req.originalUrl, body: Buffer.isBuffer(body) ? body : "" };
}

async function issue(amount, seconds, request) {
  const order = { value_msat: amount, expiry: seconds, unhashed_description: Buffer.from(requestText(request)).toString("hex") };
  const answer = await fetch(`${RECEIVER}/v1/invoices`, { method: "POST", body: JSON.stringify(order) });
  return (await answer.json()).payment_request;
}

const lnbtcServer = {
  scheme: "exact",
  defaultAssetTransferMethod: "bolt11",
  paymentFlows: { bolt11: { supported: ["upfront"], default: "upfront" } },
  dynamicExtraFields: ["invoice"],
  issued: 0,
  parsePrice: async (price) => price,
  enhancePaymentRequirements: async (requirements) => requirements,
  async enrichPaymentRequiredResponse({ requirements, transportContext: { request } }) {
    const presented = request.paymentHeader && JSON.parse(Buffer.from(request.paymentHeader, "base64"));
    for (const asked of requirements) {
      // A request that comes with a proof is matched with the invoice that was paid, and costs no new one.
      asked.extra.invoice = presented?.accepted?.extra?.invoice ?? (await issue(asked.amount, asked.maxTimeoutSeconds, bound(request)));
      this.issued += presented ? 0 : 1;
    }
    return requirements;
  },
};

const facilitator = new HTTPFacilitatorClient({
  url: FACILITATOR,
  createAuthHeaders: async () => {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    return { verify: headers, settle: headers, supported: headers };
  },
});

const costs = {
  scheme: "exact",
  network: NETWORK,
  payTo: PAYTO,
  maxTimeoutSeconds: 120,
  price: (context) => ({
    asset: "BTC",
    amount: "5000",
    extra: { requestHash: requestHash(bound(context)), requestBindingProfile: "http:1", requestBindingParams: { headers: [] } },
  }),
};

const app = express();
app.use(express.raw({ type: "*/*" }));
const server = new x402ResourceServer(facilitator).register(NETWORK, lnbtcServer);
app.use(paymentMiddleware({ "GET /weather/*": { accepts: costs }, "POST /render": { accepts: costs } }, server));
app.get("/weather/:city", (request, answer) => answer.json({ city: request.params.city }));
app.post("/render", (request, answer) => answer.json({ length: request.body.length }));

await run(async () => {
  const supported = await facilitator.getSupported();
  expect(supported.kinds.some((kind) => kind.scheme === "exact" && kind.network === NETWORK), "our network among the supported");
  const listening = await new Promise((resolve) => {
    const listener = app.listen(0, "127.0.0.1", () => resolve(listener));
  });
  origin = `http://127.0.0.1:${listening.address().port}`;

  const lnbtc = new LnbtcClient(wallet);
  let proof;
  const noting = (input) => {
    proof = input.headers.get("payment-signature") ?? proof;
    return fetch(input);
  };
  const client = new x402Client().register("lnbtc:*", lnbtc).setSpendControls({ allowedAssets: [{ network: "lnbtc:*", asset: "BTC" }] });
  const payingFetch = wrapFetchWithPayment(lnbtc.watching(noting), client);

  const posted = await payingFetch(`${origin}/render`, { method: "POST", body: '{"frames":1}' });
  expect(posted.status === 200 && (await posted.json()).length === 12, `200 and the whole body, not ${posted.status}`);
  const answer = await payingFetch(`${origin}/weather/oslo?unit=c`);
  expect(answer.status === 200, `200, not ${answer.status}: ${await answer.clone().text()}`);
  const settled = decodePaymentResponseHeader(answer.headers.get("payment-response"));
  expect(settled.success && settled.transaction.length === 64, `a settlement, not ${JSON.stringify(settled)}`);
  saw("settled");

  const again = await fetch(`${origin}/weather/oslo?unit=c`, { headers: { "payment-signature": proof } });
  const refused = decodePaymentResponseHeader(again.headers.get("payment-response"));
  expect(again.status === 402 && refused.errorReason === "duplicate_settlement", `duplicate_settlement, not ${JSON.stringify(refused)}`);
  saw("refused twice");

  const elsewhere = await fetch(`${origin}/weather/rome?unit=c`, { headers: { "payment-signature": proof } });
  expect(elsewhere.status === 402, `402 for another path, not ${elsewhere.status}`);
  const { error } = decodePaymentRequiredHeader(elsewhere.headers.get("payment-required"));
  expect(error === "No matching payment requirements", `no match, not ${error}`);
  expect(lnbtc.payments === 2 && lnbtcServer.issued === 2, "one invoice and one payment for each purchase");
  saw("refused elsewhere");
});
