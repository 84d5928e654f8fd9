// The client half of `exact` on Lightning as a plug-in for @x402/core: checks what is asked against the request and the
// invoice, pays, and answers with the preimage.
import { createHash } from "node:crypto";
import { decode, pay } from "./wallet.mjs";

export const networks = {
  "lnbtc:000000000019d6689c085ae165831e93": "bc",
  "lnbtc:000000000933ea01ad0ee984209779ba": "tb",
  "lnbtc:0f9188f13cb7b2c71f2a335e3a4fc328": "bcrt",
};

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** What a request is bound by in the profile `http:1`, without bound headers: its members stand in canonical order. */
export function requestText({ method, url, body = "" }) {
  return JSON.stringify({ bodyHash: sha256(body), domain: "x402:exact:lnbtc:bolt11:http:1", headers: [], method, url });
}

export const requestHash = (request) => sha256(requestText(request));

export class LnbtcClient {
  scheme = "exact";
  payments = 0;
  #wallet;
  #last;

  constructor(wallet) {
    this.#wallet = wallet;
  }

  /** A `fetch` that tells this plug-in which request is being paid for: @x402/core does not. One at a time. */
  watching(fetch) {
    return async (input, init) => {
      const request = new Request(input, init);
      this.#last = { method: request.method, url: request.url, body: Buffer.from(await request.clone().arrayBuffer()) };
      return fetch(request);
    };
  }

  async createPaymentPayload(x402Version, asked) {
    const { extra } = asked;
    const check = (so, what) => {
      if (!so) throw new Error(`will not pay: ${what}`);
    };
    const told = await decode(this.#wallet, extra.invoice);
    check(x402Version === 2 && asked.asset === "BTC", "not bitcoin by version 2");
    check(/^[1-9][0-9]*$/.test(asked.amount) && told.num_msat === asked.amount, "the invoice has another amount");
    check(extra.invoice.match(/^ln(bcrt|tb|bc)[0-9]/)?.[1] === networks[asked.network], "another network");
    check(extra.paymentFlow === "upfront", "another payment flow");
    check((extra.assetTransferMethod ?? "bolt11") === "bolt11", "another way of transfer");
    check(extra.requestBindingProfile === "http:1", "another binding");
    check(JSON.stringify(extra.requestBindingParams) === '{"headers":[]}', "bound headers");
    check(extra.requestHash === requestHash(this.#last), "bound to another request");
    check(told.description_hash === extra.requestHash && told.description === "", "the invoice is for another request");
    check(told.destination === asked.payTo, "the invoice has another payee");
    check(told.expiry === String(asked.maxTimeoutSeconds), "the invoice has another expiry");
    const age = Date.now() / 1000 - Number(told.timestamp);
    check(age > -60 && age < asked.maxTimeoutSeconds, "the invoice is not of now");
    this.payments += 1;
    const preimage = await pay(this.#wallet, extra.invoice);
    check(sha256(Buffer.from(preimage, "hex")) === told.payment_hash, "the wallet's preimage is not the invoice's");
    return { x402Version, payload: { preimage } };
  }
}
