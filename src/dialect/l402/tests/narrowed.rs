//! Tokens that their holders narrowed, and tokens of others.

use super::{tokens::attenuated, uses, *};

#[test]
fn later_caveats_may_only_narrow() {
    for good in [
        "method=GET",
        "target=/weather/oslo%3Funits%3Dmetric",
        "route=/weather/%7Bcity%7D",
        "amount_msat=1500",
        "valid_until=1800000001",
        "colour=blue",
        "no equals sign",
        "services=api.example.com:0",
        "api.example.com_valid_until=1800000001",
        "other_valid_until=1",
        "preimage=0909090909090909090909090909090909090909090909090909090909090909",
    ] {
        for access in [ONCE, uses(5), HOUR] {
            assert!(attenuated(access, &[good]).is_ok(), "{good}");
        }
    }
    for (bad, code) in [
        ("method=POST", "widened"),
        ("amount_msat=1499", "widened"),
        ("amount_msat=", "widened"),
        ("valid_until=1899999999", "widened"),
        ("valid_until=never", "bad_expiry"),
        ("valid_until=1800000000", "expired"),
        ("bound=00", "widened"),
        ("services=other:0", "wrong_service"),
        ("services=", "bad_services"),
        ("services=api.example.com:256", "bad_services"),
        ("api.example.com_valid_until=+1", "bad_expiry"),
        ("api.example.com_valid_until=1800000000", "expired"),
        (
            "preimage=0000000000000000000000000000000000000000000000000000000000000000",
            "preimage_caveat",
        ),
        ("preimage=", "preimage_caveat"),
    ] {
        for access in [ONCE, uses(5), HOUR] {
            assert_eq!(attenuated(access, &[bad]).map(|_| ()), Err(code), "{bad}");
        }
    }
}

#[test]
fn what_was_minted_may_be_repeated_and_a_bound_may_not_change() {
    let minted = format!("valid_until={}", END.as_unix_seconds() + 86_400);
    assert!(attenuated(ONCE, &[&minted]).is_ok());
    let mut scene = Scene::new(ONCE);
    scene.terms.binds = "accept".to_owned();
    let token = scene.mint();
    let bound = caveats(&token)[3].to_owned();
    for (added, expected) in [
        (bound.clone(), Ok(())),
        (bound.replace("accept", "host"), Err("widened")),
        (format!("bound={}", "ab".repeat(32)), Err("widened")),
    ] {
        let token = token.attenuate(&added).unwrap();
        let mut scene = Scene::new(ONCE).bearing(&token);
        scene.terms.binds = "accept".to_owned();
        assert_eq!(scene.proof().map(|_| ()), expected, "{added}");
    }
}

#[test]
fn a_services_caveat_may_only_remove_services() {
    let list = |count: usize| format!("services=api.example.com:0{}", ",other:1".repeat(count - 1));
    let (most, more) = (list(64), list(65));
    for (added, expected) in [
        (&[&*most][..], Ok(())),
        (&[&*more], Err("bad_services")),
        (&["services=:0,api.example.com:0"], Err("bad_services")),
        (
            &[
                "services=api.example.com:0,other:0",
                "services=api.example.com:0",
            ],
            Ok(()),
        ),
        (
            &["services=api.example.com:0", "services=api.example.com:0"],
            Ok(()),
        ),
        (
            &[
                "services=api.example.com:0",
                "services=api.example.com:0,other:0",
            ],
            Err("widened"),
        ),
        (
            &[
                "services=api.example.com:0,other:0",
                "services=api.example.com:0,third:0",
            ],
            Err("widened"),
        ),
        (
            &[
                "api.example.com_valid_until=1800000009",
                "api.example.com_valid_until=1800000009",
            ],
            Ok(()),
        ),
        (
            &[
                "api.example.com_valid_until=1800000009",
                "api.example.com_valid_until=1800000008",
            ],
            Ok(()),
        ),
        (
            &[
                "api.example.com_valid_until=1800000008",
                "api.example.com_valid_until=1800000009",
            ],
            Err("widened"),
        ),
    ] {
        assert_eq!(attenuated(ONCE, added).map(|_| ()), expected, "{added:?}");
    }
}

#[test]
fn a_place_may_be_narrowed_to_this_very_request_and_to_nothing_else() {
    assert_eq!(
        attenuated(ONCE, &["target=/weather/bergen"]).map(|_| ()),
        Err("widened")
    );
    assert_eq!(
        attenuated(uses(5), &["target=/weather/bergen"]).map(|_| ()),
        Err("wrong_target")
    );
    assert_eq!(attenuated(HOUR, &["route=/"]).map(|_| ()), Err("widened"));
    assert_eq!(
        attenuated(ONCE, &["route=/"]).map(|_| ()),
        Err("wrong_route")
    );
}

#[test]
fn uses_are_only_ever_fewer() {
    assert!(attenuated(ONCE, &["uses=1"]).is_ok());
    for (access, added, code) in [
        (ONCE, "uses=2", "widened"),
        (uses(5), "uses=6", "widened"),
        (uses(5), "uses=", "widened"),
        (uses(5), "uses=4294967297", "widened"),
        (uses(5), "uses=0", "spent"),
        (HOUR, "uses=1", "wrong_access"),
    ] {
        assert_eq!(
            attenuated(access, &[added]).map(|_| ()),
            Err(code),
            "{added}"
        );
    }
    assert_eq!(
        attenuated(uses(5), &["uses=2", "uses=3"]).map(|_| ()),
        Err("widened")
    );
}
