//! What is wrong at the start with the node, its certificate, its network or its rights: an error of
//! `connect` or `build`, with its fix, for every adapter that speaks HTTP.

use tower_x402::{
    MemoryStore, Paywall, Secrets,
    lightning::{ConnectErrorKind, Lnd, Node, Phoenixd, Receiver, Secret, connect},
    server::PaywallBuilder,
};

use crate::{
    adapter::expect_no_connection,
    fake::{
        Server, Tls,
        lnbits::{FakeLnbits, INVOICE},
        lnd::FakeLnd,
        pem,
        phoenixd::{FakePhoenixd, LIMITED},
    },
    lnd::{ALL, RECEIVES, macaroon},
};

const ADAPTERS: [Adapter; 3] = [Adapter::Lnbits, Adapter::Lnd, Adapter::Phoenixd];

#[derive(Clone, Copy, Debug)]
enum Adapter {
    Lnbits,
    Lnd,
    Phoenixd,
}

impl Adapter {
    async fn serve(self, tls: Option<Tls>) -> Server {
        match self {
            Self::Lnbits => FakeLnbits::with(tls).await.1,
            Self::Lnd => FakeLnd::with(tls).await.1,
            Self::Phoenixd => FakePhoenixd::with(tls).await.1,
        }
    }

    /// The URL of a host, and of its credential that can only receive.
    fn url(self, secure: bool, host: &str) -> String {
        let credential = match self {
            Self::Lnbits => format!("key={INVOICE}"),
            Self::Lnd => format!("macaroon_hex={}", macaroon(&RECEIVES)),
            Self::Phoenixd => format!("password={LIMITED}"),
        };
        let scheme = match (self, secure) {
            (Self::Lnbits, false) => "lnbits+http",
            (Self::Lnbits, true) => "lnbits+https",
            (Self::Lnd, false) => "lnd+http",
            (Self::Lnd, true) => "lnd",
            (Self::Phoenixd, false) => "phoenixd",
            (Self::Phoenixd, true) => "phoenixd+https",
        };
        format!("{scheme}://{host}?{credential}")
    }
}

pub(crate) fn builder(receiver: impl Receiver) -> PaywallBuilder {
    Paywall::builder(receiver)
        .origin("http://127.0.0.1:3000")
        .master_secret(Secrets::test_secret(1))
        .replay_store(MemoryStore::new().unwrap())
}

#[tokio::test]
async fn a_certificate_that_expired_or_is_of_another_host_or_unknown_is_an_error_with_its_fix() {
    for adapter in ADAPTERS {
        for (served, file, text) in [
            (
                "expired",
                "expired",
                "its certificate has expired: renew it",
            ),
            (
                "other-host",
                "other-host",
                "its certificate is for another host: use a host that it names",
            ),
            ("good", "other-host", "name the node's own certificate file"),
            ("good", "", "name the node's own certificate file"),
        ] {
            let server = adapter.serve(Some(Tls::of(served))).await;
            let mut url = adapter.url(true, &server.address().to_string());
            if !file.is_empty() {
                url += &format!("&cert={}", pem(file));
            }
            expect_no_connection(&url, ConnectErrorKind::Certificate, text).await;
        }
        let server = adapter.serve(Some(Tls::of("good"))).await;
        let url = adapter.url(true, &server.address().to_string());
        connect(&format!("{url}&cert={}", pem("good")))
            .await
            .unwrap();
        let no_file = format!("{url}&cert=/no/such/file");
        expect_no_connection(&no_file, ConnectErrorKind::File, "/no/such/file").await;
        let plain = adapter.url(false, &server.address().to_string());
        let text = "a certificate file is for TLS only";
        let with_file = format!("{plain}&cert={}", pem("good"));
        expect_no_connection(&with_file, ConnectErrorKind::Url, text).await;
    }
}

#[tokio::test]
async fn a_wrong_network_is_an_error_of_build_and_a_wrong_address_one_of_connect() {
    for adapter in ADAPTERS {
        let server = adapter.serve(None).await;
        let url = adapter.url(false, &server.address().to_string());
        let node: Node = connect(&url).await.unwrap();
        let error = builder(node.receiver().unwrap()).build().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("regtest") && text.contains(".allow_test_network()"),
            "{adapter:?}: {text}"
        );
        drop(server);
        expect_no_connection(
            &url,
            ConnectErrorKind::Unreachable,
            "check the host and the port",
        )
        .await;
        let nowhere = adapter.url(false, "");
        expect_no_connection(&nowhere, ConnectErrorKind::Url, "has no valid host").await;
    }
}

#[tokio::test]
async fn a_credential_is_sent_without_tls_only_near_by_or_if_the_url_says_insecure() {
    for adapter in ADAPTERS {
        for host in ["203.0.113.1", "node.example.com:8080", "[2001:db8::1]"] {
            let url = adapter.url(false, host);
            let text = "write insecure=true in the URL";
            expect_no_connection(&url, ConnectErrorKind::Url, text).await;
        }
        let server = adapter.serve(None).await;
        let url = adapter.url(false, &server.address().to_string());
        for word in ["insecure=false", "insecure=true"] {
            connect(&format!("{url}&{word}")).await.unwrap();
        }
        let other = format!("{url}&insecure=yes");
        expect_no_connection(&other, ConnectErrorKind::Url, "must be true or false").await;
        let secure = adapter.url(true, "127.0.0.1") + "&insecure=true";
        expect_no_connection(&secure, ConnectErrorKind::Url, "leave insecure=true out").await;
    }
    let builder = Phoenixd::builder("203.0.113.1").password(Secret::new(LIMITED));
    let error = builder.connect().await.unwrap_err();
    assert!(
        error.to_string().contains(".insecure_without_tls()"),
        "{error}"
    );
}

#[tokio::test]
async fn a_macaroon_that_can_only_pay_builds_no_paywall() {
    let (_fake, server) = FakeLnd::start().await;
    let connected = async |rights: &[(&str, &str)]| {
        let builder = Lnd::builder(server.address().to_string());
        let builder = builder.macaroon(Secret::new(macaroon(rights)));
        builder.without_tls().connect().await.unwrap()
    };
    let pays = [ALL[0], ALL[3], ALL[4]];
    let built = builder(connected(&pays).await).allow_test_network().build();
    let text = built.unwrap_err().to_string();
    assert!(
        text.contains("it needs invoices:read and invoices:write (invoice.macaroon has them)"),
        "{text}"
    );
    assert_eq!(connected(&ALL).await.profile().cannot_receive, None);
    assert_eq!(connected(&RECEIVES).await.profile().cannot_receive, None);
}
