//! Tests of values exactly on a limit, and of what every answer carries.

use std::time::Duration;

use super::*;
use crate::payment::Network;

const KEY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

#[tokio::test(start_paused = true)]
async fn a_use_is_given_back_unless_its_outcome_is_known() {
    for (trouble, released) in [
        (None, 0),
        (Some(Trouble::Refuses), 0),
        (Some(Trouble::Fails), 1),
        (Some(Trouble::Hangs), 1),
    ] {
        let stage = stage(|builder| builder);
        *stage.store.trouble.lock().unwrap() = trouble;
        let first = stage.settle(&stage.document).await;
        assert_eq!(first["success"], trouble.is_none());
        assert_eq!(
            *stage.store.released.lock().unwrap(),
            released,
            "{trouble:?}"
        );
        *stage.store.trouble.lock().unwrap() = None;
        let second = stage.settle(&stage.document).await;
        assert_eq!(second["success"], trouble.is_some(), "{trouble:?}");
        assert_eq!(
            *stage.store.released.lock().unwrap(),
            released,
            "a duplicate gives nothing back: {trouble:?}"
        );
    }
}

#[tokio::test]
async fn the_longest_timeout_is_still_settled() {
    let stage = stage(|builder| builder.max_timeout(Duration::from_secs(300)));
    assert_eq!(
        stage.document["paymentRequirements"]["maxTimeoutSeconds"],
        300
    );
    assert_eq!(stage.settle(&stage.document).await["success"], true);
}

#[tokio::test]
async fn a_body_of_exactly_64_kib_is_read() {
    let stage = stage(|builder| builder);
    for (length, status) in [
        (64 * 1024, StatusCode::BAD_REQUEST),
        (64 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request = Request::post("/settle").header("authorization", "Bearer token");
        assert_eq!(
            stage.ask(request, vec![b' '; length]).await.status(),
            status,
            "{length}"
        );
    }
}

#[tokio::test]
async fn every_answer_is_json_and_must_not_be_stored() {
    let stage = stage(|builder| builder);
    let known = |builder: http::request::Builder| builder.header("authorization", "Bearer token");
    for (request, body, status) in [
        (
            known(Request::post("/settle")),
            stage.document.to_string(),
            StatusCode::OK,
        ),
        (
            known(Request::post("/verify")),
            String::new(),
            StatusCode::OK,
        ),
        (Request::get("/supported"), String::new(), StatusCode::OK),
        (Request::head("/supported"), String::new(), StatusCode::OK),
        (
            Request::post("/settle"),
            String::new(),
            StatusCode::UNAUTHORIZED,
        ),
        (
            Request::get("/elsewhere"),
            String::new(),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let answer = stage.ask(request, body).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn another_method_is_answered_with_the_allowed_ones() {
    let stage = stage(|builder| builder);
    for (path, allowed) in [
        ("/supported", "GET, HEAD"),
        ("/verify", "POST"),
        ("/settle", "POST"),
    ] {
        let answer = stage.ask(Request::delete(path), "").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.headers()["allow"], allowed, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_rounded_up_to_whole_seconds() {
    let stage = stage(|builder| builder.rate(1, Duration::from_secs(1) + Duration::from_nanos(1)));
    let verify = || Request::post("/verify").header("authorization", "Bearer token");
    assert_eq!(stage.ask(verify(), "").await.status(), StatusCode::OK);
    assert_eq!(stage.ask(verify(), "").await.headers()["retry-after"], "2");
}

#[tokio::test]
async fn a_function_of_the_head_says_who_is_calling() {
    let store = Arc::new(Store::default()) as Arc<dyn ReplayStore>;
    let callers = |head: &http::request::Parts| {
        head.headers
            .contains_key("x-shop")
            .then(|| Caller::named("shop"))
    };
    let facilitator = Facilitator::builder(store, callers)
        .pay_to(KEY)
        .allow_volatile_replay_store()
        .build()
        .unwrap();
    for (header, status) in [
        ("x-shop", StatusCode::OK),
        ("x-other", StatusCode::UNAUTHORIZED),
    ] {
        let verify = Request::post("/verify")
            .header(header, "1")
            .body(Full::<Bytes>::default())
            .unwrap();
        assert_eq!(
            facilitator.clone().oneshot(verify).await.unwrap().status(),
            status,
            "{header}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_defaults_are_as_documented() {
    let facilitator = builder(&Arc::default()).pay_to(KEY).build().unwrap();
    let inner = &facilitator.0;
    assert_eq!(inner.max_timeout, Duration::from_secs(3600));
    assert_eq!(inner.remember, Duration::from_secs(24 * 3600));
    assert_eq!(inner.time_limit, Duration::from_secs(10));
    assert_eq!(inner.networks, [Network::Bitcoin, Network::Testnet]);
    let caller = Caller::named("shop");
    assert_eq!(
        (0..1_000)
            .filter(|_| inner.rate.take(&caller).is_ok())
            .count(),
        600
    );
    assert_eq!(
        inner.rate.take(&caller),
        Err(Duration::from_millis(100)),
        "600 a minute"
    );
}

#[test]
fn a_setting_exactly_on_its_limit_is_accepted() {
    let built = |builder: FacilitatorBuilder| builder.pay_to(KEY).build().map(|_| ());
    for seconds in [1, 7 * 86_400] {
        built(builder(&Arc::default()).max_timeout(Duration::from_secs(seconds))).unwrap();
    }
    built(
        builder(&Arc::default())
            .skew(Duration::from_secs(600))
            .remember_for(Duration::from_secs(4200)),
    )
    .unwrap();
    built(builder(&Arc::default()).remember_for(Duration::from_secs(3660))).unwrap();
}
