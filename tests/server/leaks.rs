//! Secrets never appear in logs, `Debug` output, answers, or requests that go on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, routing::get as on_get};
use http::{HeaderMap, Request, StatusCode, header};
use tower::{Layer as _, Service as _, service_fn};
use tower_x402::{
    Amount, DialectName, Paid, PaymentReceipt, Paywall, l402, mpp, server::Charge, x402,
};

use crate::{
    customer::{ALL, Bought, Call},
    journal::Journal,
    shop::{Shop, ask, get},
};

/// A route that hands out the headers that its handler sees.
fn seen(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    let handler = async |headers: HeaderMap| format!("{headers:?}");
    Router::new().route(
        "/weather",
        on_get(handler).route_layer(paywall.charge(charge).unwrap()),
    )
}

/// A token as stock gRPC clients send it, but for its preimage.
fn metadata() -> String {
    tower_x402::internals::codec::hex::encode(
        l402::Macaroon::mint([1; 32], [0; 66], ["a=b"])
            .unwrap()
            .to_bytes(),
    )
}

/// Everything of a payment that nobody but its payer may hold, in every spelling that could slip
/// out.
fn secrets(bought: &Bought) -> Vec<String> {
    let mut secrets = vec![
        bought.preimage.expose_hex(),
        format!("{:?}", bought.preimage.expose_hex().as_bytes()),
    ];
    for dialect in ALL {
        let line = bought.of(dialect).1.to_str().unwrap();
        let text = line.split_once(' ').map_or(line, |(_, text)| text);
        secrets.push(text.chars().take(40).collect());
        secrets.push(
            text.chars()
                .rev()
                .take(64)
                .collect::<String>()
                .chars()
                .rev()
                .collect(),
        );
    }
    secrets
}

#[track_caller]
fn holds_none(text: &str, secrets: &[String], what: &str) {
    for secret in secrets {
        assert!(
            !text.contains(secret.as_str()),
            "{what} holds a secret: {text}"
        );
    }
}

#[tokio::test]
async fn credentials_stop_at_the_layer_and_foreign_ones_go_on() {
    let shop = Shop::new();
    let app = seen(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let call = Call::new("GET", "/weather");
    for dialect in ALL {
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let call = call
            .with(bought.of(dialect))
            .header(header::AUTHORIZATION, "Bearer of-the-application");
        // One of ours in a field that this route reads none from.
        let call = call.header("payment-authorization", "Payment e30");
        let served = ask(&app, call.request()).await;
        assert_eq!(served.status(), StatusCode::OK, "{dialect}");
        assert_eq!(
            &served.body()[..],
            b"{\"authorization\": \"Bearer of-the-application\"}",
            "{dialect}"
        );
    }
    // A folded line, LSAT beside L402, and the metadata of gRPC clients.
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    let line = bought.of(DialectName::L402).1.to_str().unwrap();
    let folded = call.clone().header(
        header::AUTHORIZATION,
        &format!("Bearer of-the-application, {line}, LSAT x:y"),
    );
    let served = ask(&app, folded.header("macaroon", &metadata()).request()).await;
    assert_eq!(
        &served.body()[..],
        b"{\"authorization\": \"Bearer of-the-application\"}"
    );
}

#[tokio::test]
async fn a_token_that_only_time_ends_stops_at_the_layer_too() {
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).for_duration(std::time::Duration::from_secs(60));
    let app = seen(&shop.paywall_of_every_dialect(), charge);
    let token = shop.buy(&app, get("/weather")).await;
    for _ in 0..2 {
        let call =
            Call::new("GET", "/weather").header(header::AUTHORIZATION, token.to_str().unwrap());
        let call = call
            .header("payment-authorization", "Payment e30")
            .header(header::AUTHORIZATION, "Bearer of-the-application");
        let served = ask(&app, call.request()).await;
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(
            &served.body()[..],
            b"{\"authorization\": \"Bearer of-the-application\"}"
        );
    }
}

