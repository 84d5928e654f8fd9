use std::fmt;

use http::StatusCode;

use super::{
    NAME,
    wire::{Detail, Fault, Found, Wallet},
};
use crate::{
    lightning::{
        NodeErrorKind,
        rest::{self, Ask, CallError, Explained, Reply, Rest},
        url::ConnectErrorKind,
    },
    payment::{Network, PaymentHash},
};

/// A wallet of [LNbits](https://demo.lnbits.com/docs), over its HTTP interface. It is a
/// [`Receiver`](crate::lightning::Receiver) and a [`Payer`](crate::lightning::Payer).
///
/// # The smallest credential
///
/// - To receive: the wallet's invoice key, which cannot pay.
/// - To pay: its admin key.
///
/// LNbits says which of the two a key is, so
/// [`ReceiverProfile::can_spend`](crate::lightning::ReceiverProfile::can_spend) is known.
///
/// # Others learn the preimages
///
/// The host of the wallet knows every preimage before the invoice is paid. Anyone who has the invoice
/// key can read it too, and before LNbits 1.6 anyone who knows the payment hash. So the key custody
/// is always [`KeyCustody::Shared`](crate::lightning::KeyCustody::Shared): a server asks
/// LNbits whether an invoice is paid before it serves a request.
///
/// When the wallet is connected, it is asked for an invoice of 1 satoshi, which expires after a minute.
/// The network and the public key are read from this invoice. Then it is looked up without a key, and
/// the log says whether its preimage could be read, or that this could not be found out.
///
/// Without TLS, LNbits must be on this machine, in a private network or an onion service, unless the
/// builder or the URL says `insecure`.
///
/// # What it does
///
/// - Amounts are whole satoshis. An empty description is refused, because LNbits puts its own title
///   in its place. Whether the expiry is exact depends on the node behind LNbits.
/// - `settlements()` asks LNbits every 2 seconds, and at longer intervals, up to one minute, while it
///   does not answer. It sees a settlement up to 2 seconds late. LNbits's clock may be 5 minutes
///   behind, so what settled up to 5 minutes before may be reported too.
/// - `pay` has no fee limit, because LNbits has none that can be requested: its host sets it.
///   [`PayLimits::max_fee`](crate::lightning::PayLimits::max_fee) is ignored, and
///   [`PayerProfile::keeps_fee_limit`](crate::lightning::PayerProfile::keeps_fee_limit) is false.
///   LNbits pays an invoice once, also if it is asked again after a restart of this process.
/// - It needs a tokio runtime.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::lightning::{Lnbits, Secret};
///
/// let wallet = Lnbits::builder("lnbits.example.com").key(Secret::from_file("invoice-key")?).connect().await?;
/// // The same by its URL:
/// let wallet = tower_x402::lightning::connect("lnbits+https://lnbits.example.com?key_file=invoice-key").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lnbits {
    pub(super) rest: Rest,
    pub(super) network: Network,
    pub(super) public_key: [u8; 33],
    /// The name of the wallet, which only an admin key is told.
    pub(super) wallet_id: Option<Box<str>>,
}

/// Sends a request that may be sent twice without harm. Any answer but a success is an error.
pub(super) async fn call(rest: &Rest, ask: Ask) -> Result<Reply, (Option<StatusCode>, CallError)> {
    rest.success(ask, |reply| (Some(reply.status), explain(reply)))
        .await
}

/// Returns the name of the wallet, if the key is its admin key. A key of no wallet is an error.
pub(super) async fn wallet_id(rest: &Rest) -> Result<Option<Box<str>>, CallError> {
    match call(rest, Ask::get("/api/v1/wallet")).await {
        Ok(reply) => Ok(reply.json::<Wallet>()?.id.map(Into::into)),
        Err((
            Some(StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            CallError::Explained(why),
        )) if why.kind == NodeErrorKind::Refused => Err(permission(
            "the key is of no wallet of it: copy the invoice key from the wallet's page (API docs)",
        )),
        Err((_, error)) => Err(error),
    }
}

/// Asks for a payment, in or out. Returns `None` if the wallet has none with this hash.
pub(super) async fn find(
    rest: &Rest,
    payment_hash: PaymentHash,
) -> Result<Option<Found>, CallError> {
    let reply = match call(rest, Ask::get(format!("/api/v1/payments/{payment_hash}"))).await {
        Ok(reply) => reply,
        // A proxy's answer is no answer of LNbits.
        Err((Some(StatusCode::NOT_FOUND), CallError::Explained(why)))
            if why.kind == NodeErrorKind::Refused =>
        {
            return Ok(None);
        }
        Err((_, error)) => return Err(error),
    };
    let found: Found = reply.json()?;
    let Some(details) = &found.details else {
        // LNbits answers without a key too, for every wallet.
        return Err(permission(
            "the key is of no wallet of it any more: connect it again with another",
        ));
    };
    details.is(payment_hash)?;
    Ok(Some(found))
}

/// Explains an answer that is an error.
pub(super) fn explain(reply: &Reply) -> CallError {
    match reply.json::<Fault>() {
        Ok(Fault {
            detail: Detail::Text(text),
        }) => {
            let kind = ConnectErrorKind::Node;
            refused(kind, text.chars().take(300).collect())
        }
        Ok(Fault {
            detail: Detail::Other(_),
        }) => refused(
            ConnectErrorKind::Node,
            "it does not accept the form of the request".to_owned(),
        ),
        Err(_) => CallError::unexpected(
            (reply.status, &reply.body),
            ("LNbits's interface", "the URL"),
            "write lnbits+https:// in place of lnbits+http://, or leave .without_tls() out",
        ),
    }
}

pub(super) fn permission(text: &str) -> CallError {
    refused(ConnectErrorKind::Permission, text.to_owned())
}

fn refused(connect: ConnectErrorKind, text: String) -> CallError {
    CallError::Explained(Explained {
        kind: NodeErrorKind::Refused,
        connect,
        text,
    })
}

impl fmt::Debug for Lnbits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rest::show(f, NAME, &self.rest, self.network, &self.public_key)
    }
}
