//! Log lines through `tracing`; without that feature, nothing at all.
//!
//! No line ever holds a preimage, a key, a macaroon, a header or a whole credential.

use std::fmt;

/// What an operator should know.
#[inline]
#[cfg(feature = "devnet")]
pub(crate) fn info(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_x402", "{line}");
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

/// What an operator should look at.
#[inline]
pub(crate) fn warn(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_x402", "{line}");
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

/// What an operator must repair.
#[inline]
pub(crate) fn error(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "tower_x402", "{line}");
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}
