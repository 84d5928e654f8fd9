use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::{Lnd, NAME, node::info, receive, rights::Rights, state};
use crate::{
    codec::hex,
    lightning::{
        Description, InvoiceRequest, InvoiceStatus, KeyCustody, Node,
        rest::{CallError, Origin, Pinned, Rest, Transport},
        url::{ConnectError, ConnectErrorKind, NodeUrl, Secret},
    },
    payment::{Amount, Invoice, Network},
};

impl Lnd {
    /// Creates a builder for a node, at a host and perhaps a port (8080 by default).
    pub fn builder(host: impl Into<String>) -> LndBuilder {
        LndBuilder::new(host.into())
    }
}

/// How to connect a node of LND: see [`Lnd::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct LndBuilder {
    host: String,
    prefix: String,
    transport: Transport,
    macaroon: Option<Secret>,
    certificate: Option<PathBuf>,
    private_channels: bool,
    key_custody: KeyCustody,
}

impl LndBuilder {
    pub(super) const fn new(host: String) -> Self {
        Self {
            host,
            prefix: String::new(),
            transport: Transport::Tls,
            macaroon: None,
            certificate: None,
            private_channels: false,
            key_custody: KeyCustody::Exclusive,
        }
    }

    /// Sets the macaroon: the bytes of a macaroon file, or their hexadecimal text.
    pub fn macaroon(mut self, macaroon: Secret) -> Self {
        self.macaroon = Some(macaroon);
        self
    }

    /// Sets the path under which a proxy serves LND, if it is not the root, for example `/lnd`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.prefix = path.into();
        self
    }

    /// Sets who else can learn the preimages of the node. The default is [`KeyCustody::Exclusive`].
    /// Set [`KeyCustody::Shared`] if others have a macaroon with `invoices:read`, or the seed.
    pub const fn key_custody(mut self, key_custody: KeyCustody) -> Self {
        self.key_custody = key_custody;
        self
    }

    /// Sets the file of the only certificate to trust, which is LND's `tls.cert`. Without it the
    /// well-known authorities are trusted.
    pub fn certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate = Some(path.into());
        self
    }

    /// Connects without TLS, to an LND that was started with `no-rest-tls`. It must be on this
    /// machine, in a private network (with a warning in the log) or an onion service.
    pub fn without_tls(mut self) -> Self {
        self.transport = Transport::Plain;
        self
    }

    /// Connects without TLS to any host. Anyone who reads a network on the way can take the
    /// macaroon.
    pub fn insecure_without_tls(mut self) -> Self {
        self.transport = Transport::Insecure;
        self
    }

    /// Adds route hints to invoices, for a node all of whose channels are private.
    pub fn private_channels(mut self) -> Self {
        self.private_channels = true;
        self
    }

    /// Connects the node.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the macaroon or the certificate is wrong, a right is missing, or the node
    /// does not work.
    pub async fn connect(self) -> Result<Lnd, ConnectError> {
        let given = self.macaroon.as_ref().ok_or_else(|| {
            ConnectError::url(
                "LND needs a macaroon: the bytes of its file, or their hexadecimal text (in a URL macaroon=/path/invoices.macaroon to receive, or the path of one with offchain:read and offchain:write to pay)",
            )
        })?;
        let macaroon = bytes(given).ok_or_else(|| {
            ConnectError::url(
                "what was given for LND is not a macaroon: expected the bytes of its file, of which the first is 2, or their hexadecimal text",
            )
        })?;
        let rights = Rights::of(&macaroon);
        if rights.is_some_and(|rights| !rights.receives() && !rights.pays()) {
            return Err(missing(
                "receive or pay",
                "invoices:read and invoices:write to receive (invoices.macaroon has them), or offchain:read and offchain:write to pay",
            ));
        }
        let pinned = Pinned::of(self.certificate.as_deref(), self.transport)?;
        let origin = Origin::new(self.transport, &self.host, 8080)?.under(&self.prefix)?;
        let text = Zeroizing::new(hex::encode(&*macaroon));
        let value = HeaderValue::from_str(&text)
            .map_err(|_| ConnectError::url("the macaroon is too long"))?;
        let header = HeaderName::from_static("grpc-metadata-macaroon");
        let rest = Rest::new(NAME, origin.clone(), pinned, (header, value))?;
        let learned = if rights.is_none_or(Rights::receives) {
            by_invoice(&rest, self.private_channels).await
        } else {
            by_info(&rest).await
        };
        let (network, public_key) =
            learned.map_err(|error| error.into_connect_error(NAME, &origin))?;
        let node = Lnd {
            rest,
            network,
            public_key,
            rights,
            private_channels: self.private_channels,
            key_custody: self.key_custody,
            was_short: Arc::default(),
        };
        if node.cannot_receive().is_none() {
            state::warn_at_the_start(&node).await;
        }
        Ok(node)
    }
}

