use sha2::{Digest as _, Sha256};

/// Returns SHA-256 of all parts, each after its length, so that none runs into the next.
pub(crate) fn hash_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let hash = parts.into_iter().fold(Sha256::new(), |hash, part| {
        hash.chain_update((part.len() as u64).to_le_bytes())
            .chain_update(part)
    });
    hash.finalize().into()
}
