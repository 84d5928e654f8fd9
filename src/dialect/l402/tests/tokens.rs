//! What a minted token says, and what it buys.

use std::time::Duration;

use super::{caveats, hash, keys, uses, *};
use crate::payment::{SKEW, Spend, retain_until};

#[track_caller]
pub(crate) fn attenuated(access: Access, added: &[&str]) -> Result<Proof, &'static str> {
    let scene = Scene::new(access);
    let token = added.iter().fold(scene.mint(), |token, caveat| {
        token.attenuate(caveat).unwrap()
    });
    scene.bearing(&token).proof()
}

#[test]
fn caveats_stand_in_a_fixed_order() {
    let mut scene = Scene::new(ONCE);
    let until = format!("valid_until={}", END.as_unix_seconds() + 86_400);
    let once = scene.mint();
    let target = "target=/weather/oslo%3Funits%3Dmetric";
    assert_eq!(
        caveats(&once),
        ["method=GET", target, "amount_msat=1500", &until]
    );
    assert_eq!(
        once.to_bytes()[..4],
        [2, 2, 66, 0],
        "no location is written"
    );

    scene.terms.binds = "@path,@body,accept".to_owned();
    scene.body_hash = Some([0xab; 32]);
    scene.terms.access = uses(7);
    let hash = scene.with(|view| view.bound(&scene.terms.binds)).unwrap();
    let (bound, until) = (
        format!(
            "bound=@path,@body,accept:{}",
            crate::codec::hex::encode(hash)
        ),
        format!("valid_until={}", END.as_unix_seconds() + 30 * 86_400),
    );
    let route = "route=/weather/%7B%7D";
    assert_eq!(
        caveats(&scene.mint()),
        [
            "method=GET",
            route,
            "amount_msat=1500",
            "uses=7",
            &bound,
            &until
        ]
    );

    scene.terms.access = HOUR;
    let until = format!("valid_until={}", END.as_unix_seconds() + 3600);
    assert_eq!(
        caveats(&scene.mint()),
        ["method=GET", route, "amount_msat=1500", &bound, &until]
    );
}

#[test]
fn a_paid_token_buys_what_was_minted() {
    for (access, count, life) in [(ONCE, 1, DAY), (uses(5), 5, 30 * DAY)] {
        let scene = Scene::new(access);
        let token = scene.mint();
        let proof = scene.bearing(&token).proof().unwrap();
        let until = END.saturating_add(life);
        assert_eq!(
            (proof.amount, proof.payment_hash, proof.valid_until),
            (AMOUNT, hash(), until)
        );
        let Spend::Times {
            uses,
            restores,
            retain_until: retain,
        } = proof.spend
        else {
            panic!("counted")
        };
        assert_eq!(
            (uses.get(), restores, retain),
            (count, 2, retain_until(until))
        );
    }
    let scene = Scene::new(HOUR);
    let token = scene.mint();
    assert_eq!(scene.bearing(&token).proof().unwrap().spend, Spend::Never);
}

#[test]
fn a_token_is_remembered_exactly_as_long_as_every_dialect_asks() {
    for access in [ONCE, uses(5)] {
        for within in [
            Duration::ZERO,
            SKEW - Duration::from_secs(1),
            SKEW,
            DAY,
            Duration::MAX,
        ] {
            let mut scene = Scene::new(access);
            (scene.terms.redeem_within, scene.terms.uses_within) = (within, within);
            let token = scene.mint();
            let (life, scene) = (scene.terms.longest_life(END), scene.bearing(&token));
            let proof = scene.proof().unwrap();
            let Spend::Times {
                retain_until: retain,
                ..
            } = proof.spend
            else {
                panic!("counted")
            };
            assert_eq!(
                (proof.valid_until, retain),
                (life, retain_until(life)),
                "{within:?}"
            );
        }
    }
}

#[test]
fn what_a_client_narrows_never_shortens_what_is_remembered() {
    let until = END.as_unix_seconds() + 120;
    let proof = attenuated(
        uses(100),
        &["uses=40", "uses=3", &format!("valid_until={until}")],
    )
    .unwrap();
    assert_eq!(proof.valid_until.as_unix_seconds(), until);
    let Spend::Times {
        uses,
        retain_until: retain,
        ..
    } = proof.spend
    else {
        panic!("counted")
    };
    assert_eq!(uses.get(), 3);
    assert!(retain >= retain_until(END.saturating_add(30 * DAY)));
}

