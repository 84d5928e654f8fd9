use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use super::{
    Charge, ConfigError, PaywallBuilder, Settlements,
    address::Proxies,
    confirm::Confirmations,
    holding::Holding,
    limit::{Allowance, Limiter},
    notices::Notices,
    pace::Pace,
    rule::Rule,
    settlements::Announcer,
    siblings::Sold,
    spent::Spent,
    target::Origins,
    turns::Turns,
};
use crate::{
    clock::Clock,
    dialect::{Dialect, keys::KeyRing},
    lightning::{Receiver, ReceiverProfile},
    payment::{Access, Amount, DialectName, Resource, Terms},
    replay::{ReplayStore, Revocations},
};

/// Everything that a server needs to be paid: set up once, shared by all its layers. Clones are
/// cheap.
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
    pub(super) keys: Arc<KeyRing>,
    pub(super) sold: Arc<Sold>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) announcer: Announcer,
    /// Memory for the bodies of requests with a genuine credential, and for those that a price
    /// function reads.
    pub(super) presented: Holding,
    pub(super) unpaid: Holding,
    pub(super) body_limit: usize,
    pub(super) time_limit: Duration,
    pub(super) invoice_expiry: Duration,
    pub(super) redeem_within: Duration,
    pub(super) uses_within: Duration,
    pub(super) max_restores: u32,
    pub(super) accept_foreign_proofs: bool,
    pub(super) keep_credentials: bool,
    pub(super) spent: Arc<Spent>,
    /// Who may ask the store for a use.
    pub(super) turns: Arc<Turns>,
    /// Of payments that the store called spent lately.
    pub(super) doubted_turns: Arc<Turns>,
    pub(super) confirmations: Confirmations,
    /// How often credentials cause a run of a price function.
    pub(super) repricing: Pace,
    pub(super) notices: Notices,
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
        charge
            .check()
            .map_err(|text| ConfigError::at(place, text))?;
        let names: HashSet<String> = charge
            .bound_headers
            .iter()
            .chain(&charge.read_headers)
            .map(|name| name.to_ascii_lowercase())
            .collect();
        let mut bound_headers: Vec<_> = names.into_iter().collect();
        bound_headers.sort_unstable();
        let fixed = charge.price.fixed();
        let spoken = |name| setup.dialects.iter().any(|dialect| dialect.name() == name);
        let carries_credentials =
            spoken(DialectName::L402) || spoken(DialectName::Mpp) && !charge.authorization_taken;
        if carries_credentials && bound_headers.iter().any(|name| name == "authorization") {
            return wrong(
                "authorization carries credentials itself and cannot be bound or priced by".into(),
            );
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
            foreign_proofs_since: setup
                .accept_foreign_proofs
                .then(|| setup.store.created_at()),
            authorization_taken: charge.authorization_taken,
        };
        if terms.access != Access::Once
            && !setup
                .dialects
                .iter()
                .any(|dialect| dialect.offers(&terms, fixed))
        {
            return wrong(
                "only L402 can sell several uses or a duration: enable it, or sell one request"
                    .into(),
            );
        }
        let fraction = fixed.filter(|amount| amount.as_whole_sat().is_none());
        if let Some(amount) = fraction.filter(|_| setup.profile.whole_sats_only) {
            return wrong(format!(
                "the node makes invoices for whole satoshis only, and the price is {amount}: round the price"
            ));
        }
        if !setup
            .dialects
            .iter()
            .any(|dialect| dialect.offers(&terms, fixed))
        {
            return wrong(unsayable(charge.stream_body, fixed).into());
        }
        let allowance = charge.free_per_day.map(Allowance::new);
        Ok(Rule::new(charge, terms, allowance, pattern))
    }
}

/// Why neither MPP nor x402 can sell one request for this, and what to change.
fn unsayable(streams_body: bool, fixed: Option<Amount>) -> &'static str {
    match (
        streams_body,
        fixed.is_some_and(|amount| amount.as_whole_sat().is_none()),
    ) {
        (true, true) => {
            "x402 must bind the body and MPP sells whole satoshis only: enable L402, leave .stream_body() out, or round the price"
        }
        (true, false) => {
            "x402 must bind the body: enable another dialect, or leave .stream_body() out"
        }
        (false, true) => {
            "MPP sells whole satoshis only: round the price, or enable another dialect"
        }
        (false, false) => {
            "no enabled dialect can say this charge: name the dialects to speak with .dialects([..])"
        }
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
        self.dialects
            .iter()
            .any(|dialect| dialect.name() == DialectName::X402)
    }
}
