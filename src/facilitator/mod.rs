//! x402's facilitator for `exact` on `lnbtc`: what a resource server of any language asks to settle
//! its proofs.
//!
//! | Path | Answer |
//! |---|---|
//! | `POST /settle` | the eight steps of lnbtc, "Facilitator Validation": checks, then the payment hash is consumed |
//! | `POST /verify` | `{"isValid": false, "invalidReason": "invalid_exact_lnbtc_payment_flow"}` for every known caller: this scheme settles before the request is served, so call `/settle` instead |
//! | `GET /supported` | the networks served; open to everybody |
//!
//! [`Facilitator`] is a tower service over any body, mountable in any router: it must see these
//! paths as they are, as under axum's `nest_service` and `fallback_service`. The same steps are the
//! function [`Facilitator::settle`]. The body of `POST /settle` is
//! `{"x402Version": 2, "paymentPayload": {..}, "paymentRequirements": {..}}`.
//!
//! **One receiver key, one store.** A payment is redeemed once only if all servers that redeem it
//! ask the same store: a facilitator and a paywall that are paid on the same key must be given
//! clones of one store (`Arc`), or of one that machines share. With two stores one payment can be
//! settled twice, once at each, and nothing notices.
//!
//! **A new store.** What an older store could have settled, a new one refuses: every payment whose
//! invoice was made before [`ReplayStore::created_at`](crate::replay::ReplayStore::created_at) or
//! within twice the skew after it is `invalid_exact_lnbtc_invoice_older_than_store`, a word of this
//! crate's own, and `errorMessage` says what to do (pay a new invoice) and from which moment on
//! invoices count. So for two minutes after its store was made a facilitator settles nothing at
//! all, and says so in the log when it is built: make the store beforehand. The receiver may sign
//! any date, but the server of the older store took none further ahead of its clock than the skew,
//! and the two clocks differ by the skew at most.
//!
//! **One skew.** That holds only if all that are paid on one key have the same skew. A paywall's is
//! 60 s. What a facilitator with a greater [`skew`](FacilitatorBuilder::skew) settled could be
//! redeemed again if its store is lost and a paywall, or a facilitator with a lower skew, starts
//! with a new one. Start those when all invoices from before have expired.
//!
//! **The clock.** It must be right when a store is made. A store that was made while the clock was
//! behind settles payments again that an older store had settled, and only a clock that was never
//! set is found. With a store that was made in the future, by more than a minute, the facilitator
//! is not built: it would settle nothing until then.
//!
//! **A backup.** A store that was put back from a backup still says when it was first made, and has
//! forgotten what was settled since it was copied: each of those payments settles again until it
//! expires. Start with an empty store instead.
//!
//! **No quotes, no service labels.** A facilitator checks a proof against the requirements that its
//! caller sends, at their amount. It cannot tell two services of one URL and one receiver key
//! apart, as a paywall does with
//! [`PaywallBuilder::service`](crate::server::PaywallBuilder::service).
//!
//! Before the store is asked, in this order: the caller is known ([`Callers`]; 401), it is within
//! its rate (429 with `Retry-After`), its body is at most 64 KiB (413) and a JSON document (400),
//! `payTo` is one of the served keys and `maxTimeoutSeconds` within the limit, and the seven checks
//! hold. So nobody fills the store with invoices of their own.
//!
//! Every answer about a proof is status 200 with a `SettlementResponse`, as the reference
//! facilitators do. So is a store that cannot answer: `settlement_failed`, never a success, and the
//! proof is not spent by it, so that it can be sent again. (The specification has no word for it;
//! this is the reference implementation's.)
//!
//! If the store does not answer in time, or the caller has gone, the use is released.

mod builder;
mod callers;
mod rate;
mod service;
mod settle;
#[cfg(test)]
mod tests;

pub use self::{
    builder::{FacilitatorBuilder, FacilitatorConfigError},
    callers::{BearerTokens, Caller, Callers},
    service::ResponseFuture,
    settle::Facilitator,
};
