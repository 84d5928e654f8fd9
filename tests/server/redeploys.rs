//! What was sold under one configuration is served under the next ones.
//!
//! Each row is a credential that was bought today, each column a configuration of tomorrow. The
//! table says what becomes of the same request with that credential: `served`, or why it is not.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, routing::any};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, DialectName, Secrets,
    clock::Timestamp,
    price_fn,
    server::{PaywallBuilder, Price},
};

use crate::{
    customer::{ALL, Call},
    shop::{NOW, Shop, ask, problem},
};

const PATTERN: &str = "/make/{what}";

fn sat(sats: u32) -> Amount {
    Amount::from_sat(sats)
}

fn uses(charge: Charge) -> Charge {
    charge.uses(NonZeroU32::new(9).unwrap())
}

fn hour(charge: Charge) -> Charge {
    charge.for_duration(Duration::from_secs(3_600))
}

/// A price of a hundred satoshis for each letter of a query parameter and of a header.
fn by_size() -> Price {
    price_fn(|q| async move {
        let what = q.query("size")?.unwrap_or("1").len() as u64;
        let header = q.header("x-size").unwrap_or_default().len() as u64;
        Ok(Some(Amount::from_msat(100_000 * (what + header))))
    })
}

fn by_query() -> Price {
    price_fn(|q| async move {
        let size = q.query("size")?.unwrap_or("1").len() as u64;
        Ok(Some(Amount::from_msat(100_000 * size)))
    })
}

/// What is sold today.
fn sold() -> Vec<(&'static str, Charge)> {
    vec![
        ("fixed", Charge::new(sat(10))),
        ("bound", Charge::new(sat(10)).bind_headers(["x-size"])),
        ("priced", Charge::new(by_size()).reads_headers(["x-size"])),
        ("fixed, uses", uses(Charge::new(sat(10)))),
        (
            "bound, uses",
            uses(Charge::new(sat(10)).bind_headers(["x-size"])),
        ),
        (
            "priced, uses",
            uses(Charge::new(by_size()).reads_headers(["x-size"])),
        ),
        ("fixed, hour", hour(Charge::new(sat(10)))),
        (
            "priced, hour",
            hour(Charge::new(by_size()).reads_headers(["x-size"])),
        ),
    ]
}

/// A configuration of tomorrow.
struct Redeploy {
    name: &'static str,
    pattern: &'static str,
    charge: Charge,
    set: fn(PaywallBuilder) -> PaywallBuilder,
}

fn redeploys() -> Vec<Redeploy> {
    let fixed = || Charge::new(sat(10));
    let priced = || Charge::new(by_size()).reads_headers(["x-size"]);
    let bound = || fixed().bind_headers(["x-size"]);
    let to = |name, charge| Redeploy {
        name,
        pattern: PATTERN,
        charge,
        set: |builder| builder,
    };
    let at = |pattern, redeploy| Redeploy {
        pattern,
        ..redeploy
    };
    let since = |seconds| Timestamp::from_unix_seconds(NOW + seconds);
    // Every charge of today.
    let history = |charge: Charge| {
        sold()
            .into_iter()
            .fold(charge, |charge, (_, sold)| charge.earlier(sold))
    };
    vec![
        to("dearer", Charge::new(sat(1_000))),
        at("/make/{thing}", to("capture renamed", fixed())),
        at("/make/{*rest}", to("a wider pattern", fixed())),
        at(
            "/make/{*rest}",
            to("its former pattern", fixed().former_pattern("/make/{old}")),
        ),
        to("header bound", bound()),
        to("header bound, history", history(bound())),
        to("another header", fixed().bind_headers(["x-other"])),
        to("price by query", Charge::new(by_query())),
        to("price by header", priced()),
        to("by header, history", history(priced())),
        to("body in price", Charge::new(by_query()).reads_body()),
        to("a fixed price", history(fixed())),
        to("uses", uses(fixed())),
        to("uses, history", history(uses(fixed()))),
        to("hour", hour(fixed())),
        to("body streams", fixed().stream_body()),
        to("Authorization in use", fixed().authorization_taken()),
        to("sold since then", history(fixed().sold_since(since(0)))),
        to("sold since later", history(fixed().sold_since(since(1)))),
        Redeploy {
            set: |builder| builder.dialects([DialectName::L402]),
            ..to("L402 alone", fixed())
        },
        Redeploy {
            set: |builder| {
                let short = Duration::from_secs(60);
                builder.invoice_expiry(short).redeem_within(short)
            },
            ..to("short lives", fixed())
        },
        Redeploy {
            set: |builder| builder.service("another"),
            ..to("another label", fixed())
        },
        Redeploy {
            set: |builder| builder.master_secret(Secrets::test_secret(8)),
            ..to("another secret", fixed())
        },
    ]
}

