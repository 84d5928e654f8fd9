//! Admits a paid request, once its use is granted.

use http::Request;

use super::{
    admission::{Admission, Admitted, strip},
    pending::{Pending, PricedRequest},
    settle::{self, GrantedUse, PaidUse},
};
use crate::payment::Proof;

/// Admits a paid request, with a receipt.
pub(super) fn grant<B>(
    pending: Pending<B>,
    dialect: usize,
    proof: Proof,
    granted: Option<(Box<GrantedUse>, u32)>,
) -> Admitted<B> {
    let to_keep = granted
        .is_some()
        .then(|| pending.asked.to_keep(&proof))
        .flatten();
    let Pending {
        asked:
            PricedRequest {
                routes,
                rule,
                mut head,
                place,
                now,
                ..
            },
        body,
    } = pending;
    let setup = routes.paywall.setup();
    strip(setup, &mut head, &rule.terms, false);
    setup
        .notices
        .accepted(rule.charge.price.fixed(), proof.amount);
    let ends_at = rule.ends_at(&proof, setup.clock.now());
    let receipt = settle::accepted(
        setup,
        proof,
        (&mut head, place),
        now,
        granted.as_ref().map(|(_, left)| *left),
    );
    let paid =
        granted.map(|(granted, _)| PaidUse::new((routes, rule), dialect, receipt.clone(), granted));
    (
        Request::from_parts(head, body),
        Admission {
            paid,
            receipt: Some(receipt),
            keep_private: true,
            to_keep,
            ends_at,
        },
    )
}
