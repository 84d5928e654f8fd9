//! A paywall with a mistake is refused before anything is served, with an error that names the fix.

use std::time::Duration;

use tower_x402::{
    DialectName, Invoice, MemoryStore, Network, PaymentHash, Paywall, Secrets,
    lightning::{
        BoxFuture, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError, NodeErrorKind, Receiver,
        ReceiverProfile,
    },
    server::PaywallBuilder,
};

use crate::{
    customer::ALL,
    shop::{Lasting, ORIGIN, Shop},
};

/// A node that only has a profile.
#[derive(Debug)]
pub(crate) struct Node(pub(crate) ReceiverProfile);

impl Node {
    pub(crate) fn on(network: Network) -> Self {
        let mut profile = ReceiverProfile::new(network, KeyCustody::Exclusive);
        profile.public_key = Some([2; 33]);
        Self(profile)
    }

    pub(crate) fn builder(self) -> PaywallBuilder {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).unwrap();
        Paywall::builder(self)
            .origin(ORIGIN)
            .master_secret(secret)
            .replay_store(MemoryStore::new().unwrap())
    }
}

impl Receiver for Node {
    fn profile(&self) -> ReceiverProfile {
        self.0.clone()
    }

    fn create_invoice(&self, _: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async {
            Err(NodeError::new(
                NodeErrorKind::Refused,
                "a node",
                "it makes none",
            ))
        })
    }

    fn lookup_invoice(&self, _: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async { Ok(InvoiceStatus::Unknown) })
    }
}

#[track_caller]
fn refuses(builder: PaywallBuilder, text: &str) {
    assert_eq!(builder.build().unwrap_err().to_string(), text);
}

fn new() -> PaywallBuilder {
    Paywall::builder(Shop::new().node)
}

const MAKE_ONE: &str = "make one with `(umask 077; head -c 32 /dev/urandom > master-secret)` and read it with \
                        .master_secret_file(\"master-secret\")";

#[test]
fn what_is_missing_is_named_with_the_call_that_adds_it() {
    let store = || MemoryStore::new().unwrap();
    refuses(
        new().origin(ORIGIN).master_secret(Secrets::test_secret(7)),
        "no replay store: call .replay_store(DurableStore::open(\"spent\")?), or MemoryStore::new()? for tests",
    );
    refuses(
        new().origin(ORIGIN).replay_store(store()),
        &format!("no master secret: {MAKE_ONE}"),
    );
    for short in [&b"hunter2"[..], b"", &[7; 31]] {
        let secret = new()
            .origin(ORIGIN)
            .replay_store(store())
            .master_secret(short);
        refuses(
            secret,
            &format!(
                "a master secret must have at least 32 random bytes, and this one has fewer: {MAKE_ONE}"
            ),
        );
    }
    let secret = new()
        .origin(ORIGIN)
        .replay_store(store())
        .master_secret([0; 32]);
    let zeros =
        "a master secret must be random, and this one is all zeros, as if it was never filled";
    refuses(secret, &format!("{zeros}: {MAKE_ONE}"));
    let origin = "no public origin is configured: add `.origin(\"https://api.example.com\")`";
    refuses(
        new()
            .replay_store(store())
            .master_secret(Secrets::test_secret(7)),
        origin,
    );
    assert!(Secrets::new([7; 31]).is_err());
}

#[test]
fn an_origin_is_secure_and_nothing_more_than_an_origin() {
    let insecure =
        "is not secure: credentials are money, use `https` (or `insecure_origin`, for tests)";
    let more = "is more than an origin: expected no query, fragment or user, no slash at the end, and only a path of plain segments, such as `/v1`";
    let host = "has no proper host: expected a name or address and an optional port";
    for (origin, text) in [
        ("http://api.example.com", insecure),
        ("http://10.0.0.1", insecure),
        (
            "api.example.com",
            "has no scheme: expected something like `https://api.example.com`",
        ),
        (
            "wss://api.example.com",
            "has another scheme: expected `https://`",
        ),
        (
            " https://api.example.com",
            "has white space around it: remove it",
        ),
        ("https://api.example.com/", more),
        ("https://user@api.example.com", more),
        ("https://", host),
        ("https://api.example.com:0", host),
        ("https://api.example.com:99999", host),
        (
            "https://b\u{fc}cher.example",
            "is not ASCII: write the name in its `xn--` form",
        ),
    ] {
        let builder = new()
            .replay_store(MemoryStore::new().unwrap())
            .master_secret(Secrets::test_secret(7))
            .origin(origin);
        refuses(builder, &format!("origin `{origin}` {text}"));
    }
    refuses(
        Shop::new().builder().origin("HTTPS://API.example.com:443"),
        "origin `https://api.example.com` is configured twice: keep one",
    );
    for authority in [
        "https://internal",
        "*",
        "*.internal",
        "internal/",
        "internal:0",
    ] {
        let text = "is not an authority: expected `name` or `name:port`, without a scheme, a path or a wildcard";
        refuses(
            Shop::new().builder().accept_authority(authority),
            &format!("`{authority}` {text}"),
        );
    }
    refuses(
        Shop::new().builder().trusted_proxy("proxy.local"),
        "trusted proxy `proxy.local`: expected an address or a network, as in `10.0.0.0/8` or `::1`",
    );
    for loopback in [
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "http://localhost",
    ] {
        assert!(
            Shop::new().builder().origin(loopback).build().is_ok(),
            "{loopback}"
        );
    }
    assert!(
        Shop::new()
            .builder()
            .insecure_origin("http://api.example.com")
            .build()
            .is_ok()
    );
}