#[test]
fn a_token_ends_before_its_last_second() {
    for (access, life) in [(ONCE, 86_400), (uses(2), 30 * 86_400), (HOUR, 3600)] {
        let scene = Scene::new(access);
        let token = scene.mint();
        let scene = scene.bearing(&token);
        let at = |seconds| {
            scene
                .proof_at(Timestamp::from_unix_seconds(
                    END.as_unix_seconds() + seconds,
                ))
                .map(|_| ())
        };
        assert_eq!(
            (at(life - 1), at(life), at(u64::MAX / 2)),
            (Ok(()), Err("expired"), Err("expired"))
        );
    }
}

#[test]
fn a_token_buys_the_access_that_was_sold_whatever_the_route_sells_now() {
    for minted in [ONCE, uses(5), HOUR] {
        for asked in [ONCE, uses(7), HOUR] {
            let token = Scene::new(minted).mint();
            let mut scene = Scene::new(asked).bearing(&token);
            let count = match scene.proof().unwrap().spend {
                Spend::Never => None,
                Spend::Times { uses, .. } => Some(uses.get()),
            };
            let expected = match minted {
                ONCE => Some(1),
                Access::Uses(uses) => Some(uses.get()),
                Access::ForDuration(_) => None,
            };
            assert_eq!(count, expected, "{minted:?} {asked:?}");
            scene.target = "/weather/bergen".to_owned();
            if minted == ONCE {
                scene.refused("wrong_target");
            } else {
                assert!(scene.proof().is_ok());
            }
        }
    }
}

#[test]
fn what_was_minted_is_honoured_when_the_charge_changed() {
    let token = Scene::new(uses(100)).mint();
    let mut scene = Scene::new(uses(5)).bearing(&token);
    scene.terms.uses_within = Duration::ZERO;
    let Spend::Times { uses, .. } = scene.proof().unwrap().spend else {
        panic!("counted")
    };
    assert_eq!(uses.get(), 100);
}

#[test]
fn no_token_crosses_secrets_origins_or_stores() {
    let bearing = |access, keys| {
        let token = Scene::new(access).mint();
        Scene {
            keys,
            ..Scene::new(access).bearing(&token)
        }
    };
    for access in [ONCE, uses(5), HOUR] {
        bearing(access, keys(2, ORIGIN, 1)).refused("unknown_key");
        bearing(access, keys(1, "https://b", 1)).refused("unknown_key");
    }
    bearing(ONCE, keys(1, ORIGIN, 2)).refused("unknown_key");
    bearing(uses(5), keys(1, ORIGIN, 2)).refused("unknown_key");
    assert!(
        bearing(HOUR, keys(1, ORIGIN, 2)).proof().is_ok(),
        "nothing of it is counted in a store"
    );
}

#[test]
fn a_key_id_alone_opens_nothing() {
    let token = Scene::new(ONCE).mint();
    let forged = Macaroon::mint([0; 32], token.identifier(), token.caveats()).unwrap();
    Scene::new(ONCE).bearing(&forged).refused("bad_signature");
    let mut identifier = token.identifier().to_vec();
    identifier[65] ^= 1;
    let forged = Macaroon::mint([0; 32], identifier, token.caveats()).unwrap();
    Scene::new(ONCE).bearing(&forged).refused("bad_signature");
}

#[test]
fn a_token_without_our_caveats_is_refused() {
    let whole = Scene::new(ONCE).mint();
    let scene = Scene::new(ONCE);
    let token_id = *crate::l402::Identifier::parse(whole.identifier())
        .unwrap()
        .token_id();
    let key = scene
        .keys
        .minting(crate::dialect::l402::identifier::COUNTED)
        .mac
        .mac(&token_id);
    let all: Vec<_> = whole.caveats().collect();
    for missing in 0..all.len() {
        let rest = all
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, caveat)| *caveat);
        let token = Macaroon::mint(key, whole.identifier(), rest).unwrap();
        Scene::new(ONCE).bearing(&token).refused("missing_caveat");
    }
    let swapped = [all[1], all[0], all[2], all[3]];
    Scene::new(ONCE)
        .bearing(&Macaroon::mint(key, whole.identifier(), swapped).unwrap())
        .refused("missing_caveat");
}
