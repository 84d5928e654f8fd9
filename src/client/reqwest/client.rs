use std::sync::Arc;

use ::reqwest::{
    Body, Error, IntoUrl, Method, Request, RequestBuilder, Response, ResponseBuilderExt as _, Url,
};
use http::{
    HeaderMap,
    header::{Entry, HeaderName},
};
use tower_layer::Layer as _;
use tower_service::Service as _;

use super::{
    hops::{Hops, is_same_origin},
    service::{Plain, Timeout},
};
use crate::client::{
    AutoPay, AutoPayLayer, PaidReceipt, PayError, Wallet, error::Cause, job::LedHere,
};

/// A client of reqwest that pays for requests which a server answers with 402.
///
/// It follows up to ten redirects itself. Each hop is checked like a request of its own: a credential
/// never crosses to another origin, and a redirect to another origin leads to no payment, unless
/// [`Policy::pay_after_redirects`](crate::client::Policy::pay_after_redirects) allows it. It uses no
/// proxy, because the addresses behind one could not be checked.
///
/// ```no_run
/// use tower_x402::{Amount, client::{PaidReceipt, PayingClient, Wallet}, ledger::Budget, lightning};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = lightning::connect("lnd://127.0.0.1:8080?macaroon=agent.macaroon&cert=tls.cert").await?;
/// let wallet = Wallet::builder(node.payer()?).budget(Budget::daily(Amount::from_sat(500))).build().await?;
/// let client = PayingClient::new(wallet)?;
/// let answer = client.get("https://api.example.com/weather").send().await?;
/// if let Some(receipt) = answer.extensions().get::<PaidReceipt>() {
///     println!("it cost {}", receipt.amount());
/// }
/// println!("{}", answer.text().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PayingClient {
    paying: AutoPay<Plain>,
    plain: ::reqwest::Client,
    default_headers: Arc<HeaderMap>,
}

/// A request of a [`PayingClient`], to be completed and sent.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct PayingRequest {
    client: PayingClient,
    request: RequestBuilder,
}

impl PayingClient {
    /// Creates a client that pays from this wallet.
    ///
    /// # Errors
    ///
    /// An [`Error`] if TLS or the resolver cannot be set up.
    pub fn new(wallet: Wallet) -> Result<Self, Error> {
        Self::builder(wallet).build()
    }

    pub(super) fn of(wallet: Wallet, plain: ::reqwest::Client, default_headers: HeaderMap) -> Self {
        Self {
            paying: AutoPayLayer::new(wallet).layer(Plain(plain.clone())),
            plain,
            default_headers: Arc::new(default_headers),
        }
    }

    /// Begins a GET request.
    pub fn get(&self, url: impl IntoUrl) -> PayingRequest {
        self.request(Method::GET, url)
    }

    /// Begins a POST request.
    pub fn post(&self, url: impl IntoUrl) -> PayingRequest {
        self.request(Method::POST, url)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> PayingRequest {
        PayingRequest {
            client: self.clone(),
            request: self.plain.request(method, url),
        }
    }

    /// Sends a request, pays for it if the server asks for that, and follows redirects.
    ///
    /// # Errors
    ///
    /// A [`PayError`], which says whether money left.
    pub async fn execute(&self, request: Request) -> Result<Response, PayError<Error>> {
        let (mut request, mut is_led_here) = (request, false);
        add_missing(request.headers_mut(), &self.default_headers);
        let mut hops = Hops::new(&request);
        loop {
            let (url, next) = (request.url().clone(), hops.keep(&request));
            let answer = self.send(request, is_led_here).await?;
            let is_paid = answer.extensions().get::<PaidReceipt>().is_some();
            match next.and_then(|next| hops.follow(next, &answer)) {
                Some(next) => request = next,
                None => return Ok(with_url(answer, url)),
            }
            is_led_here |= is_paid || !is_same_origin(&url, request.url());
        }
    }

    async fn send(
        &self,
        request: Request,
        is_led_here: bool,
    ) -> Result<http::Response<Body>, PayError<Error>> {
        let timeout = request.timeout().copied();
        let mut request = http::Request::<Body>::try_from(request)
            .map_err(|error| PayError::new(Cause::Inner(error)).explained())?;
        // The conversion forgets it.
        if let Some(limit) = timeout {
            request.extensions_mut().insert(Timeout(limit));
        }
        request.extensions_mut().insert(LedHere(is_led_here));
        let mut paying = self.paying.clone();
        std::future::poll_fn(|cx| paying.poll_ready(cx)).await?;
        let answer = paying.call(request).await.map_err(PayError::explained)?;
        Ok(answer.map(|body| match body.is_redeeming() {
            true => Body::wrap(body),
            false => body.into_inner(),
        }))
    }
}

impl PayingRequest {
    /// Sets a header.
    pub fn header(self, name: HeaderName, value: impl AsRef<str>) -> Self {
        self.map(|request| request.header(name, value.as_ref()))
    }

    /// Sets the body. Only one in memory can be sent again, and paid for.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.map(|request| request.body(body))
    }

    /// Sets a body of JSON, and its type.
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        self.map(|request| request.json(value))
    }

    /// Changes the request with any method of reqwest's builder.
    pub fn map(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self {
            request: change(self.request),
            ..self
        }
    }

    /// Sends the request: see [`PayingClient::execute`].
    ///
    /// # Errors
    ///
    /// A [`PayError`], which says whether money left.
    pub async fn send(self) -> Result<Response, PayError<Error>> {
        let request = self.request.build();
        let request = request.map_err(|error| PayError::new(Cause::Inner(error)).explained())?;
        self.client.execute(request).await
    }
}

/// Makes a response of reqwest, which knows its URL.
fn with_url(answer: http::Response<Body>, url: Url) -> Response {
    let (mut head, body) = answer.into_parts();
    let named = http::Response::builder().url(url).body(());
    if let Ok(named) = named {
        head.extensions.extend(named.into_parts().0.extensions);
    }
    http::Response::from_parts(head, body).into()
}

/// Adds the headers whose names are not there, with every value of a name.
fn add_missing(headers: &mut HeaderMap, defaults: &HeaderMap) {
    for name in defaults.keys() {
        if let Entry::Vacant(vacant) = headers.entry(name) {
            let mut values = defaults.get_all(name).iter().cloned();
            if let Some(first) = values.next() {
                let mut added = vacant.insert_entry(first);
                values.for_each(|value| added.append(value));
            }
        }
    }
}
