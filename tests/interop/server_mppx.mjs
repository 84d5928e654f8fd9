// An Express server with mppx and a method `lightning` plugged in, beside a method that no client has. If REQUIRES_AUTH is 1, it
// leaves `Authorization` to the application.
import { createHash, randomBytes } from "node:crypto";
import express from "express";
import { Errors, Method, Receipt, Store, z } from "mppx";
import { Mppx } from "mppx/express";
import { issue, listen } from "./source.mjs";

const store = Store.memory();

const charge = Method.from({
  name: "lightning",
  intent: "charge",
  schema: {
    credential: { payload: z.object({ preimage: z.string() }) },
    request: z.object({
      amount: z.string(),
      currency: z.literal("sat"),
      methodDetails: z.optional(z.object({ invoice: z.string(), network: z.string(), paymentHash: z.string() })),
    }),
  },
});

const lightning = Method.toServer(charge, {
  // A request that comes with a credential costs no new invoice.
  async request({ credential, request }) {
    if (credential) return { ...request, methodDetails: credential.challenge.request.methodDetails };
    const { invoice, paymentHash } = await issue({ msat: Number(request.amount) * 1000, seconds: 300, text: "a scene" });
    return { ...request, methodDetails: { invoice, network: "regtest", paymentHash } };
  },
  async verify({ credential: { challenge, payload } }) {
    const { paymentHash } = challenge.request.methodDetails;
    if (createHash("sha256").update(payload.preimage, "hex").digest("hex") !== paymentHash) {
      throw new Errors.VerificationFailedError({ reason: "the preimage is of another invoice" });
    }
    if (!(await Store.tryClaim(store, paymentHash, Date.parse(challenge.expires)))) {
      throw new Errors.InvalidChallengeError({ id: challenge.id, reason: "already used" });
    }
    return Receipt.from({ method: "lightning", reference: paymentHash, status: "success", timestamp: new Date().toISOString() });
  },
});

const other = Method.toServer(Method.from({ ...charge, name: "other" }), {
  async verify() {
    throw new Errors.VerificationFailedError({ reason: "nobody can pay in this method" });
  },
});

const mppx = Mppx.create({
  methods: [other, lightning],
  requiresAuth: process.env.REQUIRES_AUTH === "1",
  secretKey: randomBytes(32).toString("hex"),
});

const app = express();
app.use(express.raw({ type: () => true }));
app.post("/render", mppx.charge({ amount: "25", currency: "sat" }), (request, answer) =>
  answer.json({ size: request.query.size, length: request.body.length }),
);
await listen(app);