#[tokio::test]
async fn a_token_that_only_time_ends_takes_the_whole_field_with_it_only_if_it_is_alone() {
    let shop = Shop::new();
    let charge = Charge::new(Amount::from_sat(10)).for_duration(std::time::Duration::from_secs(60));
    let app = seen(&shop.paywall_of_every_dialect(), charge);
    let token = shop.buy(&app, get("/weather")).await;
    let token = token.to_str().unwrap();
    for (line, left) in [
        (token.to_owned(), "{}"),
        (
            format!("{token}, Bearer of-the-application"),
            "{\"authorization\": \"Bearer of-the-application\"}",
        ),
    ] {
        let call = Call::new("GET", "/weather")
            .header(header::AUTHORIZATION, &line)
            .header("macaroon", &metadata())
            .header("payment-authorization", "Payment e30");
        let served = ask(&app, call.request()).await;
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(&served.body()[..], left.as_bytes());
    }
}

#[tokio::test]
async fn a_credential_behind_white_space_is_a_credential() {
    let shop = Shop::new();
    let app = seen(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let call = Call::new("GET", "/weather");
    for dialect in [DialectName::L402, DialectName::Mpp] {
        for (before, after) in [(" ", ""), ("\t ", " \t"), ("", " ")] {
            let bought = shop.bought(&call, &ask(&app, call.request()).await);
            let line = format!("{before}{}{after}", bought.of(dialect).1.to_str().unwrap());
            let served = ask(
                &app,
                call.clone().header(header::AUTHORIZATION, &line).request(),
            )
            .await;
            assert_eq!(served.status(), StatusCode::OK, "{dialect}");
            assert_eq!(&served.body()[..], b"{}", "{dialect}");
            let two = call
                .with(bought.of(DialectName::X402))
                .header(header::AUTHORIZATION, &line);
            assert_eq!(
                ask(&app, two.request()).await.status(),
                StatusCode::BAD_REQUEST,
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_credential_does_not_reach_a_handler_that_serves_for_free() {
    let shop = Shop::new();
    let app = seen(
        &shop.paywall_of_every_dialect(),
        tower_x402::price_fn(|_| async { Ok(None) }),
    );
    for (name, value) in [
        ("authorization", "L402 AAAA:00"),
        ("authorization", "Payment e30"),
        ("payment-authorization", "Payment e30"),
        ("payment-signature", "e30="),
        ("macaroon", &metadata()),
        ("grpc-metadata-macaroon", &metadata()),
    ] {
        let served = ask(
            &app,
            Call::new("GET", "/weather").header(name, value).request(),
        )
        .await;
        assert_eq!(served.status(), StatusCode::OK);
        let left = if name == "payment-authorization" {
            "{\"payment-authorization\": \"Payment e30\"}"
        } else {
            "{}"
        };
        assert_eq!(String::from_utf8_lossy(served.body()), left, "{name}");
    }
}

#[tokio::test]
async fn credentials_stay_only_where_the_operator_says_so() {
    let shop = Shop::new();
    let app = seen(
        &shop
            .builder_of_every_dialect()
            .keep_credentials()
            .build()
            .unwrap(),
        Amount::from_sat(10),
    );
    let call = Call::new("GET", "/weather");
    for dialect in ALL {
        let bought = shop.bought(&call, &ask(&app, call.request()).await);
        let (name, _) = bought.of(dialect);
        let served = ask(&app, call.with(bought.of(dialect)).request()).await;
        assert!(
            String::from_utf8_lossy(served.body()).contains(name.as_str()),
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn if_authorization_is_taken_mpp_has_a_header_of_its_own_and_the_layer_removes_it() {
    let shop = Shop::new();
    let app = seen(
        &shop.paywall_of_every_dialect(),
        Charge::new(Amount::from_sat(10)).authorization_taken(),
    );
    let call =
        Call::new("GET", "/weather").header(header::AUTHORIZATION, "Payment of-the-application");
    let bought = shop.bought(&call, &ask(&app, call.request()).await);
    assert_eq!(bought.of(DialectName::Mpp).0, mpp::PAYMENT_AUTHORIZATION);
    let served = ask(&app, call.with(bought.of(DialectName::Mpp)).request()).await;
    assert_eq!(
        &served.body()[..],
        b"{\"authorization\": \"Payment of-the-application\"}"
    );
}

#[tokio::test]
async fn neither_the_log_nor_any_debug_nor_any_answer_holds_a_secret() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let receipts = Arc::<Mutex<Vec<PaymentReceipt>>>::default();
    let kept = receipts.clone();
    let handler = async move |Paid(receipt): Paid| {
        kept.lock().unwrap().push(receipt.clone());
        receipt.to_string()
    };
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/weather", on_get(handler).route_layer(layer.clone()));
    let call = Call::new("GET", "/weather");
    let mut all = Vec::new();
    for dialect in ALL {
        let unpaid = ask(&app, call.request()).await;
        let bought = shop.bought(&call, &unpaid);
        let secrets = secrets(&bought);
        let paid = call.with(bought.of(dialect));
        let served = ask(&app, paid.request()).await;
        assert_eq!(served.status(), StatusCode::OK);
        let spent = ask(&app, paid.request()).await;
        assert_eq!(spent.status(), StatusCode::PAYMENT_REQUIRED);
        // The token of a challenge is half of a credential. The body of its 402 has it too.
        let token = l402::Challenge::in_headers(unpaid.headers())[0]
            .token()
            .to_owned();
        for answer in [&unpaid, &served, &spent] {
            let body = String::from_utf8_lossy(answer.body());
            assert!(answer.status() != StatusCode::OK || !body.contains(&token));
            holds_none(&body.replace(&token, ""), &secrets, "a body");
        }
        holds_none(
            &format!("{:?}", served.headers()),
            &secrets,
            "a receipt's header",
        );
        holds_none(
            &format!("{:?}", spent.headers()),
            &secrets,
            "a refusal's header",
        );
        assert!(
            !format!("{:?}", unpaid.headers()).contains(&token),
            "logs of whole header maps show the token"
        );
        assert!(bought.of(dialect).1.is_sensitive() && !format!("{paid:?}").contains(&secrets[0]));
        all.extend(secrets);
    }
    let told = receipts.lock().unwrap().clone();
    assert_eq!(told.len(), 3);
    holds_none(
        &format!("{told:?} {}", serde_json::to_string(&told).unwrap()),
        &all,
        "a receipt",
    );

    // What holds the keys, and what is on its way.
    let [a, b, c, ..] = tower_x402::Secrets::test_secret(7);
    all.extend([format!("{a}, {b}, {c}"), format!("{a:02x}{b:02x}{c:02x}")]);
    let inner = service_fn(|_: Request<_>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
    });
    let mut service = layer.layer(inner);
    let on_its_way = service.call(
        call.with(&(
            header::AUTHORIZATION,
            format!("L402 {}", all[2]).parse().unwrap(),
        ))
        .request(),
    );
    let debugs = HashMap::from([
        ("paywall", format!("{paywall:?}")),
        ("layer", format!("{layer:?}")),
        ("future", format!("{on_its_way:?}")),
        ("builder", format!("{:?}", shop.builder_of_every_dialect())),
        ("node", format!("{:?} {:?}", shop.node, shop.store)),
    ]);
    debugs
        .iter()
        .for_each(|(what, text)| holds_none(text, &all, what));

    // What failed is in the log, and nothing else.
    shop.node.reachable(false);
    let failed = ask(
        &app,
        call.with(&(header::AUTHORIZATION, "L402 AAAA:00".parse().unwrap()))
            .request(),
    )
    .await;
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    let lines = journal.lines();
    assert!(
        lines.contains("ERROR tower_x402 message=no invoice: "),
        "{lines}"
    );
    holds_none(&lines, &all, "the log");
    assert!(!lines.contains("AAAA"), "{lines}");
}

#[tokio::test]
async fn parsed_credentials_show_nothing_in_debug() {
    let shop = Shop::new();
    let app = seen(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
    let call = Call::new("GET", "/weather");
    let bought = shop.bought(&call, &ask(&app, get("/weather")).await);
    let secrets = secrets(&bought);
    let l402 = call.with(bought.of(DialectName::L402));
    let l402: Vec<_> = l402::Credential::in_headers(&l402.headers).collect();
    let text = mpp::CredentialText::decode(bought.of(DialectName::Mpp).1.as_bytes()).unwrap();
    let json = x402::decode_header(bought.of(DialectName::X402).1.as_bytes()).unwrap();
    let debugs = format!(
        "{l402:?} {text:?} {:?} {:?}",
        text.read().unwrap(),
        x402::PaymentPayload::from_json(&json).unwrap()
    );
    holds_none(&debugs, &secrets, "a credential's debug");
}
