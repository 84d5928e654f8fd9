//! A node with an adapter that keeps its contract, or breaks one rule of it.

use std::{
    future::pending,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tower_x402::{
    Amount, Invoice, PaymentHash, Preimage,
    lightning::{
        BoxFuture, InvoiceRequest, InvoiceStatus, LocalNode, NodeError, NodeErrorKind, PayLimits,
        Payer, PayerProfile, PaymentStatus, Payments, Receiver, ReceiverProfile,
        conformance::{Fault, Faults},
    },
};

use super::rule::Broken;

/// A node, which outlives its adapters. Clones are the same node.
#[derive(Clone, Debug)]
pub(super) struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    local: LocalNode,
    broken: Option<Broken>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    /// What an adapter promised not to pay, but asked the node to pay later.
    queued: Vec<Invoice>,
    /// Each payment in flight, and what lives as long as the adapter that began it.
    in_flight: Vec<(PaymentHash, Weak<Mutex<bool>>)>,
    was_down: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Adapter {
    node: Node,
    is_dead: Arc<Mutex<bool>>,
}

/// The broken node's own time limit, after which it guesses.
const LIMIT: Duration = Duration::from_secs(30);
const NAME: &str = "the broken node";
const FEE: Amount = Amount::from_msat(7);

impl Node {
    pub(super) fn new(broken: impl Into<Option<Broken>>) -> Self {
        Self(Arc::new(Inner {
            local: LocalNode::new(),
            broken: broken.into(),
            state: Mutex::default(),
        }))
    }

    pub(super) fn adapter(&self) -> Adapter {
        Adapter {
            node: self.clone(),
            is_dead: Arc::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.0.state.lock().unwrap().faults.contains(&fault)
    }

    fn is(&self, broken: Broken) -> bool {
        self.0.broken == Some(broken)
    }

    fn fee(&self) -> Amount {
        match self.is(Broken::FeeIsFree) {
            true => Amount::ZERO,
            false => FEE,
        }
    }

    /// The preimage as the node tells it, if it tells one.
    fn told(&self, invoice: &str, preimage: &Preimage) -> Option<String> {
        let state = self.0.state.lock().unwrap();
        match state.faults.last() {
            Some(Fault::NoPreimage) => None,
            Some(Fault::WrongPreimage) => Some("cd".repeat(32)),
            Some(Fault::InvoiceAsPreimage) => Some(invoice.to_owned()),
            _ => Some(preimage.expose_hex()),
        }
    }
}

fn unreachable() -> NodeError {
    NodeError::new(NodeErrorKind::Unreachable, NAME, "no answer")
}

fn bad(why: &str) -> NodeError {
    NodeError::new(NodeErrorKind::BadAnswer, NAME, why)
}

impl Adapter {
    fn is(&self, broken: Broken) -> bool {
        self.node.is(broken)
    }

    fn guesses_in_silence(&self) -> bool {
        use Broken::{SilentGuessesInvoices, SilentGuessesPayments, SilentIsReady};
        let guesses = [SilentGuessesInvoices, SilentGuessesPayments, SilentIsReady];
        guesses.map(Some).contains(&self.node.0.broken)
    }

    /// Asks the node, which may not answer.
    async fn ask(&self) -> Result<(), NodeError> {
        if self.node.has(Fault::Down) {
            *self.is_dead.lock().unwrap() = self.is(Broken::DownForever);
            if self.is(Broken::DownIsRefused) {
                return Err(NodeError::new(NodeErrorKind::Refused, NAME, "no"));
            }
            return Err(unreachable());
        }
        if self.node.has(Fault::Silence) {
            if self.guesses_in_silence() {
                tokio::time::sleep(LIMIT).await;
                return Err(unreachable());
            }
            pending::<()>().await;
        }
        match *self.is_dead.lock().unwrap() {
            true => Err(unreachable()),
            false => Ok(()),
        }
    }

    fn paid(&self, invoice: &str, hash: PaymentHash, raw: &Preimage) -> Outcome {
        let told = self.node.told(invoice, raw);
        let fee = self.node.fee();
        match told.as_deref().and_then(Preimage::from_hex) {
            Some(preimage) if hash.is_of(&preimage) => Ok(PaymentStatus::Paid { preimage, fee }),
            Some(preimage) if self.is(Broken::PreimageIsBelieved) => {
                Ok(PaymentStatus::Paid { preimage, fee })
            }
            _ if self.is(Broken::LieIsSure) => Err(bad("expected the preimage")),
            _ if self.is(Broken::LieIsRefused) => {
                Err(NodeError::new(NodeErrorKind::Refused, NAME, "no").maybe_paid())
            }
            _ if self.is(Broken::ErrorRepeats) => {
                Err(bad(&format!("not a preimage: {told:?}")).maybe_paid())
            }
            _ => Err(bad("expected the preimage").maybe_paid()),
        }
    }

    async fn send(&self, invoice: &Invoice, limits: PayLimits) -> Outcome {
        let hash = invoice.payment_hash();
        if self.node.has(Fault::Down) {
            if self.is(Broken::DownPaysLater) {
                self.node
                    .0
                    .state
                    .lock()
                    .unwrap()
                    .queued
                    .push(invoice.clone());
            }
            if self.is(Broken::DownFails) {
                return Ok(PaymentStatus::Failed);
            }
        }
        if self.node.has(Fault::Silence) {
            if self.is(Broken::SilentPaysLater) {
                self.node
                    .0
                    .state
                    .lock()
                    .unwrap()
                    .queued
                    .push(invoice.clone());
                return Err(unreachable());
            }
            if self.is(Broken::SilentFails) {
                return Ok(PaymentStatus::Failed);
            }
            if !self.is(Broken::SilentForever) {
                tokio::time::sleep(limits.time).await;
                return Err(unreachable().maybe_paid());
            }
        }
        self.ask().await?;
        if self.is(Broken::ExpiredIsPaid) {
            self.node.0.local.settle(hash)?;
        }
        let (mut fee, max_fee) = (self.node.fee(), limits.max_fee);
        if self.is(Broken::FeeLimitIncludesMore) {
            fee = Amount::from_msat(fee.as_msat() - 1);
        }
        if fee > max_fee && !self.is(Broken::FeeLimitIgnored) {
            return match self.is(Broken::FeeInDoubt) {
                true => Err(bad("too expensive").maybe_paid()),
                false => Ok(PaymentStatus::Failed),
            };
        }
        let status = self.node.0.local.pay(invoice, limits).await?;
        if self.node.has(Fault::LostAnswers) {
            return match self.node.0.broken {
                Some(Broken::LostIsSure) => Err(unreachable()),
                Some(Broken::LostFails) => Ok(PaymentStatus::Failed),
                _ => Err(unreachable().maybe_paid()),
            };
        }
        match status {
            PaymentStatus::InFlight => {
                let adapter = Arc::downgrade(&self.is_dead);
                self.node
                    .0
                    .state
                    .lock()
                    .unwrap()
                    .in_flight
                    .push((hash, adapter));
                match self.is(Broken::PendingIsSure) {
                    true => Err(unreachable()),
                    false => Ok(status),
                }
            }
            PaymentStatus::Paid { preimage, .. } => self.paid(invoice.as_str(), hash, &preimage),
            status => Ok(status),
        }
    }
}

type Outcome = Result<PaymentStatus, NodeError>;

impl Receiver for Adapter {
    fn profile(&self) -> ReceiverProfile {
        Receiver::profile(&self.node.0.local)
    }

    fn create_invoice(
        &self,
        mut request: InvoiceRequest,
    ) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            let asked = self.ask().await;
            if self.is(Broken::DownInDoubt) {
                asked.map_err(NodeError::maybe_paid)?;
            } else {
                asked?;
            }
            let amount = request.amount;
            if self.node.has(Fault::OtherAmount) {
                request.amount = Amount::from_msat(amount.as_msat() + 1_000);
            }
            let made = self.node.0.local.create_invoice(request).await?;
            if made.amount() != Some(amount) && !self.is(Broken::AmountIsBelieved) {
                return Err(bad("expected the amount"));
            }
            Ok(made)
        })
    }

    fn lookup_invoice(&self, hash: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            match self.ask().await {
                Err(_)
                    if self.is(Broken::DownGuessesInvoices)
                        || self.is(Broken::SilentGuessesInvoices) =>
                {
                    return Ok(InvoiceStatus::Unknown);
                }
                asked => asked?,
            }
            if self.node.has(Fault::OtherHash) {
                return match self.is(Broken::HashIsBelieved) {
                    true => Ok(InvoiceStatus::Settled),
                    false => Err(bad("expected the invoice that was asked for")),
                };
            }
            let was_down = self.node.0.state.lock().unwrap().was_down;
            Ok(match self.node.0.local.lookup_invoice(hash).await? {
                InvoiceStatus::Open if was_down && self.is(Broken::DownForgetsInvoices) => {
                    InvoiceStatus::Unknown
                }
                InvoiceStatus::Unknown if self.is(Broken::InvoiceUnknownIsOpen) => {
                    InvoiceStatus::Open
                }
                InvoiceStatus::Expired if self.is(Broken::ExpiredIsOpen) => InvoiceStatus::Open,
                status => status,
            })
        })
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move {
            self.ask()
                .await
                .or_else(|error| self.is(Broken::SilentIsReady).then_some(()).ok_or(error))
        })
    }
}

