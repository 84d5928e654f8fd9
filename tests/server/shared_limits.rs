//! Limits on unpaid invoices that several instances share.

use std::{sync::Arc, time::Duration};

use axum::Router;
use futures_util::{FutureExt as _, future::join_all};
use http::StatusCode;
use tower_x402::{
    Paywall,
    replay::{DurableOptions, DurableStore, Records},
    server::PaywallBuilder,
};

use crate::{
    counted::{Asked, Counted, Fault},
    limits::{from, invoices, retry_after, service},
    shop::{Shop, ask, paid},
};

const ONE: &str = "198.51.100.1";

fn share(shop: &Shop, records: impl Records) -> PaywallBuilder {
    shop.builder().share_unpaid_limits(records, "api")
}

/// Instances of one service over one store.
fn instances<const N: usize>(
    shop: &Shop,
    set: impl Fn(PaywallBuilder) -> PaywallBuilder,
) -> [Paywall; N] {
    std::array::from_fn(|_| set(share(shop, shop.store.clone())).build().unwrap())
}

/// How many invoices these clients get from all instances, each of which asks again and again.
async fn all(shop: &Shop, apps: &[Router], clients: &[String]) -> usize {
    let mut made = 0;
    for _ in 0..12 {
        for app in apps {
            for client in clients {
                made += invoices(app, 20, || from(client)).await;
            }
        }
        // A client that was refused may try again after 5 s.
        shop.clock.advance(Duration::from_secs(6));
    }
    made
}

#[tokio::test]
async fn instances_that_share_their_limits_give_one_client_no_more_than_one_would() {
    for (shared, most) in [(true, 64), (false, 3 * 64)] {
        let shop = Shop::new();
        let apps: Vec<_> = match shared {
            true => instances::<3>(&shop, |it| it).iter().map(service).collect(),
            false => (0..3).map(|_| service(&shop.paywall())).collect(),
        };
        let made = all(&shop, &apps, &[ONE.into()]).await;
        assert!(made <= most, "{made} of {most}");
        assert!(made >= most * 3 / 4, "only {made} of {most}");
        assert_eq!(shop.node.invoices_created(), made as u64);
    }
}

#[tokio::test]
async fn instances_that_share_their_limits_give_all_clients_no_more_than_one_would() {
    let shop = Shop::new();
    let apps = instances::<3>(&shop, |it| it.max_unpaid(50).max_unpaid_per_client(10));
    let clients: Vec<_> = (1..30).map(|n| format!("198.51.100.{n}")).collect();
    let made = all(&shop, &apps.map(|it| service(&it)), &clients).await;
    assert!(made <= 45, "a tenth is for clients that paid: {made}");
    assert!(made >= 36, "only {made}");
}

