use std::fmt;

use http::StatusCode;

use super::NAME;
use crate::{
    lightning::{
        KeyCustody, NodeErrorKind,
        rest::{self, Ask, CallError, Explained, Reply, Rest},
        url::ConnectErrorKind,
    },
    payment::Network,
};

/// A node of [phoenixd](https://phoenix.acinq.co/server/api), 0.6.1 or newer, over its HTTP
/// interface. It is a [`Receiver`](crate::lightning::Receiver) and a
/// [`Payer`](crate::lightning::Payer).
///
/// # The smallest credential
///
/// - To receive: the password `http-password-limited-access` of `phoenix.conf`, which cannot pay.
/// - To pay: the password `http-password`.
///
/// When it is connected, `payinvoice` is called without an invoice. phoenixd answers differently to
/// the two passwords, so [`ReceiverProfile::can_spend`](crate::lightning::ReceiverProfile::can_spend)
/// is known.
///
/// Whoever has one of the two passwords can look invoices up, and so learns their preimages before
/// they are paid. If that is not only this server, set
/// [`key_custody`](super::PhoenixdBuilder::key_custody), or write `custody=shared` in the URL.
///
/// # What it does
///
/// - Amounts are whole satoshis. A text description has at most 128 characters; a longer one is
///   refused.
/// - phoenixd buys inbound liquidity by itself and takes its price from what arrives. The payer
///   always pays the whole amount.
/// - `settlements()` asks phoenixd every 2 seconds, and at longer intervals, up to one minute, while
///   it does not answer. It sees a settlement up to 2 seconds late. phoenixd's clock may be 5 minutes
///   behind, so what settled up to 5 minutes before may be reported too. It reads at most 5,000
///   settlements each time, the newest first. phoenixd's WebSocket is not used: it never repeats what
///   happened while nobody was connected, and it would need a second HTTP client in this crate.
/// - `pay` has no fee limit, because phoenixd has none: its fee is fixed (0.4 % and 4 satoshis).
///   [`PayLimits::max_fee`](crate::lightning::PayLimits::max_fee) is ignored, and
///   [`PayerProfile::keeps_fee_limit`](crate::lightning::PayerProfile::keeps_fee_limit) is false.
///   phoenixd pays an invoice once, also if it is asked again after a restart of this process.
/// - phoenixd speaks plain HTTP and is meant for the same machine. Without TLS, it must be there, in a
///   private network or an onion service, unless the builder or the URL says `insecure`.
/// - It needs a tokio runtime.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::lightning::{Phoenixd, Secret};
///
/// let node = Phoenixd::builder("127.0.0.1:9740").password(Secret::from_file("limited-password")?).connect().await?;
/// // The same by its URL:
/// let node = tower_x402::lightning::connect("phoenixd://127.0.0.1:9740?password_file=limited-password").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Phoenixd {
    pub(super) rest: Rest,
    pub(super) network: Network,
    pub(super) public_key: [u8; 33],
    pub(super) can_spend: bool,
    pub(super) key_custody: KeyCustody,
}

/// Sends a request that may be sent twice without harm. Any answer but 200 is an error.
pub(super) async fn call(rest: &Rest, ask: Ask) -> Result<Reply, (Option<StatusCode>, CallError)> {
    let status = |reply: &Reply| match reply.status {
        // A wrong path, and a proxy, also answer 404, but not with these words.
        StatusCode::NOT_FOUND => {
            let is_phoenixds = reply.body.trim_ascii().eq_ignore_ascii_case(b"not found");
            is_phoenixds.then_some(reply.status)
        }
        status => Some(status),
    };
    rest.success(ask, |reply| (status(reply), explain(reply)))
        .await
}

/// Explains an answer that is an error. phoenixd's are texts.
pub(super) fn explain(reply: &Reply) -> CallError {
    let text: String = String::from_utf8_lossy(&reply.body)
        .chars()
        .take(300)
        .collect();
    let (kind, connect, text) = match reply.status {
        StatusCode::UNAUTHORIZED => (
            NodeErrorKind::Refused,
            ConnectErrorKind::Permission,
            "the password is wrong, or is the limited one and cannot pay: see phoenix.conf (http-password, http-password-limited-access)".to_owned(),
        ),
        StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR
            if !text.starts_with('<') && !text.contains("HTTPS") =>
        {
            (NodeErrorKind::Refused, ConnectErrorKind::Node, text)
        }
        status => {
            return CallError::unexpected(
                (status, &reply.body),
                ("phoenixd's interface", "the port (9740 by default)"),
                "write phoenixd+https:// in place of phoenixd://, or call .with_tls()",
            );
        }
    };
    CallError::Explained(Explained {
        kind,
        connect,
        text,
    })
}

impl fmt::Debug for Phoenixd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rest::show(f, NAME, &self.rest, self.network, &self.public_key)
    }
}
