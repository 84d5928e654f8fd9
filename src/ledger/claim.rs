use super::Entry;

/// What [`Ledger::claim`](super::Ledger::claim) found. The variants are in alphabetical order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Claim {
    /// Another call asks the payer about it: wait for [`released`](super::Ledger::released).
    LookedUp,
    /// It has ended, or another request is at work on it.
    NotFree,
    /// It is taken up, as it is now.
    Taken(Entry),
}
