use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::{Method, request::Parts};

use crate::{
    boxed::{BoxError, BoxFuture},
    payment::Amount,
};

/// A fixed amount, or a function of the request (see [`price_fn`]).
#[derive(Clone)]
pub struct Price(pub(in crate::server) PriceKind);

pub(in crate::server) type PriceFunction =
    dyn Fn(PriceRequest) -> BoxFuture<'static, Result<Option<Amount>, BoxError>> + Send + Sync;

#[derive(Clone)]
pub(in crate::server) enum PriceKind {
    Fixed(Amount),
    Function(Arc<PriceFunction>),
}

impl From<Amount> for Price {
    fn from(amount: Amount) -> Self {
        Self(PriceKind::Fixed(amount))
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            PriceKind::Fixed(amount) => amount.fmt(f),
            PriceKind::Function(_) => f.write_str("price_fn(..)"),
        }
    }
}

impl Price {
    pub(in crate::server) const fn fixed(&self) -> Option<Amount> {
        match self.0 {
            PriceKind::Fixed(amount) => Some(amount),
            PriceKind::Function(_) => None,
        }
    }
}

/// Creates a price that depends on the request.
///
/// `Ok(Some(amount))` is the price. `Ok(None)` lets the request pass for free, and its answer is
/// private
/// ([`Charge::free_answers_are_public`](super::Charge::free_answers_are_public)). An error of type
/// [`BadRequest`] is answered with 400 and its text. Any other error, a panic, a price of zero, and
/// a time-out are answered with 503.
///
/// The function runs if no credential was accepted. It also runs to check a foreign proof
/// ([`accept_foreign_proofs`](super::PaywallBuilder::accept_foreign_proofs)), and for a credential
/// that an earlier charge sold: if the request is free now, nothing is taken of what was bought.
/// Everything that it sees is bound to the payment: a cheap quote never opens an expensive request.
///
/// If the node makes invoices for whole satoshis only
/// ([`ReceiverProfile::whole_sats_only`](crate::lightning::ReceiverProfile::whole_sats_only)), the
/// amount is rounded up to the next whole satoshi before anything else happens: the rounded amount
/// is in the invoice, in every challenge and in the receipt.
///
/// MPP sells whole satoshis only. With any other node, a price with a fraction of a satoshi leaves
/// MPP out of the 402. If MPP is the only dialect, the answer is 503: round the price, or enable
/// another dialect.
///
/// ```
/// use tower_x402::{Amount, server::{BadRequest, Charge, PriceRequest, price_fn}};
///
/// let charge = Charge::new(price_fn(|q: PriceRequest| async move {
///     let frames = q.header("x-frames").unwrap_or("1").parse().ok().filter(|n| (1..=1000).contains(n));
///     Ok(Some(Amount::from_sat(frames.ok_or(BadRequest::new("x-frames: 1 to 1000"))?)))
/// }))
/// .reads_headers(["x-frames"]);
/// # let _ = charge;
/// ```
pub fn price_fn<F, Fut>(function: F) -> Price
where
    F: Fn(PriceRequest) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Amount>, BoxError>> + Send + 'static,
{
    Price(PriceKind::Function(Arc::new(move |request| {
        Box::pin(function(request))
    })))
}

/// The parts of a request that a price function sees. Exactly these are bound to the payment.
#[derive(Clone)]
pub struct PriceRequest {
    pub(in crate::server) method: Method,
    pub(in crate::server) captures: Vec<(String, String)>,
    pub(in crate::server) query: Vec<(String, String)>,
    pub(in crate::server) headers: Vec<(String, Option<String>)>,
    pub(in crate::server) body: Bytes,
    reads_body: bool,
    misread: Arc<OnceLock<String>>,
}

