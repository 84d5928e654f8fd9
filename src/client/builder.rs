use std::{fmt, sync::Arc};

use super::{
    Approver, Policy, Wallet, WalletError,
    wallet::{OnNearlyUsedUp, Shared},
};
use crate::{
    clock::{Clock, SystemClock},
    ledger::{Budget, BudgetPath, Ledger, LedgerOptions, OverBudget},
    lightning::Payer,
    payment::{DialectName, Network},
};

/// What a [`Wallet`] is built from: see [`Wallet::builder`].
#[must_use]
pub struct WalletBuilder {
    payer: Arc<dyn Payer>,
    name: String,
    budget: Option<Budget>,
    ledger: Option<Ledger>,
    policy: Policy,
    dialects: Vec<DialectName>,
    clock: Arc<dyn Clock>,
    own_receivers: Vec<[u8; 33]>,
    approver: Option<Arc<dyn Approver>>,
    on_nearly_used_up: Option<OnNearlyUsedUp>,
    payer_without_fee_limit: bool,
    volatile_ledger: bool,
}

impl Wallet {
    /// Creates a builder for a wallet that pays with this node.
    pub fn builder(payer: impl Payer) -> WalletBuilder {
        WalletBuilder {
            payer: Arc::new(payer),
            name: "wallet".to_owned(),
            budget: None,
            ledger: None,
            policy: Policy::new(),
            dialects: PREFERENCE.to_vec(),
            clock: Arc::new(SystemClock::new()),
            own_receivers: Vec::new(),
            approver: None,
            on_nearly_used_up: None,
            payer_without_fee_limit: false,
            volatile_ledger: false,
        }
    }
}

impl WalletBuilder {
    /// Sets what may be spent. It must have a limit in total, or for a day or less.
    pub fn budget(self, budget: Budget) -> Self {
        Self {
            budget: Some(budget),
            ..self
        }
    }

    /// Sets the name of the budget in the ledger: `wallet`, if none is set. Wallets of one name and
    /// one ledger share one budget. While one of them exists, another one must have the same limits.
    /// A restart may change them.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// Sets the ledger. Without one, a ledger in memory is used.
    pub fn ledger(self, ledger: Ledger) -> Self {
        Self {
            ledger: Some(ledger),
            ..self
        }
    }

    /// Sets what may be paid for.
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Sets the dialects that the wallet speaks, the preferred one first: x402, MPP and L402, if
    /// this is not called.
    pub fn dialects(self, dialects: impl IntoIterator<Item = DialectName>) -> Self {
        Self {
            dialects: dialects.into_iter().collect(),
            ..self
        }
    }

    /// Sets who decides about payments before they are made.
    pub fn approver(self, approver: impl Approver) -> Self {
        Self {
            approver: Some(Arc::new(approver)),
            ..self
        }
    }

    /// Sets a function that hears of each payment that leaves at most a fifth of a limit, if more was
    /// left before it. It runs before that payment is made, so it should return soon.
    pub fn on_nearly_used_up(self, hear: impl Fn(&OverBudget) + Send + Sync + 'static) -> Self {
        Self {
            on_nearly_used_up: Some(Arc::new(hear)),
            ..self
        }
    }

    /// Adds the public key of a receiver of the same owner. Its invoices are not paid: a server
    /// could pass on an invoice of the owner's own paywall, and present the preimage there.
    pub fn own_receiver(mut self, public_key: [u8; 33]) -> Self {
        self.own_receivers.push(public_key);
        self
    }

    /// Sets the clock, for tests.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Allows a payer that does not keep the fee limit. Its fees may exceed the budget.
    pub const fn allow_payer_without_fee_limit(mut self) -> Self {
        self.payer_without_fee_limit = true;
        self
    }

    /// Allows a ledger in memory on mainnet. With the process it forgets what was spent and what
    /// was paid for.
    pub const fn volatile_ledger(mut self) -> Self {
        self.volatile_ledger = true;
        self
    }

