//! HMAC-SHA-256 that keeps the key's hash state between calls. Each call saves two compressions.

use std::fmt;

use sha2::block_api::compress256;
use zeroize::optimization_barrier;

use crate::codec::sha256::{INITIAL, bytes, padded, padded_state};

/// A key, as the two hash states that HMAC starts from. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct MacKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl MacKey {
    /// Creates a key from 32 bytes.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let (mut inner, mut outer) = (INITIAL, INITIAL);
        let mut blocks = [padded_key(key, 0x36), padded_key(key, 0x5c)];
        compress256(&mut inner, &blocks[..1]);
        compress256(&mut outer, &blocks[1..]);
        blocks = [[0; 64]; 2];
        optimization_barrier(&blocks);
        Self { inner, outer }
    }

    /// Returns the key that is the MAC of one message.
    pub(crate) fn derive(&self, message: &[u8]) -> Self {
        self.with_mac(message, Self::new)
    }

    /// Returns what `make` makes of the MAC of one message. That MAC is a secret, and wiped
    /// afterwards.
    pub(crate) fn with_mac<T>(&self, message: &[u8], make: impl FnOnce(&[u8; 32]) -> T) -> T {
        let mut mac = self.mac(message);
        let made = make(&mac);
        mac = [0; 32];
        optimization_barrier(&mac);
        made
    }

    /// Returns the MAC of one message.
    pub(crate) fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.mac_padded(&Padded::new(message))
    }

    /// Returns the MAC of one message under a key that is used for nothing else.
    pub(crate) fn mac_once(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
        // Hash the message first: its last bytes are stored one by one, and loading them at once as
        // a block would have to wait.
        let padded = Padded::new(message);
        Self::new(key).mac_padded(&padded)
    }

    fn mac_padded(&self, message: &Padded<'_>) -> [u8; 32] {
        let mut state = self.inner;
        if !message.whole.is_empty() {
            compress256(&mut state, message.whole);
        }
        compress256(&mut state, &message.last[..message.used]);
        let inner = padded_state::<2>(&state);
        let mut state = self.outer;
        compress256(&mut state, &[inner]);
        bytes(&state)
    }
}

fn padded_key(key: &[u8; 32], pad: u8) -> [u8; 64] {
    let mut block = [pad; 64];
    block[..32].copy_from_slice(&key.map(|byte| byte ^ pad));
    block
}

/// A message as the blocks that follow a key's block.
struct Padded<'a> {
    whole: &'a [[u8; 64]],
    last: [[u8; 64]; 2],
    used: usize,
}

impl<'a> Padded<'a> {
    fn new(message: &'a [u8]) -> Self {
        if let Ok(hash) = message.try_into() {
            return Self {
                whole: &[],
                last: [padded::<2>(hash), [0; 64]],
                used: 1,
            };
        }
        let (whole, rest) = message.as_chunks::<64>();
        let mut padded = Self {
            whole,
            last: [[0; 64]; 2],
            used: if rest.len() < 56 { 1 } else { 2 },
        };
        padded.last[0][..rest.len()].copy_from_slice(rest);
        padded.last[0][rest.len()] = 0x80;
        padded.last[padded.used - 1][56..]
            .copy_from_slice(&(8 * (64 + message.len() as u64)).to_be_bytes());
        padded
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

impl Drop for MacKey {
    fn drop(&mut self) {
        (self.inner, self.outer) = Default::default();
        optimization_barrier(self);
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
        fn agrees_with_the_hmac_crate(
            key: [u8; 32],
            message in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                // Where a block ends, where its padding begins, and where the shortcut for hashes
                // begins.
                prop::sample::select(vec![0, 31, 32, 33, 54, 55, 56, 57, 63, 64, 65, 119, 120, 128]).prop_map(|length| vec![0xa5; length]),
            ],
        ) {
            let mut reference = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            reference.update(&message);
            let expected: [u8; 32] = reference.finalize().into_bytes().into();
            prop_assert_eq!(MacKey::new(&key).mac(&message), expected);
            prop_assert_eq!(MacKey::mac_once(&key, &message), expected);
        }
    }
}
