//! The payer is asked about what was given up: when it must be, and not for long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tower_x402::{
    Amount, Charge, Invoice, PaymentHash,
    client::{Decision, PayErrorKind, Policy, Wallet, approve_fn},
    ledger::{Budget, Ledger},
    lightning::{BoxFuture, NodeError, PayLimits, Payer, PayerProfile, PaymentStatus, Payments},
};

use crate::{
    bank::{Bank, entries, sat},
    hostile, shop,
    stall::{ask, client, get},
};

/// A bank that answers no look-up, or takes its time for each.
#[derive(Clone, Debug)]
struct Slow {
    bank: Bank,
    is_silent: Arc<AtomicBool>,
    /// By how much a look-up takes the clock forward.
    takes: Duration,
    lookups: Arc<AtomicUsize>,
}

impl Slow {
    fn new(bank: &Bank) -> Self {
        Self {
            bank: bank.clone(),
            is_silent: Arc::default(),
            takes: Duration::ZERO,
            lookups: Arc::default(),
        }
    }

    fn lookups(&self) -> usize {
        self.lookups.swap(0, Ordering::SeqCst)
    }
}

impl Payer for Slow {
    fn profile(&self) -> PayerProfile {
        self.bank.profile()
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        self.bank.pay(invoice, limits)
    }

    fn lookup_payment(&self, hash: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        self.bank.clock.advance(self.takes);
        match self.is_silent.load(Ordering::SeqCst) {
            true => Box::pin(std::future::pending()),
            false => self.bank.lookup_payment(hash),
        }
    }
}

/// A wallet with so much, over a ledger with so many payments in flight, each of a host of its own.
async fn wallet(slow: &Slow, most: Amount, in_flight: usize) -> Wallet {
    let bank = &slow.bank;
    let wallet = Wallet::builder(slow.clone())
        .budget(Budget::total(most))
        .clock(bank.clock.clone())
        .ledger(bank.ledger())
        .policy(Policy::new().max_fee(sat(1)));
    let wallet = wallet.build().await.unwrap();
    bank.node.payments(Payments::StayInFlight);
    let (paying, _) = client(&wallet, hostile::sells(&bank.node, sat(10)));
    for number in 0..in_flight {
        let url = format!("https://host{number}.example/");
        let error = ask(&paying, get(&url)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::InFlight);
    }
    bank.node.payments(Payments::Succeed);
    wallet
}

#[tokio::test(start_paused = true)]
async fn money_that_is_reserved_for_calls_that_were_given_up_is_asked_about_before_a_refusal() {
    let slow = Slow::new(&Bank::new());
    let wallet = wallet(&slow, sat(22), 2).await;
    let (paying, _) = client(&wallet, hostile::sells(&slow.bank.node, sat(10)));
    let ask = async |path: &str| ask(&paying, get(&format!("https://c.example/{path}"))).await;
    slow.lookups();
    let refused = ask("a").await.unwrap_err();
    assert_eq!(refused.kind(), PayErrorKind::NotPaid);
    assert_eq!(slow.lookups(), 3, "the invoice's and those of both");

    for entry in entries(wallet.ledger()) {
        slow.bank.node.fail_payment(entry.payment_hash());
    }
    // It was asked just before.
    assert!(ask("a").await.is_err());
    assert_eq!(slow.lookups(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    let answer = ask("a").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(wallet.budget().unwrap().reserved, Amount::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_payer_that_does_not_answer_delays_the_first_payment_once_and_not_for_each_entry() {
    let slow = Slow::new(&Bank::new());
    let wallet = wallet(&slow, sat(1_000), 20).await;
    slow.is_silent.store(true, Ordering::SeqCst);
    slow.lookups();
    let begin = tokio::time::Instant::now();
    let recovered = wallet.recover().await.unwrap();
    assert_eq!((recovered.unresolved, slow.lookups()), (8, 8));
    assert!(begin.elapsed() <= Duration::from_secs(31));

    // Another process, over the same ledger.
    let again = Wallet::builder(slow.clone())
        .budget(Budget::total(sat(1_000)))
        .clock(slow.bank.clock.clone())
        .ledger(wallet.ledger().clone());
    let again = again.build().await.unwrap();
    let (paying, _) = client(&again, hostile::sells(&slow.bank.node, sat(10)));
    let begin = tokio::time::Instant::now();
    let error = ask(&paying, get(shop::URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::PaymentFailed);
    assert_eq!(slow.lookups(), 9, "some, and the invoice's");
    assert!(begin.elapsed() <= Duration::from_secs(61));
}

#[tokio::test]
async fn an_invoice_that_ran_out_while_the_payer_was_asked_is_not_paid() {
    let mut slow = Slow::new(&Bank::new());
    slow.takes = Duration::from_secs(299);
    let wallet = wallet(&slow, sat(1_000), 0).await;
    let (paying, _) = client(
        &wallet,
        shop::sells(&slow.bank, shop::ALL, Charge::new(sat(10))),
    );
    let error = ask(&paying, get(shop::URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert_eq!(slow.bank.asked(), 0);
    assert_eq!(wallet.budget().unwrap().reserved, Amount::ZERO);
}

#[tokio::test]
async fn a_budget_that_is_revoked_while_the_approver_decides_pays_nothing() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let revokes = ledger.clone();
    let builder = bank.builder(&ledger).approver(approve_fn(move |request| {
        let (ledger, budget) = (revokes.clone(), request.budget.clone());
        async move {
            ledger.revoke(&budget).await.unwrap();
            Decision::Approve
        }
    }));
    let wallet = builder.build().await.unwrap();
    let (paying, _) = client(&wallet, shop::sells(&bank, shop::ALL, Charge::new(sat(10))));
    let error = ask(&paying, get(shop::URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::Ledger, "{error}");
    assert_eq!(
        (bank.asked(), wallet.budget().unwrap().reserved),
        (0, Amount::ZERO)
    );
}

/// A bank that says what it paid when the ledger takes no note of it any more.
#[derive(Clone, Debug)]
struct TooLate {
    bank: Bank,
    ledger: Ledger,
}

impl Payer for TooLate {
    fn profile(&self) -> PayerProfile {
        self.bank.profile()
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        self.bank.pay(invoice, limits)
    }

    fn lookup_payment(&self, hash: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            for entry in entries(&self.ledger) {
                self.ledger.failed(entry.id(), "a test").await.unwrap();
            }
            self.bank.lookup_payment(hash).await
        })
    }
}

#[tokio::test]
async fn a_payment_that_is_found_and_cannot_be_written_down_is_an_error_and_not_paid_again() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let late = TooLate {
        bank: bank.clone(),
        ledger: ledger.clone(),
    };
    let wallet = Wallet::builder(late)
        .budget(Budget::total(sat(100)))
        .clock(bank.clock.clone())
        .ledger(ledger.clone());
    let wallet = wallet.build().await.unwrap();
    let (paying, seen) = client(&wallet, hostile::sells(&bank.node, sat(10)));
    bank.node.payments(Payments::StayInFlight);
    let error = ask(&paying, get(shop::URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    bank.node
        .settle(entries(&ledger)[0].payment_hash())
        .unwrap();
    let requests = seen.lock().unwrap().len();
    let error = ask(&paying, get(shop::URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::Ledger, "{error}");
    assert_eq!((seen.lock().unwrap().len(), bank.asked()), (requests, 1));
}
