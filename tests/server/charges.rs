//! A charge or a table with a mistake is refused before anything is served, with an error that
//! names the fix.

use std::{num::NonZeroU32, time::Duration};

use tower_x402::{Amount, Charge, DialectName, Network, RouteTable, server::price_fn};

use crate::{configuration::Node, customer::ALL, shop::Shop};

#[track_caller]
fn refuses_charge(dialects: &[DialectName], charge: Charge, text: &str) {
    let paywall = Shop::new()
        .builder()
        .dialects(dialects.iter().copied())
        .build()
        .unwrap();
    assert_eq!(
        paywall.charge(charge.clone()).unwrap_err().to_string(),
        format!("charge(..): {text}")
    );
    let table = RouteTable::new()
        .charge("GET /a/{b}", charge)
        .otherwise_free();
    assert_eq!(
        paywall.routes(table).unwrap_err().to_string(),
        format!("/a/{{b}}: {text}")
    );
}

#[test]
fn a_charge_that_no_enabled_dialect_can_offer_is_refused() {
    let sat = || Charge::new(Amount::from_sat(10));
    let reusable = "no enabled dialect can sell this: mpp sells one request at a time, x402 sells one request at a time; enable l402, or change the charge";
    let without = [DialectName::Mpp, DialectName::X402];
    refuses_charge(&without, sat().uses(NonZeroU32::new(5).unwrap()), reusable);
    refuses_charge(
        &without,
        sat().for_duration(Duration::from_secs(60)),
        reusable,
    );
    let msat = Charge::new(Amount::from_msat(1_500));
    refuses_charge(
        &[DialectName::Mpp],
        msat.clone(),
        "no enabled dialect can sell this: mpp sells whole satoshis only: round the price; enable l402 or x402, or change the charge",
    );
    let streams = "no enabled dialect can sell this: x402 must bind the body: leave .stream_body() out; enable l402 or mpp, or change the charge";
    refuses_charge(&[DialectName::X402], sat().stream_body(), streams);
    let both = [DialectName::Mpp, DialectName::X402];
    assert!(
        Shop::new()
            .builder()
            .dialects(both)
            .build()
            .unwrap()
            .charge(msat.clone())
            .is_ok()
    );
    refuses_charge(
        &both,
        msat.stream_body(),
        "no enabled dialect can sell this: mpp sells whole satoshis only: round the price, x402 must bind the body: leave .stream_body() out; enable l402, or change the charge",
    );
}

#[test]
fn a_node_of_whole_satoshis_sells_no_fraction_of_one() {
    let mut node = Node::on(Network::Bitcoin);
    node.0.whole_sats_only = true;
    let paywall = node
        .builder()
        .allow_volatile_replay_store()
        .build()
        .unwrap();
    let error = paywall
        .charge(Amount::from_msat(1_500))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "charge(..): the node makes invoices for whole satoshis only, and the price is 1.5 sat: round the price"
    );
}

#[test]
fn a_charge_that_contradicts_itself_is_refused() {
    let sat = || Charge::new(Amount::from_sat(10));
    let priced = || Charge::new(price_fn(|_| async { Ok(None) }));
    let reads = "only a price function reads headers or the body: bind headers with .bind_headers(..), and a body with a price function that .reads_body()";
    refuses_charge(
        &ALL,
        Charge::new(Amount::ZERO),
        "a price must be more than zero: leave out the layer, or name what is free with RouteTable::free(..)",
    );
    refuses_charge(
        &ALL,
        Charge::new(Amount::from_msat(2_100_000_000_000_000_001)),
        "a price must be at most 21 million bitcoin",
    );
    let uses = |uses| NonZeroU32::new(uses).unwrap();
    let one_thing = "a payment buys one thing: choose .once(), .uses(..) or .for_duration(..), and call it once";
    refuses_charge(
        &ALL,
        sat().uses(uses(3)).for_duration(Duration::from_secs(60)),
        one_thing,
    );
    refuses_charge(&ALL, sat().uses(uses(3)).uses(uses(4)), one_thing);
    refuses_charge(&ALL, sat().once().uses(uses(3)), one_thing);
    refuses_charge(
        &ALL,
        sat().for_duration(Duration::from_millis(999)),
        "a duration must be at least one second",
    );
    refuses_charge(&ALL, sat().reads_body(), reads);
    refuses_charge(&ALL, sat().reads_headers(["x-frames"]), reads);
    refuses_charge(
        &ALL,
        sat().bind_multipart().stream_body(),
        "a body is either bound or left alone: choose .bind_multipart() or .stream_body()",
    );
    refuses_charge(
        &ALL,
        priced().reads_body().stream_body(),
        "a body is either read for the price or left alone: choose .reads_body() or .stream_body()",
    );
    refuses_charge(
        &ALL,
        sat().bind_headers(["a b"]),
        "\"a b\" is not a valid header name",
    );
    let text = "authorization carries credentials: it can neither be bound nor used for a price";
    refuses_charge(&ALL, sat().bind_headers(["Authorization"]), text);
    for name in [
        "payment-authorization",
        "PAYMENT-SIGNATURE",
        "macaroon",
        "grpc-metadata-macaroon",
    ] {
        let text =
            format!("{name} carries credentials: it can neither be bound nor used for a price");
        refuses_charge(&ALL, sat().bind_headers([name]), &text);
        refuses_charge(&ALL, priced().reads_headers([name]), &text);
    }
    let description = "a description must have at most 256 bytes and no control characters";
    refuses_charge(&ALL, sat().description("d".repeat(257)), description);
    refuses_charge(&ALL, sat().description("a\nb"), description);
    refuses_charge(
        &ALL,
        sat().service_name("\u{e9}"),
        "a service name must have at most 32 printable ASCII characters",
    );
    refuses_charge(
        &ALL,
        sat().tags(["t"; 6]),
        "at most five tags are allowed, each of at most 32 printable ASCII characters",
    );
    refuses_charge(
        &ALL,
        sat().icon_url("i".repeat(2049)),
        "an icon's URL must have at most 2048 printable ASCII characters",
    );
    refuses_charge(
        &ALL,
        sat().mime_type("\t"),
        "a media type must have at most 128 printable ASCII characters",
    );
}

