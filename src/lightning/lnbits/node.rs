use std::{fmt, time::Duration};

use http::StatusCode;

use super::{
    NAME,
    wire::{Detail, Fault, Found},
};
use crate::{
    codec::hex,
    lightning::{
        NodeErrorKind,
        rest::{Ask, CallError, Explained, Reply, Rest},
        url::ConnectErrorKind,
    },
    payment::{Network, PaymentHash},
};

/// How long a call may take that does not pay.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// A wallet of [LNbits](https://demo.lnbits.com/docs), over its HTTP interface. It is a
/// [`Receiver`](crate::lightning::Receiver) and a [`Payer`](crate::lightning::Payer).
///
/// # The smallest credential
///
/// - To receive: the wallet's invoice key, which cannot pay.
/// - To pay: its admin key.
///
/// LNbits tells which of the two a key is, so
/// [`ReceiverProfile::can_spend`](crate::lightning::ReceiverProfile::can_spend) is known.
///
/// # Others learn the preimages
///
/// The host of the wallet knows every preimage before the invoice is paid, and so does whoever has
/// the invoice key. LNbits before 1.6 tells it to everybody who knows the payment hash. So the key
/// custody is always [`KeyCustody::Shared`](crate::lightning::KeyCustody::Shared): a server asks
/// LNbits whether an invoice is paid before it serves a request.
///
/// When it is connected, an invoice for 1 satoshi is made, which expires after a minute. It tells the
/// network and the public key. Then it is looked up without a key, and the log says whether its
/// preimage could be read.
///
/// # What it does
///
/// - Amounts are whole satoshis. An empty description is refused, because LNbits puts its own title
///   in its place. Whether the expiry is exact depends on the node behind LNbits.
/// - `settlements()` asks LNbits every 2 seconds, and at longer intervals, up to one minute, while it
///   does not answer. It sees a settlement up to 2 seconds late.
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
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lnbits {
    pub(super) rest: Rest,
    pub(super) network: Network,
    pub(super) public_key: [u8; 33],
    pub(super) can_spend: bool,
}

/// Sends a request that may be sent twice without harm. Any answer but a success is an error.
pub(super) async fn call(rest: &Rest, ask: Ask) -> Result<Reply, (Option<StatusCode>, CallError)> {
    match rest.call(ask, LIMIT).await {
        Ok(reply) if reply.status.is_success() => Ok(reply),
        Ok(reply) => Err((Some(reply.status), explain(&reply))),
        Err(error) => Err((None, error.into())),
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
        Err(_) => CallError::bad(format!(
            "expected LNbits's interface, but the answer is {}: check the URL",
            reply.status
        )),
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
        f.debug_struct(NAME)
            .field("at", &format_args!("{}", self.rest.origin()))
            .field("network", &self.network)
            .field("public_key", &hex::encode(self.public_key))
            .finish_non_exhaustive()
    }
}
