//! Targets, bound headers and descriptions of any length and with any characters: a dialect that
//! cannot encode them is left out, and every offered challenge can be read and redeemed.

use axum::{Router, routing::any};
use http::{HeaderValue, StatusCode};
use tower_x402::{Amount, DialectName, RouteTable, l402, server::Charge};

use crate::{
    customer::{ALL, Call},
    hostile::service,
    shop::{Shop, ask, get, problem},
};

#[tokio::test]
async fn a_target_that_no_dialect_can_encode_is_400_and_costs_no_invoice() {
    for (dialect, target) in [
        (
            DialectName::L402,
            format!("/weather?{}", "q".repeat(14_000)),
        ),
        (DialectName::L402, format!("/{}", "%C3%A9".repeat(1_000))),
        (
            DialectName::X402,
            format!("/weather?{}", "q".repeat(14_000)),
        ),
        (DialectName::X402, format!("/weather?{}", "q".repeat(7_000))),
        (DialectName::X402, "/weather?a|b".to_owned()),
        (DialectName::X402, "/weather?filter={a:1}".to_owned()),
        (DialectName::X402, "/weather/{a}?x".to_owned()),
    ] {
        let shop = Shop::new();
        let app = service(&shop, &[dialect]);
        let answer = ask(&app, get(&target)).await;
        assert_eq!(
            answer.status(),
            StatusCode::BAD_REQUEST,
            "{dialect}: {:.30} of {}",
            target,
            target.len()
        );
        assert_eq!(
            problem(&answer)["detail"],
            "no enabled dialect can encode this request: shorten the URL, percent-encode what a URL may not contain (such as `{`, `|` and \
             letters that are not ASCII), and use ASCII in bound headers"
        );
        assert_eq!(shop.node.invoices_created(), 0, "{dialect}");
    }
}

#[tokio::test]
async fn whatever_is_offered_for_a_long_target_can_be_read_and_redeemed() {
    for length in [10, 1_000, 2_000, 3_000, 5_000, 6_500, 14_000, 40_000] {
        let shop = Shop::new();
        let app = service(&shop, &ALL);
        let call = Call::new("GET", format!("/weather?{}", "q".repeat(length)));
        let answer = ask(&app, call.request()).await;
        let longest = answer
            .headers()
            .values()
            .map(HeaderValue::len)
            .max()
            .unwrap();
        assert!(
            longest < 16 * 1024,
            "a header line of {longest} bytes for a query of {length}"
        );
        let offered = shop.bought(&call, &answer).dialects();
        assert!(offered.contains(&DialectName::Mpp), "{length}");
        assert_eq!(
            problem(&answer)["accepts"].as_array().unwrap().len(),
            offered.len()
        );
        for dialect in offered {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            assert_eq!(
                ask(&app, call.with(bought.of(dialect)).request())
                    .await
                    .status(),
                StatusCode::OK,
                "{dialect} {length}"
            );
        }
    }
}

#[tokio::test]
async fn a_bound_header_that_is_no_text_leaves_x402_out_and_the_others_in() {
    let shop = Shop::new();
    let app = service(&shop, &ALL);
    let mut call = Call::new("GET", "/weather");
    call.headers
        .append("x-account", HeaderValue::from_bytes(b"\xe9").unwrap());
    for dialect in [DialectName::L402, DialectName::Mpp] {
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        assert_eq!(bought.dialects(), [DialectName::L402, DialectName::Mpp]);
        let mut other = call.with(bought.of(dialect));
        other
            .headers
            .insert("x-account", HeaderValue::from_bytes(b"\xe8").unwrap());
        assert_eq!(
            ask(&app, other.request()).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
        assert_eq!(
            ask(&app, call.with(bought.of(dialect)).request())
                .await
                .status(),
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn quotes_commas_and_foreign_letters_in_a_description_split_no_challenge() {
    for text in [
        "a \"b\", L402 macaroon=\"c\"",
        "d\\",
        "Wetter f\u{fc}r \u{1f30d}",
        ", Payment id=\"x\"",
        "a|b",
        &"x".repeat(256),
    ] {
        let shop = Shop::new();
        let builder = shop.builder_of_every_dialect();
        let paywall = builder.challenge_header_bytes(usize::MAX).build().unwrap();
        let charge = Charge::new(Amount::from_sat(10)).description(text);
        let table = RouteTable::new()
            .charge("GET /weather", charge)
            .otherwise_refuse();
        let app = Router::new()
            .route("/weather", any(async || "sunny"))
            .layer(paywall.routes(table).unwrap());
        let call = Call::new("GET", "/weather");
        let answer = ask(&app, call.request()).await;
        assert_eq!(
            answer.headers().get_all("www-authenticate").iter().count(),
            3
        );
        let mut lines = answer.headers().get_all("www-authenticate").iter();
        assert!(lines.all(|line| line.to_str().is_ok()), "{text}");
        assert_eq!(shop.bought(&call, &answer).dialects(), ALL, "{text}");
        assert_eq!(
            l402::Challenge::in_headers(answer.headers()).len(),
            2,
            "{text}"
        );
    }
}
