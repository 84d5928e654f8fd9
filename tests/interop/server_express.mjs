// An Express server of the official kind, with plug-ins for `exact` on Lightning. As most of them do, it prefers another network,
// and describes itself in extensions that a client must send back.
import express from "express";
import { x402Facilitator } from "@x402/core/facilitator";
import { x402ResourceServer } from "@x402/core/server";
import { paymentMiddleware } from "@x402/express";
import { declareDiscoveryExtension, declarePaymentIdentifierExtension, PAYMENT_IDENTIFIER } from "@x402/extensions";
import { LnbtcFacilitator, LnbtcServer } from "./lnbtc_server.mjs";
import { issue, listen } from "./source.mjs";

const { NETWORK, PAYTO } = process.env;

const settling = new LnbtcFacilitator();
const charging = new LnbtcServer(async (amount, seconds, text) => {
  const { invoice, paymentHash } = await issue({ msat: Number(amount), seconds, hashed: Buffer.from(text).toString("hex") });
  settling.made(invoice, paymentHash, amount, seconds, text);
  return invoice;
});

// The other network: it is offered, and settles nothing.
const elsewhere = "eip155:84532";
const chargingElsewhere = {
  scheme: "exact",
  defaultAssetTransferMethod: "eip3009",
  paymentFlows: { eip3009: { supported: ["authorization"], default: "authorization" } },
  parsePrice: async () => ({ asset: `0x${"36".repeat(20)}`, amount: "10000", extra: { name: "USDC", version: "2" } }),
  enhancePaymentRequirements: async (requirements) => requirements,
};
const settlingElsewhere = {
  scheme: "exact",
  caipFamily: "eip155:*",
  getExtra: () => undefined,
  getSigners: () => [],
  verify: async () => ({ isValid: false, invalidReason: "unsupported_network" }),
  settle: async () => ({ success: false, errorReason: "unsupported_network", transaction: "", network: elsewhere }),
};

const facilitator = new x402Facilitator().register(elsewhere, settlingElsewhere).register(NETWORK, settling);
const server = new x402ResourceServer(facilitator).register(elsewhere, chargingElsewhere).register(NETWORK, charging);
const render = {
  accepts: [
    { scheme: "exact", network: elsewhere, payTo: `0x${"20".repeat(20)}`, price: "$0.01" },
    { scheme: "exact", network: NETWORK, payTo: PAYTO, maxTimeoutSeconds: 120, price: charging.price("25000") },
  ],
  description: "Renders a scene",
  mimeType: "application/json",
  extensions: {
    ...declareDiscoveryExtension({ bodyType: "text", input: "a scene", inputSchema: { type: "string" } }),
    [PAYMENT_IDENTIFIER]: declarePaymentIdentifierExtension(),
  },
};

const app = express();
app.use(express.raw({ type: () => true }));
app.use(paymentMiddleware({ "POST /render": render }, server));
app.post("/render", (request, answer) => answer.json({ size: request.query.size, length: request.body.length }));
charging.origin = await listen(app);
