//! An x402 facilitator for the scheme `exact` on `lnbtc`: a service that settles proofs for
//! resource servers written in any language.
//!
//! It implements the section "Facilitator Validation" of [`exact` on
//! `lnbtc`](https://github.com/x402-foundation/x402/blob/main/specs/schemes/exact/scheme_exact_lnbtc.md),
//! called "lnbtc" below.
//!
//! | Path | Answer |
//! |---|---|
//! | `POST /settle` | checks the proof, then consumes its payment hash |
//! | `POST /verify` | `{"isValid": false, "invalidReason": "invalid_exact_lnbtc_payment_flow"}` for every known caller: this scheme settles before the request is served, so call `/settle` instead |
//! | `GET /supported` | the supported networks; open to everyone |
//!
//! [`Facilitator`] is a tower service over any body. Mount it so that it sees these paths
//! unchanged, for example with axum's `nest_service` or `fallback_service`. The function
//! [`Facilitator::settle`] performs the same checks without HTTP. The body of `POST /settle` is
//! `{"x402Version": 2, "paymentPayload": {..}, "paymentRequirements": {..}}`.
//!
//! # What an operator must know
//!
//! **Use one store for one receiver key.** With two stores, one payment can be settled once at
//! each, and nothing detects that. If a facilitator and a paywall are paid on the same key, give
//! each a clone of one store (`Arc`). On several machines, use a store that they share.
//!
//! **A new store refuses older invoices.** An older store could have settled them. The facilitator
//! refuses each payment whose invoice was made before
//! [`ReplayStore::created_at`](crate::replay::ReplayStore::created_at), or within twice the skew
//! after it. The reason is `invalid_exact_lnbtc_invoice_older_than_store`, which only this crate
//! uses. Its `errorMessage` tells the client to pay a new invoice, and from which time on invoices
//! are accepted.
//!
//! With the default skew a facilitator therefore settles nothing for two minutes after its store
//! was made. It logs that when it is built. Create the store in advance.
//!
//! The margin is twice the skew because a receiver may sign any date. The older store's server
//! accepted no invoice dated more than one skew ahead of its own clock. And the two clocks differ
//! by at most one skew.
//!
//! **Use one skew.** The rule for a new store holds only if all servers that are paid on one key
//! have the same skew. A paywall's is 60 s. Suppose that a facilitator with a greater
//! [`skew`](FacilitatorBuilder::skew) loses its store, and a server with a lower skew starts with a
//! new one. Then that server can redeem a payment again. Start it only after all earlier invoices
//! have expired.
//!
//! **The clock must be right when a store is made.** If the clock was behind, the store settles
//! payments again that an older store had settled. Only a clock that was never set is detected. If
//! the store was made more than a minute in the future, the facilitator refuses to build.
//!
//! **Never restore a store from a backup.** A restored store has forgotten what was settled since
//! the backup, and its creation time does not change. Each of those payments settles again until it
//! expires. Start with an empty store instead.
//!
//! **A facilitator checks no quotes and no service labels.** It checks a proof against the
//! requirements and the amount that its caller sends. It cannot distinguish two services with one
//! URL and one receiver key. A paywall can, with
//! [`PaywallBuilder::service`](crate::server::PaywallBuilder::service).
//!
//! # Checks and answers
//!
//! These checks come before the store is asked, in this order, so that nobody can fill the store
//! with their own invoices:
//!
//! 1. The caller is known ([`Callers`]); otherwise 401.
//! 2. The caller is within its rate; otherwise 429 with `Retry-After`.
//! 3. The body has at most 64 KiB (413) and is a JSON object (400).
//! 4. The checks of "Facilitator Validation" hold. `payTo` must also be one of the configured keys,
//!    and `maxTimeoutSeconds` must be within the limit.
//!
//! Every answer about a proof has status 200 and a `SettlementResponse`, as in the reference
//! facilitators. If the store fails or does not answer in time, the reason is `settlement_failed`.
//! The specification has no word for that; the reference implementation uses this one. The proof is
//! then not spent, and can be sent again.
//!
//! If the store does not answer in time, or the caller disconnects before the answer, the use is
//! released.

mod builder;
mod callers;
mod rate;
mod service;
mod settle;
#[cfg(test)]
mod tests;

pub use self::{
    builder::{ConfigError, FacilitatorBuilder},
    callers::{BearerTokens, Caller, Callers},
    service::ResponseFuture,
    settle::Facilitator,
};
