//! Which requests a token opens, and how a client may send it.

use proptest::prelude::*;

use super::*;
use crate::{
    codec::{base64, hex},
    dialect::{bound::EMPTY_BODY, l402::Reason},
    payment::Refusal,
};

#[test]
fn another_method_path_or_query_is_refused() {
    let token = Scene::new(ONCE).mint();
    for method in ["HEAD", "POST", "get"] {
        let mut scene = Scene::new(ONCE).bearing(&token);
        scene.method = method;
        scene.refused("wrong_method");
    }
    for target in [
        "/weather/oslo",
        "/weather/oslo?units=metric&",
        "/weather/%6Fslo?units=metric",
        "/weather/oslo%3Funits=metric",
        "",
    ] {
        let mut scene = Scene::new(ONCE).bearing(&token);
        target.clone_into(&mut scene.target);
        scene.refused("wrong_target");
    }
    let token = Scene::new(HOUR).mint();
    let mut scene = Scene::new(HOUR).bearing(&token);
    scene.target = "/weather/bergen".to_owned();
    assert!(scene.proof().is_ok());
    scene.route = "/weather/{*rest}".to_owned();
    scene.refused("wrong_route");
}

/// A charge whose price reads the body, and a request with a body.
fn priced_by_body() -> Scene {
    let mut scene = Scene::new(ONCE);
    scene.terms.binds = "@query,@body".to_owned();
    scene.terms.bound_covers_body = true;
    scene.body_hash = Some([1; 32]);
    scene
}

#[test]
fn what_is_bound_must_be_the_same() {
    let scene = priced_by_body();
    let token = scene.mint();
    let mut scene = scene.bearing(&token);
    assert!(scene.with(|view| scene.dialect.binds_body(view, &scene.terms)));
    assert!(scene.proof().is_ok());
    scene.body_hash = Some([2; 32]);
    scene.refused("wrong_bound");
    scene.body_hash = None;
    scene.refused("wrong_bound");

    // It says what it bound, whatever the charge binds now.
    scene.terms = Terms::plain(ONCE);
    scene.refused("wrong_bound");
    scene.body_hash = Some([1; 32]);
    assert!(scene.proof().is_ok());
}

#[test]
fn a_bound_caveat_that_a_client_adds_grants_nothing() {
    let bare = Scene::new(ONCE).mint();
    for hash in ["01".repeat(32), format!("@query:{}", "01".repeat(32))] {
        Scene::new(ONCE)
            .bearing(&bare.attenuate(format!("bound={hash}")).unwrap())
            .refused("widened");
    }
}

#[test]
fn what_todays_price_reads_and_a_token_left_open_must_be_absent() {
    let token = Scene::new(ONCE).mint();
    let mut scene = Scene::new(ONCE).bearing(&token);
    scene.terms.priced_headers = vec!["x-size".to_owned()];
    assert!(scene.proof().is_ok());
    scene
        .headers
        .insert("x-size", HeaderValue::from_static("9"));
    scene.refused("wrong_bound");
    // A charge of then is named that bound as little.
    for (access, binds, expected) in [
        (ONCE, "", None),
        (HOUR, "", Some("wrong_bound")),
        (ONCE, "x-other", Some("wrong_bound")),
    ] {
        let mut earlier = Terms::plain(access);
        binds.clone_into(&mut earlier.binds);
        scene.terms.earlier = vec![earlier];
        match expected {
            None => assert!(scene.proof().is_ok()),
            Some(code) => scene.refused(code),
        }
    }

    let mut scene = priced_by_body().bearing(&token);
    scene.refused("wrong_bound");
    scene.body_hash = Some(EMPTY_BODY);
    assert!(scene.proof().is_ok());
}

#[test]
fn what_was_sold_before_a_moment_is_void() {
    for access in [ONCE, uses(5), HOUR] {
        let token = Scene::new(access).mint();
        let mut scene = Scene::new(access).bearing(&token);
        scene.terms.sold_since = Some(SOLD);
        assert!(scene.proof().is_ok());
        scene.terms.sold_since = Some(SOLD.saturating_add(Duration::from_secs(1)));
        scene.refused("revoked");
    }
}

#[test]
fn capture_names_do_not_matter_and_former_patterns_count() {
    let token = Scene::new(HOUR).mint();
    let mut scene = Scene::new(HOUR).bearing(&token);
    scene.route = "/weather/{town}".to_owned();
    assert!(scene.proof().is_ok());
    scene.route = "/forecast/{town}".to_owned();
    scene.refused("wrong_route");
    scene.terms.former_patterns = vec!["/weather/{anything}".to_owned()];
    assert!(scene.proof().is_ok());
    scene.terms.former_patterns = vec!["/weather/{*anything}".to_owned()];
    scene.refused("wrong_route");
}

#[test]
fn a_token_is_worth_nothing_without_its_preimage() {
    let token = Scene::new(ONCE).mint();
    let mut scene = Scene::new(ONCE);
    let unpaid = Credential::new(token, Preimage::from_bytes([8; 32]));
    scene
        .headers
        .append(AUTHORIZATION, unpaid.header_value(Scheme::L402));
    scene.refused("bad_preimage");
}

