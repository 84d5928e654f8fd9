//! Budgets, as a server tries to drain them.

use std::time::Duration;

use tower_x402::{
    client::{NotTaken, PayErrorKind, Policy},
    clock::{Clock as _, Timestamp},
    ledger::{BeginRefusal, Budget, LedgerErrorKind, LimitKind},
    lightning::Payments,
};

use crate::{
    bank::{Bank, sat},
    hostile::sells,
    stall::{Answer, ask, client, get},
};

/// Which limit refused a request.
#[track_caller]
fn over(answer: Answer) -> LimitKind {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid, "{error}");
    match error.offers()[0].why() {
        NotTaken::Ledger(BeginRefusal::OverBudget(over)) => over.kind,
        why => panic!("{why}"),
    }
}

fn page(number: usize) -> http::Request<crate::stall::Body> {
    get(&format!("https://drain{number}.example.com/"))
}

#[tokio::test]
async fn a_drain_by_small_prices_ends_at_the_budget_with_fees_included() {
    let mut bank = Bank::new();
    bank.fee = sat(1);
    let builder = bank.builder(&bank.ledger()).budget(Budget::total(sat(20)));
    let wallet = builder.build().await.unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(2)));
    for number in 0..6 {
        ask(&client, page(number)).await.unwrap();
    }
    assert_eq!(over(ask(&client, page(6)).await), LimitKind::Total);
    assert_eq!((bank.paid(), bank.asked()), (18_000, 6));
    assert_eq!(wallet.budget().unwrap().spent, sat(18));
}

#[tokio::test]
async fn subdomains_are_no_way_around_a_limit_per_host() {
    let bank = Bank::new();
    let budget = Budget::total(sat(100)).per_host(sat(8));
    let wallet = bank
        .builder(&bank.ledger())
        .budget(budget)
        .build()
        .await
        .unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(3)));
    for number in 0..2 {
        ask(&client, page(number)).await.unwrap();
    }
    assert_eq!(over(ask(&client, page(2)).await), LimitKind::PerHost);
    ask(&client, get("https://other.example.org/"))
        .await
        .unwrap();
}

#[tokio::test]
async fn children_never_spend_together_what_their_parent_does_not_have() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank
        .builder(&ledger)
        .budget(Budget::total(sat(20)))
        .build()
        .await
        .unwrap();
    let a = wallet.child("a", Budget::total(sat(15))).await.unwrap();
    let b = wallet.child("b", Budget::total(sat(15))).await.unwrap();
    let shop = sells(&bank.node, sat(4));
    let (a, b) = (client(&a, shop.clone()).0, client(&b, shop).0);
    for number in 0..2 {
        ask(&a, page(number)).await.unwrap();
        ask(&b, page(10 + number)).await.unwrap();
    }
    // 16 are spent: each child has 7 left, and the parent 4.
    assert_eq!(over(ask(&a, page(20)).await), LimitKind::Total);
    assert_eq!(over(ask(&b, page(20)).await), LimitKind::Total);
    assert_eq!(bank.paid(), 16_000);

    // A child is not widened by its holder, and is the same if it is created again.
    let wider = wallet
        .child("a", Budget::total(sat(100)))
        .await
        .unwrap_err();
    assert_eq!(wider.kind(), LedgerErrorKind::Conflict);
    let again = wallet.child("a", Budget::total(sat(15))).await.unwrap();
    assert_eq!(again.budget().unwrap().spent, sat(8));
    ledger.revoke(&again.budget().unwrap().path).await.unwrap();
    let error = ask(&a, page(30)).await.unwrap_err();
    let why = error.offers()[0].why().to_string();
    assert!(why.contains("revoked"), "{why}");
}

#[tokio::test]
async fn a_child_ends_with_its_parent() {
    let bank = Bank::new();
    let end = bank.clock.now().saturating_add(Duration::from_secs(100));
    let wallet = bank.wallet(&bank.ledger()).await;
    let parent = wallet
        .child("parent", Budget::without_limits().until(end))
        .await
        .unwrap();
    let child = parent.child("child", Budget::total(sat(10))).await.unwrap();
    let (client, _) = client(&child, sells(&bank.node, sat(1)));
    ask(&client, page(0)).await.unwrap();
    bank.clock.set(end);
    let error = ask(&client, page(1)).await.unwrap_err();
    assert!(
        error.offers()[0].why().to_string().contains("has ended"),
        "{error}"
    );
}

