//! Stores that were created while the clock was wrong.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tower_x402::{
    DialectName,
    clock::{Clock as _, Timestamp},
    replay::ReplayStore,
};

use crate::{
    customer::Call,
    shop::{Lasting, Shop, ask, reason},
    younger::{OLDER, builder, facilitator, memory_store, opened, sold_elsewhere, taking},
};

/// What building with `store` says, for a paywall that takes others' proofs and for a facilitator.
fn refusals(shop: &Shop, store: &Arc<dyn ReplayStore>) -> [String; 2] {
    let facilitator = facilitator(shop, store.clone()).unwrap_err().to_string();
    builder(shop, store.clone()).build().unwrap();
    [
        builder(shop, store.clone())
            .accept_foreign_proofs()
            .build()
            .unwrap_err()
            .to_string(),
        facilitator,
    ]
}

#[tokio::test]
async fn a_store_that_was_made_while_the_clock_stood_in_the_past_takes_no_foreign_proof_until_it_is_opened_again()
 {
    let (shop, call, folder) = (
        Shop::new(),
        Call::new("GET", "/weather"),
        tempfile::tempdir().unwrap(),
    );
    let now = shop.clock.now();
    for wrong in [0, 1, 946_684_800, 1_599_999_999] {
        shop.clock.set(now);
        let paid = call.with(sold_elsewhere(&shop, &call).await.of(DialectName::X402));
        assert_eq!(
            ask(&taking(&shop, Lasting(shop.store.clone())), paid.request())
                .await
                .status(),
            StatusCode::OK
        );

        let folder = folder.path().join(wrong.to_string());
        shop.clock.set(Timestamp::from_unix_seconds(wrong));
        let volatile: Arc<dyn ReplayStore> = Arc::new(Lasting(memory_store(&shop)));
        let durable: Arc<dyn ReplayStore> = Arc::new(opened(&shop, &folder));
        for set in [wrong, now.as_unix_seconds()] {
            shop.clock.set(Timestamp::from_unix_seconds(set));
            for refusal in [&volatile, &durable]
                .into_iter()
                .flat_map(|store| refusals(&shop, store))
            {
                assert!(refusal.contains("set the clock"), "{refusal}");
            }
        }
        drop(durable);
        for seconds in [0, 120] {
            shop.clock.set(now);
            let again = opened(&shop, &folder);
            assert_eq!(again.created_at(), now);
            shop.clock.advance(Duration::from_secs(seconds));
            assert_eq!(
                reason(&ask(&taking(&shop, again), paid.request()).await),
                OLDER,
                "made at {wrong}"
            );
        }
    }
}

#[tokio::test]
async fn a_store_that_was_made_while_the_clock_was_ahead_is_refused_with_the_fix() {
    let (shop, year) = (Shop::new(), Duration::from_secs(365 * 86_400));
    let now = shop.clock.now();
    let made = |ahead| {
        shop.clock.set(now.saturating_add(ahead));
        let store: Arc<dyn ReplayStore> = Arc::new(Lasting(memory_store(&shop)));
        shop.clock.set(now);
        store
    };
    for ahead in [Duration::from_secs(61), year] {
        for refusal in refusals(&shop, &made(ahead)) {
            assert!(refusal.contains("open an empty one"), "{refusal}");
        }
    }
    for ahead in [0, 60] {
        let store = made(Duration::from_secs(ahead));
        facilitator(&shop, store.clone()).unwrap();
        builder(&shop, store)
            .accept_foreign_proofs()
            .build()
            .unwrap();
    }
}
