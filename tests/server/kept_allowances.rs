//! Free allowances in a store, which outlive a restart and which processes share.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;
use tower_x402::{
    MemoryStore,
    clock::{Clock as _, Timestamp},
};

use crate::{
    allowances::{MIDNIGHT, api, free, from, is_free, midnight, per_day, records},
    counted::{Counted, Fault},
    journal::Journal,
    shop::{Shop, ask, get, problem},
};

#[tokio::test]
async fn an_allowance_in_records_survives_a_restart_and_begins_again_at_midnight() {
    for address in ["192.0.2.1", "2001:db8::1"] {
        let shop = Shop::new();
        let start = |requests| {
            api(
                &shop.paywall(),
                &per_day(requests).kept_in(shop.store.clone(), "api"),
            )
        };
        assert_eq!(free(&start(20), 7, address).await, 7);
        assert_eq!(free(&start(20), 50, address).await, 13);
        assert_eq!(free(&start(20), 50, address).await, 0);
        // The number may change: what was taken stays taken.
        assert_eq!(free(&start(25), 50, address).await, 5);
        shop.clock.set(Timestamp::from_unix_seconds(MIDNIGHT - 1));
        assert_eq!(free(&start(20), 50, address).await, 0);
        shop.clock.set(midnight(0));
        assert_eq!(free(&start(20), 50, address).await, 20);
        assert_eq!(free(&start(20), 50, address).await, 0);
    }
}