impl Payer for Adapter {
    fn profile(&self) -> PayerProfile {
        let another = self.is(Broken::RestartIsAnother).then(LocalNode::new);
        Payer::profile(another.as_ref().unwrap_or(&self.node.0.local))
    }

    fn pay<'a>(&'a self, invoice: &'a Invoice, limits: PayLimits) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(invoice, limits))
    }

    fn lookup_payment(&self, hash: PaymentHash) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let pending = self.node.has(Fault::PendingPayments);
            match self.ask().await {
                Err(_) if !pending && self.is(Broken::DownGuessesPayments) => {
                    return Ok(PaymentStatus::Unknown);
                }
                Err(_) if self.is(Broken::SilentGuessesPayments) => {
                    return Ok(PaymentStatus::Unknown);
                }
                Err(_) if pending && self.is(Broken::KilledGuesses) => {
                    return Ok(PaymentStatus::Failed);
                }
                asked => asked?,
            }
            if self.node.has(Fault::OtherHash) {
                if self.is(Broken::HashIsUnknown) {
                    return Ok(PaymentStatus::Unknown);
                }
                return Err(bad("expected the payment that was asked for").maybe_paid());
            }
            let forgets = self.forgets(hash);
            match self.node.0.local.lookup_payment(hash).await? {
                PaymentStatus::Paid { .. } | PaymentStatus::InFlight if forgets => {
                    Ok(PaymentStatus::Unknown)
                }
                PaymentStatus::Paid { preimage, .. } => {
                    // Its text is not known here.
                    self.paid("lnbcrt", hash, &preimage)
                }
                PaymentStatus::Unknown if self.is(Broken::PaymentUnknownIsFailed) => {
                    Ok(PaymentStatus::Failed)
                }
                status => Ok(status),
            }
        })
    }
}

