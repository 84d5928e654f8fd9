//! One connection to a relay, over a WebSocket
//! ([NIP-01](https://github.com/nostr-protocol/nips/blob/master/01.md)).

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use http::Uri;
use nostr::{Event, EventId, JsonUtil as _, Kind};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::boxed::BoxError;

/// How long it may take to connect, or to send one message.
const CONNECT: Duration = Duration::from_secs(20);

/// The longest message, in bytes.
const LONGEST: usize = 256 * 1024;

/// What a relay says.
pub(super) enum News {
    /// An event of a subscription.
    Event(Box<Event>),
    /// All stored events of a subscription were sent.
    Stored,
    /// The relay says that it does not forward this event. That is no proof.
    Rejected(EventId, String),
    /// The relay ended a subscription.
    Closed(String),
    /// Something else, such as the answer to a ping.
    Other,
}

pub(super) struct Relay(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Relay {
    pub(super) async fn open(url: &str) -> Result<Self, BoxError> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let tls = Connector::Rustls(Arc::new(tls()?));
        let opened = connect_async_tls_with_config(url, Some(config), true, Some(tls));
        let (socket, _) = timeout(CONNECT, opened).await??;
        Ok(Self(socket))
    }

    /// Subscribes to events of one author.
    pub(super) async fn subscribe(&mut self, name: &str, filter: Value) -> Result<(), BoxError> {
        self.send(&json!(["REQ", name, filter])).await
    }

    pub(super) async fn publish(&mut self, event: &Event) -> Result<(), BoxError> {
        self.send(&json!(["EVENT", event])).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), BoxError> {
        let sent = self.0.send(Message::Ping(Vec::new().into()));
        Ok(timeout(CONNECT, sent).await??)
    }

    async fn send(&mut self, message: &Value) -> Result<(), BoxError> {
        let sent = self.0.send(Message::text(message.to_string()));
        Ok(timeout(CONNECT, sent).await??)
    }

    /// Returns the next message. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<News, BoxError> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Ok(News::read(&text)),
            Some(Ok(Message::Close(_))) | None => Err("the relay closed the connection".into()),
            Some(Ok(_)) => Ok(News::Other),
            Some(Err(error)) => Err(error.into()),
        }
    }
}

impl News {
    /// Reads a message. One that cannot be read is skipped, because relays send many kinds.
    fn read(text: &str) -> Self {
        let Ok(Value::Array(parts)) = serde_json::from_str(text) else {
            return Self::Other;
        };
        let text_of = |at: usize| parts.get(at).and_then(Value::as_str).unwrap_or_default();
        let why = |at| text_of(at).chars().take(200).collect();
        match (text_of(0), parts.get(2)) {
            ("EVENT", Some(event)) => match Event::from_json(event.to_string()) {
                Ok(event) => Self::Event(Box::new(event)),
                Err(_) => Self::Other,
            },
            ("EOSE", _) => Self::Stored,
            ("OK", Some(Value::Bool(false))) => match EventId::from_hex(text_of(1)) {
                Ok(id) => Self::Rejected(id, why(3)),
                Err(_) => Self::Other,
            },
            ("CLOSED", _) => Self::Closed(why(2)),
            _ => Self::Other,
        }
    }
}

/// Returns a relay's URL as it may be printed: the scheme, the host and the port. The rest may hold a
/// secret.
pub(super) fn place(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else {
        return "(a URL that cannot be read)".to_owned();
    };
    let port = uri.port().map(|port| format!(":{port}"));
    format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or_default(),
        uri.host().unwrap_or_default(),
        port.unwrap_or_default()
    )
}

/// Returns what the wallet publishes about itself, if this relay has it.
pub(super) async fn about(
    relay: &mut Relay,
    wallet: &nostr::PublicKey,
) -> Result<Option<Box<Event>>, BoxError> {
    let filter = json!({ "kinds": [Kind::WalletConnectInfo.as_u16()], "authors": [wallet.to_hex()], "limit": 1 });
    relay.subscribe("about", filter).await?;
    let found = async {
        loop {
            match relay.next().await? {
                News::Event(event) if event.kind == Kind::WalletConnectInfo => {
                    return Ok(Some(event));
                }
                News::Stored => return Ok(None),
                News::Closed(why) => return Err(BoxError::from(why)),
                _ => {}
            }
        }
    };
    timeout(CONNECT, found).await?
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}
