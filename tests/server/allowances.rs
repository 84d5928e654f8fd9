//! Free allowances that charges, layers and paywalls share.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use tower_x402::{
    Amount, Charge, FreeAllowance, MemoryStore, Paywall, RouteTable,
    clock::Timestamp,
    price_fn,
    replay::{RecordKey, Records},
    server::{ClientAddr, PriceRequest},
};

use crate::shop::{Shop, ask, get, paid, problem, request};

pub(crate) const MIDNIGHT: u64 = 1_790_035_200;

pub(crate) fn per_day(requests: u32) -> FreeAllowance {
    FreeAllowance::per_day(NonZeroU32::new(requests).unwrap())
}

pub(crate) fn sat(price: u32) -> Charge {
    Charge::new(Amount::from_sat(price))
}

/// A service with routes at several prices, all with this allowance.
pub(crate) fn api(paywall: &Paywall, free: &FreeAllowance) -> Router {
    let members = price_fn(|q: PriceRequest| async move {
        Ok((q.header("x-member") != Some("yes")).then(|| Amount::from_sat(7)))
    });
    let members = Charge::new(members).reads_headers(["x-member"]);
    let day = sat(900).for_duration(Duration::from_secs(86_400));
    let table = RouteTable::new()
        .charge("GET /cheap", sat(1).free_allowance(free.clone()))
        .charge("GET /dear", sat(5_000).free_allowance(free.clone()))
        .charge("POST /dear", sat(9_000).free_allowance(free.clone()))
        .charge("GET /day", day.free_allowance(free.clone()))
        .charge("GET /members", members.free_allowance(free.clone()))
        .otherwise_refuse();
    let served = Router::new().fallback(async || "served");
    served.layer(paywall.routes(table).unwrap())
}

pub(crate) fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let address = ClientAddr::new(address.parse().unwrap());
    request.extensions_mut().insert(address);
    request
}

/// How many of so many requests are free, in turn at these targets; the others must be 402.
pub(crate) async fn free(app: &Router, requests: usize, address: &str) -> usize {
    let mut free = 0;
    for target in ["/cheap", "/dear", "/day", "/members"]
        .iter()
        .cycle()
        .take(requests)
    {
        free += usize::from(is_free(&ask(app, from(address, get(target))).await));
    }
    free
}

#[track_caller]
pub(crate) fn is_free(answer: &Response<Bytes>) -> bool {
    let status = answer.status();
    assert!(matches!(status.as_u16(), 200 | 402), "{status}");
    status == StatusCode::OK
}

pub(crate) fn midnight(days: u64) -> Timestamp {
    Timestamp::from_unix_seconds(MIDNIGHT + days * 86_400)
}

#[tokio::test]
async fn charges_of_any_price_layers_and_paywalls_share_one_allowance() {
    let shop = Shop::new();
    let allowance = per_day(5);
    let (one, other) = (shop.paywall(), shop.paywall());
    let apps = [
        api(&one, &allowance),
        api(&one, &allowance),
        api(&other, &allowance),
    ];
    let mut taken = Vec::new();
    for app in &apps {
        taken.push(free(app, 3, "192.0.2.1").await);
    }
    assert_eq!(taken, [3, 2, 0]);
    assert_eq!(free(&apps[2], 9, "192.0.2.2").await, 5);
    // Another allowance counts for itself.
    assert_eq!(free(&api(&one, &per_day(2)), 9, "192.0.2.1").await, 2);
}

#[tokio::test]
async fn an_allowance_on_a_charge_alone_counts_for_each_route_and_the_last_call_counts() {
    let shop = Shop::new();
    let two = NonZeroU32::new(2).unwrap();
    let shared = per_day(1);
    let alone = sat(1).free_per_day(two);
    let table = RouteTable::new()
        .charge("GET /a", alone.clone())
        .charge("GET /b", alone)
        .charge(
            "GET /c",
            sat(1).free_per_day(two).free_allowance(shared.clone()),
        )
        .charge("GET /d", sat(1).free_allowance(shared).free_per_day(two))
        .otherwise_refuse();
    let served = Router::new().fallback(async || "served");
    let app = served.layer(shop.paywall().routes(table).unwrap());
    for (target, expected) in [("/a", 2), ("/b", 2), ("/c", 1), ("/d", 2)] {
        let mut free = 0;
        for _ in 0..5 {
            free += usize::from(is_free(&ask(&app, from("192.0.2.1", get(target))).await));
        }
        assert_eq!(free, expected, "{target}");
    }
}

#[tokio::test]
async fn a_restart_without_records_forgets() {
    let shop = Shop::new();
    for _ in 0..2 {
        assert_eq!(
            free(&api(&shop.paywall(), &per_day(3)), 9, "192.0.2.1").await,
            3
        );
    }
}

#[tokio::test]
async fn a_client_without_a_known_address_gets_none() {
    let shop = Shop::new();
    for allowance in [per_day(5), per_day(5).kept_in(shop.store.clone(), "api")] {
        let answer = ask(&api(&shop.paywall(), &allowance), get("/cheap")).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        assert!(problem(&answer).get("free_again_at").is_none());
    }
    assert_eq!(records(&shop.store).await, 0);
}

