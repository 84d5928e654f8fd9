//! Credentials that open more than one request: kept for where they were bought, and for nowhere
//! else.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::place::Place;
use crate::{clock::Timestamp, ledger::EntryId};

/// The most tokens that are kept. A new one takes the place of the one that ends first.
const MOST: usize = 1_000;

/// The tokens of a wallet, by origin, method and path. Requests at the same time may buy several
/// for one scope.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<Scope, Vec<Token>>);

type Scope = (String, http::Method, String);

/// A reusable credential.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) header: (HeaderName, HeaderValue),
    pub(super) until: Timestamp,
    /// The ledger's entry of its payment.
    pub(super) entry: EntryId,
}

impl Tokens {
    /// Keeps a token. Returns the entries of those that went for it, or have ended.
    pub(super) fn keep(&mut self, place: &Place, token: Token, now: Timestamp) -> Vec<EntryId> {
        let mut gone = self.retain(|token| now < token.until);
        if self.0.values().map(Vec::len).sum::<usize>() >= MOST {
            let first = self.0.values().flatten().min_by_key(|token| token.until);
            if let Some(first) = first.map(|first| first.entry) {
                gone.extend(self.retain(|token| token.entry != first));
            }
        }
        self.0.entry(scope(place)).or_default().push(token);
        gone
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the token for a request, unless the request has a header of that name already. Of
    /// several, the one that ends first.
    pub(super) fn find(&self, place: &Place, headers: &HeaderMap, now: Timestamp) -> Option<Token> {
        let own = self.0.get(&scope(place))?.iter();
        let fits = |token: &&Token| now < token.until && !headers.contains_key(&token.header.0);
        own.filter(fits).min_by_key(|token| token.until).cloned()
    }

    /// Forgets a token that a server refused.
    pub(super) fn forget(&mut self, place: &Place, refused: &Token) {
        let scope = scope(place);
        if let Some(own) = self.0.get_mut(&scope) {
            own.retain(|token| token.header != refused.header);
            if own.is_empty() {
                self.0.remove(&scope);
            }
        }
    }

    /// Forgets all tokens but these, and returns their entries.
    fn retain(&mut self, is_kept: impl Fn(&Token) -> bool) -> Vec<EntryId> {
        let mut gone = Vec::new();
        self.0.retain(|_, own| {
            let some = own.extract_if(.., |token| !is_kept(token));
            gone.extend(some.map(|token| token.entry));
            !own.is_empty()
        });
        gone
    }
}

fn scope(place: &Place) -> Scope {
    (
        place.origin().to_owned(),
        place.method.clone(),
        place.path().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use http::{Method, header::AUTHORIZATION};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn place(method: &Method, url: &str) -> Place {
        Place::of(method.clone(), url.parse().unwrap()).unwrap()
    }

    fn token(value: &str, seconds: u64) -> Token {
        Token {
            header: (AUTHORIZATION, value.parse().unwrap()),
            until: NOW.saturating_add(std::time::Duration::from_secs(seconds)),
            entry: EntryId::from_bytes([1; 16]),
        }
    }

    #[test]
    fn a_token_is_presented_where_it_was_bought_and_nowhere_else() {
        let (mut tokens, none) = (Tokens::default(), HeaderMap::new());
        tokens.keep(&place(&Method::GET, "https://a/b?c"), token("x", 9), NOW);
        for (method, url, is_found) in [
            (&Method::GET, "https://a/b?d", true),
            (&Method::GET, "https://A:443/b", true),
            (&Method::POST, "https://a/b", false),
            (&Method::GET, "https://a/b/c", false),
            (&Method::GET, "https://a:444/b", false),
            (&Method::GET, "http://a/b", false),
            (&Method::GET, "https://c/b", false),
        ] {
            let found = tokens.find(&place(method, url), &none, NOW);
            assert_eq!(found.is_some(), is_found, "{method} {url}");
        }
    }

    #[test]
    fn a_token_is_dropped_when_it_ends_or_is_refused() {
        let (mut tokens, here) = (Tokens::default(), place(&Method::GET, "https://a/b"));
        let none = HeaderMap::new();
        tokens.keep(&here, token("x", 9), NOW);
        tokens.forget(&here, &token("older", 9));
        assert!(tokens.find(&here, &none, NOW).is_some());
        let end = NOW.saturating_add(std::time::Duration::from_secs(9));
        assert!(tokens.find(&here, &none, end).is_none());
        tokens.forget(&here, &token("x", 9));
        assert!(tokens.find(&here, &none, NOW).is_none());
    }

    #[test]
    fn the_callers_own_header_is_not_replaced_by_a_token() {
        let (mut tokens, here) = (Tokens::default(), place(&Method::GET, "https://a/b"));
        tokens.keep(&here, token("x", 9), NOW);
        let own = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer me"))]);
        assert!(tokens.find(&here, &own, NOW).is_none());
    }

    #[test]
    fn of_several_tokens_for_one_place_the_one_that_ends_first_is_presented_until_it_is_refused() {
        let (mut tokens, here) = (Tokens::default(), place(&Method::GET, "https://a/b"));
        let none = HeaderMap::new();
        for (value, seconds) in [("x", 9), ("y", 5), ("z", 7)] {
            assert_eq!(tokens.keep(&here, token(value, seconds), NOW), []);
        }
        for value in ["y", "z", "x"] {
            let found = tokens.find(&here, &none, NOW).unwrap();
            assert_eq!(found.header.1, value);
            tokens.forget(&here, &found);
        }
        assert!(tokens.is_empty());
    }

    #[test]
    fn tokens_are_bounded_and_the_one_that_ends_first_goes() {
        let (mut tokens, none) = (Tokens::default(), HeaderMap::new());
        let at = |number: u64| place(&Method::GET, &format!("https://a/{number}"));
        for number in 0..=MOST as u64 {
            let entry = EntryId::from_bytes(u128::from(number).to_be_bytes());
            let token = token("x", 1_000 + number);
            tokens.keep(&at(number), Token { entry, ..token }, NOW);
        }
        assert_eq!(tokens.0.values().flatten().count(), MOST);
        assert!(tokens.find(&at(0), &none, NOW).is_none());
        assert!(tokens.find(&at(MOST as u64), &none, NOW).is_some());
    }

    #[test]
    fn tokens_that_have_ended_make_room_before_any_other_goes() {
        let (mut tokens, none) = (Tokens::default(), HeaderMap::new());
        let at = |path: &str| place(&Method::GET, &format!("https://a/{path}"));
        let numbered = |number: u8, seconds| Token {
            entry: EntryId::from_bytes([number; 16]),
            ..token("x", seconds)
        };
        tokens.keep(&at("1"), numbered(1, 5), NOW);
        tokens.keep(&at("2"), numbered(2, 9), NOW);
        let later = NOW.saturating_add(std::time::Duration::from_secs(5));
        let gone = tokens.keep(&at("3"), numbered(3, 99), later);
        assert_eq!(gone, [EntryId::from_bytes([1; 16])]);
        assert_eq!(tokens.0.len(), 2);
        assert!(tokens.find(&at("2"), &none, later).is_some());
    }
}
