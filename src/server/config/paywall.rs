use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use http::Request;

use super::{PaywallBuilder, siblings::Sold};
use crate::{
    clock::Clock,
    dialect::{Dialect, keys::KeyRing},
    lightning::{Receiver, ReceiverProfile},
    payment::{PaymentHash, ResolvedClient},
    replay::{ReplayStore, Revocations},
    server::{
        address::Proxies,
        limit::Limiter,
        origin::Origins,
        own_answer::AnswerHook,
        settlements::{Announcer, Settlements},
        state::{
            body_memory::BodyMemory,
            confirmations::Confirmations,
            notices::Notices,
            pace::Pace,
            readiness::Readiness,
            spent::Spent,
            store_health::StoreHealth,
            turns::{self, Turns},
        },
    },
};

/// The checked settings and the shared state of a server that charges. Build one and use it for all
/// layers. Clones are cheap and share everything.
///
/// ```
/// # #[cfg(feature = "l402")] {
/// use tower_x402::{Amount, lightning::LocalNode, replay::MemoryStore, server::Paywall};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = tower_x402::Secrets::test_secret(7);
/// let paywall = Paywall::builder(LocalNode::new())
///     .origin("https://api.example.com")
///     .master_secret(secret) // 32 random bytes from a file that survives restarts
///     .replay_store(MemoryStore::new()?)
///     .build()?;
/// let layer = paywall.charge(Amount::from_sat(10))?;
/// # let _ = layer;
/// # Ok(())
/// # }
/// # main().unwrap();
/// # }
/// ```
#[derive(Clone)]
pub struct Paywall(Arc<PaywallState>);

pub(in crate::server) struct PaywallState {
    pub(in crate::server) receiver: Arc<dyn Receiver>,
    pub(in crate::server) profile: ReceiverProfile,
    pub(in crate::server) store: Arc<dyn ReplayStore>,
    pub(in crate::server) revocations: Option<Revocations>,
    pub(in crate::server) dialects: Vec<Box<dyn Dialect>>,
    /// The texts of the configured origins. `RequestPlace::origin` is an index into them.
    pub(in crate::server) origins: Vec<Arc<str>>,
    pub(in crate::server) authorities: Origins,
    pub(in crate::server) proxies: Proxies,
    /// Whether trusted proxies name the prefix that they strip.
    pub(in crate::server) proxies_send_prefix: bool,
    pub(in crate::server) keys: Arc<KeyRing>,
    pub(in crate::server) sold: Arc<Sold>,
    pub(in crate::server) clock: Arc<dyn Clock>,
    pub(in crate::server) limiter: Arc<Limiter>,
    pub(in crate::server) announcer: Announcer,
    /// Memory for the bodies of requests with a genuine credential.
    pub(in crate::server) presented: BodyMemory,
    /// Memory for the bodies that a price function reads.
    pub(in crate::server) unpaid: BodyMemory,
    pub(in crate::server) challenge_header_bytes: usize,
    pub(in crate::server) body_limit: usize,
    pub(in crate::server) time_limit: Duration,
    pub(in crate::server) invoice_expiry: Duration,
    pub(in crate::server) redeem_within: Duration,
    pub(in crate::server) uses_within: Duration,
    pub(in crate::server) max_restores: u32,
    pub(in crate::server) accept_foreign_proofs: bool,
    pub(in crate::server) keep_credentials: bool,
    pub(in crate::server) answer_hook: Option<AnswerHook>,
    pub(in crate::server) spent: Arc<Spent>,
    /// Limits how many requests of one payment ask the store at once.
    pub(in crate::server) turns: Arc<Turns>,
    /// The same, for payments that the store recently reported as spent.
    pub(in crate::server) doubted_turns: Arc<Turns>,
    pub(in crate::server) confirmations: Confirmations,
    /// Limits how often credentials cause a run of a price function.
    pub(in crate::server) repricing: Pace,
    pub(in crate::server) readiness: Readiness,
    pub(in crate::server) store_health: StoreHealth,
    pub(in crate::server) notices: Notices,
}

impl Paywall {
    /// Creates a builder for the node that gets paid.
    pub fn builder(receiver: impl Receiver) -> PaywallBuilder {
        PaywallBuilder::new(Arc::new(receiver))
    }

    /// Returns a stream of the payments that settle from now on. It buffers up to `capacity` of
    /// them.
    #[must_use]
    pub fn settlements(&self, capacity: usize) -> Settlements {
        self.0.announcer.listen(capacity)
    }

    /// Frees the slots of unpaid invoices as the node reports them as paid. Run it in a task if
    /// several instances sell and a client may reach any of them. Without it, an invoice that another
    /// instance redeems holds its slot until it expires.
    ///
    /// It ends if the node's stream ends, which it does at once if the node has none
    /// ([`Receiver::settlements`](crate::lightning::Receiver::settlements)). It does not call the
    /// store.
    pub async fn free_paid_invoices(&self) {
        let setup = self.setup();
        let mut settled = setup.receiver.settlements();
        while let Some(payment_hash) =
            std::future::poll_fn(|cx| settled.as_mut().poll_next(cx)).await
        {
            setup.limiter.settled(payment_hash, setup.clock.now());
        }
    }

    /// Returns the client that sent a request, as this paywall's layers resolve it: the other end of
    /// the connection, or what a trusted proxy reports.
    ///
    /// It is for routes that are free and for layers outside, such as an access log. A handler on a
    /// priced route has it already: [`ResolvedClient::of`].
    #[must_use]
    pub fn client<B>(&self, request: &Request<B>) -> ResolvedClient {
        let (headers, extensions) = (request.headers(), request.extensions());
        self.0.proxies.resolve(headers, extensions).address
    }

    pub(in crate::server) fn new(setup: PaywallState) -> Self {
        Self(Arc::new(setup))
    }

    pub(in crate::server) fn setup(&self) -> &PaywallState {
        &self.0
    }
}

impl fmt::Debug for Paywall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paywall")
            .field("receiver", &self.0.receiver)
            .field("store", &self.0.store)
            .field("origins", &self.0.origins)
            .field("dialects", &self.0.dialects)
            .finish_non_exhaustive()
    }
}

impl PaywallState {
    /// Queues a request that will make the inner service ready and ask the store about a payment
    /// with this many uses. Payments that the store recently reported as spent have queues of their
    /// own, with one turn at a time. So a narrowed token that is spent does not delay the token it
    /// came from.
    pub(in crate::server) fn line_up(
        &self,
        payment_hash: PaymentHash,
        uses: NonZeroU32,
    ) -> turns::InLine {
        match self.spent.is_doubted(payment_hash, uses) {
            true => self.doubted_turns.line_up(payment_hash, 1),
            false => self
                .turns
                .line_up(payment_hash, turns::AT_ONCE.min(uses.get() as usize)),
        }
    }

    /// The code of a 429 that refuses another invoice, if a dialect has one.
    pub(in crate::server) fn issuance_denied(&self) -> Option<&'static str> {
        self.dialects
            .iter()
            .find_map(|dialect| dialect.issuance_denied())
    }
}