fn site(shop: &Shop, redeploy: Redeploy) -> Router {
    let builder = (redeploy.set)(shop.builder_of_every_dialect());
    let layer = builder.build().unwrap().charge(redeploy.charge).unwrap();
    Router::new().route(redeploy.pattern, any(async || "made").layer(layer))
}

/// The same request with the credential, at a site of tomorrow: `served`, or the reason.
async fn outcome(app: &Router, call: &Call) -> String {
    let answer = ask(app, call.request()).await;
    match answer.status() {
        StatusCode::OK => "served".to_owned(),
        StatusCode::PAYMENT_REQUIRED => {
            let told = problem(&answer);
            let [reason, kind] = ["reason", "kind"].map(|member| told[member].as_str());
            match (reason, kind) {
                (Some(reason), Some(kind)) => {
                    format!("{kind} {}", reason.replace("invalid_exact_lnbtc_", ""))
                }
                _ => "not read".to_owned(),
            }
        }
        status => status.as_u16().to_string(),
    }
}

/// What becomes of one credential.
struct Row {
    sold: &'static str,
    dialect: DialectName,
    tomorrow: &'static str,
    outcome: String,
}

/// Buys a request under each charge of today in each dialect that sells it, and sends it, or another
/// one, under each configuration of tomorrow.
async fn rows(bought: &Call, sent: &Call) -> Vec<Row> {
    let mut rows = Vec::new();
    for (sold, charge) in sold() {
        for dialect in ALL {
            for tomorrow in redeploys() {
                let shop = Shop::new();
                let today = Redeploy {
                    charge: charge.clone(),
                    ..redeploys().remove(0)
                };
                let answer = ask(&site(&shop, today), bought.request()).await;
                let credentials = shop.bought(bought, &answer);
                if !credentials.dialects().contains(&dialect) {
                    continue;
                }
                shop.clock.advance(Duration::from_secs(1));
                let name = tomorrow.name;
                let paid = sent.with(credentials.of(dialect));
                let outcome = outcome(&site(&shop, tomorrow), &paid).await;
                rows.push(Row {
                    sold,
                    dialect,
                    tomorrow: name,
                    outcome,
                });
            }
        }
    }
    rows
}

/// Why a credential is refused, in a word for the table and in a sentence.
fn why(row: &Row) -> (&'static str, &'static str) {
    match &*row.outcome {
        "served" => ("ok", "served"),
        "not read" => ("off", "the dialect is not spoken any more"),
        "forged unknown_key" | "forged invalid-challenge" | "forged extra_mismatch" => {
            ("key", "another key signed it: the operator voided it")
        }
        "revoked revoked" | "revoked invalid-challenge" | "revoked invalid_transaction_state" => {
            ("void", "sold_since is later than the sale")
        }
        "wrong_request wrong_route" => ("route", "this route does not name that pattern"),
        "wrong_request wrong_bound" | "wrong_request invalid-challenge" => (
            "open",
            "today's price reads what it left open: name the earlier charge",
        ),
        "wrong_request request_mismatch" => ("x402", "x402 needs the earlier charge"),
        other => panic!("{other}: {} {} {}", row.sold, row.dialect, row.tomorrow),
    }
}

/// One line for each configuration, one word for each credential.
fn matrix(rows: &[Row]) -> String {
    let mut lines = Vec::<(&str, String)>::new();
    for row in rows {
        let (word, _) = why(row);
        match lines.iter_mut().find(|(name, _)| *name == row.tomorrow) {
            Some((_, line)) => *line += &format!(" {word:5}"),
            None => lines.push((row.tomorrow, format!("{word:5}"))),
        }
    }
    let line = |(name, line): &(&str, String)| format!("{name:22} {}\n", line.trim_end());
    lines.iter().map(line).collect()
}

/// The credentials are, from left to right: fixed, bound and priced in L402, MPP and x402 each; then
/// fixed, bound and priced for uses; then fixed and priced for an hour.
const EXPECTED: &str = "\
dearer                 ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
capture renamed        ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
a wider pattern        ok    ok    ok    ok    ok    x402  ok    ok    x402  route route route route route
its former pattern     ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
header bound           ok    ok    x402  ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
header bound, history  ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
another header         ok    ok    x402  ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
price by query         ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
price by header        open  open  x402  ok    ok    ok    ok    ok    ok    open  ok    ok    open  ok
by header, history     ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
body in price          open  ok    ok    open  ok    x402  open  ok    x402  open  open  open  open  open
a fixed price          ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
uses                   ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
uses, history          ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
hour                   ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
body streams           ok    ok    x402  ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
Authorization in use   ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
sold since then        ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
sold since later       void  void  void  void  void  void  void  void  void  void  void  void  void  void
L402 alone             ok    off   off   ok    off   off   ok    off   off   ok    ok    ok    ok    ok
short lives            ok    ok    ok    ok    ok    x402  ok    ok    x402  ok    ok    ok    ok    ok
another label          key   key   key   key   key   x402  key   key   x402  key   key   key   key   key
another secret         key   key   key   key   key   x402  key   key   x402  key   key   key   key   key
";

