use std::{fmt, sync::Arc, time::Duration};

use super::{Callers, Facilitator, rate::Rate, settle::Inner};
use crate::{
    clock::{Clock, SystemClock},
    codec::hex,
    payment::{Network, SKEW, is_public_key},
    replay::{Durability, ReplayStore, check_created_at},
};

/// What lnbtc, "Settlement and Replay Protection", asks: a payment is remembered for an hour past
/// the last moment of its proof.
const HOUR_AFTER: Duration = Duration::from_secs(3600);
/// Less than [`HOUR_AFTER`], so that no proof outlives what a configuration with a smaller skew
/// remembered.
const MAX_SKEW: Duration = Duration::from_secs(600);
const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);
const MAX_CALLS: u32 = 1_000_000;
const RATE_TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// Makes a [`Facilitator`]; see [`Facilitator::builder`].
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
    /// A facilitator that remembers in `store` what was settled (the one store of its receivers'
    /// keys), and serves `callers`: [`BearerTokens`](super::BearerTokens), or a function of the
    /// request's head.
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

    /// Serves this receiver too: its public key, compressed, as 66 lower-case hexadecimal digits.
    /// One at least is needed.
    pub fn pay_to(mut self, key: impl Into<String>) -> Self {
        self.pay_to.push(key.into());
        self
    }

    /// Serves these networks only. Default: mainnet and testnet; regtest and signet are not in the
    /// specification.
    pub fn networks(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// The longest `maxTimeoutSeconds`, and so the longest expiry of an invoice, that is settled: a
    /// second to seven days. Default: one hour.
    pub fn max_timeout(mut self, max_timeout: Duration) -> Self {
        self.max_timeout = max_timeout;
        self
    }

    /// How far clocks may disagree, in whole seconds, 10 minutes at most. Default: 60 s, as a
    /// paywall's. All that are paid on one key must have the same. A new store settles no invoice
    /// that was made before it, or within twice the skew after it.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// How long after its invoice's end a payment stays remembered, at least: an hour and
    /// [`skew`](Self::skew), or more. Where a paywall uses the same store, this must not be less
    /// than the longest life of its credentials. Default: 24 hours, as the paywall's
    /// `redeem_within`.
    pub fn remember_for(mut self, remember: Duration) -> Self {
        self.remember = remember;
        self
    }

    /// How many calls each caller may make at once, and again in each `per`: 1 to 1,000,000 calls,
    /// in a second to a day. Default: 600 a minute.
    pub fn rate(mut self, calls: u32, per: Duration) -> Self {
        self.rate = (calls, per);
        self
    }

    /// How long the store may take, and how long a body may take to arrive. Default: 10 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes a store that forgets when the process ends, on mainnet too. After a restart nothing
    /// settles twice: every proof whose invoice was made before the restart, or within twice the
    /// skew after it, is refused. Those who had paid and were not settled have lost that.
    pub fn allow_volatile_replay_store(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// [`FacilitatorConfigError`], which names what to change.
    pub fn build(self) -> Result<Facilitator, FacilitatorConfigError> {
        let error = |text| Err(FacilitatorConfigError(text));
        if self.pay_to.is_empty() {
            return error("expected one key at least: call `pay_to`");
        }
        if self.networks.contains(&Network::Bitcoin)
            && self.store.durability() == Durability::Volatile
            && !self.volatile
        {
            return error(
                "this store forgets what was settled when the process ends, and mainnet is served: take a durable one, as \
                 DurableStore::open(\"spent\")?, accept it with .allow_volatile_replay_store(), or serve test networks only, with \
                 .networks([..])",
            );
        }
        check_created_at(&*self.store, self.clock.now()).map_err(FacilitatorConfigError)?;
        if self.time_limit.is_zero() {
            return error("expected a `time_limit` of a second at least");
        }
        if self.max_timeout.as_secs() == 0 || self.max_timeout > MAX_TIMEOUT {
            return error("expected a `max_timeout` of a second to seven days");
        }
        if self.skew > MAX_SKEW {
            return error("expected a `skew` of ten minutes at most");
        }
        if self.remember < self.skew + HOUR_AFTER {
            return error("expected `remember_for` to be an hour and the `skew` at least");
        }
        if !(1..=MAX_CALLS).contains(&self.rate.0) || !RATE_TIMES.contains(&self.rate.1) {
            return error("expected a `rate` of 1 to 1,000,000 calls in a second to a day");
        }
        let keys: Option<Vec<[u8; 33]>> = self.pay_to.iter().map(hex::decode_lower).collect();
        match keys.filter(|keys| keys.iter().all(is_public_key)) {
            Some(pay_to) => {
                let inner = Inner {
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
                "expected in `pay_to` a compressed public key of 66 lower-case hexadecimal digits",
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

/// What is wrong with the configuration, and the fix.
#[derive(Clone, Copy, Debug)]
pub struct FacilitatorConfigError(&'static str);

impl fmt::Display for FacilitatorConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for FacilitatorConfigError {}
