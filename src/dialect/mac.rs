//! HMAC-SHA-256 with its key state kept between calls: two compressions saved each time.

use std::fmt;

use sha2::block_api::compress256;
use zeroize::Zeroize;

const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key, as the two states that it leaves the hash in. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct MacKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl MacKey {
    /// A key of 32 bytes.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let state = |pad: u8| {
            let mut block = [pad; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            block.as_mut_slice().zeroize();
            state
        };
        Self { inner: state(0x36), outer: state(0x5c) }
    }

    /// The key that this one makes of a message.
    pub(crate) fn derive(&self, message: &[u8]) -> Self {
        let mut key = self.mac(message);
        let derived = Self::new(&key);
        key.as_mut_slice().zeroize();
        derived
    }

    /// The MAC of one message.
    pub(crate) fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.mac_padded(&Padded::new(message))
    }

    /// The MAC of one message under a key that is used for nothing else.
    pub(crate) fn mac_once(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
        // The message first: its last bytes are written one by one, and loading them at once as a block would have to wait.
        let padded = Padded::new(message);
        Self::new(key).mac_padded(&padded)
    }

    fn mac_padded(&self, message: &Padded<'_>) -> [u8; 32] {
        let mut state = self.inner;
        if !message.whole.is_empty() {
            compress256(&mut state, message.whole);
        }
        compress256(&mut state, message.last());
        let mut last = PADDED_HASH;
        last[..32].copy_from_slice(&bytes(&state));
        let mut state = self.outer;
        compress256(&mut state, &[last]);
        bytes(&state)
    }
}

/// A message as the blocks that follow a key's.
struct Padded<'a> {
    whole: &'a [[u8; 64]],
    rest: [[u8; 64]; 2],
    rest_blocks: usize,
}

impl<'a> Padded<'a> {
    fn new(message: &'a [u8]) -> Self {
        let (whole, tail) = message.as_chunks();
        let mut rest = [[0; 64]; 2];
        let rest_blocks = if tail.len() < 56 { 1 } else { 2 };
        let bits = 8 * (64 + message.len() as u64);
        let bytes = rest.as_flattened_mut();
        bytes[..tail.len()].copy_from_slice(tail);
        bytes[tail.len()] = 0x80;
        bytes[rest_blocks * 64 - 8..rest_blocks * 64].copy_from_slice(&bits.to_be_bytes());
        Self { whole, rest, rest_blocks }
    }

    fn last(&self) -> &[[u8; 64]] {
        &self.rest[..self.rest_blocks]
    }
}

/// A block that ends a message of one hash after a key's block.
const PADDED_HASH: [u8; 64] = {
    let mut block = [0; 64];
    block[32] = 0x80;
    block[62] = 3;
    block
};

/// Out of line, so that words are swapped and stored four at a time: one at a time they would be slow to load as a block.
#[inline(never)]
fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.as_chunks_mut().0.iter_mut().zip(state).for_each(|(bytes, word): (&mut [u8; 4], &u32)| *bytes = word.to_be_bytes());
    out
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

impl Drop for MacKey {
    fn drop(&mut self) {
        // As slices they are wiped at once, as arrays element by element.
        self.inner.as_mut_slice().zeroize();
        self.outer.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_hmac_crate(key: [u8; 32], message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reference = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            reference.update(&message);
            let expected: [u8; 32] = reference.finalize().into_bytes().into();
            prop_assert_eq!(MacKey::new(&key).mac(&message), expected);
            prop_assert_eq!(MacKey::mac_once(&key, &message), expected);
            let derived = MacKey::new(&key).derive(&message);
            prop_assert_eq!(derived.mac(&message), MacKey::new(&expected).mac(&message));
        }
    }
}
