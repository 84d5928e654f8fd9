use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use super::{fault, rights::Rights, wire::Info};
use crate::{
    lightning::{
        KeyCustody,
        rest::{self, Ask, CallError, Reply, Rest},
    },
    payment::Network,
};

/// A node of [LND](https://lightning.engineering/api-docs/api/lnd/), over its REST interface. It is
/// a [`Receiver`](crate::lightning::Receiver) and a [`Payer`](crate::lightning::Payer).
///
/// # The smallest credential
///
/// - To receive: a macaroon with `invoices:read` and `invoices:write`. LND writes one,
///   `invoices.macaroon`, when it creates its wallet. Its `invoice.macaroon` works too, but may also
///   make addresses and read the chain. `admin.macaroon` can spend everything: do not use it in a
///   server that only receives.
/// - To receive, and to learn more when it is asked if it is ready: `lncli bakemacaroon invoices:read
///   invoices:write info:read offchain:read`. It cannot spend either.
/// - To pay: `lncli bakemacaroon offchain:read offchain:write info:read`.
///
/// The rights are read from the macaroon itself, so
/// [`ReceiverProfile::can_spend`](crate::lightning::ReceiverProfile::can_spend) is known.
///
/// Whoever has a macaroon with `invoices:read` can look invoices up, and so learns their preimages
/// before they are paid. `readonly.macaroon` and `invoice.macaroon` have this right. If that is not
/// only this server, set [`key_custody`](super::LndBuilder::key_custody), or write `custody=shared`
/// in the URL.
///
/// # When it is connected
///
/// If the macaroon can make invoices, LND is asked for one of 1 satoshi, which expires after a minute.
/// The network and the public key are read from it, because an invoice macaroon may not ask for them.
/// Otherwise they are read from `/v1/getinfo`, for which the macaroon needs `info:read`.
///
/// Only the certificate of the file is trusted, while it is valid and for the hosts that it names.
/// Without a file, the well-known authorities are trusted. Without TLS, it must be on this machine,
/// in a private network or an onion service, unless the builder or the URL says `insecure`.
///
/// # When it cannot be paid
///
/// Its wallet may be locked, or it may be starting or waiting for the chain. Then invoices and lookups
/// are errors that say what to do, for example to run `lncli unlock`. It is used again as soon as it
/// answers.
///
/// `ready()` asks LND whether it is started, and looks up an invoice that does not exist. What else it
/// can tell depends on the macaroon:
///
/// - With `info:read`, an LND that is not synced to the chain is not ready. With an invoice macaroon, this is
///   not known. LND also calls itself not synced if the newest block is older than two hours, which
///   happens on test networks.
/// - With `offchain:read`, a warning is logged when its channels have nothing on the other side, so
///   that nobody can pay it. It is also logged when LND is connected. With an invoice macaroon, this
///   is not known.
///
/// # What it does
///
/// - Amounts are exact to the millisatoshi, and invoices have exactly the requested description and
///   expiry. LND does not say if it lacks inbound liquidity: then payments fail.
/// - `settlements()` is LND's own stream. It connects again after 1 second and then at longer
///   intervals, up to one minute. As soon as one settlement of this LND is known, it misses nothing in
///   between. Until then it sees only the settlements of the newest 100 invoices, and it may miss one
///   that settles while it connects. If the JSON of a settlement is longer than 1 MiB, it is left out,
///   and the log says so.
/// - `pay` keeps to the fee limit. LND pays an invoice once, also if it is asked again after a
///   restart of this process.
/// - Calls run concurrently, over HTTP/1 connections that are kept for three seconds. It needs a
///   tokio runtime.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::lightning::{Lnd, Secret};
///
/// let node = Lnd::builder("127.0.0.1:8080")
///     .macaroon(Secret::from_file("/home/me/.lnd/data/chain/bitcoin/mainnet/invoices.macaroon")?)
///     .certificate_file("/home/me/.lnd/tls.cert")
///     .connect()
///     .await?;
/// // The same by its URL:
/// let url = "lnd://127.0.0.1:8080?macaroon=/home/me/.lnd/data/chain/bitcoin/mainnet/invoices.macaroon&cert=/home/me/.lnd/tls.cert";
/// let node = tower_x402::lightning::connect(url).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lnd {
    pub(super) rest: Rest,
    pub(super) network: Network,
    pub(super) public_key: [u8; 33],
    pub(super) rights: Option<Rights>,
    pub(super) private_channels: bool,
    pub(super) key_custody: KeyCustody,
    /// Whether it had no inbound liquidity when it was last asked.
    pub(super) was_short: Arc<AtomicBool>,
}

/// Sends a request that may be sent twice without harm. Any answer but 200 is an error.
pub(super) async fn call(rest: &Rest, ask: Ask) -> Result<Reply, (i64, CallError)> {
    rest.success(ask, fault::of_reply).await
}

pub(super) async fn info(rest: &Rest) -> Result<Info, CallError> {
    let reply = call(rest, Ask::get("/v1/getinfo")).await;
    reply.map_err(|(_, error)| error)?.json()
}

impl fmt::Debug for Lnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        rest::show(f, "Lnd", &self.rest, self.network, &self.public_key)
    }
}
