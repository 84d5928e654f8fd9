//! What this server puts into a challenge.

use std::borrow::Cow;

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use super::{
    AcceptPayment,
    challenge::{CHARGE, Challenge, METHOD},
    credential::HEADER,
    verify::{Body, EMPTY_BODY, bound_hash},
    wire,
};
use crate::{
    codec::base64,
    dialect::{Asked, ChallengeLine, Rank, RequestView, keys::Purpose},
    payment::Terms,
};

/// The keys of challenge ids.
pub(in crate::dialect) const IDS: Purpose = Purpose {
    label: "mpp/id",
    is_counted: true,
};

/// A longer description could make a challenge longer than the 4 KiB that every client must accept.
const MAX_DESCRIPTION: usize = 512;

/// Returns the challenge for a checked invoice. `None` if this dialect cannot express it, or if the
/// invoice is not what was asked for.
pub(super) fn line(asked: &Asked<'_>) -> Option<ChallengeLine> {
    let Asked {
        view,
        terms,
        amount,
        invoice,
        brief,
        ..
    } = asked;
    let sat = amount.as_whole_sat().filter(|sat| *sat > 0)?;
    (invoice.amount() == Some(*amount) && invoice.network() == terms.network).then_some(())?;
    let network = wire::network_name(terms.network)?;
    let request = wire::request(sat, invoice.as_str(), network, invoice.payment_hash());
    let end = invoice.expires_at();
    let opaque = wire::opaque(&bound(view, terms)?, terms.longest_life(end));
    let mut challenge = Challenge {
        description: terms
            .resource
            .description
            .as_deref()
            .filter(|text| !brief && is_plain(text))
            .map(Cow::Borrowed),
        digest: match body(view, terms)? {
            Body::Streamed | Body::Hashed(EMPTY_BODY) => None,
            Body::Hashed(hash) => Some(wire::digest_text(&hash).into()),
        },
        expires: Some(wire::rfc3339(end)?.into()),
        header: header(terms).map(Cow::Borrowed),
        id: Cow::Borrowed(""),
        intent: CHARGE.into(),
        method: METHOD.into(),
        opaque: Some(base64::encode_url(opaque).into()),
        realm: Some(view.authority())
            .filter(|realm| is_plain(realm) && !realm.contains('|'))?
            .into(),
        request: base64::encode_url(request).into(),
    };
    let mac = view
        .keys
        .minting(IDS)
        .mac
        .mac(challenge.id_input().as_bytes());
    challenge.id = base64::encode_url(mac).into();
    let rank = if is_accepted(view.headers()) {
        Rank::PaymentPreferred
    } else {
        Rank::Payment
    };
    Some(ChallengeLine {
        rank,
        name: WWW_AUTHENTICATE,
        value: challenge.to_header_value()?,
    })
}

/// Returns whether `Accept-Payment` names Lightning charges.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    AcceptPayment::of(headers)
        .and_then(|accepted| accepted.weight(METHOD, CHARGE))
        .is_some_and(|weight| weight > 0)
}

/// Returns the parameter `header`, if `Authorization` is in use for something else.
pub(super) fn header(terms: &Terms) -> Option<&'static str> {
    terms.authorization_taken.then_some(HEADER)
}

/// Returns the hash of what a credential for this request is bound to. `None` if a part of it is
/// not known.
pub(super) fn bound(view: &RequestView<'_>, terms: &Terms) -> Option<[u8; 32]> {
    let more = if terms.has_bound {
        Some(view.bound.as_ref()?)
    } else {
        None
    };
    Some(bound_hash(view.method(), view.target, more))
}

/// Returns the body, as far as a digest binds credentials to it. `None` if its hash is not known.
pub(super) fn body(view: &RequestView<'_>, terms: &Terms) -> Option<Body> {
    if terms.streams_body {
        Some(Body::Streamed)
    } else {
        view.body_hash.map(Body::Hashed)
    }
}

/// Some clients split at quotes, unescape wrongly, or read Latin-1: nothing that they could misread
/// is sent.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.len() <= MAX_DESCRIPTION && text.bytes().all(is_plain)
}
