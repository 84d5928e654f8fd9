// @getalby/lightning-tools pays for itself, once in each way that it knows.
import { fetch402, fetchWithL402 } from "@getalby/lightning-tools/402";
import { api, expect, paid, run, wallet } from "./seen.mjs";
import { pay } from "./wallet.mjs";

let payments = 0;
const purse = {
  async payInvoice({ invoice }) {
    payments += 1;
    return { preimage: await pay(wallet, invoice) };
  },
};

await run(async () => {
  await paid(await fetch402(`${api}/weather/oslo?unit=c`, {}, { wallet: purse }), "l402");
  await paid(await fetchWithL402(`${api}/weather/rome`, {}, { wallet: purse }), "l402");
  const posted = { method: "POST", headers: { "content-type": "application/json" }, body: '{"frames":1}' };
  await paid(await fetch402(`${api}/render`, posted, { wallet: purse }), "l402");
  expect(payments === 3, `three payments, not ${payments}`);

  const first = await fetch402(`${api}/thrice/a`, {}, { wallet: purse });
  await paid(first, "l402");
  for (const path of ["b", "c"]) {
    const credentials = first.payment.credentials;
    await paid(await fetch402(`${api}/thrice/${path}`, {}, { wallet: purse, credentials }), "l402");
  }
  const spent = await fetch402(`${api}/thrice/d`, {}, { wallet: purse, credentials: first.payment.credentials });
  expect(spent.status === 402, `402 for the fourth of three uses, not ${spent.status}`);
  expect(payments === 4, `four payments in all, not ${payments}`);
});
