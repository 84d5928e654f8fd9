//! Why a challenge, a credential or a payment is refused: the codes, their kinds and their texts.

use std::fmt;

use crate::payment::{DialectName, Refusal, RefusalKind};

macro_rules! reasons {
    ($($variant:ident = $code:literal, $kind:ident, $text:literal;)*) => {
        /// Why a challenge, a credential or a payment is refused. The codes are those of the
        /// `lnbtc` scheme, or of x402's core if the scheme has none. One code is this crate's own:
        /// [`InvoiceOlderThanStore`](Self::InvoiceOlderThanStore).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = concat!("`", $code, "`: ", $text, ".")] $variant,)*
        }

        impl Reason {
            /// Returns the code that is sent.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// Returns what is wrong, in words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// Returns what to do about it, if the code alone does not say. A facilitator sends it
            /// as `errorMessage`.
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

            /// Returns the coarse kind, which all dialects share.
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
    InvalidPayload = "invalid_payload", Malformed,
        "the payment payload cannot be read";
    InvalidPaymentRequirements = "invalid_payment_requirements", Malformed,
        "the payment requirements cannot be read";
    InvalidVersion = "invalid_x402_version", Malformed,
        "the payload is not of x402 version 2";
    UnsupportedScheme = "unsupported_scheme", Forged,
        "the scheme is not exact";
    NetworkMismatch = "network_mismatch", Forged,
        "the accepted network is not the required one";
    UnsupportedNetwork = "unsupported_network", Forged,
        "the network is not supported here";
    AmountMismatch = "invalid_exact_lnbtc_amount_mismatch", Forged,
        "the accepted amount is not the required one";
    Asset = "invalid_exact_lnbtc_asset", Forged,
        "the asset is not BTC";
    PayToMismatch = "invalid_exact_lnbtc_pay_to_mismatch", Forged,
        "the accepted receiver is not the required one";
    MaxTimeoutMismatch = "invalid_exact_lnbtc_max_timeout_mismatch", Forged,
        "the accepted timeout is not the required one";
    Amount = "invalid_exact_lnbtc_amount", Malformed,
        "the amount is no decimal number of millisatoshi";
    MaxTimeout = "invalid_exact_lnbtc_max_timeout", Malformed,
        "the timeout is no positive whole number of seconds";
    PayToMalformed = "invalid_exact_lnbtc_pay_to_malformed", Malformed,
        "the receiver is no compressed public key in lower-case hex";
    AssetTransferMethod = "invalid_exact_lnbtc_asset_transfer_method", Malformed,
        "the asset transfer method is not bolt11";
    PaymentFlow = "invalid_exact_lnbtc_payment_flow", Malformed,
        "the payment flow is not upfront";
    RequestBinding = "invalid_exact_lnbtc_request_binding", Malformed,
        "the request, or how it is bound, cannot be expressed";
    RequestMismatch = "invalid_exact_lnbtc_request_mismatch", WrongRequest,
        "it is for another request: method, URL, bound header or body differ";
    ExtraMismatch = "invalid_exact_lnbtc_extra_mismatch", Forged,
        "the extra members are not those that the server sent";
    InvoiceMissing = "invalid_exact_lnbtc_invoice_missing", Malformed,
        "the invoice is missing";
    InvoiceDecodeFailed = "invalid_exact_lnbtc_invoice_decode_failed", Malformed,
        "the invoice cannot be read, or names no amount";
    InvoiceDescription = "invalid_exact_lnbtc_invoice_description", Forged,
        "the invoice has no description hash";
    InvoiceRequestMismatch = "invalid_exact_lnbtc_invoice_request_mismatch", WrongRequest,
        "the invoice commits to another request";
    InvoicePayeeMismatch = "invalid_exact_lnbtc_invoice_payee_mismatch", Forged,
        "another node signed the invoice";
    InvoiceCurrencyMismatch = "invalid_exact_lnbtc_invoice_currency_mismatch", Forged,
        "the invoice is for another network";
    InvoiceAmountMismatch = "invalid_exact_lnbtc_invoice_amount_mismatch", Forged,
        "the invoice is for another amount";
    InvoiceExpiryMismatch = "invalid_exact_lnbtc_invoice_expiry_mismatch", Forged,
        "the expiry of the invoice is not the timeout";
    InvoiceCreatedInFuture = "invalid_exact_lnbtc_invoice_created_in_future", Forged,
        "the invoice is dated further ahead than clocks may differ";
    PreimageMissing = "invalid_exact_lnbtc_preimage_missing", Malformed,
        "the preimage is missing";
    PreimageMalformed = "invalid_exact_lnbtc_preimage_malformed", Malformed,
        "the preimage is not lower-case hex";
    PreimageLength = "invalid_exact_lnbtc_preimage_length", Malformed,
        "the preimage does not have 64 hex digits";
    PreimageHashMismatch = "invalid_exact_lnbtc_preimage_hash_mismatch", Unpaid,
        "the preimage is of another payment";
    InvoiceExpired = "invalid_exact_lnbtc_invoice_expired", Expired,
        "the invoice has expired";
    InvoiceOlderThanStore = "invalid_exact_lnbtc_invoice_older_than_store", Unremembered,
        "the invoice is older than the store of spent payments";
    DuplicateSettlement = "duplicate_settlement", Spent,
        "the payment is used up";
    InvalidTransactionState = "invalid_transaction_state", Revoked,
        "the operator revoked the payment";
    SettlementFailed = "settlement_failed", Unpaid,
        "the store of spent payments does not answer";
    PaymentNotPaid = "exact_lnbtc_payment_not_paid", Unpaid,
        "the invoice is not paid";
    PaymentInFlight = "exact_lnbtc_payment_in_flight", Unpaid,
        "the wallet is still paying";
    PayerInvoiceMismatch = "invalid_exact_lnbtc_payer_invoice_mismatch", Unpaid,
        "the wallet reports another invoice";
    PayerPaymentHashMismatch = "invalid_exact_lnbtc_payer_payment_hash_mismatch", Unpaid,
        "the wallet reports another payment hash";
    PayerAmountMismatch = "invalid_exact_lnbtc_payer_amount_mismatch", Unpaid,
        "the wallet reports another amount";
    PayerPreimageRequired = "invalid_exact_lnbtc_payer_preimage_required", Unpaid,
        "the wallet reports no preimage";
    PayerPreimageMalformed = "invalid_exact_lnbtc_payer_preimage_malformed", Unpaid,
        "the preimage of the wallet is not lower-case hex";
    PayerPreimageHashMismatch = "invalid_exact_lnbtc_payer_preimage_hash_mismatch", Unpaid,
        "the preimage of the wallet is of another payment";
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

/// Returns every refusal of this dialect.
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
