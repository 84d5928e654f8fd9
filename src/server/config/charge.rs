use std::{num::NonZeroU32, time::Duration};

use http::Response;

use super::{Price, failures::Failures};
use crate::{
    clock::Timestamp,
    payment::{Access, Amount},
    server::{kept::KeptAnswers, limit::FreeAllowance},
};

/// What a route charges: the price, what one payment buys, the description shown to payers, and the
/// parts of the request that the payment is bound to.
///
/// ```
/// use std::time::Duration;
/// use tower_x402::{Amount, server::Charge};
///
/// let day = Charge::new(Amount::from_sat(500)).for_duration(Duration::from_secs(86_400)).description("one day of the archive");
/// # let _ = day;
/// ```
///
/// # When a charge changes
///
/// What was sold is served after a redeploy. An L402 or MPP credential says what it bought: method,
/// target or pattern (without the names of captures), access, bound headers, amount. It is checked
/// against that and not against today's charge. So the price, the access and, in these dialects, the
/// bound headers may change. An x402 proof says only that this server quoted exactly this request.
///
/// Some changes need a setting:
///
/// - x402 forbids taking the names of bound headers from a proof. If they change, or bodies begin to
///   stream, name the charge that you had with [`earlier`](Self::earlier).
/// - If the pattern of a route changes by more than names of captures, name the old one with
///   [`former_pattern`](Self::former_pattern). It counts for several uses and durations.
/// - If a price function begins to read a header or the body, older credentials of L402 and MPP are
///   good only for requests without that header, or without a body. Nobody paid for more. x402
///   proofs are refused. With [`earlier`](Self::earlier) all are good for all requests again.
/// - If a dialect is no longer enabled, its credentials are no longer read. Keep it enabled until
///   they have expired: in MPP and x402 that is a minute after the last invoice.
/// - To void what was sold, use [`sold_since`](Self::sold_since),
///   [`PaywallBuilder::revocations`](super::PaywallBuilder::revocations), or a new master secret.
///
/// # One URL, one charge
///
/// Because a credential is checked against what it bought, two charges that serve one URL at the
/// same time open each other, also if one is dearer. An example is a router that chooses a service
/// by a version header. Give each its own paywall with its own
/// [`service`](super::PaywallBuilder::service) label. The rules of one table never share a URL.
#[derive(Clone, Debug)]
#[must_use]
pub struct Charge {
    pub(in crate::server) price: Price,
    /// Every call of `once`, `uses` and `for_duration`.
    pub(in crate::server) access: Vec<Access>,
    pub(in crate::server) description: Option<String>,
    pub(in crate::server) mime_type: Option<String>,
    pub(in crate::server) service_name: Option<String>,
    pub(in crate::server) tags: Vec<String>,
    pub(in crate::server) icon_url: Option<String>,
    pub(in crate::server) bound_headers: Vec<String>,
    pub(in crate::server) read_headers: Vec<String>,
    pub(in crate::server) reads_body: bool,
    pub(in crate::server) stream_body: bool,
    pub(in crate::server) authorization_taken: bool,
    /// For each route that the charge is used for.
    pub(in crate::server) free_per_day: Option<NonZeroU32>,
    pub(in crate::server) free_allowance: Option<FreeAllowance>,
    pub(in crate::server) free_is_public: bool,
    pub(in crate::server) ends_streams: bool,
    pub(in crate::server) failures: Failures,
    pub(in crate::server) kept: Option<KeptAnswers>,
    pub(in crate::server) bind_multipart: bool,
    pub(in crate::server) grpc: bool,
    pub(in crate::server) earlier: Vec<Self>,
    pub(in crate::server) former_patterns: Vec<String>,
    pub(in crate::server) former_routes: Vec<String>,
    /// Set by the table: whose credentials must not open this rule.
    pub(in crate::server) other_patterns: Vec<String>,
    pub(in crate::server) sold_since: Option<Timestamp>,
}

impl Charge {
    /// Creates a charge of a fixed amount, or of what a price function returns. One payment buys
    /// one request.
    pub fn new(price: impl Into<Price>) -> Self {
        Self {
            price: price.into(),
            access: Vec::new(),
            description: None,
            mime_type: None,
            service_name: None,
            tags: Vec::new(),
            icon_url: None,
            bound_headers: Vec::new(),
            read_headers: Vec::new(),
            reads_body: false,
            stream_body: false,
            authorization_taken: false,
            free_per_day: None,
            free_allowance: None,
            free_is_public: false,
            ends_streams: false,
            failures: Failures::default(),
            kept: None,
            bind_multipart: false,
            grpc: false,
            earlier: Vec::new(),
            former_patterns: Vec::new(),
            former_routes: Vec::new(),
            other_patterns: Vec::new(),
            sold_since: None,
        }
    }

