//! Tokens of the version before a token said which headers it bound and when it was sold.

use super::{uses, *};
use crate::{
    codec::hex,
    dialect::l402::{
        Identifier,
        identifier::{COUNTED, TIMED},
    },
};

/// A token as that version minted it: with names of captures, with the hash alone, and with no
/// moment in its id.
fn token(scene: &Scene, place: &str, rest: &[&str]) -> Macaroon {
    let purpose = if scene.terms.access == HOUR {
        TIMED
    } else {
        COUNTED
    };
    let key = scene.keys.minting(purpose);
    let mut token_id = [0xee; 32];
    token_id[..4].copy_from_slice(&key.id);
    let until = format!("valid_until={}", END.as_unix_seconds() + 3_600);
    let caveats = ["method=GET", place, "amount_msat=1500"]
        .into_iter()
        .chain(rest.iter().copied())
        .chain([&*until]);
    let identifier = Identifier::new(hash(), token_id).to_bytes();
    Macaroon::mint(key.mac.mac(&token_id), identifier, caveats).unwrap()
}

const TARGET: &str = "target=/weather/oslo%3Funits%3Dmetric";
const ROUTE: &str = "route=/weather/%7Bcity%7D";

#[test]
fn they_are_served_as_far_as_their_caveats_tell() {
    for (access, place, rest) in [
        (ONCE, TARGET, &[][..]),
        (uses(5), ROUTE, &["uses=5"]),
        (HOUR, ROUTE, &[]),
    ] {
        for today in [ONCE, uses(9), HOUR] {
            let token = token(&Scene::new(access), place, rest);
            let mut scene = Scene::new(today).bearing(&token);
            scene.terms.binds = "accept".to_owned();
            assert!(scene.proof().is_ok(), "{place} {today:?}");
            scene.route = "/weather/{town}".to_owned();
            assert!(scene.proof().is_ok(), "{place} {today:?}");
            // Nobody can tell when it was sold.
            scene.terms.sold_since = Some(Timestamp::from_unix_seconds(1));
            scene.refused("revoked");
        }
    }
}

#[test]
fn a_hash_alone_is_compared_with_what_this_charge_binds_or_an_earlier_one_did() {
    let bound = |accept| {
        let mut scene = Scene::new(ONCE);
        scene
            .headers
            .insert("accept", HeaderValue::from_static(accept));
        scene.terms.binds = "accept".to_owned();
        scene
    };
    let sold = bound("text/plain");
    let hash = sold.with(|view| view.bound_before_words("accept")).unwrap();
    let caveat = format!("bound={}", hex::encode(hash));
    let token = token(&sold, TARGET, &[&caveat]);
    assert!(sold.bearing(&token).proof().is_ok());
    bound("text/html").bearing(&token).refused("wrong_bound");

    let mut scene = bound("text/plain").bearing(&token);
    let sold = std::mem::replace(&mut scene.terms, Terms::plain(ONCE));
    scene.refused("wrong_bound");
    scene.terms.earlier = vec![sold];
    assert!(scene.proof().is_ok());
    scene.headers.remove("accept");
    scene.refused("wrong_bound");
}
