use std::sync::Arc;

use super::{ConfigError, PaywallBuilder};
use crate::{replay::Records, server::limit::is_name};

impl PaywallBuilder {
    /// Counts unpaid invoices in these records under this name (1 to 32 printable ASCII characters),
    /// so that [`max_unpaid_per_client`](Self::max_unpaid_per_client) and
    /// [`max_unpaid`](Self::max_unpaid) hold for all instances together. By default each instance
    /// counts its own, and N instances allow N times as many. All paywalls of one name in one store
    /// share one count. They must have the same limits and the same replay store.
    ///
    /// Each invoice counts under a number, which is a record of at most about 200 bytes. It is
    /// written before the node is called. So a 402 asks the store once. It asks again if the number
    /// is taken, up to four times in all. A request with a payment asks it nothing. A client that
    /// paid keeps its number for further invoices, and rarely asks. **If the store fails, there are
    /// no new invoices:** the answer is 503. So a failing store does not open the node to a flood.
    ///
    /// The limits are never exceeded, but a client near its limit may get 429 before it reaches it,
    /// because only four numbers are tried. The number of an unpaid invoice is free again two
    /// minutes after that invoice expires. A client that paid may hold a tenth more than its limit.
    ///
    /// An instance frees a number when it sees the payment. If another instance redeems it, call
    /// [`Paywall::free_paid_invoices`](super::Paywall::free_paid_invoices) in a task, or let the
    /// balancer send each client to one instance. See [scaling](crate::docs::scaling).
    pub fn share_unpaid_limits(mut self, records: impl Records, name: impl Into<String>) -> Self {
        self.shared_limits = Some((Arc::new(records), name.into().into()));
        self
    }

    pub(super) fn shared_limits_fit(&self) -> Result<(), ConfigError> {
        let shared = self.shared_limits.as_ref();
        if shared.is_none_or(|(_, name)| is_name(name)) {
            return Ok(());
        }
        Err(ConfigError::new(
            "the name of shared limits must have 1 to 32 printable ASCII characters: change .share_unpaid_limits(..)",
        ))
    }
}
