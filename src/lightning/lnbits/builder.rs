use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, StatusCode};

use super::{
    Lnbits, NAME,
    node::{call, wallet_id},
    receive,
    wire::Found,
};
use crate::{
    lightning::{
        Description, InvoiceRequest, Node, NodeErrorKind,
        rest::{Ask, CallError, Origin, Pinned, Rest, Transport},
        url::{ConnectError, ConnectErrorKind, NodeUrl, Secret},
    },
    payment::{Amount, Invoice, Preimage},
    trace,
};

/// How to connect a wallet of LNbits: see [`Lnbits::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct LnbitsBuilder {
    host: String,
    prefix: String,
    transport: Transport,
    key: Option<Secret>,
    certificate: Option<PathBuf>,
}

impl Lnbits {
    /// Creates a builder for a wallet, at a host and perhaps a port (443 by default).
    pub fn builder(host: impl Into<String>) -> LnbitsBuilder {
        LnbitsBuilder {
            host: host.into(),
            prefix: String::new(),
            transport: Transport::Tls,
            key: None,
            certificate: None,
        }
    }
}

impl LnbitsBuilder {
    /// Sets the key of the wallet. To receive, use its invoice key.
    pub fn key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the path under which LNbits is served, if it is not the root, for example `/wallets`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.prefix = path.into();
        self
    }

    /// Sets the file of the only certificate to trust, in PEM form. Without it the well-known
    /// authorities are trusted.
    pub fn certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate = Some(path.into());
        self
    }

    /// Connects without TLS, to port 80 by default. The host must be this machine, in a private
    /// network (with a warning in the log) or an onion service.
    pub fn without_tls(mut self) -> Self {
        self.transport = Transport::Plain;
        self
    }

    /// Connects without TLS to any host. Anyone who reads a network on the way can take the key.
    pub fn insecure_without_tls(mut self) -> Self {
        self.transport = Transport::Insecure;
        self
    }

    /// Connects the wallet.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the key is wrong or the wallet does not work.
    pub async fn connect(self) -> Result<Lnbits, ConnectError> {
        let value = self
            .key
            .as_ref()
            .and_then(Secret::text)
            .map(HeaderValue::from_str);
        let Some(Ok(value)) = value else {
            return Err(ConnectError::url(
                "LNbits needs a key of the wallet, which is text (lnbits+https://host?key=.., or key_file=/path)",
            ));
        };
        let port = match self.transport {
            Transport::Insecure | Transport::Plain => 80,
            Transport::Tls => 443,
        };
        let pinned = Pinned::of(self.certificate.as_deref(), self.transport)?;
        let origin = Origin::new(self.transport, &self.host, port)?.under(&self.prefix)?;
        let header = HeaderName::from_static("x-api-key");
        let rest = Rest::new(NAME, origin.clone(), pinned, (header, value))?;
        let failed = |error: CallError| error.into_connect_error(NAME, &origin);
        let wallet_id = wallet_id(&rest).await.map_err(failed)?;
        let invoice = first_invoice(&rest).await.map_err(failed)?;
        say_who_learns_preimages(&rest, &invoice).await;
        Ok(Lnbits {
            rest,
            network: invoice.network(),
            public_key: *invoice.payee(),
            wallet_id,
        })
    }
}

async fn first_invoice(rest: &Rest) -> Result<Invoice, CallError> {
    let memo = Description::Text("a server of tower-x402 was started".to_owned());
    let request = InvoiceRequest::new(Amount::from_sat(1), memo, Duration::from_secs(60));
    let text = receive::make(rest, &request, 1).await?;
    Invoice::parse(&text).map_err(|error| CallError::bad(error.to_string()))
}

/// Looks an unpaid invoice up without a key, and logs whether its preimage could be read.
async fn say_who_learns_preimages(rest: &Rest, invoice: &Invoice) {
    let at = rest.origin();
    match is_told_to_everybody(rest, invoice).await {
        Ok(true) => trace::warn(format_args!(
            "LNbits at {at} gives the preimage of an unpaid invoice to everybody who knows its payment hash: update it to 1.6 or newer; until \
             then only its answer whether an invoice is paid protects this server"
        )),
        Ok(false) => trace::info(format_args!(
            "LNbits at {at} gives the preimage of an unpaid invoice to nobody without a key"
        )),
        Err(error) => trace::warn(format_args!(
            "it is not known whether LNbits at {at} gives the preimage of an unpaid invoice to everybody who knows its payment hash, because \
             the check failed; its answer whether an invoice is paid protects this server: {}",
            rest.failed(error)
        )),
    }
}

async fn is_told_to_everybody(rest: &Rest, invoice: &Invoice) -> Result<bool, CallError> {
    let hash = invoice.payment_hash();
    let ask = Ask::get(format!("/api/v1/payments/{hash}")).anonymous();
    let found = match call(rest, ask).await {
        Ok(reply) => reply.json::<Found>()?,
        // It answers only those who have a key.
        Err((
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            CallError::Explained(why),
        )) if why.kind == NodeErrorKind::Refused => {
            return Ok(false);
        }
        Err((_, error)) => return Err(error),
    };
    let preimage = found.preimage.as_deref().and_then(Preimage::from_hex);
    Ok(preimage.is_some_and(|preimage| hash.is_of(&preimage)))
}

/// Connects the wallet that a URL names.
pub(crate) async fn connect(url: &NodeUrl, secure: bool) -> Result<Node, ConnectError> {
    url.only(&["key", "key_file", "key_env", "cert", "insecure"])?;
    url.no_user()?;
    let mut builder = Lnbits::builder(url.authority(if secure { 443 } else { 80 })?);
    builder.prefix = url.path().to_owned();
    builder.transport = Transport::of(url, secure)?;
    builder.certificate = url.field("cert").map(PathBuf::from);
    builder.key = url.secret("key")?;
    let wallet = Arc::new(builder.connect().await?);
    let payer = if wallet.wallet_id.is_some() {
        Ok(wallet.clone() as _)
    } else {
        let text = "the invoice key of LNbits cannot pay: it needs the wallet's admin key";
        Err(ConnectError::new(ConnectErrorKind::Permission, text))
    };
    Ok(Node::new(NAME, Ok(wallet), payer))
}