/// Makes an invoice and looks it up, and returns its network and its payee.
async fn by_invoice(rest: &Rest, private_channels: bool) -> Result<(Network, [u8; 33]), CallError> {
    let memo = Description::Text("a server of tower-x402 was started".to_owned());
    let request = InvoiceRequest::new(Amount::from_sat(1), memo, Duration::from_secs(60));
    let text = receive::make(rest, &request, private_channels).await?;
    let invoice = Invoice::parse(&text).map_err(|error| CallError::bad(error.to_string()))?;
    if receive::status(rest, invoice.payment_hash()).await? != InvoiceStatus::Open {
        return Err(CallError::bad(
            "expected to find the invoice that was just made",
        ));
    }
    Ok((invoice.network(), *invoice.payee()))
}

async fn by_info(rest: &Rest) -> Result<(Network, [u8; 33]), CallError> {
    let info = info(rest).await?;
    let network = match info.chains.first().map(|chain| chain.network.as_str()) {
        Some("mainnet") => Network::Bitcoin,
        Some("regtest") => Network::Regtest,
        Some("signet") => Network::Signet,
        Some("testnet") => Network::Testnet,
        _ => {
            return Err(CallError::bad(
                "expected the network mainnet, testnet, signet or regtest",
            ));
        }
    };
    let key = hex::decode_any_case(&info.identity_pubkey);
    let key = key.ok_or_else(|| CallError::bad("expected a public key of 33 bytes"))?;
    Ok((network, key))
}

/// Returns the bytes of a macaroon, which begin with its version. Its text begins with a 0.
fn bytes(macaroon: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let decoded = macaroon.text().and_then(hex::decode_vec);
    let bytes = Zeroizing::new(decoded.unwrap_or_else(|| macaroon.bytes().to_vec()));
    bytes.starts_with(&[2]).then_some(bytes)
}

fn missing(what: &str, needed: &str) -> ConnectError {
    let text = format!("the macaroon of LND cannot {what}: it needs {needed}");
    ConnectError::new(ConnectErrorKind::Permission, text)
}

/// Connects the node that a URL names.
pub(crate) async fn connect(url: &NodeUrl, secure: bool) -> Result<Node, ConnectError> {
    url.only(&[
        "macaroon",
        "macaroon_file",
        "macaroon_hex",
        "macaroon_env",
        "cert",
        "private_channels",
        "custody",
        "insecure",
    ])?;
    url.no_user()?;
    let names = ["macaroon", "macaroon_file", "macaroon_hex", "macaroon_env"];
    if names
        .iter()
        .filter(|name| url.field(name).is_some())
        .count()
        > 1
    {
        return Err(ConnectError::url(format!(
            "the lnd URL has more than one macaroon: expected one of {}",
            names.join(", ")
        )));
    }
    let macaroon = match (url.field("macaroon"), url.field("macaroon_hex")) {
        (Some(path), _) => Some(Secret::from_file(path)?),
        (None, Some(text)) => Some(Secret::new(text)),
        (None, None) => url.secret("macaroon")?,
    };
    let mut builder = Lnd::builder(url.authority(8080)?);
    builder.transport = Transport::of(url, secure)?;
    builder.prefix = url.path().to_owned();
    builder.key_custody = url.key_custody()?;
    builder.macaroon = macaroon;
    builder.certificate = url.field("cert").map(PathBuf::from);
    builder.private_channels = url.flag("private_channels")?;
    let node = Arc::new(builder.connect().await?);
    let receiver = match node.cannot_receive() {
        None => Ok(node.clone() as _),
        Some(why) => Err(ConnectError::new(ConnectErrorKind::Permission, why)),
    };
    let payer = match node.cannot_pay() {
        None => Ok(node as _),
        Some(why) => Err(ConnectError::new(ConnectErrorKind::Permission, why)),
    };
    Ok(Node::new(NAME, receiver, payer))
}
