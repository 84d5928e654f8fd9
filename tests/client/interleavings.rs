//! Any order of requests, failures, kills and restarts keeps every budget, and the ledger's sum is
//! what the payer says it paid.

use std::task::{Context, Waker};

use proptest::prelude::*;
use tower::ServiceExt as _;
use tower_x402::{
    Amount,
    client::Wallet,
    ledger::{Budget, EntryState, Ledger},
    lightning::Payments,
};

use crate::{
    bank::{Bank, Report, entries, sat},
    hostile::{invoice, is_paid, l402},
    stall::{Client, answer, client, get},
};

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Begins a request from one of the budgets.
    Ask {
        child: usize,
        page: u8,
    },
    /// Polls one of the requests under way.
    Poll {
        which: usize,
        times: u8,
    },
    /// Drops one of the requests under way.
    Drop {
        which: usize,
    },
    /// Drops all of them, and builds the wallet anew over the same ledger.
    Restart,
    /// What the payer does from now on.
    Payments(Payments),
    Report(Option<Report>),
    /// The payer ends what is in flight.
    End {
        is_paid: bool,
    },
    Recover,
    Clock {
        seconds: u64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let payments = [
        Payments::Fail,
        Payments::LoseAnswer,
        Payments::StayInFlight,
        Payments::Succeed,
    ];
    let reports = [None, Some(Report::NoPreimage), Some(Report::FalsePreimage)];
    let act = prop_oneof![
        6 => (0..4_usize, 0..6_u8).prop_map(|(child, page)| Act::Ask { child, page }),
        12 => (0..8_usize, 1..12_u8).prop_map(|(which, times)| Act::Poll { which, times }),
        2 => (0..8_usize).prop_map(|which| Act::Drop { which }),
        1 => Just(Act::Restart),
        2 => prop::sample::select(payments.to_vec()).prop_map(Act::Payments),
        1 => prop::sample::select(reports.to_vec()).prop_map(Act::Report),
        2 => any::<bool>().prop_map(|is_paid| Act::End { is_paid }),
        1 => Just(Act::Recover),
        1 => (0..200_u64).prop_map(|seconds| Act::Clock { seconds }),
    ];
    prop::collection::vec(act, 1..80)
}

/// A wallet, a child of 12 sat, one of 9 sat, and a grandchild of 6 sat: clients of each.
async fn clients(bank: &Bank, ledger: &Ledger) -> (Wallet, Vec<Client>) {
    let root = bank
        .builder(ledger)
        .budget(Budget::total(sat(16)).per_host(sat(14)));
    let root = root.build().await.unwrap();
    let a = root.child("a", Budget::total(sat(12))).await.unwrap();
    let b = root.child("b", Budget::total(sat(9))).await.unwrap();
    let leaf = a.child("leaf", Budget::total(sat(6))).await.unwrap();
    let node = bank.node.clone();
    let shop = move |request: http::Request<_>| {
        let node = node.clone();
        async move {
            // Some pages refuse what was paid, some answer that they failed.
            match (is_paid(&request), request.uri().path()) {
                (true, "/0") => answer(500),
                (true, "/1") | (false, _) => l402(&invoice(&node, sat(2)).await),
                (true, _) => answer(200),
            }
        }
    };
    let all = [&root, &a, &b, &leaf].map(|wallet| client(wallet, shop.clone()).0);
    (root, all.into())
}

/// Every budget holds, and the ledger neither forgets nor invents a payment.
fn check(bank: &Bank, ledger: &Ledger) {
    for path in ledger.budgets().unwrap() {
        let state = ledger.budget(&path).unwrap();
        let limit = state.limits.total_limit().unwrap();
        let taken = state.spent.checked_add(state.reserved).unwrap();
        assert!(taken <= limit, "{path}: {state:?}");
    }
    let entries = entries(ledger);
    let sum = |states: &[EntryState]| -> u64 {
        let own = entries
            .iter()
            .filter(|entry| states.contains(&entry.state()));
        own.map(|entry| entry.amount().as_msat() + entry.fee().unwrap_or_default().as_msat())
            .sum()
    };
    use EntryState as S;
    let known = sum(&[S::Paid, S::Redeemed, S::Refused]);
    let perhaps = sum(&[S::Sent, S::InFlight, S::Unproved]);
    assert!(known <= bank.paid(), "{known} of {}", bank.paid());
    assert!(
        bank.paid() <= known + perhaps,
        "{} of {known} + {perhaps}",
        bank.paid()
    );
}

async fn run(acts: Vec<Act>) {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let (mut wallet, mut all) = clients(&bank, &ledger).await;
    let mut under_way = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    for act in acts {
        match act {
            Act::Ask { child, page } if under_way.len() < 8 => {
                let url = format!("https://h{}.example/{page}", page % 3);
                under_way.push(Box::pin(all[child].clone().oneshot(get(&url))));
            }
            Act::Ask { .. } => {}
            Act::Poll { which, times } => {
                for _ in 0..times {
                    let Some(asking) = under_way.get_mut(which) else {
                        break;
                    };
                    if asking.as_mut().poll(&mut cx).is_ready() {
                        drop(under_way.remove(which));
                        break;
                    }
                }
            }
            Act::Drop { which } => {
                if which < under_way.len() {
                    drop(under_way.remove(which));
                }
            }
            Act::Restart => {
                under_way.clear();
                (wallet, all) = clients(&bank, &ledger).await;
            }
            Act::Payments(payments) => bank.node.payments(payments),
            Act::Report(report) => bank.lies(report),
            Act::End { is_paid } => {
                for entry in entries(&ledger) {
                    let hash = entry.payment_hash();
                    if !is_paid {
                        bank.node.fail_payment(hash);
                    } else if entry.state() == EntryState::InFlight && bank.is_sent(hash).await {
                        bank.node.settle(hash).unwrap();
                        bank.settled(hash, entry.amount());
                    }
                }
            }
            Act::Recover => drop(wallet.recover().await.unwrap()),
            Act::Clock { seconds } => bank.clock.advance(std::time::Duration::from_secs(seconds)),
        }
        check(&bank, &ledger);
    }

    // In the end everything is known, and the sums are equal.
    under_way.clear();
    bank.lies(None);
    for entry in entries(&ledger) {
        bank.node.fail_payment(entry.payment_hash());
    }
    bank.clock.advance(std::time::Duration::from_secs(3_600));
    wallet.recover().await.unwrap();
    check(&bank, &ledger);
    let root = wallet.budget().unwrap();
    assert_eq!(root.reserved, Amount::ZERO, "{:?}", entries(&ledger));
    let unproved = entries(&ledger)
        .into_iter()
        .filter(|entry| entry.state() == EntryState::Unproved);
    let fees: u64 = unproved.map(|entry| entry.max_fee().as_msat()).sum();
    assert_eq!(root.spent.as_msat(), bank.paid() + fees);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_keeps_every_budget_and_the_sum_of_what_was_paid(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(run(acts));
    }
}
