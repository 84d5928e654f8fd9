//! What a charge says about answers that are kept.

use super::Charge;
use crate::server::kept::KeptAnswers;

impl Charge {
    /// Keeps the answer to a paid request for some minutes, and gives it again to the same
    /// credential for the same request. So a payer whose connection broke, or whose proxy gave up,
    /// gets what it paid for: it sends the same request again. By default nothing is kept, and the
    /// second request is refused, because its payment is spent. This works for charges for one
    /// request ([`once`](Self::once)), in every dialect.
    ///
    /// The answer is given again as it was, with its receipt, whatever the handler would say now.
    /// The handler does not run again. The same request has the same method, URL, body and bound
    /// headers, and the same headers that choose among answers: `Accept..`, `Range`, `If-..`,
    /// `Content-Type`, `Content-Encoding` and those that the answer names in `Vary`. The credential
    /// must be the same byte for byte. It may have expired meanwhile. While the first request is
    /// being served, the answer to the second is 409.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_x402::{Amount, Charge, server::KeptAnswers, replay::MemoryStore};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let kept = KeptAnswers::new(MemoryStore::new()?).time(Duration::from_secs(300));
    /// let charge = Charge::new(Amount::from_sat(10)).keep_answers(kept);
    /// # let _ = charge;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # What is not kept
    ///
    /// - Failures ([`failed_if`](Self::failed_if)): L402 gives their use back.
    /// - Answers to a request with a `Cookie`, or with an `Authorization` of another scheme, unless
    ///   the charge binds that header. Such a request gets no kept answer either. If another header
    ///   says who asks, such as an API key, bind it ([`bind_headers`](Self::bind_headers)).
    /// - Answers that set a cookie, have trailers, are longer than
    ///   [`bytes_per_answer`](KeptAnswers::bytes_per_answer), or say `Vary: *`.
    /// - Streams: `text/event-stream`, `multipart/x-mixed-replace`, `application/x-ndjson`,
    ///   `application/jsonl`, `application/json-seq`, `application/stream+json`, gRPC, and upgraded
    ///   connections.
    /// - Answers to a token that was sold for several uses, before the charge kept answers.
    ///
    /// `Cache-Control: no-store` is for caches: such an answer is kept, and given again with it.
    ///
    /// # What it costs
    ///
    /// The layer reads an answer into memory and writes it to the records before the first byte is
    /// sent. If that takes longer than [`time_limit`](super::PaywallBuilder::time_limit), the answer
    /// goes on as it comes and is not kept. A body that breaks off meanwhile becomes a 503, and a
    /// failure. L402 requests are read into memory too, because the body tells one request from
    /// another. Anyone who learns a used credential can read the answer while it is kept: at most 16
    /// times in each process.
    ///
    /// # If the client hangs up while the handler works
    ///
    /// Then hyper drops the request and its handler, and there is no answer to keep: the payment is
    /// spent. The same holds while the finished answer is being written to the records: it may be
    /// lost. The layer starts no tasks, so a layer outside of it must let such requests go on:
    ///
    /// ```
    /// use axum::{Router, extract::Request, http::StatusCode, middleware::{Next, from_fn}, response::Response};
    ///
    /// async fn to_its_end(request: Request, next: Next) -> Result<Response, StatusCode> {
    ///     let answer = tokio::spawn(next.run(request)).await;
    ///     answer.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR) // the handler panicked
    /// }
    ///
    /// # fn app(app: Router) -> Router {
    /// app.layer(from_fn(to_its_end)) // added last, so it is outside of the paid routes
    /// # }
    /// ```
    ///
    /// # x402's `payment-identifier`
    ///
    /// The 402 offers this extension, unless it does not fit into the headers. A client may put an
    /// `id` into `extensions.payment-identifier.info` of its payload: 16 to 128 letters, digits, `-`
    /// and `_`. If a different payload, of this or of another payment, bought the same request with
    /// the same `id` before, the answer is 409 without a challenge, and nothing is spent. A payment
    /// takes its `id` when its use is granted, so an unspent one takes none. If there is no room for
    /// another `id` ([`bytes_in_all`](KeptAnswers::bytes_in_all)), the request is served and the
    /// `id` is not noted. A charge that keeps no answers ignores it.
    pub fn keep_answers(mut self, kept: KeptAnswers) -> Self {
        self.kept = Some(kept);
        self
    }
}