#[tokio::test]
async fn instances_that_share_their_limits_count_the_networks_around_a_client() {
    let shop = Shop::new();
    let apps = instances::<2>(&shop, |it| it.max_unpaid_per_client(5)).map(|it| service(&it));
    let household: Vec<_> = (0..16).map(|n| format!("2001:db8:0:{n:x}::1")).collect();
    let made = all(&shop, &apps, &household).await;
    assert!(made <= 18, "four clients' worth, less a tenth: {made}");
    assert!(made >= 8, "only {made}");
    let site: Vec<_> = (1..16).map(|n| format!("2001:db8:0:{n:x}00::1")).collect();
    let more = all(&shop, &apps, &site).await;
    assert!(made + more <= 72, "sixteen clients' worth, less a tenth");
    // Their numbers are chosen at random, and some of them are those of the household.
    assert!(more >= 8, "only {more}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_race_never_exceed_a_shared_limit() {
    let shop = Shop::new();
    let apps = instances::<4>(&shop, |it| it.max_unpaid_per_client(8)).map(|it| service(&it));
    let mut tasks = tokio::task::JoinSet::new();
    for app in apps.iter().cycle().take(80) {
        let app = app.clone();
        tasks.spawn(async move { ask(&app, from(ONE)).await.status() });
    }
    let statuses = tasks.join_all().await;
    let made = statuses
        .iter()
        .filter(|it| **it == StatusCode::PAYMENT_REQUIRED);
    assert!((1..=8).contains(&made.count()));
}

#[tokio::test]
async fn a_number_is_free_two_minutes_after_its_invoice_expired_and_no_sooner() {
    let shop = Shop::new();
    let [one, other] =
        instances::<2>(&shop, |it| it.max_unpaid_per_client(2)).map(|it| service(&it));
    assert_eq!(invoices(&one, 2, || from(ONE)).await, 2);
    shop.clock.advance(Duration::from_secs(420));
    assert_eq!(invoices(&other, 1, || from(ONE)).await, 0);
    shop.clock.advance(Duration::from_secs(6));
    assert_eq!(invoices(&other, 2, || from(ONE)).await, 2);
}

#[tokio::test]
async fn a_client_that_pays_keeps_its_numbers_and_its_payments_ask_no_records() {
    let shop = Shop::new();
    let records = Counted::new(shop.store.clone());
    let app = service(&share(&shop, records.clone()).build().unwrap());
    let asked = |waited| Asked {
        waited,
        writes: waited,
        later: 0,
    };
    for round in 0..40 {
        let credential = shop.buy(&app, from(ONE)).await;
        // At first it has not paid, so its number is for a minute only.
        assert_eq!(records.take(), asked(usize::from(round < 1)), "{round}");
        let mut request = paid("/weather", &credential);
        *request.extensions_mut() = from(ONE).extensions().clone();
        assert_eq!(ask(&app, request).await.status(), StatusCode::OK);
        assert_eq!(records.take(), asked(0));
        shop.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_client_without_a_number_asks_the_records_four_times_and_then_not_for_5_seconds() {
    let shop = Shop::new();
    let [other] = instances::<1>(&shop, |it| it.max_unpaid_per_client(9)).map(|it| service(&it));
    let records = Counted::new(shop.store.clone());
    let mine = share(&shop, records.clone()).max_unpaid_per_client(9);
    let mine = service(&mine.build().unwrap());
    assert_eq!(invoices(&other, 20, || from(ONE)).await, 9);
    assert_eq!(retry_after(&ask(&mine, from(ONE)).await), 5);
    assert_eq!(records.take().waited, 4);
    assert_eq!(invoices(&mine, 20, || from(ONE)).await, 0);
    assert_eq!(records.take().waited, 0);
    shop.clock.advance(Duration::from_secs(5));
    assert_eq!(invoices(&mine, 2, || from(ONE)).await, 0);
    assert_eq!(records.take().waited, 4);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_makes_no_invoice_and_loses_no_payment() {
    for fault in [Fault::Down, Fault::Hangs, Fault::Lost] {
        let shop = Shop::new();
        let records = Counted::new(shop.store.clone());
        let app = service(&share(&shop, records.clone()).build().unwrap());
        let credential = shop.buy(&app, from(ONE)).await;
        records.fails(fault);
        let made = shop.node.invoices_created();
        for _ in 0..70 {
            let answer = ask(&app, from("198.51.100.2")).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key("retry-after"));
        }
        assert_eq!(shop.node.invoices_created(), made, "{fault:?}");
        let answer = ask(&app, paid("/weather", &credential)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{fault:?}");
        records.fails(Fault::Works);
        // What was written without an answer is free again with time.
        shop.clock.advance(Duration::from_secs(421));
        assert_eq!(invoices(&app, 64, || from("198.51.100.2")).await, 64);
    }
}

#[tokio::test]
async fn an_invoice_that_another_instance_redeems_frees_its_slot_when_the_node_tells() {
    for follows in [false, true] {
        let shop = Shop::new();
        let [issuer, redeemer] = instances::<2>(&shop, |it| it.max_unpaid_per_client(2));
        let apps = [service(&issuer), service(&redeemer)];
        let mut told = Box::pin(issuer.free_paid_invoices());
        if follows {
            assert!((&mut told).now_or_never().is_none());
        }
        for n in 0..2 {
            let answer = ask(&apps[0], from(ONE)).await;
            let credential = shop.pay(&answer);
            // The presenter is another client, as behind a second proxy.
            let answer = ask(&apps[1], paid("/weather", &credential)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{n}");
        }
        if follows {
            assert!((&mut told).now_or_never().is_none());
        }
        let status = ask(&apps[0], from(ONE)).await.status();
        match follows {
            true => assert_eq!(status, StatusCode::PAYMENT_REQUIRED),
            false => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
}

#[tokio::test]
async fn a_shared_limit_in_a_durable_store_holds_over_restarts_and_instances() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::new();
    let open = || {
        let options = DurableOptions::new().clock(shop.clock.clone());
        Arc::new(DurableStore::open_with(folder.path(), options).unwrap())
    };
    let start = |store: &Arc<DurableStore>| {
        let builder = shop.builder().replay_store(store.clone());
        let builder = builder.share_unpaid_limits(store.clone(), "api");
        service(&builder.max_unpaid_per_client(8).build().unwrap())
    };
    let mut made = 0;
    for _ in 0..6 {
        let store = open();
        let apps = [start(&store), start(&store)];
        let asked = apps.iter().cycle().take(10).map(|app| ask(app, from(ONE)));
        let answers = join_all(asked).await;
        made += answers
            .iter()
            .filter(|it| it.status() == StatusCode::PAYMENT_REQUIRED)
            .count();
        drop((apps, store));
    }
    assert!((4..=8).contains(&made), "{made}");
}

#[test]
fn a_name_of_shared_limits_that_cannot_be_a_key_is_refused() {
    let shop = Shop::new();
    for name in ["", "a name that is far too long for a key", "é"] {
        let builder = shop.builder().share_unpaid_limits(shop.store.clone(), name);
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains("share_unpaid_limits"), "{error}");
    }
}
