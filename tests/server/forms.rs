//! Uploads of forms: `fetch` makes a new multipart boundary for each try.

use axum::{Router, body::Bytes, routing::post};
use http::StatusCode;
use tower_x402::{Amount, Charge, DialectName, price_fn};

use crate::{
    customer::{ALL, Call},
    shop::{Shop, ask, problem, reason},
};

const LEFT: &str = "multipart/form-data";

fn site(shop: &Shop, charge: Charge) -> Router {
    let layer = shop.paywall_of_every_dialect().charge(charge).unwrap();
    let upload = async |body: Bytes| format!("{} bytes", body.len());
    Router::new().route("/upload", post(upload).layer(layer))
}

fn fixed() -> Charge {
    Charge::new(Amount::from_sat(10))
}

fn by_length() -> Charge {
    let price = price_fn(|q| async move { Ok(Amount::try_from_sat(q.body().len() as u64)) });
    Charge::new(price).reads_body()
}

/// The same form as a client builds it for one more try.
fn form(content_type: &str, boundary: &str) -> Call {
    let part = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--{boundary}--"
    );
    Call::new("POST", "/upload")
        .header(
            "content-type",
            &format!("{content_type}; boundary={boundary}"),
        )
        .body(part)
}

#[tokio::test]
async fn a_form_is_served_with_another_boundary_unless_its_bytes_are_bound() {
    use DialectName::{L402, Mpp, X402};
    for (content_type, charge, bound_in) in [
        (LEFT, fixed(), &[X402][..]),
        ("Multipart/Form-Data", fixed(), &[X402]),
        ("multipart/related", fixed(), &[Mpp, X402]),
        (LEFT, fixed().bind_multipart(), &[Mpp, X402]),
        (LEFT, by_length(), &[L402, Mpp, X402]),
        (LEFT, fixed().stream_body(), &[]),
    ] {
        for dialect in ALL {
            let shop = Shop::new();
            let app = site(&shop, charge.clone());
            let (first, second) = (form(content_type, "one"), form(content_type, "two"));
            let bought = shop.bought(&first, &ask(&app, first.request()).await);
            if !bought.dialects().contains(&dialect) {
                continue;
            }
            let told = format!("{dialect} {content_type} {charge:?}");
            let again = second.with(bought.of(dialect)).request();
            let answer = ask(&app, again).await;
            if bound_in.contains(&dialect) {
                assert!(!reason(&answer).is_empty(), "{told}");
                let same = first.with(bought.of(dialect)).request();
                assert_eq!(ask(&app, same).await.status(), StatusCode::OK, "{told}");
            } else {
                assert_eq!(answer.status(), StatusCode::OK, "{told}");
                assert_eq!(answer.body(), &*format!("{} bytes", second.body.len()));
            }
        }
    }
}

#[tokio::test]
async fn a_402_tells_a_form_where_its_bytes_are_bound() {
    for (content_type, charge, expected) in [
        (LEFT, fixed(), &["x402"][..]),
        (LEFT, fixed().bind_multipart(), &["mpp", "x402"]),
        (LEFT, by_length(), &["l402", "mpp", "x402"]),
        (LEFT, fixed().stream_body(), &[]),
        ("application/json", by_length(), &[]),
    ] {
        let shop = Shop::new();
        let answer = ask(&site(&shop, charge), form(content_type, "one").request()).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        let problem = problem(&answer);
        let detail = problem["detail"].as_str().unwrap();
        let named = detail.split_once("; a payment in ").map(|(_, told)| {
            let (names, advice) = told
                .split_once(" is valid for exactly the body with which")
                .unwrap();
            assert!(advice.contains("same boundary"), "{detail}");
            names.split(" or ").collect::<Vec<_>>()
        });
        assert_eq!(named.unwrap_or_default(), expected, "{content_type}");
    }
}

/// A form that nobody binds is not even read, so it may be larger than the limit.
#[tokio::test]
async fn a_large_form_is_sold_in_mpp_without_reading_it() {
    let shop = Shop::new();
    let builder = shop
        .builder()
        .dialects([DialectName::L402, DialectName::Mpp]);
    let paywall = builder.body_limit(16).build().unwrap();
    let upload = async |body: Bytes| body.len().to_string();
    let app = Router::new().route(
        "/upload",
        post(upload).layer(paywall.charge(fixed()).unwrap()),
    );
    let (first, second) = (form(LEFT, "one"), form(LEFT, "three"));
    let bought = shop.bought(&first, &ask(&app, first.request()).await);
    let paid = second.with(bought.of(DialectName::Mpp));
    let answer = ask(&app, paid.request()).await;
    assert_eq!(answer.body(), &*second.body.len().to_string());
}
