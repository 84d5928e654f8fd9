//! What a payment binds besides the method and the place, and how a credential says so.
//!
//! It is a list of words with commas between them: `@path` (what the pattern captured), `@query`,
//! `@body`, and names of headers. A credential carries the words beside the hash, under its MAC. So
//! it is checked against what it bound, whatever the charge binds today. No header name has an `@`,
//! a comma or a colon.

use sha2::{Digest as _, Sha256};

use super::RequestView;
use crate::payment::{Access, Terms};

const PATH: &str = "@path";
const QUERY: &str = "@query";
const BODY: &str = "@body";

/// SHA-256 of no bytes.
pub(super) const EMPTY_BODY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// Returns the words for what a charge binds. `is_priced` if a price function sees captures and
/// query. A payment for one request binds its whole path anyway, and a pattern may change.
pub(crate) fn words(access: Access, is_priced: bool, body: bool, headers: &[String]) -> String {
    let words = [
        (is_priced && access != Access::Once).then_some(PATH),
        is_priced.then_some(QUERY),
        body.then_some(BODY),
    ];
    let headers = headers.iter().map(String::as_str);
    let words: Vec<_> = words.into_iter().flatten().chain(headers).collect();
    words.join(",")
}

/// Returns whether these words bind the body.
pub(crate) fn binds_body(words: &str) -> bool {
    has(words, BODY)
}

fn has(words: &str, word: &str) -> bool {
    words.split(',').any(|bound| bound == word)
}

impl RequestView<'_> {
    /// Returns the hash of what these words name in this request. `None` if they name the body and
    /// its hash is not known.
    pub(crate) fn bound(&self, words: &str) -> Option<[u8; 32]> {
        let mut hash = Parts::new(b"tower-x402 bound v2");
        hash.part(words.as_bytes());
        for word in words.split(',').filter(|word| !word.is_empty()) {
            match word {
                PATH => self.captures.with(|captures| {
                    hash.count(captures.len());
                    captures
                        .iter()
                        .for_each(|(_, value)| hash.part(value.as_bytes()));
                }),
                QUERY => hash.query(self.query()),
                BODY => hash.part(&self.body_hash?),
                header => hash.header(self, header),
            }
        }
        Some(hash.finish())
    }

    /// Returns the same hash as versions before the words made it. It has the names of captures in
    /// it, and always the captures if a price function ran.
    pub(crate) fn bound_before_words(&self, words: &str) -> Option<[u8; 32]> {
        let (is_priced, body) = (has(words, QUERY), has(words, BODY));
        let mut hash = Parts::new(b"tower-x402 bound v1");
        hash.part(&[u8::from(is_priced), u8::from(body)]);
        if is_priced {
            hash.part(self.method().as_bytes());
            self.captures.with(|captures| {
                hash.count(captures.len());
                for (name, value) in captures {
                    hash.part(name.as_bytes());
                    hash.part(value.as_bytes());
                }
            });
            hash.query(self.query());
        }
        let headers = words.split(',').filter(|word| !word.is_empty());
        for header in headers.filter(|word| !word.starts_with('@')) {
            hash.part(header.as_bytes());
            hash.header(self, header);
        }
        hash.part(&if body { self.body_hash? } else { [0; 32] });
        Some(hash.finish())
    }

    /// Returns whether today's price depends on something in this request that a credential with
    /// these words left open: a header that the price function reads, or a body. Nobody asked the
    /// price of that when it was sold. It does not count if an earlier charge bound the same.
    ///
    /// `None` if the body must be known, and is not.
    pub(crate) fn is_open(
        &self,
        terms: &Terms,
        access: Access,
        words: &str,
        is_body_bound: bool,
    ) -> Option<bool> {
        if terms.priced_headers.is_empty() && !terms.bound_covers_body {
            return Some(false);
        }
        let kind = std::mem::discriminant(&access);
        let is_of = |earlier: &Terms| {
            std::mem::discriminant(&earlier.access) == kind && earlier.binds == words
        };
        if terms.earlier.iter().any(is_of) {
            return Some(false);
        }
        let mut open = terms.priced_headers.iter().filter(|name| !has(words, name));
        if open.any(|name| self.headers().contains_key(name.as_str())) {
            return Some(true);
        }
        if terms.bound_covers_body && !is_body_bound {
            return Some(self.body_hash? != EMPTY_BODY);
        }
        Some(false)
    }
}

/// A hash of parts, each with its length, so that no two lists of parts read alike.
struct Parts(Sha256);

impl Parts {
    fn new(domain: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(domain))
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.part(&(count as u64).to_be_bytes());
    }

    fn query(&mut self, query: &str) {
        let pairs = || form_urlencoded::parse(query.as_bytes());
        self.count(pairs().count());
        for (name, value) in pairs() {
            self.part(name.as_bytes());
            self.part(value.as_bytes());
        }
    }

    fn header(&mut self, view: &RequestView<'_>, name: &str) {
        let values = || view.headers().get_all(name).iter();
        self.count(values().count());
        values().for_each(|value| self.part(value.as_bytes()));
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
#[path = "tests/bound.rs"]
mod tests;