    /// Sells one request with exactly the method, path and query that were priced. This is the
    /// default. x402 and MPP bind the body too, unless it [streams](Self::stream_body). L402 binds
    /// it only if a price function reads it ([`reads_body`](Self::reads_body)).
    ///
    /// A bound body must be sent again byte for byte. `fetch` makes a new boundary for `FormData` at
    /// each try, so MPP leaves the body of a `multipart/form-data` request alone. It binds it if the
    /// price depends on the body, or with [`bind_multipart`](Self::bind_multipart).
    pub fn once(self) -> Self {
        self.buys(Access::Once)
    }

    /// Sells this many requests of the priced method and pattern. They are valid until 30 days
    /// after the invoice expires (see
    /// [`PaywallBuilder::uses_within`](super::PaywallBuilder::uses_within)). Only L402 supports
    /// this.
    pub fn uses(self, uses: NonZeroU32) -> Self {
        self.buys(Access::Uses(uses))
    }

    /// Sells any number of requests of the priced method and pattern, until this long (whole
    /// seconds) after the invoice expires. Less than 60 s counts as 60 s. Only L402 supports this.
    pub fn for_duration(self, duration: Duration) -> Self {
        self.buys(Access::ForDuration(duration))
    }

    fn buys(mut self, access: Access) -> Self {
        self.access.push(access);
        self
    }

    /// Sets the description of what is sold, shown to payers: at most 256 bytes, without control
    /// characters. The default is none.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the media type of the answer, which x402's challenge contains: at most 128 printable
    /// ASCII characters. The default is none.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// Sets the name of the service, which x402's challenge contains: at most 32 printable ASCII
    /// characters. The default is none.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Sets up to five search terms, which x402's challenge contains: each at most 32 printable
    /// ASCII characters. The default is none.
    pub fn tags<I: IntoIterator<Item: Into<String>>>(mut self, tags: I) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the URL of an icon, which x402's challenge contains: at most 2,048 printable ASCII
    /// characters. The default is none.
    pub fn icon_url(mut self, url: impl Into<String>) -> Self {
        self.icon_url = Some(url.into());
        self
    }

    /// Binds the values of these headers: a credential is valid only for a request with the same
    /// values. By default no header is bound. Never bind a header that clients change from try to
    /// try: an upload built with `FormData` has another boundary in its `content-type` each time.
    pub fn bind_headers<I: IntoIterator<Item: Into<String>>>(mut self, names: I) -> Self {
        self.bound_headers.extend(names.into_iter().map(Into::into));
        self
    }

    /// Lets the price function see these headers, and binds them. If one occurs twice in a request,
    /// the answer is 400. By default a price function sees no header.
    pub fn reads_headers<I: IntoIterator<Item: Into<String>>>(mut self, names: I) -> Self {
        self.read_headers.extend(names.into_iter().map(Into::into));
        self
    }

    /// Lets the price function see the body, and binds it. The layer reads the body into memory
    /// before the price is known. By default a price function sees no body.
    pub fn reads_body(mut self) -> Self {
        self.reads_body = true;
        self
    }

    /// Passes bodies through unread, whatever their size. They are not bound, and x402, which must
    /// bind them, is not offered. By default bodies are bound.
    ///
    /// Clients with large bodies should first send the request without the body, or with `Expect:
    /// 100-continue`. Otherwise HTTP/1 closes the connection after the 402, and the client may miss
    /// it. The layer drains a body before the 402 if its length is known and within
    /// [`body_limit`](super::PaywallBuilder::body_limit), for at most
    /// [`time_limit`](super::PaywallBuilder::time_limit).
    pub fn stream_body(mut self) -> Self {
        self.stream_body = true;
        self
    }

    /// Declares that this route uses `Authorization` for something else. MPP then reads its
    /// credential only from `Payment-Authorization`. L402 clients must send a second
    /// `Authorization` line, or gRPC's `macaroon` header, which not all of them support.
    pub fn authorization_taken(mut self) -> Self {
        self.authorization_taken = true;
        self
    }

    /// Allows each client this many free requests a day (UTC), on each route that has this charge or
    /// a clone of it. The default is none. A restart forgets what was taken.
    ///
    /// This is a [`FreeAllowance`] for each route, which has the same rules. To share one among
    /// several charges, or to keep it over a restart, call
    /// [`free_allowance`](Self::free_allowance). The last of both calls counts. The free answers
    /// are private (see [`free_answers_are_public`](Self::free_answers_are_public)).
    pub fn free_per_day(mut self, requests: NonZeroU32) -> Self {
        self.free_per_day = Some(requests);
        self.free_allowance = None;
        self
    }

    /// Allows each client the free requests of an allowance that several charges share, whatever
    /// they cost. The default is none.
    pub fn free_allowance(mut self, allowance: FreeAllowance) -> Self {
        self.free_allowance = Some(allowance);
        self.free_per_day = None;
        self
    }

