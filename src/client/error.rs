use std::{error::Error, fmt};

#[cfg(feature = "reqwest")]
use super::guard::NotPublic;
use super::{
    not_taken::{RefusedOffer, grouped},
    receipt::PaidReceipt,
};
use crate::{
    boxed::BoxError,
    ledger::{ApprovalId, EntryId, LedgerError},
};

/// Why a request has no answer. `E` is the error of the inner client.
///
/// [`money`](Self::money) says for every case whether money left.
pub struct PayError<E> {
    pub(super) cause: Box<Cause<E>>,
    /// The texts of the inner error's sources, if they are known.
    details: String,
}

/// What happened. Only this crate makes one.
pub(super) enum Cause<E> {
    Address(&'static str),
    Body(BoxError),
    InFlight(PaidReceipt),
    Inner(E),
    Ledger(LedgerError),
    LostAnswer(E, PaidReceipt),
    NotPaid(&'static str, Vec<RefusedOffer>),
    Parked(ApprovalId),
    PaymentFailed(BoxError),
    Refused(PaidReceipt, u16),
    Unproved(PaidReceipt),
}

/// The kind of a [`PayError`]. The variants are in alphabetical order.
///
/// The page `docs::paying` says for each what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayErrorKind {
    /// The URL leads to an address that requests may not go to. Nothing was sent.
    Address,
    /// The body of the request broke off, or has trailers. Nothing was sent.
    Body,
    /// The payment was sent and its outcome is not known yet. The same request made again asks the
    /// payer first.
    InFlight,
    /// The inner client failed, and nothing was paid.
    Inner,
    /// The ledger could not say or write what is needed before a payment. This call paid nothing. An
    /// earlier one for the same request may have: see [`Wallet::recover`](super::Wallet::recover).
    Ledger,
    /// The inner client failed after the payment. The same request made again presents the same
    /// credential.
    LostAnswer,
    /// The server asks for a payment, and no offer was taken: see [`PayError::offers`].
    NotPaid,
    /// The payment waits for the approval of a person: see [`PayError::parked`].
    Parked,
    /// The payer failed, and no money left.
    PaymentFailed,
    /// The server refused the credential of a payment. Its host is not paid again until a person
    /// clears the ledger's entry, unless the server may have had reason: it answered the credential
    /// before, or the time to use it is over.
    RefusedAfterPayment,
    /// The payer reported a payment and cannot prove it. The money counts as spent.
    Unproved,
}

/// Whether money left the wallet in a request that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Money {
    /// It left, for what the receipt says.
    Left(PaidReceipt),
    /// It may have left. The receipt says what for.
    MayHaveLeft(PaidReceipt),
    /// None left in this call. If the kind is [`PayErrorKind::Ledger`], an earlier call for the same
    /// request may have paid.
    NotSent,
}