#[test]
fn the_first_credential_that_opens_the_request_counts() {
    let good = Scene::new(ONCE).mint();
    let mut elsewhere = Scene::new(ONCE);
    elsewhere.target = "/".to_owned();
    let elsewhere = elsewhere.mint();
    assert!(
        Scene::new(ONCE)
            .bearing(&elsewhere)
            .bearing(&good)
            .proof()
            .is_ok()
    );
    let narrower = good.attenuate("valid_until=1800000001").unwrap();
    let both = Scene::new(ONCE)
        .bearing(&good)
        .bearing(&narrower)
        .proof()
        .unwrap();
    assert_eq!(both.valid_until, END.saturating_add(DAY));
    assert!(
        Scene::new(ONCE)
            .line(b"LSAT x:y")
            .bearing(&elsewhere)
            .bearing(&good)
            .line(b"L402 x")
            .proof()
            .is_ok()
    );
    Scene::new(ONCE)
        .bearing(&elsewhere)
        .line(b"L402 x")
        .refused("wrong_target");
    Scene::new(ONCE).line(b"L402 x").refused("malformed");
    Scene::new(ONCE)
        .bearing(&good)
        .bearing(&good)
        .bearing(&good)
        .bearing(&good)
        .bearing(&good)
        .refused("malformed");
    Scene::new(ONCE).line(b"Bearer abc").refused("absent");
}

#[test]
fn a_later_credential_is_chosen_before_the_body_is_known() {
    let mut scene = priced_by_body();
    let good = scene.mint();
    scene.target = "/".to_owned();
    let elsewhere = scene.mint();
    scene.target = Scene::new(ONCE).target;
    let scene = scene.bearing(&elsewhere).bearing(&good);
    let claim = scene.with(|view| {
        let head_only = RequestView {
            body_hash: None,
            ..*view
        };
        match scene.dialect.credential(&head_only, &scene.terms, END) {
            Presented::Authentic(claim) => claim.verify(view, &scene.terms, None, END).is_ok(),
            _ => false,
        }
    });
    assert!(claim);
}

#[test]
fn metadata_of_grpc_is_a_credential_with_its_preimage() {
    let token = Scene::new(ONCE).mint();
    for name in ["macaroon", "grpc-metadata-macaroon"] {
        let mut scene = Scene::new(ONCE);
        let carried = token
            .attenuate(format!("preimage={}", preimage().expose_hex()))
            .unwrap();
        scene.headers.insert(
            name,
            HeaderValue::from_str(&hex::encode(carried.to_bytes()).to_uppercase()).unwrap(),
        );
        assert!(scene.proof().is_ok());
        scene.headers.insert(
            name,
            HeaderValue::from_str(&hex::encode(token.to_bytes())).unwrap(),
        );
        scene.refused("malformed");
    }
}

#[test]
fn a_configured_service_stands_for_the_host() {
    let token = Scene::new(ONCE)
        .mint()
        .attenuate("services=weather:0")
        .unwrap();
    let mut scene = Scene::new(ONCE).bearing(&token);
    scene.refused("wrong_service");
    scene.dialect = L402::new(Some("weather".into()));
    assert!(scene.proof().is_ok());
}

#[test]
fn a_target_that_would_not_fit_is_not_offered() {
    let mut scene = Scene::new(ONCE);
    let is_said =
        |scene: &Scene| scene.with(|view| scene.dialect.description(view, &scene.terms).is_ok());
    assert!(is_said(&scene));
    scene.target = format!("/{}", "%".repeat(1024));
    assert!(!is_said(&scene));
    assert!(
        scene
            .with(|view| mint(view, &scene.terms, AMOUNT, hash(), (SOLD, END)))
            .is_err()
    );
}

#[test]
fn a_price_of_zero_is_not_offered() {
    let scene = Scene::new(ONCE);
    assert!(
        scene.dialect.offers(&scene.terms, None)
            && scene.dialect.offers(&scene.terms, Some(AMOUNT))
    );
    assert!(
        !scene
            .dialect
            .offers(&scene.terms, Some(Amount::from_msat(0)))
    );
}

#[test]
fn no_secret_is_shown() {
    let scene = Scene::new(ONCE);
    let token = scene.mint();
    let scene = scene.bearing(&token);
    let shown = scene.with(|view| {
        let credentials: Vec<_> = Credential::in_headers(view.headers()).collect();
        format!(
            "{credentials:?} {:?} {:?}",
            scene.dialect.credential(view, &scene.terms, END),
            scene.headers
        )
    });
    for secret in [
        preimage().expose_hex(),
        base64::encode_standard(token.to_bytes()),
        "9, 9, 9".into(),
    ] {
        assert!(!shown.contains(&secret), "{shown}");
    }
    assert!(Refusal::from(Reason::Expired).to_string() == "l402 credential refused: expired");
}

proptest! {
    #[test]
    fn a_token_for_one_request_never_opens_another(
        target in "[/?&=,:;% a-z\u{e9}]{0,30}",
        other in "[/?&=,:;% a-z\u{e9}]{0,30}",
        access in prop_oneof![Just(ONCE), Just(HOUR)],
    ) {
        let mut scene = Scene::new(access);
        (scene.target, scene.route) = (target.clone(), target.clone());
        let token = scene.mint();
        let mut scene = scene.bearing(&token);
        prop_assert!(scene.proof().is_ok());
        (scene.target, scene.route) = (other.clone(), other.clone());
        prop_assert_eq!(scene.proof().is_ok(), target == other);
    }

    #[test]
    fn any_changed_byte_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = Scene::new(ONCE).mint().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let line = format!("L402 {}:{}", base64::encode_standard(&bytes), preimage().expose_hex());
        prop_assert!(Scene::new(ONCE).line(line.as_bytes()).proof().is_err());
    }

    #[test]
    fn any_line_is_read_without_a_panic(line in "(?i)(l402|lsat|bearer)?[ ,:=\"\\\\a-z0-9+/-]{0,90}") {
        let _ = Scene::new(ONCE).line(line.as_bytes()).proof();
    }
}
