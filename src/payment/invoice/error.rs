use std::fmt;

use lightning_invoice::Bolt11ParseError;

/// The reason why a text was refused as an invoice.
#[derive(Clone, Debug)]
pub struct InvoiceError {
    kind: InvoiceErrorKind,
    reason: &'static str,
    source: Option<Bolt11ParseError>,
}

/// The kinds of [`InvoiceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvoiceErrorKind {
    /// The text is not a strictly encoded BOLT11 invoice.
    Malformed,
    /// The payee that the invoice names did not sign it.
    Signature,
}

impl InvoiceError {
    pub(super) const fn malformed(reason: &'static str) -> Self {
        Self {
            kind: InvoiceErrorKind::Malformed,
            reason,
            source: None,
        }
    }

    pub(super) const fn undecodable(source: Bolt11ParseError) -> Self {
        Self {
            kind: InvoiceErrorKind::Malformed,
            reason: "not a BOLT11 invoice",
            source: Some(source),
        }
    }

    pub(super) const fn signature() -> Self {
        Self {
            kind: InvoiceErrorKind::Signature,
            reason: "not signed by the payee that it names",
            source: None,
        }
    }

    /// Returns the kind of error.
    #[must_use]
    pub const fn kind(&self) -> InvoiceErrorKind {
        self.kind
    }
}

impl fmt::Display for InvoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invoice refused: {}", self.reason)?;
        self.source
            .as_ref()
            .map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for InvoiceError {}
