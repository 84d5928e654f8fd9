//! The caveats that this server mints: how they are named, written and read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

pub(super) const METHOD: &[u8] = b"method";
pub(super) const TARGET: &[u8] = b"target";
pub(super) const ROUTE: &[u8] = b"route";
pub(super) const AMOUNT_MSAT: &[u8] = b"amount_msat";
pub(super) const USES: &[u8] = b"uses";
pub(super) const BOUND: &[u8] = b"bound";
pub(super) const VALID_UNTIL: &[u8] = b"valid_until";

/// What stays readable in a method, a target or a route. Everything else is percent-encoded, the
/// percent sign too. So two different texts never have the same encoding, and no text can smuggle
/// in a `=`, a comma or a second caveat.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Returns a caveat: the name, which ends in `=`, and the encoding of a method, a target or a
/// route.
pub(super) fn encoded(name: &str, text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let mut caveat = String::with_capacity(name.len() + text.len() + 16);
    caveat.push_str(name);
    caveat.extend(percent_encode(text, KEPT));
    caveat
}

/// Returns whether `value` is the encoding of `text`.
pub(super) fn encodes(value: &[u8], text: &str) -> bool {
    after(value, text).is_some_and(<[u8]>::is_empty)
}

/// Returns what follows the encoding of `text` in `value`. `None` if it does not begin with that.
pub(super) fn after<'v>(value: &'v [u8], text: &str) -> Option<&'v [u8]> {
    let mut pieces = percent_encode(text.as_bytes(), KEPT).map(str::as_bytes);
    pieces.try_fold(value, |rest, piece| rest.strip_prefix(piece))
}

/// Returns the name and value of a caveat. `None` if it has no `=`.
pub(super) fn split(caveat: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = caveat.iter().position(|byte| *byte == b'=')?;
    Some((&caveat[..equals], &caveat[equals + 1..]))
}

/// Reads a number in decimal digits, without a sign.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.len() > 19 {
        return text
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| str::from_utf8(text).ok()?.parse().ok())?;
    }
    // Nineteen digits always fit.
    let (number, is_number) =
        text.iter()
            .fold((0, !text.is_empty()), |(number, is_number), byte| {
                (
                    number * 10 + u64::from(byte & 0xf),
                    is_number & byte.is_ascii_digit(),
                )
            });
    is_number.then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "18446744073709551616",
            "1e3",
            "0x1",
        ] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_encoding_belongs_to_one_text_and_smuggles_nothing(a in ".{0,40}", b in ".{0,40}") {
            let text = encoded("", &a);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)));
            prop_assert!(encodes(text.as_bytes(), &a));
            prop_assert_eq!(encodes(text.as_bytes(), &b), a == b);
            prop_assert!(!encodes(&[text.as_bytes(), b"x"].concat(), &a));
        }
    }
}
