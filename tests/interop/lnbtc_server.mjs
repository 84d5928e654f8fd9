// The server's half of `exact` on Lightning as plug-ins for @x402/core: a resource server's, and a facilitator's.
import { createHash } from "node:crypto";
import { requestHash, requestText } from "./lnbtc.mjs";

/** Charges for requests. `issue` makes an invoice: of this amount, for this time, with the hash of this text. */
export class LnbtcServer {
  scheme = "exact";
  defaultAssetTransferMethod = "bolt11";
  paymentFlows = { bolt11: { supported: ["upfront"], default: "upfront" } };
  dynamicExtraFields = ["invoice"];
  issued = 0;
  /** The configured origin of the server. */
  origin;
  #issue;

  constructor(issue) {
    this.#issue = issue;
  }

  /** What is bound: the configured origin, the target as it came, and the body. */
  #bound({ adapter }) {
    const body = adapter.getBody();
    return { method: adapter.getMethod(), url: this.origin + adapter.req.originalUrl, body: Buffer.isBuffer(body) ? body : "" };
  }

  /** The price of each request to a route, in millisatoshi. */
  price(amount) {
    return (context) => ({
      asset: "BTC",
      amount,
      extra: { requestHash: requestHash(this.#bound(context)), requestBindingProfile: "http:1", requestBindingParams: { headers: [] } },
    });
  }

  parsePrice = async (price) => price;

  enhancePaymentRequirements = async (requirements) => requirements;

  async enrichPaymentRequiredResponse({ requirements, transportContext: { request } }) {
    const presented = request.paymentHeader && JSON.parse(Buffer.from(request.paymentHeader, "base64"));
    for (const asked of requirements.filter(({ network }) => network.startsWith("lnbtc:"))) {
      // A request that comes with a proof is matched with the invoice that was paid, and costs no new one.
      asked.extra.invoice =
        presented?.accepted?.extra?.invoice ?? (await this.#issue(asked.amount, asked.maxTimeoutSeconds, requestText(this.#bound(request))));
      this.issued += presented ? 0 : 1;
    }
    return requirements;
  }
}

/** Settles proofs for invoices that it was told of when they were made. So it needs to decode none. */
export class LnbtcFacilitator {
  scheme = "exact";
  caipFamily = "lnbtc:*";
  #made = new Map();
  #spent = new Set();

  /** Remembers an invoice, and for which request it is. */
  made(invoice, paymentHash, amount, seconds, text) {
    const hash = createHash("sha256").update(text).digest("hex");
    this.#made.set(invoice, { paymentHash, amount, hash, until: Date.now() + (seconds + 60) * 1000 });
  }

  getExtra = () => ({ assetTransferMethod: "bolt11", paymentFlow: "upfront" });

  getSigners = () => [];

  verify = async () => ({ isValid: false, invalidReason: "invalid_exact_lnbtc_payment_flow" });

  async settle({ accepted, payload }, { network, amount, extra }) {
    const made = this.#made.get(accepted.extra.invoice);
    const refusals = [
      [!made, "invalid_exact_lnbtc_invoice_missing"],
      [made?.hash !== extra.requestHash, "invalid_exact_lnbtc_invoice_request_mismatch"],
      [made?.amount !== amount, "invalid_exact_lnbtc_invoice_amount_mismatch"],
      [!/^[0-9a-f]{64}$/.test(payload.preimage), "invalid_exact_lnbtc_preimage_malformed"],
      [made?.paymentHash !== createHash("sha256").update(String(payload.preimage), "hex").digest("hex"), "invalid_exact_lnbtc_preimage_hash_mismatch"],
      [made?.until < Date.now(), "invalid_exact_lnbtc_invoice_expired"],
      [this.#spent.has(made?.paymentHash), "duplicate_settlement"],
    ];
    const errorReason = refusals.find(([is]) => is)?.[1];
    if (errorReason) return { success: false, errorReason, transaction: "", network };
    this.#spent.add(made.paymentHash);
    return { success: true, transaction: made.paymentHash, network };
  }
}
