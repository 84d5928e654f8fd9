//! A clock that was far ahead, and its repair.

use std::sync::Arc;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn open(folder: &tempfile::TempDir, clock: &TestClock) -> Ledger {
    let options = LedgerOptions::new().clock(clock.clone());
    Ledger::open_with(folder.path(), options).unwrap()
}

async fn pay(ledger: &Ledger, number: u32) -> Result<(), BeginError> {
    let wallet = BudgetPath::root("wallet").unwrap();
    let id = ledger.begin(payment(&wallet, number)).await?.id;
    ledger.paid(id, preimage(number), sat(1)).await?;
    ledger.redeemed(id, 200);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_closes_a_budget_until_a_person_repairs_the_ledger() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::at(START));
    let ledger = open(&folder, &clock);
    let wallet = BudgetPath::root("wallet").unwrap();
    let limits = Budget::daily(sat(22)).until(START.saturating_add(DAY * 300));
    ledger.set_root(&wallet, limits).await.unwrap();
    pay(&ledger, 1).await.unwrap();
    clock.advance(DAY * 299);
    // One that stays and one whose sums are carried, both in the false future.
    pay(&ledger, 2).await.unwrap();
    pay(&ledger, 3).await.unwrap();
    let task = ledger.create_budget(&wallet, "task", Budget::without_limits());
    let task = task.await.unwrap();
    // The steps before were written before this one.
    clock.advance(DAY * 2);
    ledger.revoke(&task).await.unwrap();
    assert_eq!(ledger.forget_before(clock.now()).await.unwrap(), 3);
    let income = crate::payment::PaymentReceipt::for_tests(sat(5));
    ledger.record_income(&income).await.unwrap();
    drop(ledger);

    let now = START.saturating_add(DAY / 2);
    clock.set(now);
    let ledger = open(&folder, &clock);
    let seen = ledger.budget(&wallet).unwrap();
    assert_eq!(seen.spent, sat(33));
    let closed = refusal(pay(&ledger, 4).await.map(|()| panic!("it is closed")));
    assert!(matches!(closed, BeginRefusal::OverBudget(_)), "{closed}");
    drop(ledger);

    let repair = |to| Ledger::repair_clock_with(folder.path(), to, Arc::new(clock.clone()));
    for wrong in [START, now.saturating_add(Duration::from_secs(601))] {
        assert_eq!(repair(wrong).unwrap_err().kind(), LedgerErrorKind::Invalid);
    }
    repair(now).unwrap();
    let ledger = open(&folder, &clock);
    // What was spent in the false future counts from now on for a whole day.
    for moment in [now, now.saturating_add(DAY - Duration::from_secs(1))] {
        clock.set(moment);
        let over = refusal(pay(&ledger, 5).await.map(|()| panic!("it is used up")));
        assert!(matches!(over, BeginRefusal::OverBudget(_)), "{over}");
    }
    clock.set(now.saturating_add(DAY + DAY / 30));
    pay(&ledger, 5).await.unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().spent, sat(44));
    drop(ledger);
    let ledger = open(&folder, &clock);
    assert_eq!(ledger.budget(&wallet).unwrap().spent, sat(44));
}

#[tokio::test]
async fn a_repair_with_a_clock_that_is_right_changes_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::at(START));
    let ledger = open(&folder, &clock);
    let wallet = BudgetPath::root("wallet").unwrap();
    ledger
        .set_root(&wallet, Budget::daily(sat(22)))
        .await
        .unwrap();
    pay(&ledger, 1).await.unwrap();
    let held = Ledger::repair_clock_with(folder.path(), START, Arc::new(clock.clone()));
    assert_eq!(held.unwrap_err().kind(), LedgerErrorKind::Unavailable);
    clock.advance(DAY / 2);
    let before = (ledger.budget(&wallet).unwrap(), ledger.totals().unwrap());
    drop(ledger);
    Ledger::repair_clock_with(folder.path(), clock.now(), Arc::new(clock.clone())).unwrap();
    let ledger = open(&folder, &clock);
    let after = (ledger.budget(&wallet).unwrap(), ledger.totals().unwrap());
    assert_eq!(before, after);
}
