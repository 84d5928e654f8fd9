//! The faults and lies of the fake nodes, for the public suites.

use std::sync::{Arc, Mutex};

use tower_x402::lightning::{BoxFuture, Payer, Receiver, conformance, connect};

use super::{
    Fault, Server,
    ledger::{Ledger, Lie, Pays},
};

/// A fake node that receives with one URL and pays with another.
pub(crate) struct Faulty {
    pub(crate) ledger: Ledger,
    pub(crate) server: Server,
    pub(crate) receives: String,
    pub(crate) pays: String,
    /// A part of the path of the call that pays.
    pub(crate) path: &'static str,
    is_paused: Mutex<bool>,
}

impl Faulty {
    pub(crate) fn new(
        ledger: &Ledger,
        server: Server,
        [receives, pays]: [String; 2],
        path: &'static str,
    ) -> Self {
        Self {
            ledger: ledger.clone(),
            server,
            receives,
            pays,
            path,
            is_paused: Mutex::new(false),
        }
    }

    /// Runs the suites of faults and lies.
    pub(crate) async fn suites(&self) {
        conformance::faults(self).await;
        conformance::lies(self).await;
        let state = self.ledger.0.lock().unwrap();
        let paid = state.entries.values();
        let paid = paid.filter(|entry| entry.settled.is_some()).count();
        assert_eq!(
            usize::try_from(state.payments).unwrap(),
            paid,
            "money left twice for one invoice"
        );
    }
}

impl conformance::Faults for Faulty {
    fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>> {
        Box::pin(async { connect(&self.receives).await.unwrap().receiver().unwrap() })
    }

    fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>> {
        Box::pin(async { connect(&self.pays).await.unwrap().payer().unwrap() })
    }

    fn begin(&self, fault: conformance::Fault) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match fault {
                conformance::Fault::Down => self.server.down().await,
                conformance::Fault::LostAnswers => self.server.fault(self.path, Fault::Lost),
                conformance::Fault::PendingPayments => self.ledger.pays(Pays::StayInFlight),
                conformance::Fault::Silence => {
                    self.server.fault("/", Fault::Silent);
                    *self.is_paused.lock().unwrap() = true;
                    // So that no test waits for the time limits.
                    tokio::time::pause();
                }
                conformance::Fault::InvoiceAsPreimage => self.ledger.pays(Pays::InvoiceAsPreimage),
                conformance::Fault::NoPreimage => self.ledger.pays(Pays::NoPreimage),
                conformance::Fault::OtherAmount => self.ledger.lie(Lie::Amount),
                conformance::Fault::OtherHash => self.ledger.names_another(),
                conformance::Fault::WrongPreimage => self.ledger.pays(Pays::WrongPreimage),
                other => panic!("this test cannot cause {other:?}"),
            }
        })
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if std::mem::take(&mut *self.is_paused.lock().unwrap()) {
                tokio::time::resume();
            }
            self.ledger.honest();
            self.server.no_fault();
            self.server.up().await;
        })
    }
}
