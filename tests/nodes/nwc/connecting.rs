//! What is found out when a wallet is connected.

use std::sync::{Arc, atomic::Ordering};

use lightning_invoice::Currency;
use tower_x402::{
    Network,
    lightning::{
        ConnectErrorKind, Description, NodeErrorKind, Payer, Receiver, conformance, connect,
    },
};

use super::{
    Set,
    ledger::Ledger,
    open,
    options::{Fault, Options},
    relay::Relay,
    request,
    service::Service,
};
use crate::{invoice, journal::Journal};

#[tokio::test]
async fn a_url_is_taken_as_wallets_show_it() {
    let set = Set::with(Options::default()).await;
    let plain = &set.receiver.url;
    let empty = Relay::start().await;
    let dead = Relay::start().await;
    dead.kill().await;
    let several = |first: &str| plain.replacen('?', &format!("?relay={first}&"), 1);
    let (host, query) = plain.split_once('?').unwrap();
    for url in [
        plain.clone(),
        plain.replace("%3A", ":").replace("%2F", "/"),
        plain.replace("nostr+walletconnect", "NOSTR+WALLETCONNECT"),
        format!("{plain}&name=Caf%C3%A9&lud16="),
        format!("{}?{query}", host.to_uppercase()),
        format!(" {plain}\n"),
        several(&empty.url),
        several(&dead.url),
        several(&format!("{}&relay={}", dead.url, empty.url)),
    ] {
        let wallet = open(&url).await.unwrap();
        invoice(&wallet, 10, 60).await;
    }
}

#[tokio::test]
async fn a_wrong_url_is_named_and_no_secret_is_printed() {
    let set = Set::with(Options::default()).await;
    let url = &set.receiver.url;
    let secret = url
        .split_once("secret=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap();
    let relay = url
        .split_once("relay=")
        .unwrap()
        .1
        .split('&')
        .next()
        .unwrap();
    let wallet = &url["nostr+walletconnect://".len()..][..64];
    for (url, part) in [
        (
            url.replace(wallet, "npub1xyz"),
            "does not begin with the public key of a wallet",
        ),
        (
            url.replace(wallet, &"ff".repeat(32)),
            "does not begin with the public key of a wallet",
        ),
        (
            url.replace(&format!("relay={relay}&"), ""),
            "names no relay",
        ),
        (
            url.replace(relay, "https://relay.example"),
            "does not begin with wss:// or ws://",
        ),
        (
            url.replacen(
                '?',
                &format!("?{}", format!("relay={relay}&").repeat(10)),
                1,
            ),
            "more than 10 relays",
        ),
        (url.replace("secret=", "key="), "has no secret"),
        (url.replace(secret, &secret[..62]), "64 hexadecimal digits"),
        (
            url.replace(secret, &"00".repeat(32)),
            "64 hexadecimal digits",
        ),
    ] {
        let error = connect(&url).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert_eq!(error.kind(), ConnectErrorKind::Url, "{text}");
        assert!(
            text.contains(part) && !text.contains(&secret[..62]),
            "{text}"
        );
    }
    let wallet = open(url).await.unwrap();
    assert!(!format!("{wallet:?} {wallet:#?}").contains(secret));
}

/// The time is paused, so that no test waits for an answer that does not come.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_cannot_be_used_is_named_with_the_fix() {
    let set = Set::with(Options::default()).await;
    let fails = async |kind: ConnectErrorKind, part: &str| {
        let error = connect(&set.receiver.url).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.kind(), kind, "{error}");
    };
    for (method, fault, kind, part) in [
        (
            "get_info",
            Fault::Error("UNAUTHORIZED"),
            ConnectErrorKind::Permission,
            "make a new one in the wallet",
        ),
        (
            "get_info",
            Fault::Error("INTERNAL"),
            ConnectErrorKind::Node,
            "no luck (INTERNAL)",
        ),
        (
            "get_info",
            Fault::Garbage,
            ConnectErrorKind::Node,
            "that NIP-47 describes",
        ),
        (
            "get_info",
            Fault::Silent,
            ConnectErrorKind::Unreachable,
            "check that it runs",
        ),
        (
            "make_invoice",
            Fault::Error("INTERNAL"),
            ConnectErrorKind::Node,
            "makes no invoice of 21 sat",
        ),
        (
            "lookup_invoice",
            Fault::Error("RESTRICTED"),
            ConnectErrorKind::Permission,
            "allow it get_info, make_invoice and lookup_invoice",
        ),
    ] {
        set.receiver.fault(method, fault);
        fails(kind, part).await;
    }
    set.receiver.honest();
    set.relay.inner.rejects.store(true, Ordering::SeqCst);
    fails(
        ConnectErrorKind::Unreachable,
        "it does not forward the request: blocked",
    )
    .await;
    set.relay.kill().await;
    fails(ConnectErrorKind::Unreachable, &set.relay.url).await;
}

