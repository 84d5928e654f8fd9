//! Whether a master secret can have come from a random source. It finds what people type and what programs fill memory with; it
//! cannot find a bad generator.

use super::secrets::SecretError;

/// What is wrong with a secret that has the right length.
///
/// A random secret of 32 bytes is refused less often than once in a hundred million.
pub(super) fn check(secret: &[u8]) -> Result<(), SecretError> {
    if is_text(secret) {
        return Err(SecretError::Text);
    }
    if repeats(secret) { Err(SecretError::Pattern) } else { Ok(()) }
}

/// UTF-8 without control characters (hex and base64 too), or all but a tenth of it printable ASCII. Zeros between the letters, as
/// in UTF-16, and behind them change nothing.
fn is_text(secret: &[u8]) -> bool {
    let is_letter = |letter: char| !letter.is_control() || letter.is_whitespace() || letter == '\0';
    let others = secret.iter().filter(|byte| !byte.is_ascii() || !is_letter(char::from(**byte))).count();
    others <= secret.len() / 10 || str::from_utf8(secret).is_ok_and(|text| text.chars().all(is_letter))
}

/// Few different bytes; one byte in more than a quarter of the places; a part that is said again and again; or bytes that count
/// up or down, which shows in the differences between neighbours.
fn repeats(secret: &[u8]) -> bool {
    let mut counts = [0_usize; 256];
    secret.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let has_period = (1..=secret.len() / 2).any(|period| secret[period..] == secret[..secret.len() - period]);
    let steps = differences(secret);
    counts.iter().any(|count| *count > secret.len() / 4)
        || has_period
        || [secret, &steps, &differences(&steps)].iter().any(|bytes| distinct(bytes) < DISTINCT)
}

/// Of 32 random bytes some 30 are different.
const DISTINCT: usize = 16;

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

fn differences(bytes: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::secrets::Secrets;

    #[test]
    fn text_is_no_secret_in_any_alphabet_or_encoding() {
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let random = Secrets::test_secret(1);
        for text in [
            b"correct horse battery staple and some more".to_vec(),
            "ein Schl\u{fc}ssel, den niemand err\u{e4}t, aber wer".into(),
            "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{43a}\u{43e}\u{442}\u{43e}\u{440}\u{44b}\u{439} \u{43d}\u{435}".into(),
            b"ein Schl\xfcssel, den niemand err\xe4t".to_vec(),
            utf_16("correct horse battery"),
            b"hunter2, and twelve times as long\0".to_vec(),
            crate::codec::hex::encode(random).into(),
            crate::codec::base64::encode_standard(random).into(),
            [crate::codec::base64::encode_standard(random).as_bytes(), b"\n"].concat(),
        ] {
            assert_eq!(check(&text), Err(SecretError::Text), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_is_no_secret() {
        let random = Secrets::test_secret(1);
        let counted = |step: u8, length: u8| (0..length).map(|n| 0x80_u8.wrapping_add(n.wrapping_mul(step))).collect::<Vec<_>>();
        for pattern in [
            vec![7; 32],
            vec![0xff; 64],
            [0xde, 0xad].repeat(16),
            [0xde, 0xad, 0xbe, 0xef].repeat(8),
            random[..16].repeat(2),
            random.repeat(2),
            random[..15].repeat(3),
            counted(1, 32),
            counted(255, 64),
            counted(7, 32),
            (0..32).map(|n: u8| 0x90_u8.wrapping_add(n.wrapping_mul(n))).collect(),
            (0..16).chain((0..16).rev()).map(|n| n | 0x80).collect(),
            (0x1000_u16..0x1010).flat_map(u16::to_be_bytes).collect(),
            (1_u32..9).flat_map(u32::to_be_bytes).collect(),
            [&random[..20], &[0; 12]].concat(),
        ] {
            assert!(check(&pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn random_bytes_of_any_length_are_taken() {
        for length in [32, 33, 48, 64, 100, 4_096] {
            for _ in 0..1_000 {
                let mut secret = vec![0; length];
                getrandom::fill(&mut secret).unwrap();
                assert_eq!(check(&secret), Ok(()), "{secret:?}");
            }
        }
        assert!((0..=255).all(|number| check(&Secrets::test_secret(number)).is_ok()));
    }
}
