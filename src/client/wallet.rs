use std::{
    fmt,
    sync::{Arc, Mutex},
};

use http::{Method, Response, Uri};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    Approver, Policy,
    hand::Hand,
    job::Job,
    offers::half,
    place::Place,
    redirects::Redirects,
    tokens::{Token, Tokens},
};
use crate::{
    clock::{Clock, Timestamp},
    dialect::HeaderLine,
    ledger::{
        Budget, BudgetPath, BudgetState, Entry, EntryId, Ledger, LedgerError, OverBudget,
        PayerInUse, RootInUse,
    },
    lightning::Payer,
    lock::lock,
    payment::{DialectName, Network},
};

/// What pays for requests: a payer, a budget, a policy and a ledger. Clones share one wallet.
///
/// ```
/// use tower_x402::{Amount, client::{AutoPayLayer, Wallet}, ledger::Budget, lightning::LocalNode};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = LocalNode::new(); // in production what `lightning::connect(..).payer()` returns
/// let wallet = Wallet::builder(node).budget(Budget::daily(Amount::from_sat(500))).build().await?;
/// let search = wallet.child("search", Budget::total(Amount::from_sat(100))).await?;
/// assert_eq!(search.budget()?.remaining, Some(Amount::from_sat(100)));
/// let layer = AutoPayLayer::new(search);
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Wallet {
    shared: Arc<Shared>,
    budget: BudgetPath,
}

/// Hears of limits of which little is left.
pub(super) type OnNearlyUsedUp = Arc<dyn Fn(&OverBudget) + Send + Sync>;

pub(super) struct Shared {
    /// The limits of the outermost budget stay as they are while this wallet exists.
    pub(super) _root: Arc<RootInUse>,
    /// Nobody gives up what this wallet's payer was asked to pay.
    pub(super) _payer: Arc<PayerInUse>,
    pub(super) payer: Arc<dyn Payer>,
    pub(super) network: Network,
    pub(super) ledger: Ledger,
    pub(super) policy: Policy,
    pub(super) dialects: Vec<DialectName>,
    /// The lines that tell a server which payments this client can make.
    pub(super) announcements: Vec<HeaderLine>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) own_receivers: Vec<[u8; 33]>,
    pub(super) approver: Option<Arc<dyn Approver>>,
    pub(super) on_nearly_used_up: Option<OnNearlyUsedUp>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) redirects: Mutex<Redirects>,
    pub(super) recovered: OnceCell<()>,
    /// When the payer was last asked because of a reserved budget.
    pub(super) last_recovery: tokio::sync::Mutex<Option<Instant>>,
}

impl Wallet {
    pub(super) const fn new(shared: Arc<Shared>, budget: BudgetPath) -> Self {
        Self { shared, budget }
    }

    /// Returns a wallet that pays from a budget below this wallet's: for one task, one tool or one
    /// session. The budget is created if there is none of this name. Use
    /// [`Budget::lasting`](crate::ledger::Budget::lasting) for an end that stays the same if this is
    /// called again.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if there is a budget of this name with other limits, or if it cannot be
    /// created: see [`Ledger::create_budget`].
    pub async fn child(&self, name: &str, limits: Budget) -> Result<Self, LedgerError> {
        let ledger = &self.shared.ledger;
        let budget = ledger.create_budget(&self.budget, name, limits).await?;
        Ok(Self::new(Arc::clone(&self.shared), budget))
    }

    /// Returns the budget from which this wallet pays, as it is now.
    ///
    /// # Errors
    ///
    /// A [`LedgerError`] if the ledger cannot be read now.
    pub fn budget(&self) -> Result<BudgetState, LedgerError> {
        self.shared.ledger.budget(&self.budget)
    }

    /// Returns the ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    pub(super) fn budget_path(&self) -> &BudgetPath {
        &self.budget
    }

    pub(super) fn payer(&self) -> &dyn Payer {
        &*self.shared.payer
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    pub(super) fn dialects(&self) -> &[DialectName] {
        &self.shared.dialects
    }

    pub(super) fn announcements(&self) -> &[HeaderLine] {
        &self.shared.announcements
    }

    pub(super) fn network(&self) -> Network {
        self.shared.network
    }

    pub(super) fn own_receivers(&self) -> &[[u8; 33]] {
        &self.shared.own_receivers
    }

    pub(super) fn approver(&self) -> Option<&dyn Approver> {
        self.shared.approver.as_deref()
    }

    pub(super) fn nearly_used_up(&self, limit: &OverBudget) {
        if let Some(hear) = &self.shared.on_nearly_used_up {
            hear(limit);
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Takes an entry into the hands of a call.
    pub(super) fn hand(&self, id: EntryId) -> Hand {
        Hand::new(self.shared.ledger.clone(), id)
    }

    pub(super) fn recovered(&self) -> &OnceCell<()> {
        &self.shared.recovered
    }

    pub(super) fn last_recovery(&self) -> &tokio::sync::Mutex<Option<Instant>> {
        &self.shared.last_recovery
    }

    /// Returns the reusable credential for a request.
    pub(super) fn token(&self, job: &Job) -> Option<Token> {
        let tokens = lock(&self.shared.tokens);
        if tokens.is_empty() {
            return None;
        }
        tokens.find(&job.place, &job.headers, self.now())
    }

    pub(super) fn keep(&self, place: &Place, token: Token) {
        let gone = lock(&self.shared.tokens).keep(place, token, self.now());
        gone.into_iter()
            .for_each(|entry| self.shared.ledger.dropped(entry));
    }

    pub(super) fn forget(&self, place: &Place, token: &Token) {
        lock(&self.shared.tokens).forget(place, token);
        self.shared.ledger.dropped(token.entry);
    }

    /// Reads the reusable credentials that the ledger holds.
    pub(super) fn load_tokens(&self) -> Result<(), LedgerError> {
        let token = |entry: &Entry| {
            // A longer path was cut.
            entry.has_whole_path().then_some(())?;
            let purchase = (half(&entry.dialect())?.restore)(entry.payable()).ok()?;
            let url: Uri = format!("{}{}", entry.origin(), entry.path()).parse().ok()?;
            let place = Place::of(Method::from_bytes(entry.method().as_bytes()).ok()?, url)?;
            let token = Token {
                header: purchase.credential(entry.preimage()?)?,
                until: entry.redeem_until(),
                entry: entry.id(),
            };
            (self.now() < token.until).then_some((place, token))
        };
        for entry in self.shared.ledger.reusable()? {
            match token(&entry) {
                Some((place, token)) => self.keep(&place, token),
                None if self.now() >= entry.redeem_until() => {
                    self.shared.ledger.dropped(entry.id());
                }
                // Its dialect may not be compiled in.
                None => {}
            }
        }
        Ok(())
    }

    /// Remembers the target of a redirect that a layer around this one may follow.
    pub(super) fn note_redirect<R>(&self, job: &Job, answer: &mut Response<R>, is_paid: bool) {
        if job.is_watched && answer.status().is_redirection() {
            let answer = (answer.status(), answer.headers_mut());
            let led = (is_paid, job.is_led_here);
            lock(&self.shared.redirects).note(&job.place, answer, led);
        }
    }

    /// Returns whether a redirect led here that must not lead to a payment.
    pub(super) fn was_led_to(&self, job: &Job) -> bool {
        job.is_watched && lock(&self.shared.redirects).take(&job.place)
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet")
            .field("budget", &self.budget)
            .field("network", &self.shared.network)
            .field("dialects", &self.shared.dialects)
            .finish_non_exhaustive()
    }
}
