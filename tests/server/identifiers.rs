//! x402's extension `payment-identifier`: a client names its payment, so that it counts once.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower_x402::{Amount, Charge, DialectName, internals::codec::base64, server::KeptAnswers};

use crate::{
    customer::{Call, HeaderLine, PAYMENT_SIGNATURE, asks_for_money},
    in_use::{Gate, begun, gated, is_in_use, is_spent},
    kept::{Runs, keeps, numbered, same},
    kept_slow::SlowRecords,
    shop::{Shop, ask, problem},
};

pub(crate) const ID: &str = "pay_7d5d747be160e280504c099d984bcfe0";

fn read(value: &HeaderValue) -> Value {
    serde_json::from_slice(&base64::decode_standard(value.as_bytes()).unwrap()).unwrap()
}

/// The credential with this identifier, as a client appends it to what the server sent.
pub(crate) fn named((name, value): &HeaderLine, id: impl Into<Value>) -> HeaderLine {
    let mut payload = read(value);
    payload["extensions"]["payment-identifier"]["info"]["id"] = id.into();
    let text = base64::encode_standard(serde_json::to_vec(&payload).unwrap());
    (name.clone(), text.parse().unwrap())
}

#[track_caller]
fn is_taken<T: AsRef<[u8]>>(answer: &Response<T>) {
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(!answer.headers().contains_key(header::RETRY_AFTER));
    assert!(!asks_for_money(answer));
    let body: Value = serde_json::from_slice(answer.body().as_ref()).unwrap();
    assert_eq!(body["title"], "The payment identifier is taken");
}

#[tokio::test]
async fn the_extension_is_offered_if_answers_are_kept_and_only_then() {
    let (shop, runs) = (Shop::new(), Runs::default());
    for (charge, is_offered) in [(keeps(&shop), true), (Amount::from_sat(10).into(), false)] {
        let app = numbered(&shop.paywall_of_every_dialect(), charge, &runs);
        let answer = ask(&app, Call::get("/a").request()).await;
        let required = read(&answer.headers()["payment-required"]);
        let extension = &required["extensions"]["payment-identifier"];
        assert_eq!(extension["info"] == json!({"required": false}), is_offered);
        assert_eq!(
            extension["schema"]["properties"]["id"]["minLength"] == 16,
            is_offered
        );
    }
}

#[tokio::test]
async fn the_same_payload_gets_its_answer_again() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    for call in [
        Call::get("/a"),
        Call::post("/a", b"abc"),
        Call::get("/missing"),
    ] {
        let credential = named(&call.buy(&shop, &app, DialectName::X402).await, ID);
        let first = ask(&app, call.paid(&credential)).await;
        assert!(first.headers().contains_key("payment-response"));
        for _ in 0..3 {
            same(&first, &ask(&app, call.paid(&credential)).await, "again");
        }
    }
    assert_eq!(runs.count(), 3);
}

#[tokio::test]
async fn another_payment_with_the_same_identifier_is_409_and_spends_nothing() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let call = Call::get("/a");
    let (one, two) = (
        call.buy(&shop, &app, DialectName::X402).await,
        call.buy(&shop, &app, DialectName::X402).await,
    );
    let first = ask(&app, call.paid(&named(&one, ID))).await;
    for _ in 0..2 {
        is_taken(&ask(&app, call.paid(&named(&two, ID))).await);
    }
    same(
        &first,
        &ask(&app, call.paid(&named(&one, ID))).await,
        "the first",
    );
    let second = ask(&app, call.paid(&named(&two, "pay_another_one_000"))).await;
    assert_eq!(
        (second.status(), &second.body()[..]),
        (StatusCode::OK, &b"answer 2"[..])
    );
}

#[tokio::test]
async fn another_payload_of_the_same_payment_is_409_too() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let other = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let call = Call::get("/a");
    let credential = named(&call.buy(&shop, &app, DialectName::X402).await, ID);
    let first = ask(&app, call.paid(&credential)).await;
    let mut payload = read(&credential.1);
    payload["note"] = "new".into();
    let text = base64::encode_standard(serde_json::to_vec(&payload).unwrap());
    let changed: HeaderLine = (PAYMENT_SIGNATURE, text.parse().unwrap());
    for app in [&app, &other] {
        is_taken(&ask(app, call.paid(&changed)).await);
        same(&first, &ask(app, call.paid(&credential)).await, "unchanged");
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test]
async fn an_identifier_is_of_one_request_and_names_nothing_elsewhere() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    for (number, call) in [
        Call::get("/a"),
        Call::get("/b"),
        Call::get("/a?b=c"),
        Call::post("/a", b"abc"),
        Call::post("/a", b"abd"),
    ]
    .iter()
    .enumerate()
    {
        let credential = named(&call.buy(&shop, &app, DialectName::X402).await, ID);
        let answer = ask(&app, call.paid(&credential)).await;
        assert_eq!(answer.body(), &format!("answer {}", number + 1), "{call:?}");
    }
}

