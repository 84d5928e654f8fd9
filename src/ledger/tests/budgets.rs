//! Attacks on a tree of budgets.

use super::*;

fn path(text: &str) -> BudgetPath {
    BudgetPath::parse(text).unwrap()
}

/// A payment of exactly this amount, without a fee, to its own host.
fn exactly(budget: &str, number: u32, amount: Amount) -> NewPayment {
    NewPayment {
        amount,
        max_fee: Amount::ZERO,
        ..payment(&path(budget), number)
    }
}

async fn pay(ledger: &Ledger, new: NewPayment) -> Result<EntryId, BeginError> {
    let hash = new.payment_hash;
    let id = ledger.begin(new).await?.id;
    let number = (0..100).find(|number| preimage(*number).payment_hash() == hash);
    ledger
        .paid(id, preimage(number.unwrap()), Amount::ZERO)
        .await?;
    ledger.redeemed(id, 200);
    Ok(id)
}

fn over(begun: Result<EntryId, BeginError>) -> (String, LimitKind) {
    match begun {
        Err(BeginError::Refused(BeginRefusal::OverBudget(over))) => {
            (over.budget.to_string(), over.kind)
        }
        other => panic!("over budget was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_child_spends_neither_more_than_its_limit_nor_more_than_its_parent_has() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(30))).await;
    for (name, limit) in [("a", 20), ("b", 20), ("c", 1_000)] {
        ledger
            .create_budget(&wallet, name, Budget::total(sat(limit)))
            .await
            .unwrap();
    }
    let over_own = pay(&ledger, exactly("wallet/a", 1, sat(21))).await;
    assert_eq!(over(over_own), ("wallet/a".to_owned(), LimitKind::Total));
    pay(&ledger, exactly("wallet/a", 2, sat(20))).await.unwrap();
    let together = pay(&ledger, exactly("wallet/b", 3, sat(11))).await;
    assert_eq!(over(together), ("wallet".to_owned(), LimitKind::Total));
    pay(&ledger, exactly("wallet/b", 4, sat(10))).await.unwrap();
    let wider = pay(&ledger, exactly("wallet/c", 5, sat(1))).await;
    assert_eq!(over(wider), ("wallet".to_owned(), LimitKind::Total));
    assert_eq!(
        ledger.budget(&path("wallet/c")).unwrap().remaining,
        Some(sat(0))
    );
}

#[tokio::test]
async fn a_budget_that_is_created_again_stays_as_it_was() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(100))).await;
    let limits = Budget::total(sat(10))
        .until(START.saturating_add(Duration::from_secs(60)))
        .owner("ann");
    let create = async |limits| ledger.create_budget(&wallet, "a", limits).await;
    let first = create(limits.clone()).await.unwrap();
    pay(&ledger, exactly("wallet/a", 1, sat(10))).await.unwrap();
    assert_eq!(create(limits.clone()).await.unwrap(), first);
    assert_eq!(
        ledger.budget(&first).unwrap().remaining,
        Some(sat(0)),
        "not refilled"
    );
    for other in [
        limits.clone().in_total(sat(20)),
        limits.clone().owner("bob"),
        limits.clone().until(Timestamp::MAX),
        Budget::without_limits(),
    ] {
        assert_eq!(
            create(other).await.unwrap_err().kind(),
            LedgerErrorKind::Conflict
        );
    }
    ledger.revoke(&first).await.unwrap();
    assert_eq!(
        create(limits).await.unwrap_err().kind(),
        LedgerErrorKind::Conflict
    );
    assert_eq!(ledger.budget(&first).unwrap().spent, sat(10));
    let nowhere = ledger
        .create_budget(&path("other"), "a", Budget::without_limits())
        .await;
    assert_eq!(nowhere.unwrap_err().kind(), LedgerErrorKind::Unknown);
    // Only an outermost budget, which a person configures, can be set anew.
    let widened = ledger
        .set_root(&first, Budget::without_limits())
        .await
        .unwrap_err();
    assert_eq!(widened.kind(), LedgerErrorKind::Invalid);
}

#[tokio::test]
async fn a_revoked_outermost_budget_is_not_revived_by_setting_it_again() {
    let limits = Budget::total(sat(100));
    let (ledger, wallet, _) = ledger(limits.clone()).await;
    ledger.revoke(&wallet).await.unwrap();
    for again in [limits, Budget::daily(sat(5))] {
        let refused = ledger.set_root(&wallet, again).await.unwrap_err();
        assert_eq!(refused.kind(), LedgerErrorKind::Conflict);
    }
    let refused = refusal(ledger.begin(exactly("wallet", 1, sat(1))).await);
    assert_eq!(refused, BeginRefusal::BudgetRevoked(wallet));
}