impl<E> PayError<E> {
    pub(super) fn new(cause: Cause<E>) -> Self {
        Self {
            cause: Box::new(cause),
            details: String::new(),
        }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> PayErrorKind {
        match *self.cause {
            Cause::Address(_) => PayErrorKind::Address,
            Cause::Body(_) => PayErrorKind::Body,
            Cause::InFlight(_) => PayErrorKind::InFlight,
            Cause::Inner(_) => PayErrorKind::Inner,
            Cause::Ledger(_) => PayErrorKind::Ledger,
            Cause::LostAnswer(..) => PayErrorKind::LostAnswer,
            Cause::NotPaid(..) => PayErrorKind::NotPaid,
            Cause::Parked(_) => PayErrorKind::Parked,
            Cause::PaymentFailed(_) => PayErrorKind::PaymentFailed,
            Cause::Refused(..) => PayErrorKind::RefusedAfterPayment,
            Cause::Unproved(_) => PayErrorKind::Unproved,
        }
    }

    /// Returns whether money left the wallet.
    #[must_use]
    pub fn money(&self) -> Money {
        match &*self.cause {
            Cause::InFlight(receipt) => Money::MayHaveLeft(receipt.clone()),
            Cause::LostAnswer(_, receipt)
            | Cause::Refused(receipt, _)
            | Cause::Unproved(receipt) => Money::Left(receipt.clone()),
            Cause::Address(_)
            | Cause::Body(_)
            | Cause::Inner(_)
            | Cause::Ledger(_)
            | Cause::NotPaid(..)
            | Cause::Parked(_)
            | Cause::PaymentFailed(_) => Money::NotSent,
        }
    }

    /// Returns the receipt, if money left or may have left.
    #[must_use]
    pub fn receipt(&self) -> Option<PaidReceipt> {
        match self.money() {
            Money::Left(receipt) | Money::MayHaveLeft(receipt) => Some(receipt),
            Money::NotSent => None,
        }
    }

    /// Returns the offers of the server, each with the reason why it was not taken.
    #[must_use]
    pub fn offers(&self) -> &[RefusedOffer] {
        match &*self.cause {
            Cause::NotPaid(_, offers) => offers,
            _ => &[],
        }
    }

    /// Returns the id under which the payment waits for a person, for
    /// [`Approvals::approve`](crate::ledger::Approvals::approve).
    #[must_use]
    pub const fn parked(&self) -> Option<ApprovalId> {
        match *self.cause {
            Cause::Parked(id) => Some(id),
            _ => None,
        }
    }

    /// Returns the name of the ledger's entry that explains the error, if there is one.
    #[must_use]
    pub fn entry(&self) -> Option<EntryId> {
        self.receipt().map(|receipt| receipt.entry())
    }

    /// Returns the error of the inner client, if it is what failed.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        match *self.cause {
            Cause::Inner(error) | Cause::LostAnswer(error, _) => Some(error),
            _ => None,
        }
    }
}

#[cfg(feature = "reqwest")]
impl<E: Error + 'static> PayError<E> {
    /// Adds the texts of the inner error's sources. Makes one of its own kind of a name that leads to
    /// an address which is not public.
    pub(super) fn explained(mut self) -> Self {
        let (error, is_inner) = match &*self.cause {
            Cause::Inner(error) => (error, true),
            Cause::LostAnswer(error, _) => (error, false),
            _ => return self,
        };
        let sources = std::iter::successors(error.source(), |&error| error.source());
        if is_inner && sources.clone().any(|source| source.is::<NotPublic>()) {
            return Self::new(Cause::Address(
                "the URL's name resolves to no public address: allow it with `allow_private_addresses`",
            ));
        }
        self.details = sources.map(|source| format!(": {source}")).collect();
        self
    }
}

impl<E: fmt::Display> fmt::Display for PayError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.cause {
            Cause::Address(why) => write!(f, "nothing was sent: {why}"),
            Cause::Body(error) => write!(f, "the request's body cannot be sent: {error}"),
            Cause::InFlight(receipt) => write!(
                f,
                "the outcome of a payment of {} is not known yet: make the same request again later",
                receipt.amount()
            ),
            Cause::Inner(error) => write!(f, "nothing was paid: {error}{}", self.details),
            Cause::Ledger(error) => write!(f, "this call paid nothing: {error}"),
            Cause::LostAnswer(error, receipt) => write!(
                f,
                "{} were paid and the answer was lost: make the same request again ({error}{})",
                receipt.amount(),
                self.details
            ),
            Cause::NotPaid(why, offers) => {
                write!(f, "nothing was paid: {why}")?;
                grouped(offers, why).try_for_each(|group| write!(f, "; {group}"))
            }
            Cause::Parked(id) => write!(
                f,
                "nothing was paid: the payment waits for an approval under the id {id}"
            ),
            Cause::PaymentFailed(error) => write!(f, "the payment failed: {error}"),
            Cause::Refused(receipt, status) => write!(
                f,
                "the server answered {status} to the credential of a payment of {}",
                receipt.amount()
            ),
            Cause::Unproved(receipt) => write!(
                f,
                "the payer reported a payment of {} and cannot prove it",
                receipt.amount()
            ),
        }
    }
}

