// @x402/fetch pays, with our plug-in for `exact` on Lightning.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { decodePaymentRequiredHeader } from "@x402/core/http";
import { parsePaymentRequired } from "@x402/core/schemas";
import { LnbtcClient } from "./lnbtc.mjs";
import { api, expect, form, paid, run, saw, wallet } from "./seen.mjs";

const lnbtc = new LnbtcClient(wallet);
const client = new x402Client().register("lnbtc:*", lnbtc);
client.setSpendControls({ allowedAssets: [{ network: "lnbtc:*", asset: "BTC", maxAmountPerPayment: "50000" }] });
const payingFetch = wrapFetchWithPayment(lnbtc.watching(noting), client);

/** The proof of the last request that carried one. */
let proof;
async function noting(input, init) {
  const request = new Request(input, init);
  proof = request.headers.get("payment-signature") ?? proof;
  return fetch(request);
}

function settled(answer) {
  const response = decodePaymentResponseHeader(answer.headers.get("payment-response"));
  expect(response.success === true && /^[0-9a-f]{64}$/.test(response.transaction), `a settlement, not ${JSON.stringify(response)}`);
  expect(response.payer === undefined && response.network.startsWith("lnbtc:"), "a network and no payer");
}

await run(async () => {
  const challenge = await fetch(`${api}/weather/oslo`);
  expect(challenge.status === 402, `402, not ${challenge.status}`);
  const required = decodePaymentRequiredHeader(challenge.headers.get("payment-required"));
  const parsed = parsePaymentRequired(required);
  expect(parsed.success, `what the official schema accepts: ${JSON.stringify(parsed.error)}`);
  saw("PAYMENT-REQUIRED parsed");

  const first = await payingFetch(`${api}/weather/oslo?unit=c&day=1`);
  await paid(first, "x402");
  settled(first);

  const again = await fetch(first.url, { headers: { "payment-signature": proof } });
  const refused = decodePaymentResponseHeader(again.headers.get("payment-response"));
  expect(again.status === 402 && refused.success === false, `402 for a proof that was used, not ${again.status}`);
  expect(refused.errorReason === "duplicate_settlement", `duplicate_settlement, not ${refused.errorReason}`);
  expect(parsePaymentRequired(decodePaymentRequiredHeader(again.headers.get("payment-required"))).success, "a fresh challenge");

  const body = JSON.stringify({ frames: 1 });
  const second = await payingFetch(`${api}/render`, { method: "POST", headers: { "content-type": "application/json" }, body });
  await paid(second, "x402");
  settled(second);
  saw("PAYMENT-RESPONSE parsed");
  expect(lnbtc.payments === 2, `two payments, not ${lnbtc.payments}`);

  // It keeps the bytes of the form, and with them the boundary.
  const upload = await payingFetch(`${api}/render`, { method: "POST", body: form() });
  await paid(upload, "x402");
  settled(upload);
  saw("a form uploaded");
  expect(lnbtc.payments === 3, `one payment for a form, not ${lnbtc.payments - 2}`);
});
