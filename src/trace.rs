//! Logging through `tracing`. Without the feature `tracing` nothing here does anything.
//!
//! No event ever contains a preimage, a key, a macaroon, a header or a whole credential.

use std::fmt;

/// Logs an event with fields at a level: `event!(DEBUG, "what happened", path = uri.path())`.
///
/// A value is a string or an integer, or anything that implements `Display` in [`shown`]. The values
/// are evaluated only if a subscriber takes the event, and never without the feature `tracing`.
#[cfg(feature = "server")]
macro_rules! event {
    ($level:ident, $message:literal $(, $field:ident = $value:expr)+ $(,)?) => {{
        #[cfg(feature = "tracing")]
        tracing::event!(
            target: "tower_x402",
            tracing::Level::$level,
            $($field = $value,)+
            $message
        );
        #[cfg(not(feature = "tracing"))]
        if false {
            $(let _ = &$value;)+
        }
    }};
}

#[cfg(feature = "server")]
pub(crate) use event;

/// Makes a value for [`event!`] that is printed with `Display`, in one line.
#[cfg(feature = "tracing")]
pub(crate) fn shown(value: impl fmt::Display) -> tracing::field::DisplayValue<impl fmt::Display> {
    tracing::field::display(OneLine(value))
}

/// Makes a value for [`event!`] that is printed with `Display`.
#[cfg(not(feature = "tracing"))]
pub(crate) fn shown<T: fmt::Display>(value: T) -> T {
    value
}

/// A text that may come from outside, printed so that it can neither begin a new line of the log nor
/// change how the rest of it is shown: control characters, line separators and characters that
/// change the direction of writing are escaped.
#[cfg(feature = "tracing")]
struct OneLine<T>(T);

#[cfg(feature = "tracing")]
impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        write!(Escaping(f), "{}", self.0)
    }
}

#[cfg(feature = "tracing")]
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

#[cfg(feature = "tracing")]
impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let breaks = |c: char| {
            c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        for part in text.split_inclusive(breaks) {
            let last = part.char_indices().next_back().filter(|(_, c)| breaks(*c));
            let end = last.map_or(part.len(), |(at, _)| at);
            self.0.write_str(&part[..end])?;
            if let Some((_, c)) = last {
                write!(self.0, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// Runs a future in a span with these fields, which hold no secret.
#[cfg(feature = "client")]
pub(crate) async fn in_payment<F: Future>(
    future: F,
    fields: &PaymentFields<'_>,
    outcome: impl FnOnce(&F::Output) -> &'static str,
) -> F::Output {
    #[cfg(feature = "tracing")]
    {
        use tracing::Instrument as _;

        let span = tracing::info_span!(
            target: "tower_x402",
            "payment",
            host = fields.host,
            msat = fields.msat,
            dialect = fields.dialect,
            payment_hash = %fields.payment_hash,
            outcome = tracing::field::Empty,
        );
        let output = future.instrument(span.clone()).await;
        span.record("outcome", outcome(&output));
        output
    }
    #[cfg(not(feature = "tracing"))]
    {
        let (_, output) = (fields, future.await);
        let _ = outcome(&output);
        output
    }
}

/// Logs at INFO that a payment was made, and its fee.
#[cfg(feature = "client")]
pub(crate) fn paid(fields: &PaymentFields<'_>, fee_msat: u64) {
    #[cfg(feature = "tracing")]
    tracing::info!(
        target: "tower_x402",
        host = fields.host,
        msat = fields.msat,
        fee_msat,
        dialect = fields.dialect,
        payment_hash = %fields.payment_hash,
        "paid"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (fields, fee_msat);
}

/// What a span of a payment says.
#[cfg(feature = "client")]
#[cfg_attr(not(feature = "tracing"), allow(dead_code))]
pub(crate) struct PaymentFields<'a> {
    pub(crate) host: &'a str,
    pub(crate) msat: u64,
    pub(crate) dialect: &'static str,
    pub(crate) payment_hash: String,
}

/// Returns whether a subscriber takes events at INFO.
#[inline]
pub(crate) fn takes_info() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::enabled!(target: "tower_x402", tracing::Level::INFO);
    #[cfg(not(feature = "tracing"))]
    return false;
}

/// Logs at INFO.
#[inline]
pub(crate) fn info(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_x402", "{}", OneLine(line));
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

/// Logs at WARN.
#[inline]
pub(crate) fn warn(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tower_x402", "{}", OneLine(line));
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

/// Logs at ERROR.
#[inline]
pub(crate) fn error(line: fmt::Arguments<'_>) {
    #[cfg(feature = "tracing")]
    tracing::error!(target: "tower_x402", "{}", OneLine(line));
    #[cfg(not(feature = "tracing"))]
    let _ = line;
}

#[cfg(all(test, feature = "server", feature = "tracing"))]
mod tests {
    use tracing::{Level, subscriber::with_default};

    use super::*;

    /// Takes events up to this level, and throws them away.
    fn up_to(level: Level) -> impl tracing::Subscriber {
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::sink)
            .finish()
    }

    #[test]
    fn the_values_of_an_event_are_evaluated_only_if_somebody_takes_it() {
        let evaluated = |level| {
            let (count, event) = (std::cell::Cell::new(0), "a test");
            with_default(up_to(level), || {
                let value = || count.replace(count.get() + 1);
                event!(DEBUG, "of a test", event = event, value = value());
            });
            count.get()
        };
        assert_eq!((evaluated(Level::INFO), evaluated(Level::DEBUG)), (0, 1));
    }

    #[test]
    fn a_text_from_outside_begins_no_line_and_turns_no_direction() {
        let texts = [
            ("weather/oslo\u{e9}", "weather/oslo\u{e9}"),
            ("a\nERROR b", "a\\u{a}ERROR b"),
            ("\u{85}\u{9b}31m\u{2028}", "\\u{85}\\u{9b}31m\\u{2028}"),
            ("\u{202e}x\u{2066}\u{feff}", "\\u{202e}x\\u{2066}\\u{feff}"),
            ("", ""),
        ];
        for (text, printed) in texts {
            assert_eq!(OneLine(text).to_string(), printed);
        }
    }

    #[test]
    fn info_is_taken_at_info_and_not_at_warn() {
        let takes = |level| with_default(up_to(level), takes_info);
        assert!(takes(Level::INFO) && !takes(Level::WARN));
    }
}