#[tokio::test]
async fn processes_that_share_the_records_grant_exactly_what_one_would() {
    for (per, expected) in [(1, 1), (20, 20), (37, 37), (1_000, 120)] {
        for in_turn in [true, false] {
            let shop = Shop::new();
            let start = || {
                api(
                    &shop.paywall(),
                    &per_day(per).kept_in(shop.store.clone(), "api"),
                )
            };
            let processes = [start(), start(), start()];
            let mut free = 0;
            if in_turn {
                for app in processes.iter().cycle().take(120) {
                    free += usize::from(is_free(&ask(app, from("192.0.2.1", get("/dear"))).await));
                }
            } else {
                let racing = processes.iter().cycle().take(120);
                let racing = racing.map(|app| ask(app, from("192.0.2.1", get("/dear"))));
                free += join_all(racing).await.iter().filter(|a| is_free(a)).count();
            }
            assert_eq!(free, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_race_on_several_threads_never_grant_more() {
    let shop = Shop::new();
    let start = || {
        api(
            &shop.paywall(),
            &per_day(40).kept_in(shop.store.clone(), "api"),
        )
    };
    let processes = [start(), start()];
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..120 {
        let app = processes[n % 2].clone();
        tasks.spawn(async move { is_free(&ask(&app, from("192.0.2.1", get("/dear"))).await) });
    }
    let free = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|free| *free)
        .count();
    assert_eq!(free, 40);
}

#[tokio::test]
async fn the_networks_of_a_household_and_a_site_share_it_across_processes() {
    let shop = Shop::new();
    let start = || {
        api(
            &shop.paywall(),
            &per_day(2).kept_in(shop.store.clone(), "api"),
        )
    };
    let mut household = 0;
    for network in 0..40 {
        household += free(&start(), 3, &format!("2001:db8:1:{network:x}::1")).await;
    }
    assert_eq!(household, 8, "four clients' worth for 56 bits");
    let mut site = household;
    for network in 1..40 {
        site += free(&start(), 3, &format!("2001:db8:1:{network:x}00::1")).await;
    }
    assert_eq!(site, 32, "sixteen clients' worth for 48 bits");
    assert_eq!(free(&start(), 3, "2001:db8:2::1").await, 2);
    assert_eq!(free(&start(), 3, "192.0.2.1").await, 2);
}

#[tokio::test]
async fn names_separate_allowances_in_one_store_and_one_name_is_one_allowance() {
    let shop = Shop::new();
    let start = |name: &str| {
        api(
            &shop.paywall(),
            &per_day(2).kept_in(shop.store.clone(), name),
        )
    };
    for name in ["a", "b", "a/", "/a", "ab", "a b"] {
        assert_eq!(free(&start(name), 5, "192.0.2.1").await, 2, "{name}");
        assert_eq!(free(&start(name), 5, "192.0.2.1").await, 0, "{name}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_gives_no_second_allowance() {
    let shop = Shop::new();
    for name in ["a", "b"] {
        let start = || {
            api(
                &shop.paywall(),
                &per_day(3).kept_in(shop.store.clone(), name),
            )
        };
        let app = start();
        shop.clock.set(midnight(2));
        assert_eq!(free(&app, 9, "192.0.2.1").await, 3);
        shop.clock
            .set(Timestamp::from_unix_seconds(MIDNIGHT + 2 * 86_400 - 3_600));
        assert_eq!(free(&app, 9, "192.0.2.1").await, 0);
        // A process that starts now counts for the earlier day, and then finds what was taken.
        let restarted = start();
        assert_eq!(free(&restarted, 9, "192.0.2.1").await, 3);
        shop.clock.set(midnight(2));
        assert_eq!(free(&restarted, 9, "192.0.2.1").await, 0);
        // A clock that was days ahead may be corrected, and what was taken then is remembered.
        shop.clock.set(midnight(4));
        assert_eq!(free(&app, 9, "192.0.2.1").await, 3);
        shop.clock.set(midnight(2));
        assert_eq!(free(&app, 9, "192.0.2.1").await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn if_the_records_fail_the_client_pays_the_log_says_why_and_nothing_is_lost_or_won() {
    for (how, why) in [
        (
            Fault::Hangs,
            "its records did not answer within 10s: check the store, or set a longer .time_limit(..)",
        ),
        (Fault::Full, "the test's store is full: no luck"),
        (Fault::Lost, "the test's store is not available: no luck"),
    ] {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let journal = Journal::begin();
            let shop = Shop::new();
            let store = Counted::new(shop.store.clone());
            let allowance = per_day(5).kept_in(store.clone(), "api");
            let app = api(&shop.paywall(), &allowance.max_records_per_day(960));
            assert_eq!(free(&app, 2, address).await, 2);
            store.fails(how);
            for _ in 0..8 {
                let answer = ask(&app, from(address, get("/dear"))).await;
                assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
                assert!(problem(&answer).get("free_again_at").is_none());
            }
            let logged = format!(
                "ERROR tower_x402 message=a free allowance could not be counted, so clients are asked to pay: {why}\n"
            );
            assert_eq!(journal.lines(), logged);
            store.fails(Fault::Works);
            let rest = free(&app, 9, address).await;
            // What was written and not confirmed is taken.
            assert_eq!(rest, if how == Fault::Lost { 2 } else { 3 }, "{address}");
            assert_eq!(free(&app, 9, address).await, 0);
        }
    }
}

#[tokio::test]
async fn records_that_fail_now_and_then_never_grant_more() {
    let shop = Shop::new();
    let store = Counted::new(shop.store.clone());
    store.fails(Fault::Flaps);
    let start = || api(&shop.paywall(), &per_day(6).kept_in(store.clone(), "api"));
    let mut granted = 0;
    for _ in 0..10 {
        granted += free(&start(), 3, "2001:db8::1").await;
    }
    assert!(granted <= 6, "{granted}");
    store.fails(Fault::Works);
    granted += free(&start(), 9, "2001:db8::1").await;
    assert!(granted <= 6, "{granted}");
}

#[tokio::test]
async fn a_request_that_hangs_up_while_the_records_are_asked_gets_no_second_free_one() {
    let shop = Shop::new();
    let store = Counted::new(shop.store.clone());
    store.fails(Fault::Hangs);
    let app = api(&shop.paywall(), &per_day(2).kept_in(store.clone(), "api"));
    for _ in 0..30 {
        let mut hung_up = tokio_test::task::spawn(ask(&app, from("192.0.2.1", get("/dear"))));
        assert!(hung_up.poll().is_pending());
    }
    store.fails(Fault::Works);
    assert_eq!(free(&app, 9, "192.0.2.1").await, 2);
}

#[tokio::test]
async fn an_allowance_leaves_room_in_a_store_and_a_full_one_frees_nothing() {
    let journal = Journal::begin();
    let shop = Shop::new();
    let limited = per_day(10)
        .kept_in(shop.store.clone(), "api")
        .max_records_per_day(8);
    let app = api(&shop.paywall(), &limited);
    assert_eq!(free(&app, 5, "192.0.2.1").await, 5);
    assert_eq!(
        free(&app, 5, "2001:db8::1").await,
        1,
        "three records for each"
    );
    assert_eq!(free(&app, 5, "192.0.2.2").await, 0);
    assert_eq!(records(&shop.store).await, 8);
    assert_eq!(
        journal.lines(),
        "ERROR tower_x402 message=a free allowance could not be counted, so clients are asked to pay: it wrote its 8 records of \
         today: .max_records_per_day(..) allows more, if the store has room for two days\n"
    );
    shop.clock.set(midnight(0));
    assert_eq!(free(&app, 5, "192.0.2.1").await, 5);

    let small = MemoryStore::new().unwrap().with_clock(shop.clock.clone());
    let small = Arc::new(small.with_record_capacity(1_000));
    let app = api(&shop.paywall(), &per_day(10).kept_in(small.clone(), "api"));
    let before = free(&app, 10, "192.0.2.1").await;
    assert!((1..10).contains(&before), "{before}");
    assert_eq!(free(&app, 5, "192.0.2.2").await, 0);
}

#[tokio::test]
async fn what_was_taken_expires_a_day_after_its_day() {
    let shop = Shop::new();
    let app = api(
        &shop.paywall(),
        &per_day(3).kept_in(shop.store.clone(), "api"),
    );
    assert_eq!(free(&app, 3, "192.0.2.1").await, 3);
    assert_eq!(records(&shop.store).await, 3);
    shop.clock.set(midnight(1));
    assert_eq!(records(&shop.store).await, 3);
    shop.clock
        .set(shop.clock.now().saturating_add(Duration::from_secs(1)));
    assert_eq!(records(&shop.store).await, 0);
}

#[tokio::test]
async fn a_new_process_finds_what_was_taken_in_few_calls() {
    for (taken, most) in [(1, 4), (10, 12), (900, 24), (1_000, 24)] {
        let shop = Shop::new();
        let store = Counted::new(shop.store.clone());
        let start = || {
            api(
                &shop.paywall(),
                &per_day(1_000).kept_in(store.clone(), "api"),
            )
        };
        let app = start();
        assert_eq!(free(&app, taken, "192.0.2.1").await, taken);
        assert_eq!(store.take().waited, taken, "one call for each");
        let restarted = start();
        let expected = usize::from(taken < 1_000);
        assert_eq!(free(&restarted, 1, "192.0.2.1").await, expected);
        let calls = store.take().waited;
        assert!(calls <= most, "{calls} calls after {taken}");
        // From then on it knows.
        assert_eq!(free(&restarted, 1, "192.0.2.1").await, expected);
        assert_eq!(store.take().waited, expected);
    }
}
