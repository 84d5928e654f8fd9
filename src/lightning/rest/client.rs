use std::{fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{
    CallError, Lines, Origin, Pinned, RestError, certificate,
    lines::LONGEST,
    resolver::{Resolver, connector},
};
use crate::{
    codec::hex,
    lightning::{NodeError, url::ConnectError},
    payment::Network,
};

/// How long a call may take that does not pay.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// How much longer than the time of a payment to wait for the answer.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How long a connection may be unused before it is closed. Some servers close theirs after 5
/// seconds, and a request must not meet that.
const IDLE: Duration = Duration::from_secs(3);

/// How often the operating system checks that the other side of an idle connection is still there.
const ALIVE: Duration = Duration::from_secs(30);

/// The HTTP client of one node. It needs a tokio runtime. Clones share connections.
#[derive(Clone)]
pub(crate) struct Rest {
    node: &'static str,
    origin: Origin,
    pinned: Option<Arc<Path>>,
    client: Client<HttpsConnector<HttpConnector<Resolver<GaiResolver>>>, Full<Bytes>>,
    credential: (HeaderName, HeaderValue),
}

/// A request that is not sent yet.
#[derive(Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    content: Option<(&'static str, Bytes)>,
    anonymous: bool,
}

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            content: None,
            anonymous: false,
        }
    }

    pub(crate) fn post_json(path: &'static str, body: &impl Serialize) -> Result<Self, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| CallError::bad(error.to_string()))?;
        Ok(Self {
            method: Method::POST,
            content: Some(("application/json", body.into())),
            ..Self::get(path)
        })
    }

    pub(crate) fn post_form(path: &'static str, fields: &[(&str, &str)]) -> Self {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        Self {
            method: Method::POST,
            content: Some(("application/x-www-form-urlencoded", pairs.join("&").into())),
            ..Self::get(path)
        }
    }

    /// Leaves the credential out.
    pub(crate) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }
}

impl Reply {
    /// Reads the answer as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        parse(&self.body)
    }
}

/// Reads a JSON text of a node. The error says at which place it is wrong and quotes nothing.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(text).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "expected another JSON object",
            serde_json::error::Category::Eof => "expected more JSON after the end",
            _ => "expected JSON",
        };
        let (line, column) = (error.line(), error.column());
        CallError::bad(format!(
            "{what} (line {line}, column {column} of the answer)"
        ))
    })
}

impl Rest {
    /// Creates a client that sends this credential with every request.
    pub(crate) fn new(
        node: &'static str,
        origin: Origin,
        pinned: Option<Pinned>,
        credential: (HeaderName, HeaderValue),
    ) -> Result<Self, ConnectError> {
        ServerName::try_from(origin.host()).map_err(|_| {
            ConnectError::url(format!("the host of {node} is not a name or an address"))
        })?;
        let file = pinned.as_ref().map(|pinned| Arc::from(&*pinned.file));
        let mut connector = connector(&origin, GaiResolver::new());
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(ALIVE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(certificate::tls(pinned)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        let (name, mut value) = credential;
        value.set_sensitive(true);
        Ok(Self {
            node,
            origin,
            pinned: file,
            client,
            credential: (name, value),
        })
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the error of a call, which names the host and the port.
    pub(crate) fn failed(&self, error: CallError) -> NodeError {
        error.into_node_error(self.node, &self.origin)
    }

    /// Sends a request that may be sent twice without harm, and returns the whole answer. It is sent
    /// once more if the connection broke, because the node may have closed it just then.
    pub(crate) async fn call(&self, ask: Ask, limit: Duration) -> Result<Reply, RestError> {
        let twice = async {
            match self.whole(ask.clone()).await {
                Err(RestError::Lost(_)) => self.whole(ask).await,
                reply => reply,
            }
        };
        timeout(limit, twice)
            .await
            .unwrap_or(Err(RestError::Late(limit)))
    }

    /// Sends a request as [`call`](Self::call) does. Any answer but a success is an error, which
    /// `explain` reads. Without an answer, the code before the error is its default.
    pub(crate) async fn success<C: Default>(
        &self,
        ask: Ask,
        explain: impl FnOnce(&Reply) -> (C, CallError),
    ) -> Result<Reply, (C, CallError)> {
        match self.call(ask, LIMIT).await {
            Ok(reply) if reply.status.is_success() => Ok(reply),
            Ok(reply) => Err(explain(&reply)),
            Err(error) => Err((C::default(), error.into())),
        }
    }

    /// Sends a request once, and returns the whole answer.
    pub(crate) async fn call_once(&self, ask: Ask, limit: Duration) -> Result<Reply, RestError> {
        timeout(limit, self.whole(ask))
            .await
            .unwrap_or(Err(RestError::Late(limit)))
    }

    /// Sends a request once, and returns the answer line by line.
    pub(crate) async fn open(&self, ask: Ask) -> Result<(StatusCode, Lines), RestError> {
        let (status, body) = self.send(ask).await?;
        Ok((status, Lines::new(body)))
    }

    async fn whole(&self, ask: Ask) -> Result<Reply, RestError> {
        let (status, body) = self.send(ask).await?;
        let body = Limited::new(body, LONGEST)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    RestError::TooLong
                } else {
                    RestError::Lost(error.to_string())
                }
            })?;
        Ok(Reply {
            status,
            body: Zeroizing::new(body.to_bytes().into()),
        })
    }

    async fn send(&self, ask: Ask) -> Result<(StatusCode, Incoming), RestError> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(self.origin.url(&ask.path));
        if !ask.anonymous {
            request = request.header(&self.credential.0, &self.credential.1);
        }
        let body = match ask.content {
            Some((kind, body)) => {
                request = request.header(header::CONTENT_TYPE, kind);
                Full::new(body)
            }
            None => Full::default(),
        };
        let request = request
            .body(body)
            .map_err(|error| RestError::Unconnected(error.to_string()))?;
        let answer = self.client.request(request).await;
        let (head, body) = answer
            .map_err(|error| RestError::of(&error, self.pinned.as_deref()))?
            .into_parts();
        Ok((head.status, body))
    }
}

/// Writes the `Debug` text of a connected node: nothing of it is secret.
pub(crate) fn show(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    rest: &Rest,
    network: Network,
    public_key: &[u8; 33],
) -> fmt::Result {
    f.debug_struct(name)
        .field("at", &format_args!("{}", rest.origin))
        .field("network", &network)
        .field("public_key", &hex::encode(public_key))
        .finish_non_exhaustive()
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({} at {})", self.node, self.origin)
    }
}
