// An Express server of the official kind, with our plug-in for `exact` on Lightning, settles with our facilitator; the
// official client pays it.
import express from "express";
import { HTTPFacilitatorClient, x402ResourceServer } from "@x402/core/server";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from "@x402/core/http";
import { paymentMiddleware } from "@x402/express";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { LnbtcClient } from "./lnbtc.mjs";
import { LnbtcServer } from "./lnbtc_server.mjs";
import { expect, run, saw, wallet } from "./seen.mjs";

const { FACILITATOR, RECEIVER, TOKEN, NETWORK, PAYTO } = process.env;

const charging = new LnbtcServer(async (amount, seconds, text) => {
  const order = { value_msat: amount, expiry: seconds, unhashed_description: Buffer.from(text).toString("hex") };
  const answer = await fetch(`${RECEIVER}/v1/invoices`, { method: "POST", body: JSON.stringify(order) });
  return (await answer.json()).payment_request;
});

const facilitator = new HTTPFacilitatorClient({
  url: FACILITATOR,
  createAuthHeaders: async () => {
    const headers = { Authorization: `Bearer ${TOKEN}` };
    return { verify: headers, settle: headers, supported: headers };
  },
});

const costs = { scheme: "exact", network: NETWORK, payTo: PAYTO, maxTimeoutSeconds: 120, price: charging.price("5000") };

const app = express();
app.use(express.raw({ type: "*/*" }));
const server = new x402ResourceServer(facilitator).register(NETWORK, charging);
app.use(paymentMiddleware({ "GET /weather/*": { accepts: costs }, "POST /render": { accepts: costs } }, server));
app.get("/weather/:city", (request, answer) => answer.json({ city: request.params.city }));
app.post("/render", (request, answer) => answer.json({ length: request.body.length }));

await run(async () => {
  const supported = await facilitator.getSupported();
  expect(supported.kinds.some((kind) => kind.scheme === "exact" && kind.network === NETWORK), "our network among the supported");
  const listening = await new Promise((resolve) => {
    const listener = app.listen(0, "127.0.0.1", () => resolve(listener));
  });
  const origin = `http://127.0.0.1:${listening.address().port}`;
  charging.origin = origin;

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
  expect(lnbtc.payments === 2 && charging.issued === 2, "one invoice and one payment for each purchase");
  saw("refused elsewhere");
});
