//! A new store, and payments that an older store may have consumed.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{Router, routing::get as on_get};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, DialectName, DurableStore, MemoryStore, Network, Paywall, Secrets,
    clock::Clock as _,
    facilitator::{BearerTokens, ConfigError, Facilitator},
    lightning::Receiver as _,
    replay::{DurableOptions, ReplayStore, StoreErrorKind},
    server::PaywallBuilder,
    x402::decode_header,
};

use crate::{
    customer::{ALL, Bought, Call},
    journal::Journal,
    shop::{Lasting, Shop, ask, problem, reason},
};

pub(crate) const OLDER: &str = "invalid_exact_lnbtc_invoice_older_than_store";

pub(crate) fn weather(paywall: &Paywall) -> Router {
    let layer = paywall.charge(Amount::from_sat(10)).unwrap();
    Router::new().route("/weather", on_get(async || "sunny").route_layer(layer))
}

/// A server of the shop's node with a secret of its own, which takes others' proofs.
pub(crate) fn taking(shop: &Shop, store: impl ReplayStore) -> Router {
    weather(
        &builder(shop, store)
            .accept_foreign_proofs()
            .build()
            .unwrap(),
    )
}

pub(crate) fn builder(shop: &Shop, store: impl ReplayStore) -> PaywallBuilder {
    shop.builder_of_every_dialect()
        .master_secret(Secrets::test_secret(8))
        .replay_store(store)
}

/// What another server of the same node sold for `call`.
pub(crate) async fn sold_elsewhere(shop: &Shop, call: &Call) -> Bought {
    let other = memory_store(shop);
    let seller = shop
        .builder_of_every_dialect()
        .master_secret(Secrets::test_secret(9))
        .replay_store(other)
        .build()
        .unwrap();
    shop.bought(call, &ask(&weather(&seller), call.request()).await)
}

pub(crate) fn memory_store(shop: &Shop) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new().unwrap().with_clock(shop.clock.clone()))
}

pub(crate) fn opened(shop: &Shop, folder: &Path) -> DurableStore {
    DurableStore::open_with(folder, DurableOptions::new().clock(shop.clock.clone())).unwrap()
}

