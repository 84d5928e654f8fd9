use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Charge, ConfigError, PaywallBuilder, Settlements,
    address::{ClientKey, Proxies},
    limit::{Allowance, Limiter},
    rule::Rule,
    settlements::Announcer,
    target::Origins,
};
use crate::{
    body::Pool,
    clock::Clock,
    dialect::{Dialect, keys::KeyRing},
    lightning::{KeyCustody, Receiver, ReceiverProfile},
    payment::{Access, Amount, DialectName, PaymentHash, Resource, Terms},
    replay::{ReplayStore, Revocations},
    trace,
};

/// Everything that a server needs to be paid: set up once, shared by all its layers. Clones are cheap.
///
/// ```
/// # #[cfg(feature = "l402")] {
/// use tower_x402::{Amount, lightning::LocalNode, replay::MemoryStore, server::Paywall};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let paywall = Paywall::builder(LocalNode::new())
///     .origin("https://api.example.com")
///     .master_secret([7; 32]) // 32 random bytes, kept
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
pub struct Paywall(Arc<Setup>);

pub(super) struct Setup {
    pub(super) receiver: Arc<dyn Receiver>,
    pub(super) profile: ReceiverProfile,
    pub(super) store: Arc<dyn ReplayStore>,
    pub(super) revocations: Option<Revocations>,
    pub(super) dialects: Vec<Box<dyn Dialect>>,
    /// The texts of the configured origins, which the numbers in `Place` count.
    pub(super) origins: Vec<Arc<str>>,
    pub(super) authorities: Origins,
    pub(super) proxies: Proxies,
    pub(super) keys: KeyRing,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) announcer: Announcer,
    pub(super) pool: Pool,
    pub(super) unpaid_pool: Pool,
    pub(super) body_limit: usize,
    pub(super) time_limit: Duration,
    pub(super) invoice_expiry: Duration,
    pub(super) redeem_within: Duration,
    pub(super) uses_within: Duration,
    pub(super) max_restores: u32,
    pub(super) accept_foreign_proofs: bool,
    pub(super) keep_credentials: bool,
    pub(super) settled: Mutex<Settled>,
    /// It was logged that there are clients without an address.
    pub(super) told_of_unknown: AtomicBool,
}

impl Paywall {
    /// Starts with the node that is to be paid.
    pub fn builder(receiver: impl Receiver) -> PaywallBuilder {
        PaywallBuilder::new(Arc::new(receiver))
    }

    /// Settled payments from now on, as a stream that buffers up to `capacity` of them.
    #[must_use]
    pub fn settlements(&self, capacity: usize) -> Settlements {
        self.0.announcer.listen(capacity)
    }

    pub(super) fn new(setup: Setup) -> Self {
        Self(Arc::new(setup))
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.0
    }

