// An Express server of the official kind, with plug-ins for `exact` on Lightning.
import express from "express";
import { x402Facilitator } from "@x402/core/facilitator";
import { x402ResourceServer } from "@x402/core/server";
import { paymentMiddleware } from "@x402/express";
import { LnbtcFacilitator, LnbtcServer } from "./lnbtc_server.mjs";
import { issue, listen } from "./source.mjs";

const { NETWORK, PAYTO } = process.env;

const settling = new LnbtcFacilitator();
const charging = new LnbtcServer(async (amount, seconds, text) => {
  const { invoice, paymentHash } = await issue({ msat: Number(amount), seconds, hashed: Buffer.from(text).toString("hex") });
  settling.made(invoice, paymentHash, amount, seconds, text);
  return invoice;
});

const costs = { scheme: "exact", network: NETWORK, payTo: PAYTO, maxTimeoutSeconds: 120, price: charging.price("25000") };
const server = new x402ResourceServer(new x402Facilitator().register(NETWORK, settling)).register(NETWORK, charging);

const app = express();
app.use(express.raw({ type: () => true }));
app.use(paymentMiddleware({ "POST /render": { accepts: costs } }, server));
app.post("/render", (request, answer) => answer.json({ size: request.query.size, length: request.body.length }));
charging.origin = await listen(app);
