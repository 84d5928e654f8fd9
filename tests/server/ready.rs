//! Readiness probes, and nodes whose credential may do more than receive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_x402::{
    Invoice, MemoryStore, Network, PaymentHash, Paywall, Secrets,
    clock::Timestamp,
    lightning::{
        BoxFuture, InvoiceRequest, InvoiceStatus, KeyCustody, NodeError, NodeErrorKind, Receiver,
        ReceiverProfile,
    },
    replay::{
        Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError,
        StoreErrorKind, StoreId, UseId, UseRequest,
    },
};

use crate::{configuration::Node, journal::Journal, shop::ORIGIN};

/// What a node or a store answers a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Fails,
    Hangs,
    Works,
}

/// A node and a store that only answer probes, and count them.
#[derive(Clone, Debug)]
struct Probed {
    health: Health,
    probes: Arc<AtomicUsize>,
    store: Arc<MemoryStore>,
}

impl Probed {
    fn new(health: Health) -> Self {
        let store = Arc::new(MemoryStore::new().unwrap());
        let probes = Arc::default();
        Self {
            health,
            probes,
            store,
        }
    }

    async fn probe<E>(&self, error: impl FnOnce() -> E) -> Result<(), E> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        match self.health {
            Health::Fails => Err(error()),
            Health::Hangs => std::future::pending().await,
            Health::Works => Ok(()),
        }
    }
}

impl Receiver for Probed {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Exclusive);
        profile.public_key = Some([2; 33]);
        profile
    }

    fn create_invoice(&self, _: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        panic!("a probe makes no invoice")
    }

    /// The default of `ready` asks for an invoice that nobody made.
    fn lookup_invoice(&self, _: PaymentHash) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        let locked = || NodeError::new(NodeErrorKind::Refused, "the node", "unlock its wallet");
        Box::pin(async move { self.probe(locked).await.map(|()| InvoiceStatus::Unknown) })
    }
}

impl ReplayStore for Probed {
    fn id(&self) -> StoreId {
        self.store.id()
    }

    fn created_at(&self) -> Timestamp {
        self.store.created_at()
    }

    fn consume(&self, _: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        panic!("a probe takes no use")
    }

    fn release(&self, _: ConsumptionKey, _: UseId, _: ReleaseReason) {
        panic!("a probe takes no use")
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let full = || StoreError::new(StoreErrorKind::Unavailable, "the store", "the disk is full");
        Box::pin(self.probe(full))
    }
}

fn paywall(node: &Probed, store: &Probed) -> Paywall {
    Paywall::builder(Arc::new(node.clone()))
        .origin(ORIGIN)
        .master_secret(Secrets::test_secret(7))
        .replay_store(Arc::new(store.clone()))
        .allow_test_network()
        .time_limit(Duration::from_secs(2))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_is_ready_if_node_and_store_answer_and_says_which_does_not() {
    use Health::{Fails, Hangs, Works};
    let node = |text| format!("the Lightning node is not ready: {text}");
    let store = |text| format!("the replay store is not ready: {text}");
    let (locked, full) = (
        "the node refused: unlock its wallet",
        "the store is not available: the disk is full",
    );
    let late = "no answer within 2s";
    for (of_node, of_store, expected) in [
        (Works, Works, None),
        (Fails, Works, Some(node(locked))),
        (Hangs, Works, Some(node(late))),
        (Works, Fails, Some(store(full))),
        (Works, Hangs, Some(store(late))),
        (Fails, Hangs, Some([node(locked), store(late)].join("; "))),
    ] {
        let (node, store) = (Probed::new(of_node), Probed::new(of_store));
        let told = paywall(&node, &store).ready().await;
        assert_eq!(told.as_ref().err().map(ToString::to_string), expected);
        if let Err(reason) = told {
            assert_eq!(reason.is_node_ready(), of_node == Works);
            assert_eq!(reason.is_store_ready(), of_store == Works);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn probes_reach_node_and_store_at_most_once_a_second_while_they_work() {
    let (node, store) = (Probed::new(Health::Works), Probed::new(Health::Works));
    let paywall = paywall(&node, &store);
    let seen = || [&node, &store].map(|probed| probed.probes.load(Ordering::SeqCst));
    for _ in 0..100 {
        paywall.clone().ready().await.unwrap();
    }
    assert_eq!(seen(), [1, 1]);
    tokio::time::advance(Duration::from_secs(1)).await;
    paywall.ready().await.unwrap();
    assert_eq!(seen(), [2, 2]);

    // A failure is never remembered: recovery shows at the next probe.
    let store = Probed::new(Health::Fails);
    let broken = self::paywall(&node, &store);
    for _ in 0..3 {
        broken.ready().await.unwrap_err();
    }
    assert_eq!(store.probes.load(Ordering::SeqCst), 3);
}

#[test]
fn a_credential_that_can_spend_is_a_warning_and_an_error_if_it_must_only_receive() {
    let builder = |can_spend| {
        let mut node = Node::on(Network::Regtest);
        node.0.can_spend = can_spend;
        node.builder().allow_test_network()
    };
    for (can_spend, is_warned, error) in [
        (
            None,
            false,
            Some("set `can_spend` in the receiver's profile"),
        ),
        (Some(false), false, None),
        (
            Some(true),
            true,
            Some("use one that can only make and look up invoices"),
        ),
    ] {
        let journal = Journal::begin();
        tracing::callsite::rebuild_interest_cache();
        builder(can_spend).build().unwrap();
        let lines = journal.lines();
        assert_eq!(lines.contains("can spend"), is_warned, "{lines}");
        let strict = builder(can_spend).receive_only().build();
        let told = strict.err().map(|error| error.to_string());
        match error {
            Some(text) => assert!(
                told.as_ref().is_some_and(|told| told.contains(text)),
                "{told:?}"
            ),
            None => assert_eq!(told, None),
        }
    }
}