#[test]
fn a_table_that_leaves_a_price_open_is_refused() {
    let sat = Amount::from_sat(10);
    let paywall = Shop::new().paywall();
    let rules = |rules: &[&str]| {
        rules
            .iter()
            .fold(RouteTable::new(), |table, rule| table.charge(*rule, sat))
    };
    for (table, text) in [
        (
            RouteTable::new().otherwise_free(),
            "the table has no rule: add one with `.charge(\"GET /weather/{city}\", ..)`",
        ),
        (
            rules(&["GET /a"]),
            "the table does not say how to answer other paths: end it with `.otherwise_free()` or `.otherwise_refuse()`",
        ),
        (
            rules(&["GET /a"]).otherwise_free().otherwise_refuse(),
            "other paths are either free or refused: keep one of `.otherwise_..()`",
        ),
        (
            rules(&["GET /a", "GET /a"]).otherwise_free(),
            "rules `GET /a` and `GET /a`: keep one",
        ),
        (
            rules(&["GET /a/{b}", "GET /a/{c}"]).otherwise_free(),
            "rules `GET /a/{b}` and `GET /a/{c}`: they price the same paths in some spelling: keep one",
        ),
        (
            rules(&["GET /a"]).free("GET /A/").otherwise_free(),
            "rules `GET /a` and `GET /A/`: they price the same paths in some spelling: keep one",
        ),
        (
            rules(&["/a"]).otherwise_free(),
            "rule `/a`: expected a method, one space and a path, as in `GET /weather/{city}`",
        ),
        (
            rules(&["get /a"]).otherwise_free(),
            "rule `get /a`: expected a method in capitals, as in `GET /weather/{city}`",
        ),
        (
            rules(&["GET  /a"]).otherwise_free(),
            "rule `GET  /a`: expected one space between the method and the path",
        ),
        (
            rules(&["GET a"]).otherwise_free(),
            "rule `GET a`: expected a path that starts with `/`",
        ),
        (
            rules(&["OPTIONS /a"]).otherwise_free(),
            "rule `OPTIONS /a`: the layer answers OPTIONS itself: remove this rule, and put a CORS layer outside",
        ),
        (
            rules(&["GET /:a"]).otherwise_free(),
            "rule `GET /:a`: a capture is written `{name}`, and `{*name}` for the whole rest",
        ),
        (
            rules(&["GET /{*a}/b"]).otherwise_free(),
            "rule `GET /{*a}/b`: `{*rest}` stands at the end of a pattern",
        ),
    ] {
        assert_eq!(paywall.routes(table).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_body_that_could_never_be_held_is_not_offered_for_sale() {
    let shop = Shop::new();
    let error = shop
        .builder()
        .body_limit(1 << 20)
        .body_pool(1 << 20)
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a body of .body_limit(1048576) could never be buffered, because one request gets at most half of .body_pool(1048576), which is \
         524288 bytes: raise the pool to twice the limit, or lower the limit"
    );
    shop.builder()
        .body_limit(1 << 20)
        .body_pool(2 << 20)
        .build()
        .unwrap();
}
