// mppx pays, with a method `lightning` plugged in.
import { createHash } from "node:crypto";
import { Credential, Method, Receipt, z } from "mppx";
import { Mppx } from "mppx/client";
import { api, expect, form, paid, run, saw, wallet } from "./seen.mjs";
import { decode, pay } from "./wallet.mjs";

let payments = 0;

const charge = Method.from({
  name: "lightning",
  intent: "charge",
  schema: {
    credential: { payload: z.object({ preimage: z.string() }) },
    request: z.object({
      amount: z.string(),
      currency: z.literal("sat"),
      methodDetails: z.object({ invoice: z.string(), network: z.optional(z.string()), paymentHash: z.optional(z.string()) }),
    }),
  },
});

const lightning = Method.toClient(charge, {
  async createCredential({ challenge }) {
    const { amount, methodDetails } = charge.schema.request.parse(challenge.request);
    const told = await decode(wallet, methodDetails.invoice);
    expect(told.num_msat === `${amount}000`, `an invoice of ${amount} sat`);
    expect(told.payment_hash === methodDetails.paymentHash, "the payment hash of the invoice");
    expect(methodDetails.network === "regtest", "regtest");
    payments += 1;
    const preimage = await pay(wallet, methodDetails.invoice);
    expect(createHash("sha256").update(preimage, "hex").digest("hex") === told.payment_hash, "the invoice's preimage");
    return Credential.serialize({ challenge, payload: { preimage } });
  },
});

await run(async () => {
  const mppx = Mppx.create({ methods: [lightning], polyfill: false });
  const body = JSON.stringify({ frames: 1 });
  for (const answer of [
    await mppx.fetch(`${api}/weather/oslo?unit=c`),
    await mppx.fetch(`${api}/render`, { method: "POST", headers: { "content-type": "application/json" }, body }),
  ]) {
    await paid(answer, "mpp");
    const receipt = Receipt.fromResponse(answer);
    expect(receipt.method === "lightning" && receipt.status === "success", `a receipt, not ${JSON.stringify(receipt)}`);
    expect(answer.headers.get("cache-control").includes("private"), "a private answer");
  }
  saw("Payment-Receipt parsed");
  expect(payments === 2, `two payments, not ${payments}`);

  // Each try of the same form has another boundary.
  const upload = await mppx.fetch(`${api}/render`, { method: "POST", body: form() });
  await paid(upload, "mpp");
  saw("a form uploaded");
  expect(payments === 3, `one payment for a form, not ${payments - 2}`);
});
