use std::{fmt, sync::Arc};

use http::{header::AUTHORIZATION, request::Parts};
use zeroize::Zeroizing;

/// Decides who may settle.
///
/// # Contract
///
/// The head is the caller's own word. `None` refuses; a name says whose rate the call counts
/// against, and must not be chosen by the caller. Secrets are compared in constant time. The call
/// does not block.
pub trait Callers: Send + Sync + 'static {
    /// Who sent this request, where it may ask.
    fn caller(&self, head: &Parts) -> Option<Caller>;
}

impl<F: Fn(&Parts) -> Option<Caller> + Send + Sync + 'static> Callers for F {
    fn caller(&self, head: &Parts) -> Option<Caller> {
        self(head)
    }
}

fn _is_dyn_compatible(_: &dyn Callers) {}

/// A resource server that may settle, by a name of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

impl Caller {
    /// A caller of this name.
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

/// Callers that show a bearer token (RFC 6750): `Authorization: Bearer ...`.
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
    /// Nobody yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// And this caller, by this token. An empty token admits nobody.
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
        // All of them, whichever it is: the time must not tell.
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
