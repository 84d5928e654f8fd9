//! What the adapters that speak HTTP have in common: parts of their URLs, who may learn preimages,
//! clocks that differ, and the time of a payment.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};
use tower_x402::{
    Amount,
    lightning::{
        ConnectErrorKind, KeyCustody, Lnbits, Lnd, NodeErrorKind, PayLimits, Payer as _,
        PaymentStatus, Phoenixd, Receiver, Secret, connect,
    },
};

use crate::{
    adapter::expect_no_connection,
    fake::{
        Fault, Server,
        ledger::{Ledger, Pays},
        lnbits::{FakeLnbits, INVOICE},
        lnd::FakeLnd,
        phoenixd::{FULL, FakePhoenixd, LIMITED},
    },
    invoice,
    journal::Journal,
    lnd::{ALL, RECEIVES, macaroon, url},
    unheard_of,
};

const MINUTE: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(60));

async fn lnd(server: &Server, rights: &[(&str, &str)]) -> Lnd {
    let builder = Lnd::builder(server.address().to_string());
    let builder = builder.macaroon(Secret::new(macaroon(rights)));
    builder.without_tls().connect().await.unwrap()
}

async fn phoenixd(server: &Server) -> Phoenixd {
    let builder = Phoenixd::builder(server.address().to_string());
    let builder = builder.password(Secret::new(FULL));
    builder.connect().await.unwrap()
}

#[tokio::test]
async fn whoever_may_look_invoices_up_is_named_in_the_custody_of_the_key() {
    let (_lnd, lnds) = FakeLnd::start().await;
    let (_phoenixd, phoenixds) = FakePhoenixd::start().await;
    for url in [
        url(&lnds, &RECEIVES),
        format!("phoenixd://{}?password={LIMITED}", phoenixds.address()),
    ] {
        for (field, custody) in [
            ("", KeyCustody::Exclusive),
            ("&custody=exclusive", KeyCustody::Exclusive),
            ("&custody=shared", KeyCustody::Shared),
        ] {
            let node = connect(&format!("{url}{field}")).await.unwrap();
            assert_eq!(node.receiver().unwrap().profile().key_custody, custody);
        }
        let text = "custody of the ";
        let wrong = format!("{url}&custody=hunter2");
        expect_no_connection(&wrong, ConnectErrorKind::Url, text).await;
    }
    let builder = Lnd::builder(lnds.address().to_string()).key_custody(KeyCustody::Shared);
    let builder = builder.macaroon(Secret::new(macaroon(&RECEIVES)));
    let node = builder.without_tls().connect().await.unwrap();
    assert_eq!(Receiver::profile(&node).key_custody, KeyCustody::Shared);
    let builder = Phoenixd::builder(phoenixds.address().to_string()).password(Secret::new(LIMITED));
    let node = builder.key_custody(KeyCustody::Shared).connect().await;
    assert_eq!(
        Receiver::profile(&node.unwrap()).key_custody,
        KeyCustody::Shared
    );
}

