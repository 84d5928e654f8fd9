//! Builds a paywall, with every check that is possible before the first request.

use std::{sync::Arc, time::Duration};

use super::{
    ConfigError, Paywall, PaywallBuilder, dialects, foreign, paywall::PaywallState, secret_source,
    siblings::Sold,
};
use crate::{
    dialect::{
        keys::KeyRing,
        list,
        secrets::{Demands, make_one},
    },
    lightning::ReceiverProfile,
    payment::{Network, SKEW},
    replay::{Durability, ReplayStore},
    server::{
        address::Proxies,
        limit::{Limiter, SharedNumbers},
        origin::{Origin, OriginError, Origins},
        state::{body_memory::BodyMemory, pace::Pace},
    },
};

impl PaywallBuilder {
    /// Builds the paywall. Checks everything that is possible before the first request.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names what is missing or wrong, and the fix.
    pub fn build(mut self) -> Result<Paywall, ConfigError> {
        let profile = self.receiver.profile();
        let store = self.store.take().ok_or_else(|| {
            ConfigError::new(
                "no replay store: call .replay_store(DurableStore::open(\"spent\")?), or MemoryStore::new()? for tests",
            )
        })?;
        let secrets = self
            .secrets
            .take()
            .unwrap_or_else(|| Err(make_one!("no master secret:").into()));
        let secrets = secrets.map_err(ConfigError::new)?;
        self.money_fits(&profile, &*store)?;
        self.rights_fit(&profile)?;
        self.times_fit()?;
        let authorities = self.own_origins()?;
        let is_real_money = profile.network == Network::Bitcoin && !profile.in_process;
        secret_source::require(
            &secrets,
            Demands {
                strong: !authorities.are_loopback(),
                unknown: is_real_money,
            },
        )?;
        let body_limit = self.body_limit_that_fits()?;
        self.unpaid_fit()?;
        self.shared_limits_fit()?;
        self.challenge_headers_fit()?;
        let shared = self.shared_limits.take();
        let shared =
            shared.map(|(records, name)| SharedNumbers::new(records, name, store.id().as_bytes()));
        let service = dialects::service_label(self.service.as_deref())?;
        let (origins, keyed): (Vec<Arc<str>>, Vec<Arc<str>>) = authorities
            .all()
            // Services under two prefixes of one origin are two services.
            .map(|(origin, keyed)| {
                let keyed = [keyed.as_str(), keyed.prefix()].concat();
                (Arc::from(origin.as_str()), keyed.into())
            })
            .unzip();
        let proxies = Proxies::parse(self.proxies.iter().map(String::as_str), self.forwarded_by)
            .and_then(|proxies| match self.trusted_hops {
                Some(hops) => proxies.with_hops(hops),
                None => Ok(proxies),
            })
            .map_err(|error| ConfigError::new(error.to_string()))?;
        let dialects = dialects::enabled(
            self.dialects.as_deref(),
            &profile,
            self.l402_service.as_deref(),
        )?;
        if self.accept_foreign_proofs {
            foreign::check(&profile, &*store, &dialects, self.clock.now())?;
        }
        let keys = KeyRing::new(
            secrets,
            list::purposes(),
            profile.network,
            (keyed, service),
            *store.id().as_bytes(),
        )
        .map(Arc::new)
        .ok_or_else(|| {
            ConfigError::new("two master secrets lead to the same key id: replace one of them")
        })?;
        Ok(Paywall::new(PaywallState {
            receiver: self.receiver,
            store,
            revocations: self.revocations,
            dialects,
            origins,
            authorities,
            proxies,
            proxies_send_prefix: self.proxies_send_prefix,
            sold: Sold::enrol(keys.clone()),
            keys,
            clock: self.clock,
            limiter: Arc::new(Limiter::new(self.limits).with_shared(shared)),
            announcer: Default::default(),
            presented: BodyMemory::new(self.body_pool - self.body_pool / 2, body_limit),
            unpaid: BodyMemory::new(self.body_pool / 2, body_limit),
            challenge_header_bytes: self.challenge_header_bytes,
            body_limit,
            time_limit: self.time_limit,
            invoice_expiry: self.invoice_expiry,
            redeem_within: self.redeem_within,
            uses_within: self.uses_within,
            max_restores: self.max_restores,
            accept_foreign_proofs: self.accept_foreign_proofs,
            keep_credentials: self.keep_credentials,
            answer_hook: self.answer_hook,
            spent: Default::default(),
            turns: Default::default(),
            doubted_turns: Default::default(),
            confirmations: Default::default(),
            repricing: Pace::new(RUNS_OF_ONE_PAYMENT, RUNS_OF_ONE_CLIENT),
            readiness: Default::default(),
            store_health: Default::default(),
            notices: Default::default(),
            profile,
        }))
    }

