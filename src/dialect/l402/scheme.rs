/// The name of the authentication scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `L402`.
    L402,
    /// `LSAT`, its older name.
    Lsat,
}

impl Scheme {
    pub(super) const ALL: [Self; 2] = [Self::L402, Self::Lsat];

    /// Returns the name as it is written in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L402 => "L402",
            Self::Lsat => "LSAT",
        }
    }

    /// Reads a scheme's name, in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()))
    }
}
