//! SHA-256 of messages that fit into one block, over the bare compression function.

use sha2::block_api::compress256;

/// The initial hash value (FIPS 180-4, section 5.3.3).
pub(crate) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Returns the SHA-256 hash of 32 bytes.
pub(crate) fn hash_of_32(message: &[u8; 32]) -> [u8; 32] {
    let mut state = INITIAL;
    compress256(&mut state, &[padded::<1>(message)]);
    bytes(&state)
}

/// Returns 32 bytes, padded as the last of `BLOCKS` blocks. All other blocks are full.
pub(crate) fn padded<const BLOCKS: u16>(message: &[u8; 32]) -> [u8; 64] {
    let mut block = const { padding(BLOCKS) };
    block[..32].copy_from_slice(message);
    block
}

/// Returns a hash state, padded as the last of `BLOCKS` blocks. Not inlined for the same reason as
/// [`bytes`].
#[inline(never)]
pub(crate) fn padded_state<const BLOCKS: u16>(state: &[u32; 8]) -> [u8; 64] {
    let mut block = const { padding(BLOCKS) };
    write(state, &mut block);
    block
}

/// Returns a hash state as bytes.
///
/// Not inlined, so that the compiler swaps and stores four words at a time. Words stored one by one
/// would be slow to load as a block.
#[inline(never)]
pub(crate) fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    write(state, &mut out);
    out
}

#[inline(always)]
fn write(state: &[u32; 8], to: &mut [u8]) {
    to.as_chunks_mut()
        .0
        .iter_mut()
        .zip(state)
        .for_each(|(bytes, word): (&mut [u8; 4], &u32)| *bytes = word.to_be_bytes());
}

/// Returns the padding after 32 bytes in the last of `blocks` blocks: a one bit, zeros, and the
/// length in bits.
const fn padding(blocks: u16) -> [u8; 64] {
    let mut block = [0; 64];
    let bits = 8 * (64 * (blocks - 1) + 32);
    [block[62], block[63]] = bits.to_be_bytes();
    block[32] = 0x80;
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_whole_hash(message: [u8; 32]) {
            let expected: [u8; 32] = Sha256::digest(message).into();
            prop_assert_eq!(hash_of_32(&message), expected);
        }
    }
}