    /// Leaves the handler's `Cache-Control` in answers to requests that passed for free, by an
    /// allowance or by the price function. By default the layer makes them private, because a
    /// shared cache would give the first free answer to everybody. Answers to requests with a
    /// credential stay private. Say this only if everybody may have what is free, whatever headers
    /// the price function reads: the layer does not set `Vary`.
    pub fn free_answers_are_public(mut self) -> Self {
        self.free_is_public = true;
        self
    }

    /// Ends the body of an answer that is still being sent when the time is over that was bought:
    /// an event stream, for example. By default the time is checked when a request comes, so an
    /// answer may go on for ever after that. Only for [`for_duration`](Self::for_duration).
    ///
    /// A stream ends cleanly, as if the handler had ended it, and the handler's body is dropped. An
    /// answer with `Content-Length` that is not complete by then breaks off. The time is
    /// [`PaymentReceipt::valid_until`](crate::PaymentReceipt::valid_until), to about a second.
    ///
    /// An upgraded connection, such as a WebSocket, has no body: the server gives it to the
    /// handler, and the layer cannot reach it. End it there:
    ///
    /// ```
    /// use std::future::Future;
    /// use tower_x402::PaymentReceipt;
    ///
    /// async fn until_the_end(receipt: &PaymentReceipt, conversation: impl Future<Output = ()>) {
    ///     let bought = receipt.valid_until().saturating_since(receipt.accepted_at());
    ///     let _ = tokio::time::timeout(bought, conversation).await; // then say goodbye and close
    /// }
    /// ```
    pub fn ends_streams(mut self) -> Self {
        self.ends_streams = true;
        self
    }

    /// Decides which answers of the inner service are failures of the service, whose use is given
    /// back (see [`max_restores`](super::PaywallBuilder::max_restores)). By default these are 408,
    /// 425, 429 and 5xx.
    ///
    /// The function sees status, headers and extensions, but not the body. It runs for each answer
    /// to a payment whose uses are counted, so not for `for_duration`. It must not block. If it
    /// panics, the default decides and the log says so. Errors and panics of the service always
    /// count as failures. Called again, the last function counts.
    ///
    /// ```
    /// use tower_x402::{Amount, server::Charge};
    ///
    /// // Only what the handler itself calls a failure.
    /// let charge = Charge::new(Amount::from_sat(10)).failed_if(|answer| answer.headers().contains_key("x-failed"));
    /// # let _ = charge;
    /// ```
    pub fn failed_if(
        mut self,
        is_failed: impl Fn(&Response<()>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.failures.decide_by(is_failed);
        self
    }

    /// Gives failed uses back in x402 and MPP too, as often as
    /// [`max_restores`](super::PaywallBuilder::max_restores) allows. By default only L402 gives
    /// them back. The client sends the same credential again while it is valid: in MPP until the
    /// invoice expires, in x402 for 60 s more.
    ///
    /// This departs from both specifications, which let a payment be consumed once. MPP
    /// (`lightning`, "Verification") wants a consumed challenge to stay consumed if the handler
    /// fails. `lnbtc` ("Settlement and Replay Protection") settles before the handler runs, and
    /// names no refund. What they protect stays true: of one payment no more requests succeed than
    /// it bought. Formats do not change. An x402 answer still has `PAYMENT-RESPONSE` with success
    /// after a failure, because the payment is settled; it says nothing about the use. An MPP
    /// answer has `Payment-Receipt` only if it is 2xx.
    pub fn no_charge_for_failures(mut self) -> Self {
        self.failures.in_every_dialect = true;
        self
    }

    /// Binds bodies of `multipart/form-data` in MPP too. Without this they are left alone, because
    /// clients that build the form again for the paid request send another boundary, and could not
    /// redeem what they paid for. The handler must then read the upload to its end itself. x402 binds
    /// every body. L402 binds none: to bind it in every dialect, use a price function that
    /// [reads the body](Self::reads_body), also for a price that never changes. The 402 names the
    /// dialects that bind the body, and says that the same bytes must be sent again.
    pub fn bind_multipart(mut self) -> Self {
        self.bind_multipart = true;
        self
    }
}

impl Charge {
    /// The headers that the price function declares, and whether it declares the body. `None` if
    /// the price is fixed.
    pub(in crate::server) fn declared(&self) -> Option<(&[String], bool)> {
        let is_fixed = self.price.fixed().is_some();
        (!is_fixed).then_some((&self.read_headers, self.reads_body))
    }

    pub(in crate::server) fn access(&self) -> Access {
        self.access.first().copied().unwrap_or(Access::Once)
    }
}

impl From<Amount> for Charge {
    fn from(amount: Amount) -> Self {
        Self::new(amount)
    }
}

impl From<Price> for Charge {
    fn from(price: Price) -> Self {
        Self::new(price)
    }
}
