use std::{fmt, sync::Arc, time::Duration};

use super::{Callers, Facilitator, rate::Rate, settle::FacilitatorInner};
use crate::{
    clock::{Clock, SystemClock},
    codec::hex,
    payment::{Network, SKEW, is_public_key},
    replay::{Durability, ReplayStore, check_created_at},
};

/// How long after its proof expires a payment must be remembered at least: lnbtc, "Settlement and
/// Replay Protection".
const HOUR_AFTER: Duration = Duration::from_secs(3600);
/// Less than [`HOUR_AFTER`], so that a store filled under a smaller skew remembers every payment
/// that a later configuration can still accept.
const MAX_SKEW: Duration = Duration::from_secs(600);
const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);
const MAX_CALLS: u32 = 1_000_000;
const RATE_TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// A builder for a [`Facilitator`], created by [`Facilitator::builder`].
#[must_use = "a builder does nothing until it builds"]
pub struct FacilitatorBuilder {
    store: Arc<dyn ReplayStore>,
    callers: Arc<dyn Callers>,
    clock: Arc<dyn Clock>,
    pay_to: Vec<String>,
    networks: Vec<Network>,
    max_timeout: Duration,
    skew: Duration,
    remember: Duration,
    rate: (u32, Duration),
    time_limit: Duration,
    volatile: bool,
}

impl Facilitator {
    /// Creates a builder.
    ///
    /// `store` remembers which payments were settled; use the same store everywhere for one
    /// receiver key. `callers` decides who may settle: [`BearerTokens`](super::BearerTokens), or a
    /// function of the request's head.
    pub fn builder(store: Arc<dyn ReplayStore>, callers: impl Callers) -> FacilitatorBuilder {
        FacilitatorBuilder::new(store, Arc::new(callers))
    }
}

impl FacilitatorBuilder {
    pub(super) fn new(store: Arc<dyn ReplayStore>, callers: Arc<dyn Callers>) -> Self {
        Self {
            store,
            callers,
            clock: Arc::new(SystemClock::new()),
            pay_to: Vec::new(),
            networks: vec![Network::Bitcoin, Network::Testnet],
            max_timeout: Duration::from_secs(3600),
            skew: SKEW,
            remember: Duration::from_secs(86_400),
            rate: (600, Duration::from_secs(60)),
            time_limit: Duration::from_secs(10),
            volatile: false,
        }
    }

    /// Adds a receiver: its compressed public key, as 66 lower-case hexadecimal digits. At least
    /// one is required.
    pub fn pay_to(mut self, key: impl Into<String>) -> Self {
        self.pay_to.push(key.into());
        self
    }

    /// Sets the supported networks. The default is mainnet and testnet, because the specification
    /// does not define regtest and signet.
    pub fn networks(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// Sets the longest accepted `maxTimeoutSeconds`, which is also the longest expiry of an
    /// invoice: one second to seven days. The default is one hour.
    pub fn max_timeout(mut self, max_timeout: Duration) -> Self {
        self.max_timeout = max_timeout;
        self
    }

    /// Sets how far two clocks may differ, in whole seconds, 10 minutes at most. The default is 60
    /// s, as in a paywall.
    ///
    /// All servers that are paid on one key must have the same skew. A new store settles no invoice
    /// that was made before it, or within twice the skew after it.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// Sets how long a payment is remembered after its invoice expires. The minimum is one hour
    /// plus [`skew`](Self::skew). The default is 24 hours, like the paywall's `redeem_within`.
    ///
    /// If a paywall uses the same store, this must not be less than the longest life of its
    /// credentials.
    pub fn remember_for(mut self, remember: Duration) -> Self {
        self.remember = remember;
        self
    }

    /// Sets how many calls each caller may make in each period `per`. A caller may also make all of
    /// them at once. Allowed are 1 to 1,000,000 calls, in one second to one day. The default is 600
    /// calls a minute.
    pub fn rate(mut self, calls: u32, per: Duration) -> Self {
        self.rate = (calls, per);
        self
    }

    /// Sets how long the store may take to answer, and how long a body may take to arrive. The
    /// default is 10 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets the clock. The default is the operating system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Accepts, on mainnet too, a store that may forget everything when its process or server ends.
    ///
    /// Nothing settles twice after a restart: every proof whose invoice was made before the
    /// restart, or within twice the skew after it, is refused. Clients whose payment was not
    /// settled before the restart lose it.
    pub fn allow_volatile_replay_store(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Builds the facilitator.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a setting is missing or out of range. Its text says what to change.
    pub fn build(self) -> Result<Facilitator, ConfigError> {
        let error = |text| Err(ConfigError(text));
        if self.pay_to.is_empty() {
            return error("expected at least one receiver: call .pay_to(..) with its public key");
        }
        if self.networks.contains(&Network::Bitcoin)
            && self.store.durability() == Durability::Volatile
            && !self.volatile
        {
            return error(
                "this store may forget what was settled when its process or server ends, and mainnet is enabled: use a durable store such as \
                 DurableStore::open(\"spent\")?, set up the server of a Redis or PostgreSQL store as its warning in the log says, accept this one with .allow_volatile_replay_store(), or support test networks only, with \
                 .networks([..])",
            );
        }
        check_created_at(&*self.store, self.clock.now()).map_err(ConfigError)?;
        if self.time_limit.is_zero() {
            return error("expected a `time_limit` above zero");
        }
        if self.max_timeout.as_secs() == 0 || self.max_timeout > MAX_TIMEOUT {
            return error("expected a `max_timeout` of one second to seven days");
        }
        if self.skew > MAX_SKEW {
            return error("expected a `skew` of at most ten minutes");
        }
        if self.remember < self.skew + HOUR_AFTER {
            return error("expected `remember_for` to be at least one hour plus the `skew`");
        }
        if !(1..=MAX_CALLS).contains(&self.rate.0) || !RATE_TIMES.contains(&self.rate.1) {
            return error("expected a `rate` of 1 to 1,000,000 calls in one second to one day");
        }
        let keys: Option<Vec<[u8; 33]>> = self.pay_to.iter().map(hex::decode_lower).collect();
        match keys.filter(|keys| keys.iter().all(is_public_key)) {
            Some(pay_to) => {
                let inner = FacilitatorInner {
                    store: self.store,
                    callers: self.callers,
                    clock: self.clock,
                    pay_to,
                    networks: self.networks,
                    max_timeout: self.max_timeout,
                    skew: self.skew,
                    remember: self.remember,
                    rate: Rate::new(self.rate.0, self.rate.1),
                    time_limit: self.time_limit,
                };
                inner.warn_if_new();
                Ok(Facilitator::of(inner))
            }
            None => error(
                "expected `pay_to` to be a compressed public key, as 66 lower-case hexadecimal digits",
            ),
        }
    }
}

impl fmt::Debug for FacilitatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacilitatorBuilder")
            .field("pay_to", &self.pay_to)
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

/// The error of [`FacilitatorBuilder::build`]. Its text says what is wrong and how to fix it.
#[derive(Clone, Copy, Debug)]
pub struct ConfigError(&'static str);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ConfigError {}