#[test]
fn a_volatile_store_is_refused_on_mainnet_unless_it_is_allowed() {
    refuses(
        Node::on(Network::Bitcoin).builder(),
        "this store may forget spent payments when its process or server ends: use a durable one (for Redis or PostgreSQL, change what its warning in the log names), or risk it with .allow_volatile_replay_store()",
    );
    assert!(
        Node::on(Network::Bitcoin)
            .builder()
            .allow_volatile_replay_store()
            .build()
            .is_ok()
    );
    let folder = tempfile::tempdir().unwrap();
    let durable = tower_x402::DurableStore::open(folder.path()).unwrap();
    assert!(
        Node::on(Network::Bitcoin)
            .builder()
            .replay_store(durable)
            .build()
            .is_ok()
    );
}

#[test]
fn a_secret_for_tests_earns_no_real_money() {
    let real = |origin: &str| {
        Node::on(Network::Bitcoin)
            .builder()
            .allow_volatile_replay_store()
            .insecure_origin(origin)
    };
    let text = format!(
        "this master secret is for tests (`Secrets::test_secret`), and everybody can work it out: {MAKE_ONE}"
    );
    for number in 0..=u8::MAX {
        let secret = Secrets::test_secret(number);
        refuses(real("https://www.example.com").master_secret(secret), &text);
        let test = Node::on(Network::Signet).builder().allow_test_network();
        test.master_secret(secret).build().unwrap();
    }
    let secret = Secrets::test_secret(7);
    let on_loopback = Node::on(Network::Bitcoin);
    let builder = Paywall::builder(on_loopback)
        .origin("http://127.0.0.1:3000")
        .allow_volatile_replay_store();
    refuses(
        builder
            .replay_store(MemoryStore::new().unwrap())
            .master_secret(secret),
        &text,
    );
    refuses(
        real("http://localhost").secrets(Secrets::new(secret).unwrap()),
        &text,
    );

    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    let ring = Secrets::new(random).unwrap();
    real("http://localhost")
        .secrets(ring.clone())
        .build()
        .unwrap();
    assert_eq!(
        ring.add(secret).unwrap_err().to_string(),
        text,
        "nor one that is added later"
    );
}

#[test]
fn proofs_of_other_servers_need_x402_and_a_durable_store() {
    let real = || {
        Node::on(Network::Bitcoin)
            .builder()
            .allow_volatile_replay_store()
    };
    refuses(
        real().accept_foreign_proofs(),
        ".accept_foreign_proofs() needs a durable store, shared by all servers of this receiver key: use one, such as \
         DurableStore::open(\"spent\")?, or leave it out (.allow_volatile_replay_store() does not change that)",
    );
    let nothing = ".accept_foreign_proofs() does nothing without x402: leave it out, or enable x402 (the feature, and .dialects([..]))";
    for dialects in [
        &[DialectName::L402][..],
        &[DialectName::L402, DialectName::Mpp],
        &[DialectName::Mpp],
    ] {
        let builder = Shop::new().builder().dialects(dialects.iter().copied());
        refuses(
            builder
                .replay_store(Lasting(MemoryStore::new().unwrap().into()))
                .accept_foreign_proofs(),
            nothing,
        );
    }
}

#[test]
fn a_test_network_is_refused_unless_it_is_allowed() {
    for network in [Network::Regtest, Network::Signet, Network::Testnet] {
        let text = format!(
            "the node is on {network}, whose money is worth nothing: call .allow_test_network() to allow that"
        );
        refuses(Node::on(network).builder(), &text);
        let dialects = ALL
            .into_iter()
            .filter(|name| network != Network::Testnet || *name != DialectName::Mpp);
        assert!(
            Node::on(network)
                .builder()
                .allow_test_network()
                .dialects(dialects)
                .build()
                .is_ok()
        );
    }
}

#[test]
fn a_dialect_that_the_node_cannot_serve_is_named() {
    refuses(
        Node::on(Network::Testnet).builder().allow_test_network(),
        "mpp has no name for testnet: name the dialects to enable with .dialects([..])",
    );
    let keyless = || {
        Node(ReceiverProfile::new(Network::Bitcoin, KeyCustody::Shared))
            .builder()
            .allow_volatile_replay_store()
    };
    refuses(
        keyless(),
        "x402 needs the node's public key, which this receiver's profile does not have: set `public_key` in the receiver's profile, or \
         name the dialects to enable with .dialects([..])",
    );
    assert!(
        keyless()
            .dialects([DialectName::L402, DialectName::Mpp])
            .build()
            .is_ok()
    );
    refuses(
        Shop::new().builder().dialects([]),
        "no dialect is enabled: name one with .dialects([..]), or enable a feature",
    );
}

#[test]
fn times_are_between_a_second_and_a_year() {
    let builder = || Shop::new().builder();
    refuses(
        builder().time_limit(Duration::ZERO),
        ".time_limit(..) must be between a second and a year",
    );
    refuses(
        builder().invoice_expiry(Duration::from_millis(999)),
        ".invoice_expiry(..) must be between a second and a year",
    );
}