#[tokio::test]
async fn nobody_takes_an_identifier_without_paying() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let call = Call::get("/a");
    // One that is spent, one that is forged, and one for another request.
    let spent = call.buy(&shop, &app, DialectName::X402).await;
    assert_eq!(ask(&app, call.paid(&spent)).await.status(), StatusCode::OK);
    let elsewhere = Call::get("/b").buy(&shop, &app, DialectName::X402).await;
    let mut forged = read(&call.buy(&shop, &app, DialectName::X402).await.1);
    forged["payload"]["preimage"] = "00".repeat(32).into();
    let forged = base64::encode_standard(serde_json::to_vec(&forged).unwrap());
    let forged = (PAYMENT_SIGNATURE, forged.parse().unwrap());
    for bad in [&spent, &elsewhere, &forged] {
        let answer = ask(&app, call.paid(&named(bad, ID))).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    }
    // Also not in a process that does not know that it is spent.
    let other = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let answer = ask(&other, call.paid(&named(&spent, ID))).await;
    assert!(is_spent(&answer, DialectName::X402));
    for app in [&other, &app] {
        let good = call.buy(&shop, app, DialectName::X402).await;
        let answer = ask(app, call.paid(&named(&good, ID))).await;
        match std::ptr::eq(app, &other) {
            true => assert_eq!(answer.status(), StatusCode::OK),
            false => is_taken(&answer),
        }
    }
}

#[tokio::test]
async fn what_is_no_identifier_is_400_and_spends_nothing() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let app = numbered(&shop.paywall_of_every_dialect(), keeps(&shop), &runs);
    let call = Call::get("/a");
    let credential = call.buy(&shop, &app, DialectName::X402).await;
    for bad in [
        json!("short"),
        json!("a".repeat(129)),
        json!("sixteen letters!"),
        json!(7),
    ] {
        let answer = ask(&app, call.paid(&named(&credential, bad))).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let detail = problem(&answer)["detail"].to_string();
        assert!(detail.contains("16 to 128"), "{detail}");
    }
    let answer = ask(&app, call.paid(&named(&credential, ID))).await;
    assert_eq!(answer.body(), "answer 1");
    // Where nothing is kept, nobody looks at it.
    let app = numbered(
        &shop.paywall_of_every_dialect(),
        Amount::from_sat(10),
        &runs,
    );
    let credential = call.buy(&shop, &app, DialectName::X402).await;
    let answer = ask(&app, call.paid(&named(&credential, "short"))).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn while_the_first_is_served_the_same_payload_waits_and_another_is_refused() {
    let (shop, gate) = (Shop::new(), Gate::new(Semaphore::new(0)));
    let apps = [(); 2].map(|()| gated(&shop.paywall_of_every_dialect(), keeps(&shop), &gate));
    let call = Call::get("/a");
    let (one, two) = (
        named(&call.buy(&shop, &apps[0], DialectName::X402).await, ID),
        named(&call.buy(&shop, &apps[0], DialectName::X402).await, ID),
    );
    let first = begun(ask(&apps[0], call.paid(&one))).await;
    for app in &apps {
        is_in_use(&ask(app, call.paid(&one)).await, "the same payload");
        is_taken(&ask(app, call.paid(&two)).await);
    }
    gate.add_permits(1);
    let first = first.err().unwrap().await;
    for app in &apps {
        same(&first, &ask(app, call.paid(&one)).await, "the same payload");
        is_taken(&ask(app, call.paid(&two)).await);
    }
}

#[tokio::test]
async fn an_identifier_ends_with_the_time_of_its_answer_and_needs_records_that_answer() {
    let (shop, runs) = (Shop::new(), Runs::default());
    let records = std::sync::Arc::new(SlowRecords::new(shop.store.clone()));
    let charge = Charge::new(Amount::from_sat(10)).keep_answers(KeptAnswers::new(records.clone()));
    let app = numbered(&shop.paywall_of_every_dialect(), charge, &runs);
    let call = Call::get("/a");
    let one = named(&call.buy(&shop, &app, DialectName::X402).await, ID);
    records.fails(true);
    let answer = ask(&app, call.paid(&one)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!asks_for_money(&answer));
    records.fails(false);
    assert_eq!(ask(&app, call.paid(&one)).await.body(), "answer 1");
    shop.clock.advance(std::time::Duration::from_secs(601));
    let two = named(&call.buy(&shop, &app, DialectName::X402).await, ID);
    assert_eq!(ask(&app, call.paid(&two)).await.body(), "answer 2");
}