#[tokio::test]
async fn a_clock_that_is_set_back_opens_no_new_day() {
    let bank = Bank::new();
    let builder = bank.builder(&bank.ledger()).budget(Budget::daily(sat(5)));
    let wallet = builder.build().await.unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(4)));
    ask(&client, page(0)).await.unwrap();
    let now = bank.clock.now().as_unix_seconds();
    for moment in [now - 100_000, now, now + 80_000] {
        bank.clock.set(Timestamp::from_unix_seconds(moment));
        let day = LimitKind::Window(Duration::from_secs(86_400));
        assert_eq!(over(ask(&client, page(1)).await), day, "{moment}");
    }
    bank.clock.set(Timestamp::from_unix_seconds(now + 90_000));
    ask(&client, page(1)).await.unwrap();
}

#[tokio::test]
async fn what_failed_is_not_spent_and_what_is_in_flight_is_reserved() {
    let bank = Bank::new();
    let builder = bank.builder(&bank.ledger()).budget(Budget::total(sat(10)));
    let wallet = builder.build().await.unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(5)));
    bank.node.payments(Payments::Fail);
    for number in 0..5 {
        let error = ask(&client, page(number)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::PaymentFailed);
    }
    bank.node.payments(Payments::StayInFlight);
    ask(&client, page(0)).await.unwrap_err();
    assert_eq!(over(ask(&client, page(1)).await), LimitKind::Total);
}

#[tokio::test]
async fn ten_thousand_requests_at_once_over_a_tree_of_a_thousand_budgets_overspend_nothing() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let builder = bank.builder(&ledger).budget(Budget::total(sat(2_500)));
    let policy = Policy::new().max_fee(sat(0));
    let root = builder.policy(policy).build().await.unwrap();
    let shop = sells(&bank.node, sat(1));
    let mut clients = Vec::new();
    for ten in 0..10 {
        let middle = root
            .child(&format!("m{ten}"), Budget::total(sat(260)))
            .await
            .unwrap();
        for leaf in 0..100 {
            let leaf = middle
                .child(&format!("l{leaf}"), Budget::total(sat(3)))
                .await
                .unwrap();
            clients.push(client(&leaf, shop.clone()).0);
        }
    }
    let asking = (0..10_000).map(|number| {
        let client = &clients[number % clients.len()];
        ask(client, get(&format!("https://h{number}.example/")))
    });
    let answers = futures_util::future::join_all(asking).await;
    let paid = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(
        (paid, bank.payments(), bank.paid()),
        (2_500, 2_500, 2_500_000)
    );
    for path in ledger.budgets().unwrap() {
        let state = ledger.budget(&path).unwrap();
        let limit = state.limits.total_limit().unwrap();
        assert!(
            state.spent <= limit && state.reserved.is_zero(),
            "{path}: {state:?}"
        );
    }
}

#[tokio::test]
async fn a_second_wallet_of_the_same_name_does_not_widen_the_limits_of_the_first() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let build = async |limit| {
        let builder = bank.builder(&ledger).budget(Budget::total(sat(limit)));
        builder.build().await
    };
    let first = build(20).await.unwrap();
    let child = first.child("a", Budget::without_limits()).await.unwrap();
    drop(first);
    let wider = build(1_000).await.unwrap_err();
    assert!(wider.to_string().contains("other limits"), "{wider}");
    assert_eq!(child.budget().unwrap().remaining, Some(sat(20)));
    let same = build(20).await.unwrap();
    // A person may change the limits while a wallet has them.
    let path = same.budget().unwrap().path;
    let set = ledger.set_root(&path, Budget::total(sat(30)));
    set.await.unwrap();
    build(20).await.unwrap_err();
    build(30).await.unwrap();
    drop((same, child));
    let after_a_restart = build(1_000).await.unwrap();
    assert_eq!(
        after_a_restart.budget().unwrap().remaining,
        Some(sat(1_000))
    );
}

#[tokio::test]
async fn the_owner_hears_once_that_little_is_left_of_a_limit() {
    let bank = Bank::new();
    let heard: std::sync::Arc<std::sync::Mutex<Vec<_>>> = std::sync::Arc::default();
    let told = heard.clone();
    let builder = bank.builder(&bank.ledger()).budget(Budget::total(sat(50)));
    let builder = builder.on_nearly_used_up(move |limit| told.lock().unwrap().push(limit.clone()));
    let wallet = builder.build().await.unwrap();
    let (client, _) = client(&wallet, sells(&bank.node, sat(13)));
    for number in 0..3 {
        ask(&client, page(number)).await.unwrap();
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].kind, heard[0].spent), (LimitKind::Total, sat(26)));
}