#[tokio::test]
async fn a_trial_invoice_shows_what_the_wallet_changes() {
    let relay = Arc::new(Relay::start().await);
    let ledger = Arc::new(Ledger::new());
    let whole = Options {
        whole_sats: true,
        ..Options::default()
    };
    let service = Service::start(&relay, &ledger, whole);
    let wallet = open(&service.url).await.unwrap();
    assert!(Receiver::profile(&wallet).whole_sats_only);
    let error = wallet
        .create_invoice(request(1_001, Description::Text(String::new())))
        .await;
    assert_eq!(error.unwrap_err().kind(), NodeErrorKind::Refused);
    conformance::receiver(&wallet).await;

    // The network that it names is empty or wrong, and its invoices tell the right one.
    for network in [None, Some(""), Some("testnet")] {
        let options = Options {
            network,
            currency: Currency::Signet,
            ..Options::default()
        };
        let service = Service::start(&relay, &ledger, options);
        let wallet = open(&service.url).await.unwrap();
        assert_eq!(Receiver::profile(&wallet).network, Network::Signet);
        invoice(&wallet, 1, 60).await;
    }
}

#[tokio::test]
async fn a_network_that_is_unknown_is_named_and_only_a_missing_one_is_mainnet() {
    let set = Set::with(Options::default()).await;
    let pays = |network| {
        let options = Options {
            network,
            methods: "get_info lookup_invoice pay_invoice",
            ..Options::default()
        };
        Service::start(&set.relay, &set.ledger, options)
    };
    for (name, network) in [
        (None, Network::Bitcoin),
        (Some(""), Network::Bitcoin),
        (Some("mainnet"), Network::Bitcoin),
        (Some("testnet"), Network::Testnet),
        (Some("signet"), Network::Signet),
        (Some("regtest"), Network::Regtest),
    ] {
        let wallet = open(&pays(name).url).await.unwrap();
        assert_eq!(Payer::profile(&wallet).network, network, "{name:?}");
    }
    for name in ["mutinynet", "liquid", "main net", " "] {
        let error = open(&pays(Some(name)).url).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Node, "{error}");
        let named = format!("the network {name:?}");
        assert!(error.to_string().contains(&named), "{error}");
    }
    let receives = Options {
        network: Some("mutinynet"),
        ..Options::default()
    };
    let service = Service::start(&set.relay, &set.ledger, receives);
    let error = open(&service.url).await.unwrap_err();
    assert!(error.to_string().contains("mutinynet"), "{error}");
}

#[tokio::test]
async fn of_a_relay_only_the_scheme_the_host_and_the_port_are_printed() {
    let set = Set::with(Options::default()).await;
    let journal = Journal::begin();
    let mut wallets = Vec::new();
    let places = [
        ("alice:hunter2@", "/"),
        ("", "/hunter2/x"),
        ("", "/?token=hunter2"),
        ("hunter2@", "/?a=hunter2"),
    ];
    let encoded = |text: &str| {
        let text = text.replace('?', "%3F").replace('=', "%3D");
        text.replace('#', "%23").replace('@', "%40")
    };
    let url = |(user, rest): (&str, &str)| {
        let (host, path) = (encoded(user), encoded(rest));
        let plain = set
            .receiver
            .url
            .replacen("%3A%2F%2F", &format!("://{host}"), 1);
        plain.replacen("&secret=", &format!("{path}&secret="), 1)
    };
    for place in places {
        wallets.push(open(&url(place)).await.unwrap());
    }
    set.relay.kill().await;
    while journal.lines().matches("is not reached").count() < wallets.len() {
        tokio::task::yield_now().await;
    }
    let unreadable = set
        .receiver
        .url
        .replacen("relay=ws%3A%2F%2F", "relay=ws://hunter2%20@", 1);
    let error = open(&unreadable).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("a URL that cannot be read"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    for place in places {
        let error = open(&url(place)).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(&set.relay.url), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let said = journal.lines();
    assert!(
        said.contains(&format!("relay {} is not", set.relay.url)),
        "{said}"
    );
    let warnings = said.lines().filter(|line| line.contains("is not reached"));
    assert!(!warnings.collect::<String>().contains("hunter2"), "{said}");
}

#[tokio::test]
async fn the_log_says_whether_the_wallet_tells_unpaid_preimages_and_keeps_hashes() {
    let relay = Arc::new(Relay::start().await);
    let ledger = Arc::new(Ledger::new());
    let journal = Journal::begin();
    let mut before = 0;
    let mut says = async |options: Options| {
        let service = Service::start(&relay, &ledger, options);
        open(&service.url).await.unwrap();
        let entries = ledger.entries();
        let said = journal.lines().split_off(before);
        before += said.len();
        assert!(
            entries
                .iter()
                .all(|entry| !said.contains(&entry.preimage.expose_hex())),
            "{said}"
        );
        said
    };
    let said = says(Options::default()).await;
    assert!(
        said.contains("does not tell the preimage of an unpaid invoice"),
        "{said}"
    );
    assert!(!said.contains(".dialects"), "{said}");
    let said = says(Options {
        tells_preimages: true,
        ..Options::default()
    })
    .await;
    assert!(
        said.contains("WARN") && said.contains(" tells the preimage of an unpaid invoice"),
        "{said}"
    );
    let said = says(Options {
        keeps_hashes: false,
        ..Options::default()
    })
    .await;
    assert!(
        said.contains(".dialects([DialectName::L402, DialectName::Mpp])"),
        "{said}"
    );
}
