//! Whether a master secret can come from a random source. This finds what people type and what
//! programs fill memory with. It cannot find a bad generator.

/// Why a secret of the right length cannot have come from a random source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weakness {
    /// Its bytes repeat, or count up or down.
    Pattern,
    /// It is text, or holds a long piece of text.
    Text,
}

/// What is wrong with a secret that has the right length.
///
/// Of a million random secrets of 32 bytes some three are refused, and fewer of longer ones: half
/// of them for a run of text, and half for too many printable bytes. The other rules together
/// refuse less than one in a hundred million.
pub(super) fn check(secret: &[u8]) -> Result<(), Weakness> {
    if is_text(secret) || holds_text(secret) {
        return Err(Weakness::Text);
    }
    if repeats(secret) {
        Err(Weakness::Pattern)
    } else {
        Ok(())
    }
}

/// UTF-8 without control characters (so hex and base64 too), or printable ASCII in 13 of 16 bytes,
/// as in Latin-1. Zeros between the letters, as in UTF-16, or after them change nothing. By chance,
/// 26 of 32 bytes are printable in 1.6 of a million secrets.
fn is_text(secret: &[u8]) -> bool {
    let is_letter = |letter: char| !letter.is_control() || letter.is_whitespace() || letter == '\0';
    let others = secret
        .iter()
        .filter(|byte| !byte.is_ascii() || !is_letter(char::from(**byte)))
        .count();
    others <= secret.len() * 3 / 16
        || str::from_utf8(secret).is_ok_and(|text| text.chars().all(is_letter))
}

/// Returns whether a secret has 16 or more printable bytes in a row, and fewer other bytes than a
/// secret needs. By chance, 1.4 of a million random secrets of 32 bytes have such a row. The worst
/// length is 39 bytes, with 2.0 of a million.
fn holds_text(secret: &[u8]) -> bool {
    let rows = secret.split(|byte| !matches!(byte, b' '..=b'~'));
    let longest = rows.map(<[u8]>::len).max().unwrap_or_default();
    longest >= 16 && secret.len() - longest < ENOUGH_BESIDE_TEXT
}

/// In bytes: 192 bits.
const ENOUGH_BESIDE_TEXT: usize = 24;

/// Few different bytes; one byte in more than a quarter of the places; a part that repeats, with
/// two of its bytes changed at most; a bit that is the same in all bytes, as in small numbers; or
/// bytes that count up or down, which shows in the differences between neighbours.
fn repeats(secret: &[u8]) -> bool {
    let mut counts = [0_usize; 256];
    secret
        .iter()
        .for_each(|byte| counts[usize::from(*byte)] += 1);
    let has_period = (1..=secret.len() / 2).any(|period| {
        let changed = secret
            .iter()
            .zip(&secret[period..])
            .filter(|(byte, later)| byte != later);
        changed.take(CHANGED + 1).count() <= CHANGED
    });
    let (always, ever) = secret.iter().fold((u8::MAX, 0), |(always, ever), byte| {
        (always & byte, ever | byte)
    });
    let steps = differences(secret);
    counts.iter().any(|count| *count > secret.len() / 4)
        || has_period
        || always != 0
        || ever != u8::MAX
        || [secret, &steps, &differences(&steps)]
            .iter()
            .any(|bytes| distinct(bytes) < DISTINCT)
}

/// A changed byte differs from the byte one period before it and from the one after it.
const CHANGED: usize = 2 * 2;

/// 32 random bytes have about 30 different values.
const DISTINCT: usize = 16;

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes
        .iter()
        .for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

fn differences(bytes: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
    bytes
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect::<Vec<_>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::secrets::Secrets;

    #[test]
    fn text_is_no_secret_in_any_alphabet_or_encoding() {
        let utf_16 = |text: &str| {
            text.encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>()
        };
        let random = Secrets::test_secret(1);
        for text in [
            b"correct horse battery staple and some more".to_vec(),
            "ein Schl\u{fc}ssel, den niemand err\u{e4}t, aber wer".into(),
            "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{43a}\u{43e}\u{442}\u{43e}\u{440}\u{44b}\u{439} \u{43d}\u{435}".into(),
            b"ein Schl\xfcssel, den niemand err\xe4t".to_vec(),
            b"Schl\xfcssel f\xfcr M\xe4nner und Stra\xdfen".to_vec(),
            [b"my very secret password!".as_slice(), &[0xff; 8]].concat(),
            [&[0xff; 8], b"my very secret password!".as_slice()].concat(),
            [b"0123456789abcdef".as_slice(), &random[..16]].concat(),
            [&random[..8], b"a word of people", &random[8..16]].concat(),
            [&random[..23], b"a word of people".as_slice()].concat(),
            utf_16("correct horse battery"),
            b"hunter2, and twelve times as long\0".to_vec(),
            crate::codec::hex::encode(random).into(),
            crate::codec::base64::encode_standard(random).into(),
            [crate::codec::base64::encode_standard(random).as_bytes(), b"\n"].concat(),
        ] {
            assert_eq!(check(&text), Err(Weakness::Text), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_is_no_secret() {
        let random = Secrets::test_secret(1);
        let counted = |step: u8, length: u8| {
            (0..length)
                .map(|n| 0x80_u8.wrapping_add(n.wrapping_mul(step)))
                .collect::<Vec<_>>()
        };
        for pattern in [
            vec![7; 32],
            vec![0xff; 64],
            [0xde, 0xad].repeat(16),
            [0xde, 0xad, 0xbe, 0xef].repeat(8),
            random[..16].repeat(2),
            random.repeat(2),
            random[..15].repeat(3),
            [&random[..16], &random[..15], &[1]].concat(),
            [&random[..16], &[1, 2], &random[2..16]].concat(),
            [
                &random[..8],
                &random[..7],
                &[1],
                &random[..8],
                &[2],
                &random[1..8],
            ]
            .concat(),
            [random.as_slice(), &random[..30], &[1, 2]].concat(),
            (0..32_u8)
                .map(|n| (n.wrapping_mul(13).wrapping_add(5) % 32) ^ (n >> 1))
                .collect(),
            counted(1, 32),
            counted(255, 64),
            counted(7, 32),
            (0..32)
                .map(|n: u8| 0x90_u8.wrapping_add(n.wrapping_mul(n)))
                .collect(),
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
        // always the same ones: a few in a million are refused
        use sha2::{Digest as _, Sha256};
        for length in [32, 33, 39, 40, 48, 64, 100, 4_096] {
            for number in 0..500_u32 {
                let blocks = (0..=length / 32).flat_map(|block: usize| {
                    Sha256::new()
                        .chain_update(number.to_le_bytes())
                        .chain_update(block.to_le_bytes())
                        .finalize()
                });
                let secret: Vec<u8> = blocks.take(length).collect();
                assert_eq!(check(&secret), Ok(()), "{secret:?}");
            }
        }
        assert!((0..=255).all(|number| check(&Secrets::test_secret(number)).is_ok()));
        let random = Secrets::test_secret(1);
        assert_eq!(
            check(&[b"a word of people".as_slice(), &[0xff], &random[..23]].concat()),
            Ok(()),
            "24 bytes are enough"
        );
    }
}
