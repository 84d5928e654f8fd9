//! A payer that counts what it paid, and can be made to stop at each step or to lie.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tower_x402::{
    Amount, DialectName, Invoice, Network, PaymentHash, Preimage,
    client::{Policy, Wallet, WalletBuilder},
    clock::{TestClock, Timestamp},
    ledger::{Budget, Entry, Ledger, LedgerOptions},
    lightning::{
        BoxFuture, LocalNode, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile,
        PaymentStatus,
    },
};

pub(crate) const NOW: u64 = 1_790_000_000;

pub(crate) const fn sat(sat: u32) -> Amount {
    Amount::from_sat(sat)
}

/// A false report of a payment that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The preimage of another payment.
    FalsePreimage,
    /// No preimage at all, which an adapter cannot express as a payment.
    NoPreimage,
    /// It does not know what it paid, or was asked to pay.
    Unknown,
}

/// A wallet's node, which is also the node that made the invoices, with an account of its own.
#[derive(Clone, Debug)]
pub(crate) struct Bank {
    pub(crate) node: LocalNode,
    pub(crate) clock: TestClock,
    account: Arc<Mutex<Vec<(PaymentHash, Amount)>>>,
    asked: Arc<AtomicUsize>,
    pub(crate) report: Arc<Mutex<Option<Report>>>,
    pub(crate) network: Network,
    pub(crate) keeps_fee_limit: bool,
    /// What it takes for itself for each payment.
    pub(crate) fee: Amount,
}

impl Bank {
    pub(crate) fn new() -> Self {
        let clock = TestClock::at(Timestamp::from_unix_seconds(NOW));
        Self {
            node: LocalNode::new().with_clock(clock.clone()),
            clock,
            account: Arc::default(),
            asked: Arc::default(),
            report: Arc::default(),
            network: Network::Regtest,
            keeps_fee_limit: true,
            fee: Amount::ZERO,
        }
    }

    /// Another wallet's node, at the same time.
    pub(crate) fn another(&self) -> Self {
        Self {
            node: LocalNode::new().with_clock(self.clock.clone()),
            clock: self.clock.clone(),
            ..Self::new()
        }
    }

    /// Everything that it paid, with fees, each payment once.
    pub(crate) fn paid(&self) -> u64 {
        let account = self.account.lock().unwrap();
        account.iter().map(|(_, amount)| amount.as_msat()).sum()
    }

    /// How many payments it made.
    pub(crate) fn payments(&self) -> usize {
        self.account.lock().unwrap().len()
    }

    /// How often it was asked to pay.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn lies(&self, report: impl Into<Option<Report>>) {
        *self.report.lock().unwrap() = report.into();
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::in_memory_with(LedgerOptions::new().clock(self.clock.clone()))
    }

    /// A wallet with 1,000 sat and no other limit than the policy's.
    pub(crate) fn builder(&self, ledger: &Ledger) -> WalletBuilder {
        Wallet::builder(self.clone())
            .budget(Budget::total(sat(1_000)))
            .clock(self.clock.clone())
            .ledger(ledger.clone())
            .policy(Policy::new().max_fee(sat(1)))
    }

    pub(crate) async fn wallet(&self, ledger: &Ledger) -> Wallet {
        self.builder(ledger).build().await.unwrap()
    }

    /// A wallet that pays in one dialect.
    pub(crate) async fn wallet_of(&self, ledger: &Ledger, dialect: DialectName) -> Wallet {
        let builder = self.builder(ledger).dialects([dialect]);
        builder.build().await.unwrap()
    }

    /// Whether a payment is on its way.
    pub(crate) async fn is_sent(&self, hash: PaymentHash) -> bool {
        let status = self.node.lookup_payment(hash).await;
        matches!(status, Ok(PaymentStatus::InFlight))
    }

    /// Notes a payment that arrived.
    pub(crate) fn settled(&self, hash: PaymentHash, amount: Amount) {
        let mut account = self.account.lock().unwrap();
        if !account.iter().any(|(known, _)| *known == hash) {
            account.push((hash, amount.checked_add(self.fee).unwrap()));
        }
    }

    fn reported(&self, status: PaymentStatus) -> Result<PaymentStatus, NodeError> {
        let PaymentStatus::Paid { preimage, .. } = status else {
            return Ok(status);
        };
        match *self.report.lock().unwrap() {
            None => Ok(PaymentStatus::Paid {
                preimage,
                fee: self.fee,
            }),
            Some(Report::FalsePreimage) => Ok(PaymentStatus::Paid {
                preimage: Preimage::from_bytes([9; 32]),
                fee: self.fee,
            }),
            Some(Report::NoPreimage) => {
                let why = "expected a preimage";
                Err(NodeError::new(NodeErrorKind::BadAnswer, "the bank", why).maybe_paid())
            }
            Some(Report::Unknown) => Ok(PaymentStatus::Unknown),
        }
    }
}

impl Payer for Bank {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(
            Payer::profile(&self.node).id,
            self.network,
            self.keeps_fee_limit,
        )
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        limits: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let status = Payer::pay(&self.node, invoice, limits).await;
            // What was lost on the way back was paid all the same.
            let known = self.node.lookup_payment(invoice.payment_hash()).await;
            if matches!(known, Ok(PaymentStatus::Paid { .. })) {
                self.settled(invoice.payment_hash(), invoice.amount().unwrap());
            }
            tokio::task::yield_now().await;
            self.reported(status?)
        })
    }

    fn lookup_payment(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.reported(self.node.lookup_payment(payment_hash).await?)
        })
    }
}

/// Everything in a ledger.
pub(crate) fn entries(ledger: &Ledger) -> Vec<Entry> {
    ledger.entries(None).unwrap()
}
