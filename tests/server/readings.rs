//! Paths that can be read in two ways, and which of them are sold.

use axum::{Router, extract::Path, routing::get as on_get};
use http::StatusCode;
use std::{num::NonZeroU32, time::Duration};
use tower_x402::{Amount, Charge, DialectName, RouteTable, price_fn, server::PriceRequest};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, get, problem},
};

const URL: &str = "/scrape/https%3A%2F%2Fexample.com%2Fa";

fn ten() -> Charge {
    Charge::new(Amount::from_sat(10))
}

/// A service that fetches the URL in its path, with a rule for each of its readings.
fn scraper(shop: &Shop, one: Charge, other: Charge) -> Router {
    let table = RouteTable::new()
        .charge("GET /scrape/{url}", one)
        .charge("GET /scrape/{url}/{*rest}", other)
        .otherwise_refuse();
    let paywall = shop.paywall_of_every_dialect();
    Router::new()
        .route("/scrape/{url}", on_get(async |Path(url): Path<String>| url))
        .layer(paywall.routes(table).unwrap())
}

#[tokio::test]
async fn a_path_of_which_both_readings_cost_the_same_is_sold_in_every_dialect() {
    for (target, url) in [
        (URL, "https://example.com/a"),
        ("/scrape/a%2Fb", "a/b"),
        ("/scrape/A%2F%2Fb?x=%7B", "A//b"),
    ] {
        for dialect in ALL {
            let shop = Shop::new();
            let app = scraper(&shop, ten(), ten().description("the same, by another rule"));
            let call = Call::get(target);
            let line = call.buy(&shop, &app, dialect).await;
            let served = ask(&app, call.paid(&line)).await;
            assert_eq!(served.status(), StatusCode::OK, "{target} {dialect}");
            assert_eq!(served.body(), url);
            let again = problem(&ask(&app, call.paid(&line)).await);
            assert_eq!(again["kind"], "spent", "{target} {dialect}");
        }
    }
}

/// Another price, more than one request, a price of the path, another binding, free requests.
#[tokio::test]
async fn a_path_of_which_the_readings_sell_differently_is_400_and_the_text_names_the_way_out() {
    let price = || price_fn(|_: PriceRequest| async { Ok(Some(Amount::from_sat(10))) });
    let three = NonZeroU32::new(3).unwrap();
    let day = Duration::from_secs(86_400);
    for (one, other) in [
        (ten(), Charge::new(Amount::from_sat(11))),
        (Charge::new(Amount::from_sat(11)), ten()),
        (ten(), Charge::new(price())),
        (Charge::new(price()), Charge::new(price())),
        (ten().uses(three), ten().uses(three)),
        (ten().for_duration(day), ten().for_duration(day)),
        (ten(), ten().bind_headers(["x-account"])),
        (ten(), ten().stream_body()),
        (ten(), ten().free_per_day(three)),
        (ten().free_per_day(three), ten().free_per_day(three)),
    ] {
        let shop = Shop::new();
        let app = scraper(&shop, one, other);
        let refused = ask(&app, get(URL)).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let told = problem(&refused)["detail"].as_str().unwrap().to_owned();
        assert!(
            told.contains("in the query")
                && told.contains("without encoded, doubled or trailing slashes"),
            "{told}"
        );
        let plain = ask(&app, get("/scrape/example.com")).await;
        assert_eq!(plain.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(shop.node.invoices_created(), 1, "the plain one alone");
    }
}

#[tokio::test]
async fn what_a_url_may_not_contain_is_sold_in_the_dialects_that_can_say_it_and_in_all_once_encoded()
 {
    for (raw, encoded) in [
        ("/scrape/x?filter={a}", "/scrape/x?filter=%7Ba%7D"),
        ("/scrape/x?a|b", "/scrape/x?a%7Cb"),
        ("/scrape/x?a^b", "/scrape/x?a%5Eb"),
    ] {
        let shop = Shop::new();
        let app = scraper(&shop, ten(), ten());
        let offered = async |target: &str| {
            let call = Call::get(target);
            let answer = ask(&app, call.request()).await;
            shop.bought(&call, &answer).dialects()
        };
        assert!(!offered(raw).await.contains(&DialectName::X402), "{raw}");
        assert_eq!(offered(encoded).await, ALL);
    }
}
