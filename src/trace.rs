//! Logging through `tracing`. Without the feature `tracing` these functions do nothing.
//!
//! No event ever contains a preimage, a key, a macaroon, a header or a whole credential.

use std::fmt;

/// Logs at INFO.
#[inline]
#[cfg(feature = "devnet")]
pub(crate) fn info(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_x402", "{line}");
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

/// Logs at WARN.
#[inline]
pub(crate) fn warn(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_x402", "{line}");
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

/// Logs at ERROR.
#[inline]
pub(crate) fn error(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "tower_x402", "{line}");
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}
