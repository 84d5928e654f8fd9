//! What an answer is kept under. Everything that makes a request the same one is in the key, so an
//! answer can be found only by the credential that bought it, for the request that it was bought
//! for.

use http::{HeaderMap, HeaderName, header};
use sha2::{Digest as _, Sha256};

use crate::{
    dialect::{RequestView, list::credential_lines},
    payment::{Proof, Terms},
    replay::RecordKey,
};

/// The hash of a verified payment, its credential, and the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) struct AnswerKey([u8; 32]);

impl AnswerKey {
    /// Returns the key for a proof and the request that it was verified for, whose body hash is
    /// known.
    pub(in crate::server) fn new(proof: &Proof, view: &RequestView<'_>, terms: &Terms) -> Self {
        let headers = view.headers();
        Self::of_parts(&[
            b"answer",
            proof.network.as_str().as_bytes(),
            proof.payment_hash.as_bytes(),
            proof.dialect.as_str().as_bytes(),
            &credential(headers),
            &request(view, terms),
            &selection(headers),
        ])
    }

    /// Returns the key under which a client's own identifier for a payment is noted: it is of use
    /// for one request only.
    pub(in crate::server) fn of_identifier(
        identifier: &str,
        view: &RequestView<'_>,
        terms: &Terms,
    ) -> Self {
        Self::of_parts(&[b"identifier", identifier.as_bytes(), &request(view, terms)])
    }

    /// Returns the key of one part of what is kept.
    pub(super) fn record(&self, part: u16) -> Option<RecordKey> {
        RecordKey::new(&[PREFIX, &self.0[..], &part.to_be_bytes()].concat())
    }

    pub(super) fn of_parts(parts: &[&[u8]]) -> Self {
        Self(hash_of(parts))
    }
}

/// The exact credential lines of a request. A token that was narrowed or written otherwise is
/// another credential.
pub(in crate::server) fn credential(headers: &HeaderMap) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (name, value) in credential_lines(headers) {
        push(&mut hash, name.as_bytes());
        push(&mut hash, value.as_bytes());
    }
    hash.finalize().into()
}

/// Returns the hash of the values that these headers have in a request.
pub(super) fn values<'a>(
    headers: &HeaderMap,
    names: impl Iterator<Item = &'a HeaderName>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    for name in names {
        for value in headers.get_all(name) {
            push(&mut hash, name.as_str().as_bytes());
            push(&mut hash, value.as_bytes());
        }
        push(&mut hash, b"");
    }
    hash.finalize().into()
}

/// The request hash: what every dialect binds, the body and the route, whatever this dialect binds.
fn request(view: &RequestView<'_>, terms: &Terms) -> [u8; 32] {
    let route: Vec<u8> = view.route.bytes().collect();
    hash_of(&[
        view.method().as_bytes(),
        view.origin.as_bytes(),
        &route,
        view.target.as_bytes(),
        view.client_target.unwrap_or(view.target).as_bytes(),
        &view.body_hash.unwrap_or_default(),
        &view.bound(&terms.binds).unwrap_or_default(),
    ])
}

/// The headers that choose among the representations of a resource, or a part of one.
fn selection(headers: &HeaderMap) -> [u8; 32] {
    const NAMES: [HeaderName; 12] = [
        header::ACCEPT,
        header::ACCEPT_CHARSET,
        header::ACCEPT_ENCODING,
        header::ACCEPT_LANGUAGE,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
        header::IF_RANGE,
        header::IF_UNMODIFIED_SINCE,
        header::RANGE,
    ];
    values(headers, NAMES.iter())
}

/// A hash in which no part runs into the next.
fn hash_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| push(&mut hash, part));
    hash.finalize().into()
}

fn push(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

const PREFIX: &[u8] = b"kept-answer/";
