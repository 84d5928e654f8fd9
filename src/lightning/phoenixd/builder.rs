use std::{path::PathBuf, sync::Arc};

use http::{HeaderValue, StatusCode, header};
use zeroize::Zeroizing;

use super::{
    NAME, Phoenixd,
    node::{call, explain},
    wire::Info,
};
use crate::{
    codec::{base64, hex},
    lightning::{
        KeyCustody, Node,
        rest::{Ask, CallError, LIMIT, Origin, Pinned, Rest, Transport},
        url::{ConnectError, ConnectErrorKind, NodeUrl, Secret},
    },
    payment::Network,
};

/// How to connect phoenixd: see [`Phoenixd::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PhoenixdBuilder {
    host: String,
    prefix: String,
    transport: Transport,
    password: Option<Secret>,
    certificate: Option<PathBuf>,
    key_custody: KeyCustody,
}

impl Phoenixd {
    /// Creates a builder for phoenixd, at a host and perhaps a port (9740 by default).
    pub fn builder(host: impl Into<String>) -> PhoenixdBuilder {
        PhoenixdBuilder {
            host: host.into(),
            prefix: String::new(),
            transport: Transport::Plain,
            password: None,
            certificate: None,
            key_custody: KeyCustody::Exclusive,
        }
    }
}

impl PhoenixdBuilder {
    /// Sets one of the two passwords of `phoenix.conf`. To receive, use the limited one.
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// Sets the path under which a proxy serves phoenixd, if it is not the root, for example `/node`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.prefix = path.into();
        self
    }

    /// Sets who else can learn the preimages of the node. The default is [`KeyCustody::Exclusive`].
    /// Set [`KeyCustody::Shared`] if others know one of the two passwords, or the seed.
    pub const fn key_custody(mut self, key_custody: KeyCustody) -> Self {
        self.key_custody = key_custody;
        self
    }

    /// Connects over TLS, to a proxy in front of phoenixd. By default the host must be this machine,
    /// in a private network (with a warning in the log) or an onion service.
    pub fn with_tls(mut self) -> Self {
        self.transport = Transport::Tls;
        self
    }

    /// Sets the file of the only certificate to trust, in PEM form. Without it the well-known
    /// authorities are trusted.
    pub fn certificate_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate = Some(path.into());
        self
    }

    /// Connects without TLS to any host. Anyone who reads a network on the way can take the
    /// password.
    pub fn insecure_without_tls(mut self) -> Self {
        self.transport = Transport::Insecure;
        self
    }

    /// Connects the node.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the password is wrong or the node does not work.
    pub async fn connect(self) -> Result<Phoenixd, ConnectError> {
        let password = self.password.as_ref().and_then(Secret::text).ok_or_else(|| {
            ConnectError::url("phoenixd needs a password, which is text (phoenixd://:PASSWORD@host:9740, or password_file=/path)")
        })?;
        let pair = Zeroizing::new(format!(":{password}"));
        let text = Zeroizing::new(format!(
            "Basic {}",
            base64::encode_standard(pair.as_bytes())
        ));
        let value = HeaderValue::from_str(&text)
            .map_err(|_| ConnectError::url("the password of phoenixd is too long"))?;
        let pinned = Pinned::of(self.certificate.as_deref(), self.transport)?;
        let origin = Origin::new(self.transport, &self.host, 9740)?.under(&self.prefix)?;
        let rest = Rest::new(NAME, origin.clone(), pinned, (header::AUTHORIZATION, value))?;
        let failed = |error: CallError| error.into_connect_error(NAME, &origin);
        let (network, public_key) = info(&rest).await.map_err(failed)?;
        let can_spend = may_pay(&rest).await.map_err(failed)?;
        Ok(Phoenixd {
            rest,
            network,
            public_key,
            can_spend,
            key_custody: self.key_custody,
        })
    }
}

async fn info(rest: &Rest) -> Result<(Network, [u8; 33]), CallError> {
    let reply = call(rest, Ask::get("/getinfo"))
        .await
        .map_err(|(_, error)| error)?;
    let info: Info = reply.json()?;
    if is_too_old(&info.version) {
        // It does not say whether an invoice has expired.
        return Err(CallError::bad(
            "expected phoenixd 0.6.1 or newer: update it",
        ));
    }
    let network = match info.chain.as_str() {
        "mainnet" => Network::Bitcoin,
        "regtest" => Network::Regtest,
        "signet" => Network::Signet,
        "testnet" | "testnet3" => Network::Testnet,
        _ => {
            return Err(CallError::bad(
                "expected the chain mainnet, testnet, signet or regtest",
            ));
        }
    };
    let key = hex::decode_any_case(&info.node_id);
    let key = key.ok_or_else(|| CallError::bad("expected a public key of 33 bytes"))?;
    Ok((network, key))
}

/// Returns whether a version such as `0.4.2-24b817a` is before 0.6.1.
fn is_too_old(version: &str) -> bool {
    let numbers = version
        .split(['.', '-'])
        .map_while(|part| part.parse().ok());
    let numbers: Vec<u32> = numbers.take(3).collect();
    !numbers.is_empty() && numbers < vec![0, 6, 1]
}

/// Asks for a payment without an invoice, which phoenixd refuses in two ways.
async fn may_pay(rest: &Rest) -> Result<bool, CallError> {
    let reply = rest.call(Ask::post_form("/payinvoice", &[]), LIMIT).await?;
    match reply.status {
        StatusCode::BAD_REQUEST => Ok(true),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
        _ => Err(explain(&reply)),
    }
}

/// Connects the node that a URL names.
pub(crate) async fn connect(url: &NodeUrl, secure: bool) -> Result<Node, ConnectError> {
    url.only(&[
        "password",
        "password_file",
        "password_env",
        "cert",
        "custody",
        "insecure",
    ])?;
    let password = match (url.password(), url.secret("password")?) {
        (Some(_), Some(_)) => {
            return Err(ConnectError::url(
                "the phoenixd URL has more than one password",
            ));
        }
        (password, None) => password,
        (None, password) => password,
    };
    if !url.user().is_empty() {
        return Err(ConnectError::url(
            "phoenixd has no user names: write phoenixd://:PASSWORD@host:9740, with a colon before the password",
        ));
    }
    let mut builder = Phoenixd::builder(url.authority(9740)?);
    builder.prefix = url.path().to_owned();
    builder.transport = Transport::of(url, secure)?;
    builder.certificate = url.field("cert").map(PathBuf::from);
    builder.password = password;
    builder.key_custody = url.key_custody()?;
    let node = Arc::new(builder.connect().await?);
    let payer = if node.can_spend {
        Ok(node.clone() as _)
    } else {
        let text =
            "the limited password of phoenixd cannot pay: it needs http-password of phoenix.conf";
        Err(ConnectError::new(ConnectErrorKind::Permission, text))
    };
    Ok(Node::new(NAME, Ok(node), payer))
}
