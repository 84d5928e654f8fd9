use super::{ConnectError, ConnectErrorKind, Node, url::NodeUrl};

/// The schemes of the adapters, and the feature that each needs.
const SCHEMES: [(&str, &str); 8] = [
    ("cln", "cln"),
    ("lnbits+http", "lnbits"),
    ("lnbits+https", "lnbits"),
    ("lnd", "lnd"),
    ("lnd+http", "lnd"),
    ("nostr+walletconnect", "nwc"),
    ("phoenixd", "phoenixd"),
    ("phoenixd+https", "phoenixd"),
];

/// Connects the node or wallet that a URL names. It checks the host, the certificate, the credential
/// and the network.
///
/// | URL | node | feature | other fields |
/// |---|---|---|---|
/// | `lnd://127.0.0.1:8080?macaroon=/path/invoices.macaroon&cert=/path/tls.cert` | LND | `lnd` | `macaroon_file`, `macaroon_hex`, `macaroon_env`, `private_channels=true`, `custody=shared`, `insecure=true` |
/// | `cln:///path/lightning-rpc` | Core Lightning | `cln` | `private_channels=true` |
/// | `phoenixd://:PASSWORD@127.0.0.1:9740` | phoenixd | `phoenixd` | `password_file`, `password_env`, `cert`, `custody=shared`, `insecure=true` |
/// | `lnbits+https://host?key=INVOICE_KEY` | a wallet of LNbits | `lnbits` | `key_file`, `key_env`, `cert`, `insecure=true` |
/// | `nostr+walletconnect://..`, as the wallet shows it | Nostr Wallet Connect | `nwc` | in place of `secret`: `secret_file`, `secret_env` |
///
/// A field that ends with `_file` names a file that holds the secret, and one that ends with `_env` an
/// environment variable. LND's `macaroon` names a file too. Characters such as `/`, `@`, `#`, `&` and
/// `%` of a secret must be percent-encoded.
///
/// `custody=shared` says that others may look invoices up: see [`KeyCustody`](super::KeyCustody).
///
/// `lnd+http` and `lnbits+http` connect without TLS, and `phoenixd+https` with it, to a proxy. With
/// TLS, `cert` names the file of the only certificate to trust.
///
/// Without TLS, the host must be this machine, an onion service, or of a private network: a private
/// address, a name of one word (a container), or one that ends with `.local`, `.internal`, `.lan` or
/// `.home.arpa`. Except for this machine, the log has a warning. Each of these names is only used
/// with its private addresses. So an onion service needs a transparent proxy that gives it one.
/// `insecure=true` allows any host: anyone who reads a network on the way can take the credential.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::lightning::connect;
///
/// let node = connect(&std::env::var("NODE_URL")?).await?;
/// let receiver = node.receiver()?; // for Paywall::builder
/// let payer = node.payer()?; // an error if the credential cannot pay
/// # Ok(())
/// # }
/// ```
///
/// Each adapter also has a builder, for example `Lnd::builder`. A node of LDK Node has no URL,
/// because the application runs it: see `LdkNode::builder`.
///
/// A server that only receives needs no right to spend. Each adapter's documentation names the
/// smallest credential.
///
/// # Errors
///
/// [`ConnectError`], whose text names the part that is wrong and how to fix it.
pub async fn connect(url: &str) -> Result<Node, ConnectError> {
    let url = NodeUrl::parse(url)?;
    #[allow(
        clippy::match_single_binding,
        reason = "without adapters nothing else is left"
    )]
    match url.scheme() {
        #[cfg(all(feature = "cln", unix))]
        "cln" => super::cln::connect(&url).await,
        #[cfg(feature = "nwc")]
        "nostr+walletconnect" => super::nwc::connect(&url).await,
        #[cfg(feature = "lnbits")]
        "lnbits+http" => super::lnbits::connect(&url, false).await,
        #[cfg(feature = "lnbits")]
        "lnbits+https" => super::lnbits::connect(&url, true).await,
        #[cfg(feature = "lnd")]
        "lnd" => super::lnd::connect(&url, true).await,
        #[cfg(feature = "lnd")]
        "lnd+http" => super::lnd::connect(&url, false).await,
        #[cfg(feature = "phoenixd")]
        "phoenixd" => super::phoenixd::connect(&url, false).await,
        #[cfg(feature = "phoenixd")]
        "phoenixd+https" => super::phoenixd::connect(&url, true).await,
        scheme => Err(unknown(scheme)),
    }
}

/// Returns the error for a scheme that no enabled adapter has.
fn unknown(scheme: &str) -> ConnectError {
    match SCHEMES.iter().find(|(known, _)| *known == scheme) {
        Some((scheme, feature)) => ConnectError::new(
            ConnectErrorKind::Feature,
            format!(
                "a {scheme} URL needs the feature {feature} of tower-x402: add it in Cargo.toml"
            ),
        ),
        None => {
            let hint = if scheme.contains("http") {
                "; over TLS, write lnd:// (which uses TLS), lnbits+https:// or phoenixd+https://"
            } else {
                ""
            };
            ConnectError::url(format!(
                "no node has URLs that begin with {scheme}: expected {}{hint}",
                SCHEMES.map(|(known, _)| known).join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_scheme_and_a_missing_feature_are_named() {
        let error = connect("https://host?key=hunter2").await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Url);
        assert!(
            error
                .to_string()
                .starts_with("no node has URLs that begin with https: expected cln, lnbits+http, ")
        );
        for scheme in ["https", "lnd+https"] {
            let error = unknown(scheme).to_string();
            assert!(error.contains("; over TLS, write lnd:// "), "{error}");
        }
        assert!(!unknown("eclair").to_string().contains("TLS"));
        let error = unknown("nostr+walletconnect");
        assert_eq!(error.kind(), ConnectErrorKind::Feature);
        assert_eq!(
            error.to_string(),
            "a nostr+walletconnect URL needs the feature nwc of tower-x402: add it in Cargo.toml"
        );
    }
}