#[tokio::test]
async fn a_budget_that_lasts_for_a_time_ends_that_long_after_its_first_creation() {
    let (ledger, wallet, clock) = ledger(Budget::total(sat(100))).await;
    let hour = Duration::from_secs(3_600);
    let create = async || {
        let limits = Budget::total(sat(10)).lasting(hour);
        ledger.create_budget(&wallet, "a", limits).await
    };
    let path = create().await.unwrap();
    let end = Some(START.saturating_add(hour));
    clock.advance(hour / 2);
    assert_eq!(create().await.unwrap(), path);
    assert_eq!(ledger.budget(&path).unwrap().expires_at, end);
    clock.advance(hour / 2);
    create().await.unwrap();
    let expired = refusal(ledger.begin(exactly("wallet/a", 1, sat(1))).await);
    assert_eq!(expired, BeginRefusal::BudgetExpired(path));
    let longer = Budget::total(sat(10)).lasting(hour * 2);
    let conflict = ledger.create_budget(&wallet, "a", longer).await;
    assert_eq!(conflict.unwrap_err().kind(), LedgerErrorKind::Conflict);
}

#[tokio::test]
async fn a_child_ends_with_its_parent_and_a_revoked_budget_pays_nothing_below_it() {
    let (ledger, wallet, clock) = ledger(Budget::total(sat(100))).await;
    let end = START.saturating_add(Duration::from_secs(60));
    let parent = ledger
        .create_budget(&wallet, "a", Budget::without_limits().until(end))
        .await
        .unwrap();
    let child = ledger
        .create_budget(&parent, "b", Budget::without_limits().until(Timestamp::MAX))
        .await
        .unwrap();
    assert_eq!(ledger.budget(&child).unwrap().expires_at, Some(end));
    pay(&ledger, exactly("wallet/a/b", 1, sat(1)))
        .await
        .unwrap();
    clock.set(end);
    let expired = refusal(ledger.begin(exactly("wallet/a/b", 2, sat(1))).await);
    assert_eq!(expired, BeginRefusal::BudgetExpired(parent));
    // Setting the clock back revives nothing.
    clock.set(START);
    let expired = refusal(ledger.begin(exactly("wallet/a/b", 2, sat(1))).await);
    assert_eq!(expired, BeginRefusal::BudgetExpired(path("wallet/a")));

    let revoked = ledger
        .create_budget(&wallet, "c", Budget::without_limits())
        .await
        .unwrap();
    ledger
        .create_budget(&revoked, "d", Budget::without_limits())
        .await
        .unwrap();
    ledger.revoke(&revoked).await.unwrap();
    let refused = refusal(ledger.begin(exactly("wallet/c/d", 3, sat(1))).await);
    assert_eq!(refused, BeginRefusal::BudgetRevoked(revoked));
    let unknown = refusal(ledger.begin(exactly("wallet/x", 4, sat(1))).await);
    assert_eq!(unknown, BeginRefusal::UnknownBudget(path("wallet/x")));
}

#[tokio::test]
async fn a_clock_that_is_set_back_opens_no_new_window() {
    let (ledger, _, clock) = ledger(Budget::daily(sat(10))).await;
    let day = Duration::from_secs(86_400);
    clock.set(START.saturating_add(day * 3));
    pay(&ledger, exactly("wallet", 1, sat(10))).await.unwrap();
    for earlier in [START, Timestamp::default(), START.saturating_add(day * 3)] {
        clock.set(earlier);
        let refused = pay(&ledger, exactly("wallet", 2, sat(1))).await;
        assert_eq!(over(refused), ("wallet".to_owned(), LimitKind::Window(day)));
    }
    // The true time must pass.
    clock.set(START.saturating_add(day * 4 - Duration::from_secs(1)));
    over(pay(&ledger, exactly("wallet", 2, sat(1))).await);
    clock.set(START.saturating_add(day * 4 + day / 60));
    pay(&ledger, exactly("wallet", 2, sat(10))).await.unwrap();
}