impl PriceRequest {
    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Returns what the route's pattern captured under this name, percent-decoded, as the handler
    /// will see it.
    ///
    /// # Errors
    ///
    /// Returns an error if the pattern has no capture of this name. That is a mistake in the price
    /// function: the answer is 503, and the log says why.
    pub fn capture(&self, name: &str) -> Result<&str, BadRequest> {
        let found = self.captures.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| {
            self.misread(|| {
                let names: Vec<_> = self.captures.iter().map(|(name, _)| format!("`{name}`")).collect();
                let captured = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                format!(
                    "the price function reads the capture `{name}`, and the pattern of this route captures {captured}: write \
                     `{{{name}}}` into the pattern, or read another name"
                )
            });
            BadRequest::new(format!("the path has no {name}"))
        })
    }

    /// Returns the decoded value of a query parameter, or `None` if the query does not have it.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] if it occurs more than once: see [`query_all`](Self::query_all).
    pub fn query<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, BadRequest> {
        let mut values = self.query_all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(BadRequest::new(format!(
                "the query must have {name} at most once"
            ))),
            (value, None) => Ok(value),
        }
    }

    /// Returns all decoded values of a query parameter, in their order.
    pub fn query_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of a header that the charge declared with
    /// [`reads_headers`](super::Charge::reads_headers), or `None` if the request does not have it.
    /// Reading an undeclared header is a mistake in the price function, because the header would
    /// not be bound. The answer is then 503, and the log says why.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let declared = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        if declared.is_none() {
            self.misread(|| {
                format!("the price function reads the header `{name}`: declare it with .reads_headers([\"{name}\"])")
            });
        }
        declared.and_then(|(_, value)| value.as_deref())
    }

    /// Returns the body, if the charge declared it with [`reads_body`](super::Charge::reads_body).
    /// Otherwise reading it is a mistake in the price function, and the answer is 503.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        if !self.reads_body {
            self.misread(|| {
                "the price function reads the body: declare it with .reads_body()".to_owned()
            });
        }
        &self.body
    }

    /// Returns a copy with the body for one run of a price function. Also returns the cell in which
    /// that run notes a read that was not declared.
    pub(in crate::server) fn for_one_run(&self, body: Bytes) -> (Self, Arc<OnceLock<String>>) {
        let misread = Arc::new(OnceLock::new());
        (
            Self {
                body,
                misread: misread.clone(),
                ..self.clone()
            },
            misread,
        )
    }

    /// Notes a read that was not declared, for all clones.
    fn misread(&self, why: impl FnOnce() -> String) {
        let _ = self.misread.get_or_init(why);
    }
}

/// Shows neither header values nor the body, which may hold secrets.
impl fmt::Debug for PriceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriceRequest")
            .field("method", &self.method)
            .field("captures", &self.captures)
            .finish_non_exhaustive()
    }
}

/// A request that a price function rejects. The answer is 400 with this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest(String);

impl BadRequest {
    /// Creates a rejection with a text for the client, which says what was expected.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRequest {}

/// Collects what a price function will see, without the body.
///
/// # Errors
///
/// [`BadRequest`] if a declared header occurs twice or is not visible ASCII text.
pub(in crate::server) fn seen(
    (read_headers, reads_body): (&[String], bool),
    captures: Vec<(String, String)>,
    head: &Parts,
) -> Result<Box<PriceRequest>, BadRequest> {
    let header = |name: &String| {
        let mut values = head.headers.get_all(name.as_str()).iter();
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(BadRequest::new(format!(
                "the header {name} must occur at most once"
            ))),
            (None, None) => Ok((name.clone(), None)),
            (Some(value), None) => match value.to_str() {
                Ok(text) => Ok((name.clone(), Some(text.to_owned()))),
                Err(_) => Err(BadRequest::new(format!(
                    "the header {name} must be visible ASCII text"
                ))),
            },
        }
    };
    let headers = read_headers.iter().map(header).collect::<Result<_, _>>()?;
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let method = head.method.clone();
    let seen = PriceRequest {
        method,
        captures,
        query,
        headers,
        body: Bytes::new(),
        reads_body,
        misread: Arc::default(),
    };
    Ok(Box::new(seen))
}
