use std::{
    future::poll_fn,
    net::TcpStream,
    pin::pin,
    sync::{Arc, RwLock},
    task::Poll,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bitcoin::secp256k1::PublicKey;
use lightning::{
    chain::chainmonitor::ChainMonitor,
    events::{Event, EventsProvider, PaymentPurpose},
    ln::{
        channelmanager::ChannelManager,
        peer_handler::{IgnoringMessageHandler, MessageHandler, PeerManager},
    },
    onion_message::messenger::DefaultMessageRouter,
    routing::{
        gossip::NetworkGraph,
        router::DefaultRouter,
        scoring::{
            ProbabilisticScorer, ProbabilisticScoringDecayParameters,
            ProbabilisticScoringFeeParameters,
        },
    },
    sign::{InMemorySigner, KeysManager, NodeSigner as _, Recipient},
    util::config::{MaxDustHTLCExposure, UserConfig},
};
use lightning_net_tokio::{SocketDescriptor, setup_inbound, setup_outbound};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep},
};

use super::{
    chain::{self, Nowhere},
    fault::unreachable,
    traffic::Traffic,
};
use crate::{
    lightning::NodeError,
    payment::{Amount, PaymentHash, Preimage},
    trace,
};

type Monitor = ChainMonitor<
    InMemorySigner,
    Arc<Nowhere>,
    Arc<Nowhere>,
    Arc<Nowhere>,
    Arc<Nowhere>,
    Arc<Nowhere>,
    Arc<KeysManager>,
>;
type Graph = NetworkGraph<Arc<Nowhere>>;
type Scorer = ProbabilisticScorer<Arc<Graph>, Arc<Nowhere>>;
type Router = DefaultRouter<
    Arc<Graph>,
    Arc<Nowhere>,
    Arc<KeysManager>,
    Arc<RwLock<Scorer>>,
    ProbabilisticScoringFeeParameters,
    Scorer,
>;
type MessageRouter = DefaultMessageRouter<Arc<Graph>, Arc<Nowhere>, Arc<KeysManager>>;
pub(super) type Manager = ChannelManager<
    Arc<Monitor>,
    Arc<Nowhere>,
    Arc<KeysManager>,
    Arc<KeysManager>,
    Arc<KeysManager>,
    Arc<Nowhere>,
    Arc<Router>,
    Arc<MessageRouter>,
    Arc<Nowhere>,
>;
type Peers = PeerManager<
    SocketDescriptor,
    Arc<Manager>,
    IgnoringMessageHandler,
    IgnoringMessageHandler,
    Arc<Nowhere>,
    IgnoringMessageHandler,
    Arc<KeysManager>,
    IgnoringMessageHandler,
>;

/// 40 bitcoin, in satoshis. Half of it on each side lasts for more than a million payments of 1,000
/// satoshis.
const CHANNEL_SAT: u64 = 4_000_000_000;

/// The most HTLCs that the protocol allows in one direction.
const MOST_HTLCS: u16 = 483;

/// The most payments in flight. Fewer than [`MOST_HTLCS`], because a payment beyond that finds no
/// route.
const MOST_PAYMENTS: usize = 400;

/// How often the channel manager removes expired state.
const TICK: Duration = Duration::from_secs(60);

/// How long the node sleeps if nothing happens. Every event wakes it.
const REST: Duration = Duration::from_millis(100);

/// One LDK node.
pub(super) struct Node {
    id: PublicKey,
    manager: Arc<Manager>,
    peers: Arc<Peers>,
    monitor: Arc<Monitor>,
    /// The peer whose channel is accepted without a confirmation.
    trusted: Option<PublicKey>,
    ready: watch::Sender<bool>,
    pub(super) traffic: Traffic,
    pub(super) permits: Arc<Semaphore>,
}