    /// Checks a charge and works out its terms.
    pub(super) fn rule(&self, charge: Charge, pattern: Option<&str>) -> Result<Rule, ConfigError> {
        let setup = self.setup();
        let place = pattern.unwrap_or("charge(..)");
        let wrong = |text: String| Err(ConfigError::at(place, text));
        charge.check().map_err(|text| ConfigError::at(place, text))?;
        let names: HashSet<String> =
            charge.bound_headers.iter().chain(&charge.read_headers).map(|name| name.to_ascii_lowercase()).collect();
        let mut bound_headers: Vec<_> = names.into_iter().collect();
        bound_headers.sort_unstable();
        let fixed = charge.price.fixed();
        let spoken = |name| setup.dialects.iter().any(|dialect| dialect.name() == name);
        let carries_credentials = spoken(DialectName::L402) || spoken(DialectName::Mpp) && !charge.authorization_taken;
        if carries_credentials && bound_headers.iter().any(|name| name == "authorization") {
            return wrong("authorization carries credentials itself and cannot be bound or priced by".into());
        }
        let terms = Terms {
            network: setup.profile.network,
            pay_to: setup.profile.public_key,
            access: charge.access(),
            resource: Resource {
                description: charge.description.clone(),
                mime_type: charge.mime_type.clone(),
                service_name: charge.service_name.clone(),
                tags: charge.tags.clone(),
                icon_url: charge.icon_url.clone(),
            },
            has_bound: fixed.is_none() || !bound_headers.is_empty(),
            bound_headers,
            streams_body: charge.stream_body,
            bound_covers_body: charge.reads_body,
            invoice_expiry: setup.invoice_expiry,
            redeem_within: setup.redeem_within,
            uses_within: setup.uses_within,
            max_restores: setup.max_restores,
            foreign_proofs_since: setup.accept_foreign_proofs.then(|| setup.store.created_at()),
            authorization_taken: charge.authorization_taken,
        };
        if terms.access != Access::Once && !setup.dialects.iter().any(|dialect| dialect.offers(&terms, fixed)) {
            return wrong("only L402 can sell several uses or a duration: enable it, or sell one request".into());
        }
        if setup.profile.whole_sats_only && fixed.is_some_and(|amount| amount.as_whole_sat().is_none()) {
            return wrong("this node makes invoices for whole satoshis only".into());
        }
        if !setup.dialects.iter().any(|dialect| dialect.offers(&terms, fixed)) {
            return wrong(unsayable(charge.stream_body, fixed).into());
        }
        let allowance = charge.free_per_day.map(Allowance::new);
        Ok(Rule::new(charge, terms, allowance, pattern))
    }
}

/// Why neither MPP nor x402 can sell one request for this, and what to change.
fn unsayable(streams_body: bool, fixed: Option<Amount>) -> &'static str {
    match (streams_body, fixed.is_some_and(|amount| amount.as_whole_sat().is_none())) {
        (true, true) => {
            "x402 must bind the body and MPP sells whole satoshis only: enable L402, leave .stream_body() out, or round the price"
        }
        (true, false) => "x402 must bind the body: enable another dialect, or leave .stream_body() out",
        (false, true) => "MPP sells whole satoshis only: round the price, or enable another dialect",
        (false, false) => "no enabled dialect can say this charge: name the dialects to speak with .dialects([..])",
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

impl Setup {
    pub(super) fn speaks_x402(&self) -> bool {
        self.dialects.iter().any(|dialect| dialect.name() == DialectName::X402)
    }

    /// Whether the receiver must be asked if an invoice is settled (decision 23).
    pub(super) fn must_confirm(&self, payment_hash: &PaymentHash) -> bool {
        let exclusive = matches!(self.profile.key_custody, KeyCustody::Exclusive);
        !exclusive && !self.settled.lock().unwrap_or_else(PoisonError::into_inner).hashes.contains(payment_hash)
    }

    /// Logs the first client whose address is not known, with what mends it.
    pub(super) fn tell_of_unknown(&self, client: ClientKey) {
        if client == ClientKey::Unknown && !self.told_of_unknown.swap(true, Ordering::Relaxed) {
            trace::warn(format_args!(
                "a client's address is not known: all such clients share one limit for unpaid invoices and get nothing for \
                 free; serve with `into_make_service_with_connect_info::<SocketAddr>()`, or insert a `ClientAddr` into each \
                 request's extensions, and have trusted proxies name their clients"
            ));
        }
    }

    pub(super) fn confirmed(&self, payment_hash: PaymentHash) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(payment_hash);
    }
}

/// Payments that a receiver with a shared key has called settled: asked once, remembered, bounded.
#[derive(Debug, Default)]
pub(super) struct Settled {
    hashes: HashSet<PaymentHash>,
    order: VecDeque<PaymentHash>,
}

impl Settled {
    const REMEMBERED: usize = 100_000;

    fn insert(&mut self, payment_hash: PaymentHash) {
        if !self.hashes.insert(payment_hash) {
            return;
        }
        self.order.push_back(payment_hash);
        if self.order.len() > Self::REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }
}