#[tokio::test]
async fn a_foreign_proof_that_an_older_store_could_have_taken_is_refused_and_says_what_to_do() {
    let (shop, call) = (Shop::new(), Call::new("GET", "/weather"));
    let sold = sold_elsewhere(&shop, &call).await;
    let paid = call.with(sold.of(DialectName::X402));
    let old = taking(&shop, Lasting(shop.store.clone()));
    assert_eq!(ask(&old, paid.request()).await.status(), StatusCode::OK);
    assert_eq!(
        reason(&ask(&old, paid.request()).await),
        "duplicate_settlement"
    );

    let folder = tempfile::tempdir().unwrap();
    for seconds in [0, 1, 60, 240] {
        shop.clock.advance(Duration::from_secs(seconds));
        let new = taking(
            &shop,
            opened(&shop, &folder.path().join(seconds.to_string())),
        );
        let answer = ask(&new, paid.request()).await;
        assert_eq!(reason(&answer), OLDER, "{seconds} s later");
        let detail = problem(&answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("pay the fresh invoice"), "{detail}");
        let fresh = shop.bought(&call, &answer);
        for dialect in ALL {
            let expected = if dialect == ALL[0] {
                StatusCode::OK
            } else {
                StatusCode::PAYMENT_REQUIRED
            };
            assert_eq!(
                ask(&new, call.with(fresh.of(dialect)).request())
                    .await
                    .status(),
                expected,
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn a_foreign_proof_is_taken_by_a_store_that_is_older_than_its_invoice_and_after_it_was_opened_again()
 {
    let (shop, call, folder) = (
        Shop::new(),
        Call::new("GET", "/weather"),
        tempfile::tempdir().unwrap(),
    );
    drop(opened(&shop, folder.path()));
    for (seconds, served) in [(60, false), (60, false), (1, true), (100, true)] {
        shop.clock.advance(Duration::from_secs(seconds));
        let paid = call.with(sold_elsewhere(&shop, &call).await.of(DialectName::X402));
        for first in [true, false] {
            let answer = ask(&taking(&shop, opened(&shop, folder.path())), paid.request()).await;
            match (served, first) {
                (true, true) => assert_eq!(answer.status(), StatusCode::OK),
                (true, false) => assert_eq!(reason(&answer), "duplicate_settlement"),
                (false, _) => assert_eq!(reason(&answer), OLDER),
            }
        }
    }
}

/// An invoice's date is what its signer chose. The store that consumes it has checked that it is
/// not too far ahead, by the clock of its own server.
#[tokio::test]
async fn no_date_of_an_invoice_gets_past_a_new_store() {
    for (ahead, old_clock_ahead) in (0..=61)
        .map(|ahead| (ahead, 0))
        .chain((0..=121).step_by(11).map(|ahead| (ahead, 60)))
    {
        let (shop, call) = (Shop::new(), Call::new("GET", "/weather"));
        let now = shop.clock.now();
        shop.clock.advance(Duration::from_secs(ahead));
        let paid = call.with(sold_elsewhere(&shop, &call).await.of(DialectName::X402));
        shop.clock
            .set(now.saturating_add(Duration::from_secs(old_clock_ahead)));
        let before = ask(&taking(&shop, Lasting(shop.store.clone())), paid.request()).await;
        shop.clock.set(now);
        let store = Lasting(memory_store(&shop));
        shop.clock.advance(Duration::from_secs(ahead));
        let after = ask(&taking(&shop, store), paid.request()).await;
        match ahead.saturating_sub(old_clock_ahead) {
            61 => assert_eq!(
                reason(&before),
                "invalid_exact_lnbtc_invoice_created_in_future"
            ),
            _ => assert_eq!(before.status(), StatusCode::OK, "{ahead}"),
        }
        let is_taken = ahead == 121;
        assert_eq!(
            after.status() == StatusCode::OK,
            is_taken,
            "{ahead} s ahead, the old clock {old_clock_ahead} s"
        );
    }
}

pub(crate) fn facilitator(
    shop: &Shop,
    store: Arc<dyn ReplayStore>,
) -> Result<Facilitator, ConfigError> {
    let key = tower_x402::internals::codec::hex::encode(shop.node.profile().public_key.unwrap());
    let facilitator = Facilitator::builder(store, BearerTokens::new().with("shop", "token"))
        .allow_volatile_replay_store();
    facilitator
        .pay_to(key)
        .networks([Network::Regtest])
        .clock(shop.clock.clone())
        .build()
}

pub(crate) async fn settle(shop: &Shop, store: Arc<dyn ReplayStore>, paid: &Bought) -> Value {
    let facilitator = facilitator(shop, store).unwrap();
    let payload: Value =
        serde_json::from_str(&decode_header(paid.of(DialectName::X402).1.as_bytes()).unwrap())
            .unwrap();
    let document = json!({"x402Version": 2, "paymentRequirements": payload["accepted"], "paymentPayload": payload});
    let request = Request::post("/settle").header("authorization", "Bearer token");
    let answer = facilitator
        .oneshot(
            request
                .body(Full::<bytes::Bytes>::from(document.to_string()))
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn a_facilitator_settles_nothing_that_an_older_store_could_have_settled() {
    let (shop, call) = (Shop::new(), Call::new("GET", "/weather"));
    let sold = sold_elsewhere(&shop, &call).await;
    assert_eq!(
        settle(&shop, shop.store.clone(), &sold).await["success"],
        true
    );
    assert_eq!(
        settle(&shop, shop.store.clone(), &sold).await["errorReason"],
        "duplicate_settlement"
    );
    let restarted: Arc<dyn ReplayStore> = memory_store(&shop);
    let folder = tempfile::tempdir().unwrap();
    let empty: Arc<dyn ReplayStore> = Arc::new(opened(&shop, folder.path()));
    for store in [&restarted, &empty] {
        let refused = settle(&shop, store.clone(), &sold).await;
        assert_eq!(
            (&refused["success"], &refused["errorReason"]),
            (&json!(false), &json!(OLDER))
        );
        assert!(
            refused["errorMessage"]
                .as_str()
                .unwrap()
                .contains("pay a new invoice"),
            "{refused}"
        );
    }
    shop.clock.advance(Duration::from_secs(121));
    let sold = sold_elsewhere(&shop, &call).await;
    for store in [restarted, empty] {
        assert_eq!(settle(&shop, store.clone(), &sold).await["success"], true);
        assert_eq!(
            settle(&shop, store, &sold).await["errorReason"],
            "duplicate_settlement"
        );
    }
}

#[tokio::test]
async fn the_time_from_which_a_new_store_takes_proofs_is_logged_and_sent_to_a_facilitators_callers()
{
    let (shop, call, folder) = (
        Shop::new(),
        Call::new("GET", "/weather"),
        tempfile::tempdir().unwrap(),
    );
    let sold = sold_elsewhere(&shop, &call).await;
    let from = shop
        .clock
        .now()
        .saturating_add(Duration::from_secs(121))
        .to_iso_8601();
    let store: Arc<dyn ReplayStore> = Arc::new(opened(&shop, folder.path()));
    for (seconds, wait, logged) in [
        (0, ", in 121 s", true),
        (120, ", in 1 s", true),
        (1, "", false),
    ] {
        shop.clock.advance(Duration::from_secs(seconds));
        let journal = Journal::begin();
        let message = settle(&shop, store.clone(), &sold).await["errorMessage"].clone();
        assert!(
            message
                .as_str()
                .unwrap()
                .ends_with(&format!("pay a new invoice, made at {from} or later{wait}")),
            "{message}"
        );
        let _ = taking(&shop, store.clone());
        let lines = journal.lines();
        assert_eq!(
            lines.matches(&format!("made at {from} or later")).count(),
            if logged { 2 } else { 0 },
            "{lines}"
        );
    }
}

#[tokio::test]
async fn the_advice_of_a_damaged_store_serves_nobody_twice() {
    let (shop, call, folder) = (
        Shop::new(),
        Call::new("GET", "/weather"),
        tempfile::tempdir().unwrap(),
    );
    let damaged = folder.path().join("damaged");
    drop(opened(&shop, &damaged));
    shop.clock.advance(Duration::from_secs(200));
    let (foreign, sent) = (
        sold_elsewhere(&shop, &call).await,
        sold_elsewhere(&shop, &call).await,
    );
    let app = taking(&shop, opened(&shop, &damaged));
    let own = shop.bought(&call, &ask(&app, call.request()).await);
    let lines = [foreign.of(DialectName::X402), own.of(DialectName::L402)];
    for line in lines {
        assert_eq!(
            ask(&app, call.with(line).request()).await.status(),
            StatusCode::OK
        );
    }
    drop(app);
    let store: Arc<dyn ReplayStore> = Arc::new(opened(&shop, &damaged));
    assert_eq!(settle(&shop, store, &sent).await["success"], true);

    std::fs::remove_dir_all(damaged.join("journal")).unwrap();
    let error = DurableStore::open(&damaged).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(
        error.to_string().contains("open an empty one instead"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("tokens for counted access and proofs of other servers alike"),
        "{error}"
    );
    let empty: Arc<dyn ReplayStore> = Arc::new(opened(&shop, &folder.path().join("empty")));
    let app = taking(&shop, empty.clone());
    for line in lines {
        assert_eq!(
            ask(&app, call.with(line).request()).await.status(),
            StatusCode::PAYMENT_REQUIRED,
            "{line:?}"
        );
    }
    assert_eq!(settle(&shop, empty, &sent).await["errorReason"], OLDER);
}
