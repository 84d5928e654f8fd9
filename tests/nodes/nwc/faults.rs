//! The faults and lies of a wallet behind a relay, for the public suites.

use std::sync::{Arc, atomic::Ordering};

use tower_x402::lightning::{
    BoxFuture, Payer, Receiver,
    conformance::{self, Faults},
};

use super::{Payments, Set, options::Fault, service::ANY};

impl Set {
    fn lies(&self, fault: Fault) {
        self.receiver.fault(ANY, fault);
        self.payer.fault(ANY, fault);
    }
}

impl Faults for Set {
    fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>> {
        Box::pin(async {
            Arc::new(super::open(&self.receiver.url).await.unwrap()) as Arc<dyn Receiver>
        })
    }

    fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>> {
        Box::pin(async { Arc::new(super::open(&self.payer.url).await.unwrap()) as Arc<dyn Payer> })
    }

    fn begin(&self, fault: conformance::Fault) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match fault {
                conformance::Fault::Down => {
                    self.relay.kill().await;
                    self.is_down.store(true, Ordering::SeqCst);
                }
                conformance::Fault::LostAnswers => self.payer.fault("pay_invoice", Fault::Garbage),
                conformance::Fault::PendingPayments => self.ledger.payments(Payments::StayInFlight),
                conformance::Fault::Silence => {
                    self.lies(Fault::Silent);
                }
                conformance::Fault::InvoiceAsPreimage => self.lies(Fault::InvoiceAsPreimage),
                conformance::Fault::NoPreimage => self.lies(Fault::NoPreimage),
                conformance::Fault::OtherAmount => self.lies(Fault::OtherAmount),
                conformance::Fault::OtherHash => self.lies(Fault::OtherHash),
                conformance::Fault::WrongPreimage => self.lies(Fault::WrongPreimage),
                other => panic!("this test cannot cause {other:?}"),
            }
        })
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.receiver.honest();
            self.payer.honest();
            self.ledger.honest();
            if self.is_down.swap(false, Ordering::SeqCst) {
                self.relay.up().await;
            }
        })
    }
}

/// The time is paused, so that no test waits for the time limits.
#[tokio::test(start_paused = true)]
async fn no_fault_or_lie_of_a_wallet_loses_or_invents_a_payment() {
    let set = Set::with(super::Options::default()).await;
    conformance::faults(&set).await;
    conformance::lies(&set).await;
}