pub(crate) async fn records(store: &MemoryStore) -> usize {
    store
        .scan(RecordKey::new(b"").unwrap())
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn who_has_used_up_an_allowance_is_told_when_it_begins_again() {
    let shop = Shop::new();
    for allowance in [per_day(1), per_day(1).kept_in(shop.store.clone(), "api")] {
        let app = api(&shop.paywall(), &allowance);
        assert_eq!(free(&app, 1, "192.0.2.1").await, 1);
        for target in ["/cheap", "/dear", "/day"] {
            let answer = ask(&app, from("192.0.2.1", get(target))).await;
            assert_eq!(problem(&answer)["free_again_at"], "2026-09-22T00:00:00Z");
            let told = problem(&answer)["detail"].to_string();
            assert!(
                told.contains("free requests of today are used up"),
                "{told}"
            );
        }
    }
    let without = Router::new().fallback(async || "served");
    let without = without.layer(shop.paywall().charge(Amount::from_sat(1)).unwrap());
    let answer = ask(&without, from("192.0.2.1", get("/cheap"))).await;
    assert!(problem(&answer).get("free_again_at").is_none());
}

#[tokio::test]
async fn requests_with_a_payment_take_nothing_and_those_with_a_refused_credential_do() {
    let shop = Shop::new();
    for allowance in [per_day(2), per_day(2).kept_in(shop.store.clone(), "api")] {
        let app = api(&shop.paywall(), &allowance);
        let credential = shop.pay(&ask(&app, get("/cheap")).await);
        let redeem = || from("192.0.2.1", paid("/cheap", &credential));
        assert!(is_free(&ask(&app, redeem()).await));
        // It is spent. The same request is free twice, and no credential reaches the handler.
        for expected in [true, true, false] {
            assert_eq!(is_free(&ask(&app, redeem()).await), expected);
        }
    }
}

#[tokio::test]
async fn head_counts_like_get_and_what_no_rule_sells_does_not_count() {
    let shop = Shop::new();
    for allowance in [per_day(4), per_day(4).kept_in(shop.store.clone(), "api")] {
        let app = api(&shop.paywall(), &allowance);
        for (method, target, status) in [
            ("OPTIONS", "/cheap", 204),
            ("DELETE", "/cheap", 405),
            ("GET", "/other", 404),
            ("HEAD", "/cheap", 200),
            ("POST", "/dear", 200),
            ("OPTIONS", "/dear", 204),
            ("GET", "/dear", 200),
            ("HEAD", "/day", 200),
            ("HEAD", "/day", 402),
            ("GET", "/cheap", 402),
        ] {
            let answer = ask(&app, from("192.0.2.1", request(method, target, None))).await;
            assert_eq!(answer.status(), status, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn the_allowance_comes_before_a_price_function_and_members_stay_free_after_it() {
    let shop = Shop::new();
    let app = api(
        &shop.paywall(),
        &per_day(2).kept_in(shop.store.clone(), "api"),
    );
    let member = || {
        let mut request = from("192.0.2.1", get("/members"));
        request
            .headers_mut()
            .insert("x-member", "yes".parse().unwrap());
        request
    };
    for _ in 0..5 {
        let answer = ask(&app, member()).await;
        assert!(is_free(&answer));
        let cached = answer.headers()[header::CACHE_CONTROL].to_str().unwrap();
        assert!(cached.contains("private"), "{cached}");
    }
    assert_eq!(free(&app, 4, "192.0.2.1").await, 0);
}

#[test]
fn settings_of_an_allowance_that_cannot_be_meant_are_refused() {
    let shop = Shop::new();
    let mistake = |allowance: FreeAllowance| {
        let charge = sat(1).free_allowance(allowance);
        shop.paywall()
            .charge(charge)
            .err()
            .map(|error| error.to_string())
    };
    let named = |name: &str| mistake(per_day(1).kept_in(shop.store.clone(), name));
    for name in ["", "ü", "a\nb", &"a".repeat(33)] {
        assert_eq!(
            named(name).unwrap(),
            "charge(..): the name of a free allowance must have 1 to 32 printable ASCII characters"
        );
    }
    assert_eq!(named(&"a".repeat(32)), None);
    assert_eq!(
        mistake(per_day(1).max_records_per_day(5)).unwrap(),
        "charge(..): only an allowance in a store writes records: call .kept_in(..), or leave out .max_records_per_day(..)"
    );
}

#[tokio::test]
async fn one_network_takes_a_share_of_the_records_and_leaves_free_requests_to_others() {
    let shop = Shop::new();
    let allowance = per_day(21)
        .kept_in(shop.store.clone(), "api")
        .max_records_per_day(999);
    let app = api(&shop.paywall(), &allowance);
    let mut of_site = 0;
    for network in 0..40 {
        of_site += free(&app, 1, &format!("2001:db8:0:{network:x}::1")).await;
    }
    assert_eq!(of_site, 5, "1/64 of 999 records, three for each");
    assert_eq!(free(&app, 30, "192.0.2.1").await, 21);
    let none = per_day(1)
        .kept_in(shop.store.clone(), "api")
        .max_records_per_day(0);
    let error = shop
        .paywall()
        .charge(Charge::new(Amount::from_sat(1)).free_allowance(none));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("must be at least 1")
    );
}