#[tokio::test]
async fn a_clock_set_ahead_opens_one_window_early_and_none_when_it_is_set_back() {
    let (ledger, _, clock) = ledger(Budget::daily(sat(10))).await;
    let day = Duration::from_secs(86_400);
    pay(&ledger, exactly("wallet", 1, sat(10))).await.unwrap();
    clock.advance(day / 2);
    over(pay(&ledger, exactly("wallet", 2, sat(1))).await);
    clock.advance(day);
    pay(&ledger, exactly("wallet", 2, sat(10))).await.unwrap();
    clock.set(START.saturating_add(day));
    over(pay(&ledger, exactly("wallet", 3, sat(1))).await);
}

#[tokio::test]
async fn what_is_in_flight_counts_in_every_window_however_long_ago_it_was_sent() {
    let (ledger, _, clock) = ledger(Budget::daily(sat(10))).await;
    let id = ledger
        .begin(exactly("wallet", 1, sat(10)))
        .await
        .unwrap()
        .id;
    ledger.in_flight(id).await.unwrap();
    clock.advance(Duration::from_secs(30 * 86_400));
    over(pay(&ledger, exactly("wallet", 2, sat(1))).await);
    // It counts from the moment at which it was known to be paid.
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    clock.advance(Duration::from_secs(86_399));
    over(pay(&ledger, exactly("wallet", 2, sat(1))).await);
}

#[tokio::test]
async fn small_payments_to_many_names_of_one_domain_reach_its_limit() {
    let (ledger, _, _) = ledger(Budget::total(sat(1_000)).per_host(sat(5))).await;
    let of = |number: u32, host: &str| NewPayment {
        origin: format!("https://{number}.shop.example"),
        host: host.to_owned(),
        ..exactly("wallet", number, sat(1))
    };
    for number in 0..5 {
        pay(&ledger, of(number, "shop.example")).await.unwrap();
    }
    let refused = over(pay(&ledger, of(5, "shop.example")).await);
    assert_eq!(refused, ("wallet".to_owned(), LimitKind::PerHost));
    pay(&ledger, of(6, "other.example")).await.unwrap();
}

#[tokio::test]
async fn other_limits_of_the_outermost_budget_apply_to_what_was_spent_before() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(100))).await;
    pay(&ledger, exactly("wallet", 1, sat(10))).await.unwrap();
    ledger.begin(exactly("wallet", 2, sat(5))).await.unwrap();
    ledger
        .set_root(&wallet, Budget::daily(sat(16)).per_host(sat(10)))
        .await
        .unwrap();
    let state = ledger.budget(&wallet).unwrap();
    assert_eq!(
        (state.spent, state.reserved, state.remaining),
        (sat(10), sat(5), Some(sat(1)))
    );
    over(pay(&ledger, exactly("wallet", 3, sat(2))).await);
    let same_host = NewPayment {
        host: "host1.example".to_owned(),
        ..exactly("wallet", 4, sat(1))
    };
    assert_eq!(over(pay(&ledger, same_host).await).1, LimitKind::PerHost);
}

#[tokio::test]
async fn a_payment_that_leaves_less_than_a_fifth_of_a_limit_says_so_once() {
    let (ledger, _, _) = ledger(Budget::total(sat(100)).per_day(sat(1_000))).await;
    let nearly = async |number, amount| {
        ledger
            .begin(exactly("wallet", number, sat(amount)))
            .await
            .unwrap()
            .nearly_used_up
    };
    assert!(nearly(1, 79).await.is_empty());
    let [told] = &nearly(2, 1).await[..] else {
        panic!("one limit")
    };
    assert_eq!((told.kind, told.limit), (LimitKind::Total, sat(100)));
    assert!(nearly(3, 1).await.is_empty());
}

#[tokio::test]
async fn a_full_ledger_begins_nothing_and_the_largest_amounts_do_not_overflow() {
    let one = std::num::NonZeroUsize::MIN;
    let ledger = Ledger::in_memory_with(LedgerOptions::new().capacity(one));
    let wallet = path("wallet");
    ledger
        .set_root(&wallet, Budget::without_limits())
        .await
        .unwrap();
    let most = Amount::from_msat(u64::MAX);
    let largest = NewPayment {
        max_fee: most,
        ..exactly("wallet", 1, most)
    };
    ledger.begin(largest.clone()).await.unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, most);
    match ledger.begin(exactly("wallet", 2, sat(1))).await {
        Err(BeginError::Ledger(error)) => assert_eq!(error.kind(), LedgerErrorKind::Full),
        other => panic!("{other:?}"),
    }
    let limited = Ledger::in_memory();
    limited
        .set_root(&wallet, Budget::total(most))
        .await
        .unwrap();
    assert!(matches!(
        refusal(limited.begin(largest).await),
        BeginRefusal::OverBudget(_)
    ));
}