    /// Refuses a volatile store on mainnet, and test money that is not allowed.
    fn money_fits(
        &self,
        profile: &ReceiverProfile,
        store: &dyn ReplayStore,
    ) -> Result<(), ConfigError> {
        if profile.network == Network::Bitcoin
            && store.durability() == Durability::Volatile
            && !self.allow_volatile_replay_store
        {
            return Err(ConfigError::new(
                "this store may forget spent payments when its process or server ends: use a durable one (for Redis or PostgreSQL, change what its warning in the log names), or risk it with .allow_volatile_replay_store()",
            ));
        }
        if profile.network != Network::Bitcoin && !profile.in_process && !self.allow_test_network {
            return Err(ConfigError::new(format!(
                "the node is on {}, whose money is worth nothing: call .allow_test_network() to allow that",
                profile.network
            )));
        }
        Ok(())
    }

    fn times_fit(&self) -> Result<(), ConfigError> {
        for (name, time) in [
            ("invoice_expiry", self.invoice_expiry),
            ("time_limit", self.time_limit),
        ] {
            if time.as_secs() == 0 || time > YEAR {
                return Err(ConfigError::new(format!(
                    ".{name}(..) must be between a second and a year"
                )));
            }
        }
        for (name, time) in [
            ("redeem_within", self.redeem_within),
            ("uses_within", self.uses_within),
        ] {
            if time < SKEW {
                return Err(ConfigError::new(format!(
                    ".{name}(..) must be at least 60 s, because payments settle late and clocks differ: raise it"
                )));
            }
        }
        for (name, time) in [
            ("invoice_expiry", self.invoice_expiry),
            ("redeem_within", self.redeem_within),
            ("uses_within", self.uses_within),
        ] {
            if time.subsec_nanos() != 0 {
                return Err(ConfigError::new(format!(
                    ".{name}(..) must be whole seconds, and this is {time:?}: round it"
                )));
            }
        }
        Ok(())
    }

    fn own_origins(&self) -> Result<Origins, ConfigError> {
        let parsed = self.origins.iter().map(|(text, insecure)| match insecure {
            true => Origin::parse_insecure(text),
            false => Origin::parse(text),
        });
        let wrong = |error: OriginError| ConfigError::new(error.to_string());
        Origins::new(
            parsed.collect::<Result<_, _>>().map_err(wrong)?,
            &self.authorities,
        )
        .map_err(wrong)
    }

    /// The longest body that is read, in bytes.
    fn body_limit_that_fits(&self) -> Result<usize, ConfigError> {
        let body_limit = self
            .body_limit
            .unwrap_or(BODY_LIMIT.min(self.body_pool / 16));
        if self.body_limit == Some(0) {
            return Err(ConfigError::new(
                ".body_limit(0) refuses every request with a body: set a limit of at least 1 byte, or let bodies pass unread with \
                 Charge::stream_body",
            ));
        }
        if body_limit > self.body_pool / 2 {
            let (pool, half) = (self.body_pool, self.body_pool / 2);
            return Err(ConfigError::new(format!(
                "a body of .body_limit({body_limit}) could never be buffered, because one request gets at most half of \
                 .body_pool({pool}), which is {half} bytes: raise the pool to twice the limit, or lower the limit"
            )));
        }
        Ok(body_limit)
    }

    fn unpaid_fit(&self) -> Result<(), ConfigError> {
        if self.limits.per_client == 0 || self.limits.total == 0 {
            return Err(ConfigError::new(
                "no invoice could ever be issued: .max_unpaid_per_client(..) and .max_unpaid(..) must be at least 1",
            ));
        }
        Ok(())
    }
}

const BODY_LIMIT: usize = 2 << 20;
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// How many runs of a price function credentials of one payment may cause at once, and after how
/// long one more. A foreign proof counts at the current price, so each needs a run. After a refusal
/// an honest client waits for `Retry-After`.
const RUNS_OF_ONE_PAYMENT: (u32, Duration) = (2, Duration::from_secs(5));

/// The same for all payments of one client together. Only runs for failed proofs count.
const RUNS_OF_ONE_CLIENT: (u32, Duration) = (64, Duration::from_secs(1));
