use std::{fmt, sync::Arc};

use http::{header::AUTHORIZATION, request::Parts};
use zeroize::Zeroizing;

/// A rule that decides which callers may settle: a list of tokens, or a function of your own.
///
/// # Contract
///
/// - The head comes from the caller, so nothing in it can be trusted without a check.
/// - `None` refuses the call. Otherwise the call counts against the rate of the returned name. The
///   caller must not be able to choose that name.
/// - Secrets are compared in constant time.
/// - The call does not block.
pub trait Callers: Send + Sync + 'static {
    /// Returns who sent this request, or `None` if the sender may not settle.
    fn caller(&self, head: &Parts) -> Option<Caller>;
}

impl<F: Fn(&Parts) -> Option<Caller> + Send + Sync + 'static> Callers for F {
    fn caller(&self, head: &Parts) -> Option<Caller> {
        self(head)
    }
}

fn _is_dyn_compatible(_: &dyn Callers) {}

/// The name of a resource server that may settle. The operator chooses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

impl Caller {
    /// Creates a caller with this name.
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

/// A list of callers that authenticate with a bearer token: `Authorization: Bearer ...`
/// ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750.html)).
///
/// ```
/// use tower_x402::facilitator::BearerTokens;
///
/// let callers = BearerTokens::new().with("shop", "a long random text").with("news", "another long random text");
/// assert_eq!(format!("{callers:?}"), "BearerTokens { callers: 2, .. }");
/// ```
#[derive(Clone, Default)]
pub struct BearerTokens(Vec<(Caller, Zeroizing<String>)>);

impl BearerTokens {
    /// Creates an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a caller and its token. An empty token admits nobody.
    #[must_use]
    pub fn with(mut self, name: impl Into<Arc<str>>, token: impl Into<String>) -> Self {
        self.0
            .push((Caller::named(name), Zeroizing::new(token.into())));
        self
    }
}

impl Callers for BearerTokens {
    fn caller(&self, head: &Parts) -> Option<Caller> {
        let mut lines = head.headers.get_all(AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let (scheme, token) = line.as_bytes().split_at_checked(7)?;
        (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(())?;
        let mut caller = None;
        // Compares all tokens, so that the time does not reveal which one matched.
        for (name, held) in &self.0 {
            if constant_time_eq::constant_time_eq(held.as_bytes(), token) {
                caller = Some(name.clone());
            }
        }
        caller
    }
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerTokens")
            .field("callers", &self.0.len())
            .finish_non_exhaustive()
    }
}
