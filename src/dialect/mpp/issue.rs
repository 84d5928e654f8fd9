//! What this server puts into a challenge.

use std::borrow::Cow;

use http::{HeaderMap, header::WWW_AUTHENTICATE};

use super::{
    AcceptPayment,
    challenge::{CHARGE, Challenge, METHOD},
    credential::HEADER,
    verify::bound_hash,
    wire,
};
use crate::{
    codec::base64,
    dialect::{Asked, ChallengeLine, Rank, RequestView, bound::EMPTY_BODY, keys::Purpose},
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
    let is_any_body = !is_body_bound(view, terms);
    let digest = if is_any_body {
        None
    } else {
        Some(view.body_hash?).filter(|hash| *hash != EMPTY_BODY)
    };
    let words = if terms.has_bound() {
        Some(view.bound(&terms.binds)?)
    } else {
        None
    };
    let opaque = wire::opaque(
        &terms.binds,
        is_any_body,
        &bound_hash(view.method(), view.target, words.as_ref()),
        terms.longest_life(end),
    );
    let mut challenge = Challenge {
        description: terms
            .resource
            .description
            .as_deref()
            .filter(|text| !brief && is_plain(text))
            .map(Cow::Borrowed),
        digest: digest.map(|hash| wire::digest_text(&hash).into()),
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

/// Returns whether a digest binds the body of this request. A streamed body is never hashed. A form
/// in parts has a new boundary each time, so clients that build it again could not redeem what they
/// paid for. It is left alone unless the price depends on the body, or the charge says otherwise.
pub(super) fn is_body_bound(view: &RequestView<'_>, terms: &Terms) -> bool {
    if terms.bound_covers_body {
        return true;
    }
    !terms.streams_body && (terms.binds_multipart || !view.is_multipart())
}

/// Some clients split at quotes, unescape wrongly, or read Latin-1: nothing that they could misread
/// is sent.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
    !text.is_empty() && text.len() <= MAX_DESCRIPTION && text.bytes().all(is_plain)
}