#[tokio::test]
async fn an_invoice_macaroon_is_refused_before_a_payment_is_sent() {
    let (_fake, server) = FakeLnd::start().await;
    let node = lnd(&server, &RECEIVES).await;
    let made = invoice(&node, 21, 300).await;
    let before = server.seen().len();
    let error = node.pay(&made, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(!error.may_have_paid(), "{error}");
    assert!(error.to_string().contains("offchain:write"), "{error}");
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn a_path_is_part_of_every_request_and_no_part_of_a_url_is_ignored() {
    let (_fake, server) = FakeLnd::start().await;
    let at = server.address();
    let hex = macaroon(&RECEIVES);
    server.fault("/", Fault::Status(404));
    for path in ["/lnd", "/lnd/"] {
        let url = format!("lnd+http://{at}{path}?macaroon_hex={hex}");
        connect(&url).await.unwrap_err();
        assert_eq!(server.seen().last().unwrap(), "POST /lnd/v1/invoices");
    }
    let builder = Lnd::builder(at.to_string()).macaroon(Secret::new(hex.clone()));
    builder
        .path("/own")
        .without_tls()
        .connect()
        .await
        .unwrap_err();
    assert_eq!(server.seen().last().unwrap(), "POST /own/v1/invoices");
    server.no_fault();
    for (url, text) in [
        (
            format!("lnd+http://me:hunter2@{at}?macaroon_hex={hex}"),
            "no user and no password",
        ),
        (
            format!("lnbits+http://:hunter2@{at}?key={INVOICE}"),
            "no user and no password",
        ),
        (
            format!("lnd+http://{at}/a%3Fb?macaroon_hex={hex}"),
            "expected a path",
        ),
        (
            format!("lnd+http://{at}?macaroon=/x&macaroon_file=/x"),
            "expected one of macaroon, ",
        ),
        (
            format!("lnd+http://{at}?macaroon_env=X&macaroon=/x"),
            "expected one of macaroon, ",
        ),
        (
            format!("lnd+http://{at}?macaroon_hex={hex}&macaroon_file=/x"),
            "expected one of macaroon, ",
        ),
    ] {
        expect_no_connection(&url, ConnectErrorKind::Url, text).await;
    }
}

#[tokio::test]
async fn a_path_without_a_slash_is_an_error_and_not_another_host() {
    let (_fake, server) = FakePhoenixd::start().await;
    let at = server.address().to_string();
    let builder = |path| {
        let builder = Phoenixd::builder(at.clone()).password(Secret::new(LIMITED));
        builder.path(path).connect()
    };
    builder("/node").await.unwrap();
    let lnbits = Lnbits::builder(at.clone()).key(Secret::new(INVOICE));
    let lnd = Lnd::builder(at.clone()).macaroon(Secret::new(macaroon(&RECEIVES)));
    for error in [
        builder("node").await.unwrap_err(),
        lnbits.path("wallets").connect().await.unwrap_err(),
        lnd.path("lnd").connect().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ConnectErrorKind::Url);
        let text = error.to_string();
        assert!(text.contains("begins with a slash"), "{text}");
    }
}

#[tokio::test]
async fn an_lnd_without_inbound_liquidity_is_logged_when_it_is_connected() {
    let (fake, server) = FakeLnd::start().await;
    fake.has_inbound(false);
    let pays = [ALL[0], ALL[3], ALL[4]];
    for (rights, text) in [
        (&ALL[..], "has no inbound liquidity"),
        (&RECEIVES, ""),
        (&pays, ""),
    ] {
        let journal = Journal::begin();
        lnd(&server, rights).await;
        let lines = journal.lines();
        assert!(lines.contains(text), "{lines}");
        assert_eq!(lines.contains("inbound liquidity"), !text.is_empty());
    }
    server.fault("/v1/balance", Fault::Status(502));
    let journal = Journal::begin();
    lnd(&server, &ALL).await;
    assert!(
        journal
            .lines()
            .contains("it is not known whether LND has inbound liquidity")
    );
}

/// Lets an invoice settle, with another clock, and waits until it is reported.
async fn settles_with_another_clock(ledger: &Ledger, receiver: &impl Receiver) {
    ledger.0.lock().unwrap().clock_is_behind = 240;
    let mut settlements = receiver.settlements();
    let made = invoice(receiver, 21, 300).await;
    assert!(ledger.pay(made.payment_hash()));
    tokio::time::pause();
    let told = timeout(Duration::from_secs(600), settlements.next()).await;
    assert_eq!(told, Ok(Some(made.payment_hash())));
    tokio::time::resume();
}

#[tokio::test]
async fn a_settlement_is_reported_by_a_node_whose_clock_is_behind() {
    let (fake, server) = FakePhoenixd::start().await;
    settles_with_another_clock(&fake.ledger, &phoenixd(&server).await).await;
    let (fake, server) = FakeLnbits::start().await;
    let builder = Lnbits::builder(server.address().to_string()).key(Secret::new(INVOICE));
    let wallet = builder.without_tls().connect().await.unwrap();
    settles_with_another_clock(&fake.ledger, &wallet).await;
}

#[tokio::test]
async fn the_question_before_a_payment_of_phoenixd_counts_for_its_time() {
    let (_fake, server) = FakePhoenixd::start().await;
    let node = phoenixd(&server).await;
    let made = invoice(&node, 21, 300).await;
    let release = server.hold_next("/outgoingbyhash");
    let began = Instant::now();
    let paying = tokio::spawn(async move { node.pay(&made, MINUTE).await });
    server.waiting(1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(29)).await;
    tokio::time::resume();
    server.fault("/payinvoice", Fault::Silent);
    release.send(()).unwrap();
    server.waiting(2).await;
    server.fault("/", Fault::Silent);
    tokio::time::pause();
    assert!(paying.await.unwrap().unwrap_err().may_have_paid());
    // 60 and 5 seconds for the payment, and 30 for the question after it.
    assert!(began.elapsed() < Duration::from_secs(110));
}

#[tokio::test]
async fn a_late_answer_that_a_payment_exists_does_not_begin_its_time_again() {
    let (fake, server) = FakeLnd::start().await;
    let node = lnd(&server, &ALL).await;
    let made = invoice(&node, 21, 300).await;
    fake.ledger.pays(Pays::StayInFlight);
    assert!(fake.ledger.pay(made.payment_hash()));
    let release = server.hold_next("/v2/router/send");
    let began = Instant::now();
    let paying = tokio::spawn(async move { node.pay(&made, MINUTE).await });
    server.waiting(1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    server.fault("/v2/router/track", Fault::Silent);
    release.send(()).unwrap();
    server.waiting(2).await;
    tokio::time::pause();
    let status = paying.await.unwrap().unwrap();
    assert!(matches!(status, PaymentStatus::InFlight));
    assert!(began.elapsed() < Duration::from_secs(100));
}

#[tokio::test]
async fn a_macaroon_that_cannot_be_read_is_told_how_to_only_receive() {
    let (_fake, server) = FakeLnd::start().await;
    let builder = Lnd::builder(server.address().to_string());
    let builder = builder.macaroon(Secret::new("0201036c6e64"));
    let node = builder.without_tls().connect().await.unwrap();
    assert_eq!(Receiver::profile(&node).can_spend, None);
    node.lookup_invoice(unheard_of()).await.unwrap();
    let built = crate::starting::builder(node).allow_test_network();
    let text = built.receive_only().build().unwrap_err().to_string();
    assert!(text.contains("LND: a macaroon as LND writes it"), "{text}");
}
