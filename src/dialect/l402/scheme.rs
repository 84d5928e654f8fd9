/// The name under which a credential or a challenge goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `L402`.
    L402,
    /// `LSAT`, its older name.
    Lsat,
}

impl Scheme {
    /// As it is written in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L402 => "L402",
            Self::Lsat => "LSAT",
        }
    }

    /// Reads a scheme's name, in any case.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        [Self::L402, Self::Lsat].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}
