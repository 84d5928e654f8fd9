//! The hash that the signature of a BOLT11 invoice covers, computed from the invoice's text.

use sha2::{Digest as _, Sha256};

/// Returns the SHA-256 hash of the prefix and of the 5-bit words before the signature.
///
/// The words are packed into bytes, and the last byte is filled with zeros
/// ([BOLT11](https://github.com/lightning/bolts/blob/master/11-payment-encoding.md), "Data Part").
/// Returns `None` if the text is too short. The caller has checked its alphabet and checksum.
pub(crate) fn signed_hash(text: &str) -> Option<[u8; 32]> {
    let lower = text.to_ascii_lowercase();
    let (prefix, data) = lower.rsplit_once('1')?;
    let (words, _) = data
        .as_bytes()
        .split_last_chunk::<{ SIGNATURE_WORDS + CHECKSUM_WORDS }>()?;
    let mut bytes = Vec::with_capacity(prefix.len() + words.len());
    bytes.extend_from_slice(prefix.as_bytes());
    let (mut bits, mut count) = (0_u32, 0);
    for &word in words {
        bits = bits << 5 | u32::from(WORDS[usize::from(word & 0x7f)]);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        bytes.push((bits << (8 - count)) as u8);
    }
    Some(Sha256::digest(bytes).into())
}

const SIGNATURE_WORDS: usize = 104;
const CHECKSUM_WORDS: usize = 6;

/// The 5-bit value of each character of the alphabet.
const WORDS: [u8; 128] = {
    let (alphabet, mut words, mut word) = (b"qpzry9x8gf2tvdw0s3jn54khce6mua7l", [0; 128], 0);
    while word < alphabet.len() {
        words[alphabet[word] as usize] = word as u8;
        word += 1;
    }
    words
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_before_the_signature_counts_and_nothing_after() {
        let text = |words: &str| {
            format!(
                "lnbcrt1{words}{}",
                "q".repeat(SIGNATURE_WORDS + CHECKSUM_WORDS)
            )
        };
        let hash = |words: &str| signed_hash(&text(words)).unwrap();
        let packed = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest([b"lnbcrt", bytes].concat()));
        assert_eq!(hash(""), packed(&[]));
        assert_eq!(hash("llllllll"), packed(&[0xff; 5]));
        assert_eq!(
            hash("pzry"),
            packed(&[0b0000_1000, 0b1000_0110, 0b0100_0000])
        );
        assert_eq!(
            signed_hash(&text("pzry").to_uppercase()),
            Some(hash("pzry"))
        );
        assert_eq!(
            signed_hash(&text("")[1..]).map(|hash| hash == packed(&[])),
            Some(false)
        );
        assert_eq!(signed_hash("lnbcrt1pzry"), None);
        assert_eq!(signed_hash(""), None);
    }
}