fn call() -> Call {
    Call::new("POST", "/make/a?size=1")
        .header("x-size", "1")
        .body("scene")
}

#[tokio::test]
async fn what_was_sold_is_served_after_each_of_many_redeploys() {
    let rows = rows(&call(), &call()).await;
    for row in &rows {
        let Row {
            sold,
            dialect,
            tomorrow,
            outcome,
        } = row;
        let (_, why) = why(row);
        println!("{sold:12} | {dialect:4} | {tomorrow:22} | {outcome:25} | {why}");
    }
    assert_eq!(matrix(&rows), EXPECTED);
}

#[tokio::test]
async fn nothing_becomes_cheaper_than_it_was_sold() {
    let other_header = Call::new("POST", "/make/a?size=1")
        .header("x-size", "111")
        .body("scene");
    let no_header = Call::new("POST", "/make/a?size=1").body("scene");
    let other_query = Call::new("POST", "/make/a?size=111")
        .header("x-size", "1")
        .body("scene");
    let other_path = Call::new("POST", "/make/b?size=1")
        .header("x-size", "1")
        .body("scene");
    let other_method = Call::new("PUT", "/make/a?size=1")
        .header("x-size", "1")
        .body("scene");
    for (sent, closed) in [
        // What a credential bound stays bound, whatever the charge binds tomorrow.
        (&other_header, &["bound", "priced"][..]),
        (&no_header, &["bound", "priced"]),
        (&other_query, &["priced", "fixed", "bound"]),
        (&other_path, &["priced", "fixed", "bound"]),
        (&other_method, &["priced", "fixed", "bound"]),
    ] {
        for row in rows(&call(), sent).await {
            let kind = row.sold.split(',').next().unwrap_or_default();
            // A fixed price for a pattern was for all its paths and queries.
            let is_wide =
                row.sold.contains(',') && (kind != "priced") && (sent.target != call().target);
            if closed.contains(&kind) && !is_wide {
                let Row {
                    sold,
                    dialect,
                    tomorrow,
                    outcome,
                } = &row;
                assert_ne!(outcome, "served", "{sold} {dialect} {tomorrow} {sent:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_todays_price_reads_and_nobody_paid_for_is_not_served() {
    let with = |header: Option<&str>, body: &'static str| {
        let call = Call::new("POST", "/make/a").body(body);
        match header {
            Some(value) => call.header("x-size", value),
            None => call,
        }
    };
    let shop = Shop::new();
    let route = |charge: Charge| {
        let tomorrow = redeploys().remove(0);
        site(&shop, Redeploy { charge, ..tomorrow })
    };
    let sold = || Charge::new(sat(10));
    let by_header = || Charge::new(by_size()).reads_headers(["x-size"]);
    let by_body = || Charge::new(by_query()).reads_body();
    for (tomorrow, sent, expected) in [
        (by_header(), with(None, ""), "served"),
        (
            by_header(),
            with(Some("99999"), ""),
            "wrong_request wrong_bound",
        ),
        (
            by_header().earlier(sold()),
            with(Some("9"), ""),
            "wrong_request wrong_bound",
        ),
        (
            by_header().earlier(uses(sold())),
            with(Some("9"), ""),
            "served",
        ),
        (by_body(), with(None, ""), "served"),
        (
            by_body(),
            with(None, "a dear scene"),
            "wrong_request wrong_bound",
        ),
        (
            by_body().earlier(uses(sold())),
            with(None, "a dear scene"),
            "served",
        ),
        // No price hangs on it.
        (
            sold().bind_headers(["x-size"]),
            with(Some("99999"), ""),
            "served",
        ),
    ] {
        let bought = with(None, "");
        let answer = ask(&route(uses(sold())), bought.request()).await;
        let paid = sent.with(shop.bought(&bought, &answer).of(DialectName::L402));
        let told = format!("{tomorrow:?} {sent:?}");
        assert_eq!(outcome(&route(tomorrow), &paid).await, expected, "{told}");
    }
}
