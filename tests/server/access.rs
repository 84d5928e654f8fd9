//! What one payment buys, and how long it is valid.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, extract::Path, routing::any};
use http::{HeaderValue, StatusCode, header};
use tower_x402::{
    Amount, Charge, DialectName, Paid,
    clock::Clock as _,
    l402::{Credential, Macaroon, Scheme},
};

use crate::shop::{Shop, ask, get, paid, reason, request};

const EXPIRY: u64 = 300;
const HOUR: Duration = Duration::from_secs(3_600);

fn site(shop: &Shop, charge: Charge) -> Router {
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    let handler = async |Path(_): Path<String>, Paid(receipt): Paid| {
        receipt
            .remaining_uses()
            .map_or("no count".into(), |remaining| remaining.to_string())
    };
    Router::new().route("/a/{x}", any(handler).layer(layer))
}

fn uses(uses: u32) -> Charge {
    Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(uses).unwrap())
}

/// The credential with further caveats of the holder's own.
fn narrowed(credential: &HeaderValue, caveats: &[String]) -> HeaderValue {
    let mut headers = http::HeaderMap::new();
    headers.insert(header::AUTHORIZATION, credential.clone());
    let whole = Credential::in_headers(&headers).next().unwrap().unwrap();
    let narrowed = caveats
        .iter()
        .fold(whole.macaroon().clone(), |macaroon: Macaroon, caveat| {
            macaroon.attenuate(caveat).unwrap()
        });
    Credential::new(narrowed, whole.preimage().clone()).header_value(Scheme::L402)
}

#[tokio::test]
async fn uses_are_counted_down_over_the_whole_pattern_and_its_queries() {
    let shop = Shop::new();
    let app = site(&shop, uses(3));
    let credential = shop.buy(&app, get("/a/1")).await;
    for (target, left) in [("/a/1", "2"), ("/a/2?x=y", "1"), ("/a/1", "0")] {
        assert_eq!(ask(&app, paid(target, &credential)).await.body(), left);
    }
    assert_eq!(reason(&ask(&app, paid("/a/1", &credential)).await), "spent");
    let credential = shop.buy(&app, get("/a/1")).await;
    assert_eq!(
        reason(&ask(&app, request("POST", "/a/1", Some(&credential))).await),
        "wrong_method"
    );
}

#[tokio::test]
async fn reusable_access_is_offered_in_l402_alone() {
    for charge in [
        uses(2),
        Charge::new(Amount::from_sat(10)).for_duration(HOUR),
    ] {
        let shop = Shop::new();
        let answer = ask(&site(&shop, charge.clone()), get("/a/1")).await;
        assert!(!answer.headers().contains_key("payment-required"));
        let lines: Vec<_> = answer
            .headers()
            .get_all("www-authenticate")
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        assert_eq!(
            lines
                .iter()
                .map(|line| line.split_once(' ').unwrap().0)
                .collect::<Vec<_>>(),
            ["L402", "LSAT"]
        );
        let without = shop
            .builder()
            .dialects([DialectName::Mpp, DialectName::X402])
            .build()
            .unwrap();
        assert!(
            without
                .charge(charge)
                .unwrap_err()
                .to_string()
                .contains("enable l402")
        );
    }
}

#[tokio::test]
async fn a_credential_is_valid_before_its_end_and_not_at_it() {
    let once = Charge::new(Amount::from_sat(10));
    let cases = [
        (once.clone(), EXPIRY + 24 * 3_600),
        (uses(5), EXPIRY + 30 * 24 * 3_600),
        (once.for_duration(HOUR), EXPIRY + 3_600),
    ];
    for (charge, life) in cases {
        let shop = Shop::new();
        let app = site(&shop, charge.clone());
        let (early, late) = (
            shop.buy(&app, get("/a/1")).await,
            shop.buy(&app, get("/a/1")).await,
        );
        shop.clock.advance(Duration::from_secs(life - 1));
        assert_eq!(
            ask(&app, paid("/a/1", &early)).await.status(),
            StatusCode::OK,
            "{charge:?}"
        );
        shop.clock.advance(Duration::from_secs(1));
        assert_eq!(
            reason(&ask(&app, paid("/a/1", &late)).await),
            "expired",
            "{charge:?}"
        );
    }
}

#[tokio::test]
async fn the_builder_sets_how_long_a_payment_may_be_redeemed() {
    let shop = Shop::new();
    let paywall = shop
        .builder()
        .redeem_within(Duration::from_secs(70))
        .uses_within(Duration::from_secs(80))
        .build()
        .unwrap();
    for (charge, life) in [(Charge::new(Amount::from_sat(10)), 70), (uses(2), 80)] {
        let app = Router::new().route(
            "/a/{x}",
            any(async || ()).layer(paywall.charge(charge).unwrap()),
        );
        let credential = shop.buy(&app, get("/a/1")).await;
        let later = shop.buy(&app, get("/a/1")).await;
        shop.clock.advance(Duration::from_secs(EXPIRY + life - 1));
        assert_eq!(
            ask(&app, paid("/a/1", &credential)).await.status(),
            StatusCode::OK
        );
        shop.clock.advance(Duration::from_secs(1));
        assert_eq!(reason(&ask(&app, paid("/a/1", &later)).await), "expired");
    }
}

