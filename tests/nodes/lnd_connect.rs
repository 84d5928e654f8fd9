//! How LND is connected: the rights of its macaroon, its certificate, and what is wrong with them.

use tower_x402::{
    Network,
    lightning::{ConnectErrorKind, KeyCustody, connect},
};

use crate::{
    adapter::expect_no_connection,
    fake::{Fault, Tls, lnd::FakeLnd, pem},
    lnd::{ALL, RECEIVES, macaroon, url},
};

#[tokio::test]
async fn a_url_gives_what_its_macaroon_permits() {
    let (_fake, server) = FakeLnd::start().await;
    let receives = connect(&url(&server, &RECEIVES)).await.unwrap();
    let receiver = receives.receiver().unwrap();
    assert_eq!(receiver.profile().can_spend, Some(false));
    assert_eq!(receiver.profile().network, Network::Regtest);
    assert_eq!(receiver.profile().key_custody, KeyCustody::Exclusive);
    let error = receives.payer().unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Permission);
    assert!(
        error
            .to_string()
            .contains("offchain:read and offchain:write"),
        "{error}"
    );

    let both = connect(&url(&server, &ALL)).await.unwrap();
    assert_eq!(both.receiver().unwrap().profile().can_spend, Some(true));
    assert!(both.payer().is_ok());

    let pays = [
        ("offchain", "read"),
        ("offchain", "write"),
        ("info", "read"),
    ];
    let pays = connect(&url(&server, &pays)).await.unwrap();
    assert_eq!(pays.payer().unwrap().profile().network, Network::Regtest);
    let error = pays.receiver().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("invoices:read and invoices:write"),
        "{error}"
    );

    for rights in [
        &[("invoices", "write")][..],
        &[("offchain", "read"), ("info", "read")],
    ] {
        let error = connect(&url(&server, rights)).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Permission, "{error}");
        assert!(error.to_string().contains("invoices.macaroon"), "{error}");
    }
}

#[tokio::test]
async fn only_the_certificate_of_the_file_is_trusted_while_it_is_valid() {
    let connects = async |served: &str, file: &str| {
        let (_fake, server) = FakeLnd::with(Some(Tls::of(served))).await;
        let url = format!(
            "lnd://{}?macaroon_hex={}{}",
            server.address(),
            macaroon(&RECEIVES),
            if file.is_empty() {
                String::new()
            } else {
                format!("&cert={}", pem(file))
            }
        );
        connect(&url).await
    };
    connects("good", "good").await.unwrap();
    for (served, file, text) in [
        ("good", "other-host", "its certificate is not the one in "),
        (
            "good",
            "",
            "its certificate is not trusted: name the node's own certificate file",
        ),
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
    ] {
        let error = connects(served, file).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Certificate, "{error}");
        assert!(error.to_string().contains(text), "{served} {file}: {error}");
    }
    let error = connects("good", "no-such-file").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::File);
    let error = connects("good", "key").await.unwrap_err();
    assert!(error.to_string().contains("has no certificate"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_named_when_it_is_connected() {
    let (fake, server) = FakeLnd::start().await;
    for (message, kind, text) in [
        (
            "wallet locked, unlock it to enable full RPC access",
            ConnectErrorKind::Node,
            "lncli unlock",
        ),
        (
            "the RPC server is in the process of starting up, but not yet ready to accept calls",
            ConnectErrorKind::Node,
            "it is starting",
        ),
        (
            "permission denied",
            ConnectErrorKind::Permission,
            "invoices:read and invoices:write",
        ),
        (
            r#"caveat "time-before 2026-11-28T00:24:39.37847962Z" not satisfied: macaroon has expired"#,
            ConnectErrorKind::Permission,
            "the macaroon has expired: bake another",
        ),
        (
            r#"caveat "ipaddr 10.1.1.1" not satisfied: macaroon locked to different IP address"#,
            ConnectErrorKind::Permission,
            "to another IP address: use one without that limit",
        ),
        (
            "verification failed: signature mismatch after caveat verification",
            ConnectErrorKind::Permission,
            "of another node",
        ),
        (
            "cannot get macaroon: root key with id doesn't exist",
            ConnectErrorKind::Permission,
            "not known to it",
        ),
        ("something else", ConnectErrorKind::Node, "something else"),
    ] {
        fake.fails(message);
        let error = connect(&url(&server, &RECEIVES)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(
            error.to_string().contains(&server.address().to_string()),
            "{error}"
        );
    }
    fake.fails(None);
    for (fault, kind, text) in [
        (
            Fault::Status(502),
            ConnectErrorKind::Node,
            "expected LND's REST interface, but the answer is 502",
        ),
        (
            Fault::Garbage,
            ConnectErrorKind::Node,
            "expected JSON (line 1, column 2 of the answer)",
        ),
        (
            Fault::Half,
            ConnectErrorKind::Unreachable,
            "the answer was lost",
        ),
        (Fault::Long, ConnectErrorKind::Node, "longer than 1 MiB"),
    ] {
        server.fault("/v1/invoices", fault);
        expect_no_connection(&url(&server, &RECEIVES), kind, text).await;
    }
    let gone = url(&server, &RECEIVES);
    drop((fake, server));
    let error = connect(&gone).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable);
    assert!(
        error.to_string().contains("check the host and the port"),
        "{error}"
    );

    for (url, kind, text) in [
        (
            "lnd://127.0.0.1:8080",
            ConnectErrorKind::Url,
            "LND needs a macaroon",
        ),
        (
            "lnd://127.0.0.1:8080?macaroon=/no/such/file",
            ConnectErrorKind::File,
            "/no/such/file",
        ),
        (
            "lnd://127.0.0.1:8080?macaroon_hex=hunter2",
            ConnectErrorKind::Url,
            "what was given for LND is not a macaroon",
        ),
        (
            "lnd://127.0.0.1:8080?macaroon_hex=hunter2&macaroon=/x",
            ConnectErrorKind::Url,
            "more than one macaroon",
        ),
        (
            "lnd://127.0.0.1:8080?tls=/x",
            ConnectErrorKind::Url,
            "unknown field tls: expected macaroon, ",
        ),
    ] {
        expect_no_connection(url, kind, text).await;
    }
}
