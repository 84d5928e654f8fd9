use super::{caveat::encoded, identifier::Identifier, macaroon::Macaroon, route, verify::purpose};
use crate::{
    clock::Timestamp,
    codec::hex,
    dialect::{RequestView, Unsayable},
    payment::{Access, Amount, PaymentHash, Terms},
};

/// How long an encoded method and place may be together. A token with what a client adds then stays
/// far below what is read, and its two challenge lines below what proxies pass on.
const MAX_ENCODED: usize = 3 * 1024;

/// Returns the token for a payment. Nothing about it is stored.
pub(super) fn mint(
    view: &RequestView<'_>,
    terms: &Terms,
    amount: Amount,
    payment_hash: PaymentHash,
    (sold_at, invoice_end): (Timestamp, Timestamp),
) -> Result<Macaroon, Unsayable> {
    let key = view.keys.minting(purpose(terms.access));
    let identifier = Identifier::mint(payment_hash, sold_at, key);
    let caveats = caveats(view, terms, amount, invoice_end)?;
    let macaroon = |root_key: &[u8; 32]| Macaroon::mint(root_key, identifier.to_bytes(), caveats);
    key.mac
        .with_mac(identifier.token_id(), macaroon)
        .map_err(|_| Unsayable)
}

/// Returns whether a token for this request would be short enough.
pub(super) fn is_sayable(view: &RequestView<'_>, terms: &Terms) -> bool {
    binding(view, terms.access).is_ok()
}

/// Returns the caveats of a token. Their order is fixed, so that this server's can be told from
/// those that clients append.
fn caveats(
    view: &RequestView<'_>,
    terms: &Terms,
    amount: Amount,
    invoice_end: Timestamp,
) -> Result<Vec<String>, Unsayable> {
    let until = match terms.access {
        Access::Once | Access::Uses(_) => terms.longest_life(invoice_end),
        Access::ForDuration(duration) => invoice_end.saturating_add(duration),
    };
    let mut caveats = Vec::with_capacity(6);
    caveats.extend(binding(view, terms.access)?);
    caveats.push(["amount_msat=", itoa::Buffer::new().format(amount.as_msat())].concat());
    if let Access::Uses(uses) = terms.access {
        caveats.push(format!("uses={uses}"));
    }
    if terms.has_bound() {
        let hash = hex::encode(view.bound(&terms.binds).ok_or(Unsayable)?);
        caveats.push(["bound=", &terms.binds, ":", &hash].concat());
    }
    caveats.push(
        [
            "valid_until=",
            itoa::Buffer::new().format(until.as_unix_seconds()),
        ]
        .concat(),
    );
    Ok(caveats)
}

fn binding(view: &RequestView<'_>, access: Access) -> Result<[String; 2], Unsayable> {
    let method = encoded("method=", view.method());
    let place = match access {
        Access::Once => encoded("target=", view.target),
        Access::Uses(_) | Access::ForDuration(_) => route::caveat(view.route),
    };
    if method.len() + place.len() > MAX_ENCODED {
        Err(Unsayable)
    } else {
        Ok([method, place])
    }
}