impl Adapter {
    fn forgets(&self, hash: PaymentHash) -> bool {
        let state = self.node.0.state.lock().unwrap();
        let mut in_flight = state.in_flight.iter();
        let began = in_flight.find(|(other, _)| *other == hash);
        match self.node.0.broken {
            Some(Broken::DownForgetsPayments) => state.was_down,
            Some(Broken::KilledForgets) => state.was_down && began.is_some(),
            Some(Broken::LostIsForgotten) => true,
            Some(Broken::RestartForgets) => began.is_some_and(|(_, by)| by.strong_count() == 0),
            _ => false,
        }
    }
}

impl Faults for Node {
    fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>> {
        Box::pin(async { Arc::new(self.adapter()) as Arc<dyn Receiver> })
    }

    fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>> {
        Box::pin(async { Arc::new(self.adapter()) as Arc<dyn Payer> })
    }

    fn begin(&self, fault: Fault) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if fault == Fault::PendingPayments {
                self.0.local.payments(Payments::StayInFlight);
            }
            let mut state = self.0.state.lock().unwrap();
            state.was_down |= fault == Fault::Down;
            state.faults.push(fault);
        })
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.local.payments(Payments::Succeed);
            let mut state = self.0.state.lock().unwrap();
            state.faults.clear();
            for (hash, _) in &state.in_flight {
                self.0.local.settle(*hash).unwrap();
            }
            for invoice in state.queued.drain(..) {
                self.0.local.settle(invoice.payment_hash()).unwrap();
            }
        })
    }
}
