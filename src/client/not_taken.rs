use std::fmt;

use crate::{
    dialect::client::ChallengeError,
    ledger::BeginRefusal,
    payment::{Amount, DialectName},
};

/// One way to pay that a server offered, and why it was not taken.
#[derive(Clone, Debug)]
pub struct RefusedOffer {
    pub(super) dialect: DialectName,
    pub(super) amount: Option<Amount>,
    pub(super) description: Option<String>,
    pub(super) why: NotTaken,
}

impl RefusedOffer {
    /// Returns the dialect of the offer.
    #[must_use]
    pub const fn dialect(&self) -> DialectName {
        self.dialect
    }

    /// Returns the price, if the offer could be read.
    #[must_use]
    pub const fn amount(&self) -> Option<Amount> {
        self.amount
    }

    /// Returns what the server said that it sells, without control and direction characters, at
    /// most 200 characters.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Returns why the offer was not taken.
    #[must_use]
    pub const fn why(&self) -> &NotTaken {
        &self.why
    }
}

impl RefusedOffer {
    /// Returns its text after the dialect.
    fn price_and_reason(&self) -> String {
        let price = self.amount.map(|amount| format!(" for {amount}"));
        format!("{}: {}", price.unwrap_or_default(), self.why)
    }
}

impl fmt::Display for RefusedOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dialect, self.price_and_reason())
    }
}

/// Returns the texts of offers, with one text for those of one price and one reason. Those of which
/// `told` is the reason are left out.
pub(super) fn grouped(offers: &[RefusedOffer], told: &str) -> impl Iterator<Item = String> {
    let mut groups: Vec<(Vec<DialectName>, String)> = Vec::new();
    for offer in offers.iter().filter(|offer| offer.why.to_string() != told) {
        let text = offer.price_and_reason();
        match groups.iter_mut().find(|(_, known)| *known == text) {
            Some((dialects, _)) if dialects.contains(&offer.dialect) => {}
            Some((dialects, _)) => dialects.push(offer.dialect),
            None => groups.push((vec![offer.dialect], text)),
        }
    }
    groups.into_iter().map(|(dialects, text)| {
        let names: Vec<_> = dialects.iter().map(|dialect| dialect.as_str()).collect();
        names.join(", ") + &text
    })
}

/// Why an offer was not taken. The variants are in alphabetical order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotTaken {
    /// The challenge does not fit the request, contradicts itself, or cannot be read.
    Challenge(ChallengeError),
    /// The policy is a dry run. It would have been paid.
    DryRun,
    /// The payee may hold the money for too long.
    FinalCltv {
        /// What the invoice says, in blocks.
        blocks: u64,
        /// The policy's limit, in blocks.
        limit: u64,
    },
    /// The ledger refused it: the budget does not allow it, the payment belongs to another request,
    /// or the host is in trouble.
    Ledger(BeginRefusal),
    /// The price is above the policy's limit.
    MaxPayment {
        /// The price.
        amount: Amount,
        /// The policy's limit.
        limit: Amount,
    },
    /// The amount is missing or zero, or differs between the invoice and the challenge.
    NoAmount,
    /// The policy or the wallet does not allow it, for the reason in this text.
    NotAllowed(&'static str),
    /// The invoice is one of the wallet's own receivers.
    OwnReceiver,
    /// The payer already knows this payment, and the ledger does not know it under this request.
    PaidElsewhere,
    /// The invoice has too little time left.
    TooLate,
    /// The credential does not fit into a header.
    TooLong,
    /// The invoice requires a feature that is not known.
    UnknownFeature,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Challenge(error) => error.fmt(f),
            Self::DryRun => f.write_str("the policy is a dry run: it would have been paid"),
            Self::FinalCltv { blocks, limit } => write!(
                f,
                "the payee may hold the payment for {blocks} blocks, more than the policy's {limit}"
            ),
            Self::Ledger(refusal) => refusal.fmt(f),
            Self::MaxPayment { amount, limit } => write!(
                f,
                "{amount} is more than the policy's limit of {limit} for one payment"
            ),
            Self::NoAmount => f.write_str("the amount is missing, zero or contradictory"),
            Self::NotAllowed(why) => f.write_str(why),
            Self::OwnReceiver => f.write_str("the invoice is of a receiver of this wallet's owner"),
            Self::PaidElsewhere => {
                f.write_str("the payer already knows this payment, which is not of this request")
            }
            Self::TooLate => f.write_str("the invoice has too little time left"),
            Self::TooLong => f.write_str("the credential does not fit into a header"),
            Self::UnknownFeature => f.write_str("the invoice requires a feature that is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_once_for_all_offers_that_it_holds_for() {
        let sat = Amount::from_sat;
        let refused = |dialect, amount, why| RefusedOffer {
            dialect,
            amount,
            description: None,
            why,
        };
        let late = |dialect| refused(dialect, Some(sat(10)), NotTaken::TooLate);
        let told = refused(DialectName::L402, None, NotTaken::NotAllowed("no host"));
        let offers = [
            late(DialectName::Mpp),
            late(DialectName::L402),
            late(DialectName::L402),
            refused(DialectName::X402, Some(sat(9)), NotTaken::TooLate),
            told,
        ];
        let late = "the invoice has too little time left";
        let texts: Vec<_> = grouped(&offers, "no host").collect();
        assert_eq!(
            texts,
            [
                format!("mpp, l402 for 10 sat: {late}"),
                format!("x402 for 9 sat: {late}")
            ]
        );
    }
}