    /// Builds the wallet, and sets its budget in the ledger.
    ///
    /// # Errors
    ///
    /// A [`WalletError`] that says what to change: there is no total or daily limit, the payer
    /// keeps no fee limit, the ledger is in memory on mainnet, no dialect is named, the budget's
    /// name does not fit, or the ledger cannot be written.
    pub async fn build(self) -> Result<Wallet, WalletError> {
        let profile = self.payer.profile();
        let budget = self
            .budget
            .filter(Budget::is_limited)
            .ok_or(WalletError::new(
                "expected a budget with a limit in total, or for a day or less (one per host is not enough): call `budget`",
            ))?;
        if budget.pays_nothing() {
            return Err(WalletError::new(
                "expected a budget whose limits are above 0: with this one nothing can be paid",
            ));
        }
        let path = BudgetPath::root(&self.name).ok_or(WalletError::new(
            "expected a name of 1 to 64 printable ASCII characters without a slash",
        ))?;
        if !profile.keeps_fee_limit && !self.payer_without_fee_limit {
            return Err(WalletError::new(
                "the payer does not keep a fee limit, so its fees may exceed the budget: call `allow_payer_without_fee_limit` to use it all the same",
            ));
        }
        let ledger = self.ledger.unwrap_or_else(|| {
            let options = LedgerOptions::new().clock(Arc::clone(&self.clock));
            Ledger::in_memory_with(options)
        });
        let is_real = profile.network == Network::Bitcoin;
        if is_real && !ledger.is_durable() && !self.volatile_ledger {
            return Err(WalletError::new(
                "the ledger is in memory, and forgets with the process what was paid: open one in a folder, or call `volatile_ledger`",
            ));
        }
        let is_spoken = |dialect: &DialectName| super::offers::half(dialect).is_some();
        if !self.dialects.iter().any(is_spoken) {
            return Err(WalletError::new(
                "expected at least one dialect whose feature is on: call `dialects`, or turn on `x402`, `mpp` or `l402`",
            ));
        }
        let announced = self.dialects.iter().filter(|_| self.policy.announces);
        let announcements = announced.filter_map(super::offers::announcement).collect();
        let root = ledger.use_root(&path, budget).await?;
        let shared = Shared {
            _root: root,
            _payer: ledger.use_payer(profile.id),
            payer: self.payer,
            network: profile.network,
            ledger,
            policy: self.policy,
            dialects: self.dialects,
            announcements,
            clock: self.clock,
            own_receivers: self.own_receivers,
            approver: self.approver,
            on_nearly_used_up: self.on_nearly_used_up,
            tokens: std::sync::Mutex::default(),
            redirects: std::sync::Mutex::default(),
            recovered: tokio::sync::OnceCell::new(),
            last_recovery: tokio::sync::Mutex::default(),
        };
        let wallet = Wallet::new(Arc::new(shared), path);
        wallet.load_tokens()?;
        Ok(wallet)
    }
}

/// The preferred dialect first. x402 binds the payment to the whole request, L402 to nothing that a
/// client can check.
const PREFERENCE: [DialectName; 3] = [DialectName::X402, DialectName::Mpp, DialectName::L402];

impl fmt::Debug for WalletBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletBuilder")
            .field("payer", &self.payer)
            .field("name", &self.name)
            .field("budget", &self.budget)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lightning::LocalNode, payment::Amount};

    #[tokio::test]
    async fn a_wallet_whose_budget_pays_nothing_is_not_built() {
        let one = Amount::from_sat(1);
        for (budget, is_built) in [
            (Budget::daily(Amount::ZERO), false),
            (Budget::total(Amount::ZERO), false),
            (Budget::daily(one).per_host(Amount::ZERO), false),
            (Budget::daily(one).per_host(one), true),
        ] {
            let builder = Wallet::builder(LocalNode::new()).budget(budget);
            let built = builder.build().await;
            assert_eq!(built.is_ok(), is_built, "{built:?}");
        }
        let per_host = Budget::without_limits().per_host(one);
        let built = Wallet::builder(LocalNode::new()).budget(per_host).build();
        let text = built.await.unwrap_err().to_string();
        assert!(text.contains("one per host is not enough"), "{text}");
    }
}
