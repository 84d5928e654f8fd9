//! The faults and lies of Core Lightning, for the public suites.

use std::sync::{Arc, atomic::Ordering};

use tower_x402::lightning::{
    BoxFuture, Cln, Payer, Payments, Receiver,
    conformance::{self, Faults},
};

use super::{
    fault::{ANY, Fault},
    lightningd::Lightningd,
};

impl Faults for Lightningd {
    fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>> {
        Box::pin(async {
            Arc::new(Cln::builder(&self.socket).connect().await.unwrap()) as Arc<dyn Receiver>
        })
    }

    fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>> {
        Box::pin(async {
            Arc::new(Cln::builder(&self.socket).connect().await.unwrap()) as Arc<dyn Payer>
        })
    }

    fn begin(&self, fault: conformance::Fault) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match fault {
                conformance::Fault::Down => self.kill().await,
                conformance::Fault::LostAnswers => self.fault("xpay", Fault::Closes),
                conformance::Fault::PendingPayments => self.node.payments(Payments::StayInFlight),
                conformance::Fault::Silence => {
                    self.node.pause();
                    self.fault("getinfo", Fault::Silent);
                    self.is_silent.store(true, Ordering::SeqCst);
                    // So that no test waits for the time limits.
                    tokio::time::pause();
                }
                conformance::Fault::InvoiceAsPreimage => self.fault(ANY, Fault::InvoiceAsPreimage),
                conformance::Fault::NoPreimage => self.fault(ANY, Fault::NoPreimage),
                conformance::Fault::OtherAmount => self.fault(ANY, Fault::OtherAmount),
                conformance::Fault::OtherHash => self.fault(ANY, Fault::OtherHash),
                conformance::Fault::WrongPreimage => self.fault(ANY, Fault::WrongPreimage),
                other => panic!("this test cannot cause {other:?}"),
            }
        })
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.is_silent.swap(false, Ordering::SeqCst) {
                tokio::time::resume();
            }
            self.honest();
            self.node.resume();
            self.node.payments(Payments::Succeed);
            self.settle_in_flight().await;
            self.restart(128).await;
        })
    }
}

#[tokio::test]
async fn no_fault_or_lie_of_core_lightning_loses_or_invents_a_payment() {
    let server = Lightningd::start();
    conformance::faults(&server).await;
    conformance::lies(&server).await;
}