#[tokio::test]
async fn a_duration_is_not_counted_and_ends_by_itself() {
    let shop = Shop::new();
    let app = site(&shop, Charge::new(Amount::from_sat(10)).for_duration(HOUR));
    let credential = shop.buy(&app, get("/a/1")).await;
    for i in 0..50 {
        assert_eq!(
            ask(&app, paid(&format!("/a/{i}"), &credential))
                .await
                .body(),
            "no count"
        );
    }
    shop.clock.advance(Duration::from_secs(EXPIRY + 3_600));
    assert_eq!(
        reason(&ask(&app, paid("/a/1", &credential)).await),
        "expired"
    );
}

#[tokio::test]
async fn a_holder_may_narrow_a_token_and_never_widen_it() {
    let shop = Shop::new();
    let app = site(&shop, uses(100));
    let whole = shop.buy(&app, get("/a/1")).await;
    let now = shop.clock.now().as_unix_seconds();
    for (caveats, verdict) in [
        (vec!["uses=101".to_owned()], "widened"),
        (vec!["uses=2".to_owned(), "uses=3".to_owned()], "widened"),
        (
            vec![format!("valid_until={}", now + 90 * 86_400)],
            "widened",
        ),
        (
            vec![
                format!("valid_until={}", now + 9),
                format!("valid_until={}", now + 10),
            ],
            "widened",
        ),
        (vec![format!("valid_until={now}")], "expired"),
        (vec!["uses=0".to_owned()], "spent"),
        (vec!["method=POST".to_owned()], "widened"),
        (vec!["amount_msat=1".to_owned()], "widened"),
    ] {
        let answer = ask(&app, paid("/a/1", &narrowed(&whole, &caveats))).await;
        assert_eq!(reason(&answer), verdict, "{caveats:?}");
    }
    let narrow = narrowed(&whole, &["uses=2".into(), "note=for the robot".into()]);
    assert_eq!(ask(&app, paid("/a/1", &narrow)).await.body(), "1");
    assert_eq!(ask(&app, paid("/a/1", &narrow)).await.body(), "0");
    assert_eq!(reason(&ask(&app, paid("/a/1", &narrow)).await), "spent");
    assert_eq!(ask(&app, paid("/a/1", &whole)).await.body(), "97");
}

#[tokio::test]
async fn a_child_that_was_used_up_does_not_make_its_parent_new_once_it_ended() {
    let shop = Shop::new();
    let app = site(&shop, uses(3));
    let whole = shop.buy(&app, get("/a/1")).await;
    let now = shop.clock.now().as_unix_seconds();
    let short = narrowed(&whole, &[format!("valid_until={}", now + 120)]);
    for _ in 0..3 {
        assert_eq!(
            ask(&app, paid("/a/1", &short)).await.status(),
            StatusCode::OK
        );
    }
    // Long enough that a store which went by the child's end would have forgotten, and others make
    // it prune.
    for _ in 0..30 {
        shop.clock.advance(Duration::from_secs(23 * 3_600));
        let other = shop.buy(&app, get("/a/1")).await;
        assert_eq!(
            ask(&app, paid("/a/1", &other)).await.status(),
            StatusCode::OK
        );
        assert_eq!(reason(&ask(&app, paid("/a/1", &whole)).await), "spent");
    }
}

#[tokio::test]
async fn a_token_buys_the_kind_of_access_that_was_sold_whatever_the_route_sells_now() {
    let shop = Shop::new();
    let kinds = [
        (Charge::new(Amount::from_sat(10)), "0", "wrong_target"),
        (uses(3), "2", ""),
        (
            Charge::new(Amount::from_sat(10)).for_duration(HOUR),
            "no count",
            "",
        ),
    ];
    for (sold, left, elsewhere) in &kinds {
        for (tried, ..) in &kinds {
            let credential = shop.buy(&site(&shop, sold.clone()), get("/a/1")).await;
            let app = site(&shop, tried.clone());
            let answer = ask(&app, paid("/a/2", &credential)).await;
            if elsewhere.is_empty() {
                assert_eq!(answer.body(), left, "{sold:?} {tried:?}");
                continue;
            }
            assert_eq!(reason(&answer), *elsewhere, "{sold:?} {tried:?}");
            let answer = ask(&app, paid("/a/1", &credential)).await;
            assert_eq!(answer.body(), left, "{sold:?} {tried:?}");
            assert_eq!(reason(&ask(&app, paid("/a/1", &credential)).await), "spent");
        }
    }
}
