//! Whether a server can sell and serve now, for readiness probes.

use std::{error::Error, fmt, time::Duration};

use super::Paywall;
use crate::boxed::BoxError;

impl Paywall {
    /// Checks that the Lightning node and the replay store answer. Use it for a readiness probe.
    /// Without them, requests that need them are answered with 503.
    ///
    /// It waits for each of them at most [`time_limit`](super::PaywallBuilder::time_limit). If both
    /// answered, it does not ask again for a second. It makes no invoice and takes no use. A store
    /// that cannot write to its disk is not ready. While the store is not ready, nothing is sold that
    /// it must count.
    ///
    /// # Errors
    ///
    /// [`NotReady`], whose text says which of them does not answer, and why. The text may name hosts
    /// of your network: log it, and do not send it to clients.
    ///
    /// ```
    /// # #[cfg(all(feature = "axum", feature = "l402"))] {
    /// use axum::{Router, http::StatusCode, routing::get};
    /// use tower_x402::Paywall;
    ///
    /// fn probes(paywall: Paywall) -> Router {
    ///     let ready = async move || match paywall.ready().await {
    ///         Ok(()) => StatusCode::OK,
    ///         Err(reason) => {
    ///             eprintln!("not ready: {reason}");
    ///             StatusCode::SERVICE_UNAVAILABLE
    ///         }
    ///     };
    ///     Router::new().route("/ready", get(ready))
    /// }
    /// # let _ = probes;
    /// # }
    /// ```
    pub async fn ready(&self) -> Result<(), NotReady> {
        let setup = self.setup();
        if setup.readiness.is_recent() {
            return Ok(());
        }
        let node = within(setup.time_limit, setup.receiver.ready()).await;
        let store = within(setup.time_limit, setup.store.ready()).await;
        match &store {
            Some(why) => setup.store_health.failed(why),
            None => setup.store_health.answered(),
        }
        if node.is_none() && store.is_none() {
            setup.readiness.note();
            return Ok(());
        }
        Err(NotReady { node, store })
    }
}

/// Returns why it is not ready.
async fn within<E: Into<BoxError>>(
    time: Duration,
    check: impl Future<Output = Result<(), E>>,
) -> Option<BoxError> {
    match tokio::time::timeout(time, check).await {
        Ok(answer) => answer.err().map(Into::into),
        Err(_) => Some(format!("no answer within {time:?}").into()),
    }
}

/// Why a server cannot sell and serve now.
#[derive(Debug)]
pub struct NotReady {
    node: Option<BoxError>,
    store: Option<BoxError>,
}

impl NotReady {
    /// Returns whether the Lightning node answers.
    #[must_use]
    pub const fn is_node_ready(&self) -> bool {
        self.node.is_none()
    }

    /// Returns whether the replay store answers.
    #[must_use]
    pub const fn is_store_ready(&self) -> bool {
        self.store.is_none()
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for (part, reason) in [
            ("Lightning node", &self.node),
            ("replay store", &self.store),
        ] {
            if let Some(reason) = reason {
                write!(f, "{before}the {part} is not ready: {reason}")?;
                before = "; ";
            }
        }
        Ok(())
    }
}

impl Error for NotReady {}
