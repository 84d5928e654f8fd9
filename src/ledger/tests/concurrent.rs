//! Ten thousand payments at once against a thousand budgets.

use std::collections::HashMap;

use super::*;

const GROUPS: u32 = 10;
const TASKS: u32 = 100;
const CALLS: u32 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_payments_at_once_overspend_none_of_a_thousand_budgets() {
    let folder = tempfile::tempdir().unwrap();
    let durable = Ledger::open(folder.path()).unwrap();
    for ledger in [Ledger::in_memory(), durable] {
        // A task may pay 6 times, a group 450 times, the wallet 4,000 times.
        let wallet = BudgetPath::root("wallet").unwrap();
        ledger
            .set_root(&wallet, Budget::total(sat(4_000 * 11)))
            .await
            .unwrap();
        let mut tasks = Vec::new();
        for group in 0..GROUPS {
            let limits = Budget::daily(sat(450 * 11));
            let group = ledger
                .create_budget(&wallet, &group.to_string(), limits)
                .await
                .unwrap();
            for task in 0..TASKS {
                let limits = Budget::total(sat(6 * 11 + 10));
                tasks.push(
                    ledger
                        .create_budget(&group, &task.to_string(), limits)
                        .await
                        .unwrap(),
                );
            }
        }
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..CALLS {
            let (ledger, task) = (
                ledger.clone(),
                tasks[(number % (GROUPS * TASKS)) as usize].clone(),
            );
            calls.spawn(async move {
                let begun = ledger.begin(payment(&task, number)).await;
                let Ok(begun) = begun else {
                    assert!(matches!(refusal(begun), BeginRefusal::OverBudget(_)));
                    return None;
                };
                tokio::task::yield_now().await;
                match number % 3 {
                    0 => ledger
                        .paid(begun.id, preimage(number), sat(1))
                        .await
                        .unwrap(),
                    1 => ledger.in_flight(begun.id).await.unwrap(),
                    _ => {}
                }
                Some(task)
            });
        }
        let paid: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
        assert_eq!(
            paid.len(),
            4_000,
            "all that the wallet has, and nothing more"
        );
        let mut by_budget = HashMap::new();
        for path in paid
            .iter()
            .flat_map(|task| [task.clone(), task.parent().unwrap()])
        {
            *by_budget.entry(path).or_insert(0) += 1;
        }
        for (path, paid) in by_budget {
            assert!(
                paid <= if path.names().count() == 2 { 450 } else { 6 },
                "{path}"
            );
            let state = ledger.budget(&path).unwrap();
            assert_eq!(
                state.spent.checked_add(state.reserved),
                Some(sat(paid * 11))
            );
        }
        let state = ledger.budget(&wallet).unwrap();
        assert_eq!(state.remaining, Some(sat(0)));
    }
    let again = Ledger::open(folder.path()).unwrap();
    let wallet = again.budget(&BudgetPath::root("wallet").unwrap()).unwrap();
    assert_eq!(wallet.spent.checked_add(wallet.reserved), Some(sat(44_000)));
}
