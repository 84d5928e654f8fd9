use super::{StoreError, UseId};

/// Returns a random mark, which a store writes with a change to recognise it.
pub(super) fn mark() -> Result<[u8; 8], StoreError> {
    let random = UseId::random()?;
    let [mark @ .., _, _, _, _, _, _, _, _] = *random.as_bytes();
    Ok(mark)
}
