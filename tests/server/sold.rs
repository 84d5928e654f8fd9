//! What the body of a 402 says about the thing that is sold, and that the page of answers lists all
//! of it.

use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use axum::{Router, routing::get as on_get};
use serde_json::{Value, json};
use tower_x402::{Amount, Charge};

use crate::shop::{Shop, ask, get, paid, problem};

fn app(shop: &Shop, charge: Charge) -> Router {
    let layer = shop.paywall().charge(charge).unwrap();
    Router::new().route("/a", on_get(async || "sold").route_layer(layer))
}

#[tokio::test]
async fn a_402_says_what_is_sold_for_how_much_and_what_one_payment_buys() {
    let priced = || Charge::new(Amount::from_sat(500)).description("the \"archive\"");
    for (charge, buys) in [
        (priced(), json!({"uses": 1, "summary": "one request"})),
        (
            priced().uses(NonZeroU32::new(20).unwrap()),
            json!({"uses": 20, "summary": "20 requests"}),
        ),
        (
            priced().for_duration(Duration::from_secs(86_400)),
            json!({"seconds": 86_400, "summary": "any number of requests for 1 day"}),
        ),
    ] {
        let shop = Shop::new();
        let told = problem(&ask(&app(&shop, charge), get("/a")).await);
        assert_eq!(told["description"], "the \"archive\"");
        assert_eq!(told["price"], json!({"msat": 500_000, "sat": 500}));
        assert_eq!(told["buys"], buys);
        assert_eq!(told["accepts"][0]["amount_msat"], 500_000);
    }
}

/// The names of all members, those within others with a dot.
fn members(value: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let name = format!("{prefix}{name}");
                members(value, &format!("{name}."), found);
                found.insert(name);
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| members(value, prefix, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_of_answers_lists_every_member_of_a_402_and_no_other() {
    let page = include_str!("../../src/docs/answers.md");
    let (_, section) = page.split_once("\n## The body of a 402\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<_> = rows
        .map(|row| row.split('`').next().unwrap().to_owned())
        .collect();

    let shop = Shop::new();
    let priced = || Charge::new(Amount::from_sat(10)).description("the archive");
    let day = priced().for_duration(Duration::from_secs(86_400));
    let mut found = BTreeSet::new();
    for charge in [priced(), day] {
        let app = app(&shop, charge);
        let unpaid = ask(&app, get("/a")).await;
        let refused = ask(&app, paid("/a", &"L402 AAAA:00".parse().unwrap())).await;
        for answer in [unpaid, refused] {
            members(&problem(&answer), "", &mut found);
        }
    }
    assert_eq!(found, documented);
}