/// `main` prints an error that it returns in this form, so it has the text of `Display`.
impl<E: fmt::Display> fmt::Debug for PayError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayError({:?}: {:?})", self.kind(), self.to_string())
    }
}

impl<E: Error + 'static> Error for PayError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.cause {
            Cause::Body(error) | Cause::PaymentFailed(error) => Some(&**error),
            Cause::Inner(error) => error.source(),
            Cause::LostAnswer(error, _) => Some(error),
            Cause::Ledger(error) => error.source(),
            _ => None,
        }
    }
}

/// Why a wallet was not built. The text says what to change.
pub struct WalletError {
    why: &'static str,
    source: Option<LedgerError>,
}

impl WalletError {
    pub(super) const fn new(why: &'static str) -> Self {
        Self { why, source: None }
    }
}

impl From<LedgerError> for WalletError {
    fn from(error: LedgerError) -> Self {
        Self {
            why: "the wallet's budget cannot be set",
            source: Some(error),
        }
    }
}

impl fmt::Display for WalletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)?;
        let source = self.source.as_ref();
        source.map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl fmt::Debug for WalletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WalletError({:?})", self.to_string())
    }
}

impl Error for WalletError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        ledger::{BudgetPath, Ledger},
        lightning::{ConnectError, NodeError, NodeErrorKind},
    };

    #[cfg(feature = "reqwest")]
    #[test]
    fn a_failed_request_says_that_nothing_was_paid_and_why_and_names_a_private_address() {
        let failed = |why: io::Error| {
            let error = io::Error::other(io::Error::other(why));
            PayError::new(Cause::Inner(error)).explained()
        };
        let refused = failed(io::Error::other("connection refused"));
        let text = refused.to_string();
        assert_eq!(refused.kind(), PayErrorKind::Inner);
        assert!(text.starts_with("nothing was paid: "), "{text}");
        assert!(text.contains("connection refused"), "{text}");
        let inside = failed(io::Error::other(Wrapped(NotPublic)));
        assert_eq!(inside.kind(), PayErrorKind::Address);
        assert!(inside.to_string().contains("`allow_private_addresses`"));
    }

    /// An error that hides its source in its text.
    #[cfg(feature = "reqwest")]
    #[derive(Debug)]
    struct Wrapped(NotPublic);

    #[cfg(feature = "reqwest")]
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("dns error")
        }
    }

    #[cfg(feature = "reqwest")]
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn main_prints_the_sentence_of_an_error_that_it_returns() {
        let parked = ApprovalId::from_hex(&"5a".repeat(16)).unwrap();
        let parked = PayError::<io::Error>::new(Cause::Parked(parked));
        let path = BudgetPath::root("a").unwrap();
        let ledger = || Ledger::in_memory().budget(&path).unwrap_err();
        let node = NodeError::new(NodeErrorKind::Refused, "LND", "no route");
        let connect = ConnectError::url("expected a URL").because("an empty text");
        let why = "the ledger does not know this: there is no budget a";
        let budget = "the wallet's budget cannot be set";
        for (printed, expected) in [
            (
                format!("{parked:?}"),
                format!("PayError(Parked: \"{parked}\")"),
            ),
            (
                format!("{:?}", ledger()),
                format!("LedgerError(Unknown: \"{why}\")"),
            ),
            (
                format!("{:?}", WalletError::from(ledger())),
                format!("WalletError(\"{budget}: {why}\")"),
            ),
            (
                format!("{node:?}"),
                "NodeError(Refused: \"LND refused: no route\")".to_owned(),
            ),
            (
                format!("{connect:?}"),
                "ConnectError(Url: \"expected a URL: an empty text\")".to_owned(),
            ),
        ] {
            assert_eq!(printed, expected);
        }
    }
}
