//! Why a proof, a document or a payment is turned away: the words on the wire, and what they mean
//! to this crate.

use std::fmt;

use crate::payment::{DialectName, Refusal, RefusalKind};

macro_rules! reasons {
    ($($variant:ident = $code:literal, $kind:ident;)*) => {
        /// Why a proof, a document or a payment is turned away, by the words of lnbtc (and, if it
        /// has none, of x402's core). One word is this crate's own:
        /// [`InvoiceOlderThanStore`](Self::InvoiceOlderThanStore).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = concat!("`", $code, "`")] $variant,)*
        }

        impl Reason {
            /// The word on the wire.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// What to do about it, if the word alone does not say: `errorMessage` in the answer of
            /// a facilitator.
            #[must_use]
            pub const fn advice(self) -> Option<&'static str> {
                match self {
                    Self::InvoiceOlderThanStore => Some(
                        "the invoice is older than this facilitator's store of spent payments, which cannot tell whether it was \
                         settled before: pay a new invoice, made more than twice the clocks' skew (so 120 s by default) after \
                         the store",
                    ),
                    _ => None,
                }
            }

            /// What was wrong, coarsely.
            #[must_use]
            pub const fn kind(self) -> RefusalKind {
                match self {
                    $(Self::$variant => RefusalKind::$kind,)*
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

// In the order of the checks.
reasons! {
    InvalidPayload = "invalid_payload", Malformed;
    InvalidPaymentRequirements = "invalid_payment_requirements", Malformed;
    InvalidVersion = "invalid_x402_version", Malformed;
    UnsupportedScheme = "unsupported_scheme", Forged;
    NetworkMismatch = "network_mismatch", Forged;
    UnsupportedNetwork = "unsupported_network", Forged;
    AmountMismatch = "invalid_exact_lnbtc_amount_mismatch", Forged;
    Asset = "invalid_exact_lnbtc_asset", Forged;
    PayToMismatch = "invalid_exact_lnbtc_pay_to_mismatch", Forged;
    MaxTimeoutMismatch = "invalid_exact_lnbtc_max_timeout_mismatch", Forged;
    Amount = "invalid_exact_lnbtc_amount", Malformed;
    MaxTimeout = "invalid_exact_lnbtc_max_timeout", Malformed;
    PayToMalformed = "invalid_exact_lnbtc_pay_to_malformed", Malformed;
    AssetTransferMethod = "invalid_exact_lnbtc_asset_transfer_method", Malformed;
    PaymentFlow = "invalid_exact_lnbtc_payment_flow", Malformed;
    RequestBinding = "invalid_exact_lnbtc_request_binding", Malformed;
    RequestMismatch = "invalid_exact_lnbtc_request_mismatch", WrongRequest;
    ExtraMismatch = "invalid_exact_lnbtc_extra_mismatch", Forged;
    InvoiceMissing = "invalid_exact_lnbtc_invoice_missing", Malformed;
    InvoiceDecodeFailed = "invalid_exact_lnbtc_invoice_decode_failed", Malformed;
    InvoiceDescription = "invalid_exact_lnbtc_invoice_description", Forged;
    InvoiceRequestMismatch = "invalid_exact_lnbtc_invoice_request_mismatch", WrongRequest;
    InvoicePayeeMismatch = "invalid_exact_lnbtc_invoice_payee_mismatch", Forged;
    InvoiceCurrencyMismatch = "invalid_exact_lnbtc_invoice_currency_mismatch", Forged;
    InvoiceAmountMismatch = "invalid_exact_lnbtc_invoice_amount_mismatch", Forged;
    InvoiceExpiryMismatch = "invalid_exact_lnbtc_invoice_expiry_mismatch", Forged;
    InvoiceCreatedInFuture = "invalid_exact_lnbtc_invoice_created_in_future", Forged;
    PreimageMissing = "invalid_exact_lnbtc_preimage_missing", Malformed;
    PreimageMalformed = "invalid_exact_lnbtc_preimage_malformed", Malformed;
    PreimageLength = "invalid_exact_lnbtc_preimage_length", Malformed;
    PreimageHashMismatch = "invalid_exact_lnbtc_preimage_hash_mismatch", Unpaid;
    InvoiceExpired = "invalid_exact_lnbtc_invoice_expired", Expired;
    InvoiceOlderThanStore = "invalid_exact_lnbtc_invoice_older_than_store", Unremembered;
    DuplicateSettlement = "duplicate_settlement", Spent;
    InvalidTransactionState = "invalid_transaction_state", Revoked;
    SettlementFailed = "settlement_failed", Unpaid;
    PaymentNotPaid = "exact_lnbtc_payment_not_paid", Unpaid;
    PaymentInFlight = "exact_lnbtc_payment_in_flight", Unpaid;
    PayerInvoiceMismatch = "invalid_exact_lnbtc_payer_invoice_mismatch", Unpaid;
    PayerPaymentHashMismatch = "invalid_exact_lnbtc_payer_payment_hash_mismatch", Unpaid;
    PayerAmountMismatch = "invalid_exact_lnbtc_payer_amount_mismatch", Unpaid;
    PayerPreimageRequired = "invalid_exact_lnbtc_payer_preimage_required", Unpaid;
    PayerPreimageMalformed = "invalid_exact_lnbtc_payer_preimage_malformed", Unpaid;
    PayerPreimageHashMismatch = "invalid_exact_lnbtc_payer_preimage_hash_mismatch", Unpaid;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Reason {}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(DialectName::X402, reason.kind(), reason.code())
    }
}

/// Every refusal of this dialect.
#[cfg(test)]
pub(crate) fn all() -> Vec<Refusal> {
    Reason::ALL.iter().copied().map(Refusal::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_reasons_share_a_word() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
