//! Real nodes that are killed, stopped and started by the public suites of faults.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tower_x402::lightning::{
    BoxFuture, Payer, PaymentStatus, Receiver,
    conformance::{self, Fault, Faults},
    connect,
};

use crate::{
    asks,
    real::PATIENCE,
    real_down::Stopped,
    real_killed::{LIMITS, nodes, urls},
};

/// A pair of wallets, and the processes that they need.
struct Real {
    payer: String,
    receiver: String,
    /// The names for `scripts/nodes`, the payee's last.
    names: &'static [&'static str],
    killed: Mutex<bool>,
    stopped: Mutex<Vec<Stopped>>,
}

impl Real {
    fn new(variables: [&str; 2], names: &'static [&'static str]) -> Option<Self> {
        let [payer, receiver] = urls(variables)?;
        Some(Self {
            payer,
            receiver,
            names,
            killed: Mutex::new(false),
            stopped: Mutex::default(),
        })
    }

    fn stop(&self, names: &[&str]) {
        let variable = |name: &&str| format!("X402_NODE_{}_PID", name.to_uppercase());
        let stopped = names.iter().map(|name| Stopped::new(&variable(name)));
        self.stopped.lock().unwrap().extend(stopped);
    }

    async fn works(&self) -> bool {
        let (receiver, payer) = (self.receiver().await, self.payer().await);
        match asks(&receiver).await {
            Ok(invoice) => matches!(
                payer.pay(&invoice, LIMITS).await,
                Ok(PaymentStatus::Paid { .. })
            ),
            Err(_) => false,
        }
    }
}

impl Faults for Real {
    fn receiver(&self) -> BoxFuture<'_, Arc<dyn Receiver>> {
        Box::pin(async { connect(&self.receiver).await.unwrap().receiver().unwrap() })
    }

    fn payer(&self) -> BoxFuture<'_, Arc<dyn Payer>> {
        Box::pin(async { connect(&self.payer).await.unwrap().payer().unwrap() })
    }

    fn begin(&self, fault: Fault) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            match fault {
                Fault::Down => {
                    for name in self.names {
                        nodes(["kill", name]);
                    }
                    *self.killed.lock().unwrap() = true;
                }
                // The payee does not take the payment.
                Fault::PendingPayments => self.stop(&self.names[self.names.len() - 1..]),
                Fault::Silence => self.stop(self.names),
                other => panic!("this test cannot cause {other:?}"),
            }
        })
    }

    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stopped.lock().unwrap().clear();
            if std::mem::take(&mut *self.killed.lock().unwrap()) {
                for name in self.names {
                    nodes(["start", name]);
                }
            }
            let started = Instant::now();
            while !self.works().await {
                assert!(started.elapsed() < PATIENCE, "it does not work again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_a_real_lnd_loses_a_payment() {
    let variables = ["X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE"];
    let Some(lnd) = Real::new(variables, &["lnd_a", "lnd_b"]) else {
        return;
    };
    conformance::node_down(&lnd).await;
    conformance::node_silent(&lnd).await;
    // Not `node_killed`: an LND that is killed between an attempt and its commitment keeps the payment
    // in flight for ever. `real_killed` kills it while a payment is held.
    conformance::process_restarted(&lnd).await;
    println!("lnd: down, silent, and our process restarted: nothing lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnbits_that_is_silent_loses_no_payment() {
    let variables = ["X402_NODE_LNBITS_A", "X402_NODE_LNBITS_B_INVOICE"];
    let Some(lnbits) = Real::new(variables, &["lnbits"]) else {
        return;
    };
    // Not `node_down`: when LNbits starts, its FakeWallet has forgotten all open invoices.
    conformance::node_silent(&lnbits).await;
    println!("lnbits: silent for a while: nothing lost");
}
