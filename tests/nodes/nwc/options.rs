//! What a wallet service does, and what it does wrong.

use lightning_invoice::Currency;

/// What is wrong with the answers to a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no answer.
    Silent,
    /// The answer is text that is no JSON.
    Garbage,
    /// The answer is encrypted for somebody else.
    Undecryptable,
    /// The answer is to another method.
    OtherMethod,
    /// The answer names an earlier request.
    OtherRequest,
    /// Another key signs the answer.
    Forged,
    /// Neither a result nor an error.
    Neither,
    /// An error with this code, instead of doing anything.
    Error(&'static str),
    /// An error with this code to one request, and none to later ones.
    ErrorOnce(&'static str),
    /// An error with this code, if the amount has a fraction of a satoshi.
    NoFractions(&'static str),
    /// An invoice for one millisatoshi more.
    OtherAmount,
    /// Another payment hash beside the invoice or the payment.
    OtherHash,
    /// A paid payment without its preimage.
    NoPreimage,
    /// The preimage of another payment.
    WrongPreimage,
    /// The invoice in the preimage's place.
    InvoiceAsPreimage,
}

#[derive(Clone)]
pub(super) struct Options {
    pub(super) methods: &'static str,
    pub(super) nip44: bool,
    pub(super) notifies: bool,
    pub(super) network: Option<&'static str>,
    pub(super) whole_sats: bool,
    pub(super) tells_preimages: bool,
    pub(super) keeps_hashes: bool,
    /// Whether transactions have the newer field `state`.
    pub(super) states: bool,
    pub(super) currency: Currency,
    /// Whether it knows the invoices of the ledger.
    pub(super) receives: bool,
}

pub(super) const ALL: &str = "get_info make_invoice lookup_invoice pay_invoice list_transactions";

impl Default for Options {
    fn default() -> Self {
        Self {
            methods: ALL,
            nip44: true,
            notifies: true,
            network: Some("regtest"),
            whole_sats: false,
            tells_preimages: false,
            keeps_hashes: true,
            states: true,
            currency: Currency::Regtest,
            receives: true,
        }
    }
}