impl Node {
    pub(super) fn new(trusted: Option<PublicKey>) -> Result<Arc<Self>, NodeError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Saturates if the seconds do not fit into 32 bits. Only the order of a peer's
        // announcements depends on it, and there are no announcements.
        let now_32 = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let nowhere = Nowhere::new();
        let keys = Arc::new(KeysManager::new(
            &random()?,
            now.as_secs(),
            now.subsec_nanos(),
            true,
        ));
        let monitor = Arc::new(Monitor::new(
            None,
            nowhere.clone(),
            nowhere.clone(),
            nowhere.clone(),
            nowhere.clone(),
            keys.clone(),
            keys.get_peer_storage_key(),
        ));
        let graph = Arc::new(Graph::new(chain::NETWORK, nowhere.clone()));
        let scorer = Scorer::new(
            ProbabilisticScoringDecayParameters::default(),
            graph.clone(),
            nowhere.clone(),
        );
        let router = Arc::new(Router::new(
            graph.clone(),
            nowhere.clone(),
            keys.clone(),
            Arc::new(RwLock::new(scorer)),
            ProbabilisticScoringFeeParameters::default(),
        ));
        let manager = Arc::new(Manager::new(
            nowhere.clone(),
            monitor.clone(),
            nowhere.clone(),
            router,
            Arc::new(MessageRouter::new(graph, keys.clone())),
            nowhere.clone(),
            keys.clone(),
            keys.clone(),
            keys.clone(),
            config(),
            chain::parameters(),
            now_32,
        ));
        let handler = MessageHandler {
            chan_handler: manager.clone(),
            route_handler: IgnoringMessageHandler {},
            onion_message_handler: IgnoringMessageHandler {},
            custom_message_handler: IgnoringMessageHandler {},
            send_only_message_handler: IgnoringMessageHandler {},
        };
        let id = keys
            .get_node_id(Recipient::Node)
            .map_err(|()| unreachable("its key cannot be used"))?;
        let peers = Arc::new(Peers::new(handler, now_32, &random()?, nowhere, keys));
        Ok(Arc::new(Self {
            id,
            manager,
            peers,
            monitor,
            trusted,
            ready: watch::Sender::new(false),
            traffic: Traffic::new(),
            permits: Arc::new(Semaphore::new(MOST_PAYMENTS)),
        }))
    }

    pub(super) fn id(&self) -> PublicKey {
        self.id
    }

    pub(super) fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Sends the channel manager's pending messages now. Otherwise they would wait for the next
    /// turn of the loop.
    pub(super) fn flush(&self) {
        self.peers.process_events();
    }

    pub(super) fn talk_in(&self, stream: TcpStream) {
        drop(setup_inbound(self.peers.clone(), stream));
    }

    pub(super) fn talk_out(&self, to: PublicKey, stream: TcpStream) {
        drop(setup_outbound(self.peers.clone(), to, stream));
    }

    pub(super) fn disconnect(&self) {
        self.peers.disconnect_all_peers();
    }

    /// Requests a channel and gives half of it to the peer. Returns `false` if the peer is not
    /// connected yet.
    pub(super) fn open_channel(&self, to: PublicKey) -> bool {
        let opened = self
            .manager
            .create_channel(to, CHANNEL_SAT, CHANNEL_SAT * 1_000 / 2, 1, None, None)
            .is_ok();
        self.flush();
        opened
    }

    /// Waits until a channel is usable.
    pub(super) async fn ready(&self) {
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Runs the node forever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ticked = Instant::now();
        loop {
            self.flush();
            // Once, and not until none are left: HTLCs that wait for another message would keep the
            // loop busy forever.
            if self.manager.needs_pending_htlc_processing() {
                self.manager.process_pending_htlc_forwards();
            }
            let handle = |event| {
                self.on(event);
                Ok(())
            };
            self.manager.process_pending_events(&handle);
            self.monitor.process_pending_events(&handle);
            self.flush();
            self.woken().await;
            self.manager.get_and_clear_needs_persistence();
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.manager.timer_tick_occurred();
            }
        }
    }

    async fn woken(&self) {
        let mut manager = pin!(self.manager.get_event_or_persistence_needed_future());
        let mut monitor = pin!(self.monitor.get_update_future());
        let mut rest = pin!(sleep(REST));
        poll_fn(|context| {
            let polled = [
                manager.as_mut().poll(context),
                monitor.as_mut().poll(context),
                rest.as_mut().poll(context),
            ];
            if polled.iter().any(Poll::is_ready) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn on(&self, event: Event) {
        match event {
            Event::OpenChannelRequest {
                temporary_channel_id: channel,
                counterparty_node_id: peer,
                ..
            } if self.trusted == Some(peer) => {
                complain(
                    self.manager
                        .accept_inbound_channel_from_trusted_peer_0conf(&channel, &peer, 1, None),
                );
            }
            Event::FundingGenerationReady {
                temporary_channel_id: id,
                counterparty_node_id: peer,
                channel_value_satoshis,
                output_script,
                ..
            } => {
                let transaction = chain::funding(id, channel_value_satoshis, output_script);
                complain(
                    self.manager
                        .funding_transaction_generated(id, peer, transaction),
                );
            }
            Event::ChannelReady { .. } => {
                self.ready.send_replace(true);
            }
            Event::PaymentClaimable {
                payment_hash,
                purpose,
                ..
            } => match purpose {
                PaymentPurpose::Bolt11InvoicePayment {
                    payment_preimage: Some(preimage),
                    ..
                } if self.traffic.takes(PaymentHash::from_bytes(payment_hash.0)) => {
                    self.manager.claim_funds(preimage);
                }
                _ => self.manager.fail_htlc_backwards(&payment_hash),
            },
            Event::PaymentClaimed { payment_hash, .. } => self
                .traffic
                .settled(PaymentHash::from_bytes(payment_hash.0)),
            Event::PaymentSent {
                payment_preimage,
                fee_paid_msat,
                ..
            } => {
                self.traffic.paid(
                    Preimage::from_bytes(payment_preimage.0),
                    Amount::from_msat(fee_paid_msat.unwrap_or(0)),
                );
            }
            Event::PaymentPathSuccessful { payment_id, .. } => {
                self.traffic.left(PaymentHash::from_bytes(payment_id.0))
            }
            Event::PaymentFailed { payment_id, .. } => {
                self.traffic.failed(PaymentHash::from_bytes(payment_id.0))
            }
            _ => {}
        }
    }
}

fn config() -> UserConfig {
    let mut config = UserConfig {
        manually_accept_inbound_channels: true,
        ..UserConfig::default()
    };
    config.channel_handshake_limits.max_funding_satoshis = u64::MAX;
    config.channel_handshake_config.our_max_accepted_htlcs = MOST_HTLCS;
    config
        .channel_handshake_config
        .max_inbound_htlc_value_in_flight_percent_of_channel = 100;
    config
        .channel_handshake_config
        .negotiate_anchors_zero_fee_htlc_tx = false;
    // Small payments are dust. The default limit is a multiple of the fee rate, with which one
    // payment in flight would block the next.
    config.channel_config.max_dust_htlc_exposure =
        MaxDustHTLCExposure::FixedLimitMsat(CHANNEL_SAT * 1_000);
    config
}

fn random() -> Result<[u8; 32], NodeError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| unreachable("the operating system has no randomness"))?;
    Ok(bytes)
}

fn complain<E: std::fmt::Debug>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        trace::warn(format_args!(
            "the devnet cannot open its channel: {error:?}"
        ));
    }
}
