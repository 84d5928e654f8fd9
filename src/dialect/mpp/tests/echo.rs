use http::HeaderValue;

use super::*;
use crate::{
    codec::base64,
    dialect::{keys::KeyRing, mpp::credential::HEADER},
    payment::{Network, Preimage},
};

type Change<'a> = &'a dyn Fn(&mut Challenge<'_>);

/// A bench whose credential was changed before it was sent.
fn changed(mut bench: Bench, change: impl FnOnce(&mut Challenge<'_>)) -> Bench {
    let line = bench.challenge().unwrap();
    let mut challenge = Challenge::parse_line(line.as_bytes()).remove(0);
    change(&mut challenge);
    let value = Credential::new(challenge, &bench.preimage)
        .to_header_value()
        .unwrap();
    bench.head.headers.insert(field(&bench.terms), value);
    bench
}

fn bought() -> Bench {
    Bench::new().unwrap()
}

fn with_body() -> Bench {
    let mut bench = bought();
    bench.body_hash = Some([5; 32]);
    bench
}

fn with_header() -> Bench {
    let mut bench = bought();
    bench.terms.authorization_taken = true;
    bench
}

#[test]
fn an_echo_changed_in_any_one_parameter_is_refused() {
    assert_eq!(refused(&changed(with_body(), |_| ())), None);
    let other_request =
        base64::encode_url(br#"{"amount":"1","currency":"sat","methodDetails":{"invoice":"x"}}"#);
    let other_opaque = base64::encode_url(br#"{"bound":"x","until":"9"}"#);
    let changes: [(&str, Change<'_>); 9] = [
        ("id", &|echo| echo.id = base64::encode_url([0; 32]).into()),
        ("realm", &|echo| echo.realm = "api.example.org".into()),
        ("method", &|echo| echo.method = "tempo".into()),
        ("intent", &|echo| echo.intent = "session".into()),
        ("request", &|echo| {
            echo.request = other_request.clone().into()
        }),
        ("expires", &|echo| {
            echo.expires = Some("2100-01-01T00:00:00Z".into())
        }),
        ("digest", &|echo| {
            echo.digest = Some(wire::digest_text(&[6; 32]).into())
        }),
        ("header", &|echo| echo.header = Some(HEADER.into())),
        ("opaque", &|echo| {
            echo.opaque = Some(other_opaque.clone().into())
        }),
    ];
    for (name, change) in changes {
        assert_eq!(refused(&changed(with_body(), change)), FORGED, "{name}");
    }
    let description = |echo: &mut Challenge<'_>| echo.description = Some("something else".into());
    assert_eq!(
        refused(&changed(with_body(), description)),
        None,
        "the id leaves the description out"
    );
}

#[test]
fn an_id_that_is_no_mac_at_all_is_refused() {
    let long = base64::encode_url([0; 33]);
    for id in ["", "x", "not base64!", &base64::encode_url([0; 31]), &long] {
        assert_eq!(
            refused(&changed(with_body(), |echo| echo.id = id.to_owned().into())),
            FORGED,
            "{id:?}"
        );
    }
}

#[test]
fn an_echo_that_lacks_or_empties_a_parameter_is_refused() {
    let changes: [(&str, Change<'_>); 7] = [
        ("expires", &|echo| echo.expires = None),
        ("digest", &|echo| echo.digest = None),
        ("opaque", &|echo| echo.opaque = None),
        ("empty expires", &|echo| echo.expires = Some("".into())),
        ("empty digest", &|echo| echo.digest = Some("".into())),
        ("empty opaque", &|echo| echo.opaque = Some("".into())),
        ("empty header", &|echo| echo.header = Some("".into())),
    ];
    for (name, change) in changes {
        assert_eq!(refused(&changed(with_body(), change)), FORGED, "{name}");
    }
    let empty = |echo: &mut Challenge<'_>| echo.digest = Some("".into());
    assert_eq!(
        refused(&changed(bought(), empty)),
        FORGED,
        "a digest that was never sent"
    );
}

#[test]
fn nothing_moves_from_one_slot_into_the_next() {
    let moves: [Change<'_>; 3] = [
        &|echo| {
            echo.request = format!("{}|{}", echo.request, echo.expires.clone().unwrap()).into();
            echo.expires = None;
        },
        &|echo| {
            echo.expires = Some(format!("{}|", echo.expires.clone().unwrap()).into());
            echo.digest = None;
        },
        &|echo| {
            echo.opaque = Some(format!("|{}", echo.opaque.clone().unwrap()).into());
        },
    ];
    for change in moves {
        assert_eq!(refused(&changed(bought(), change)), FORGED);
    }
}

#[test]
fn a_digest_counts_in_either_form() {
    let plain = |echo: &mut Challenge<'_>| {
        echo.digest = echo
            .digest
            .as_ref()
            .map(|digest| digest.replace(':', "").into())
    };
    assert_eq!(refused(&changed(with_body(), plain)), None);
    let half = |echo: &mut Challenge<'_>| {
        echo.digest = echo
            .digest
            .as_ref()
            .map(|digest| digest.replacen(':', "", 1).into())
    };
    assert_eq!(refused(&changed(with_body(), half)), FORGED);
}

#[test]
fn an_echo_that_adds_or_leaves_out_the_header_is_refused() {
    assert_eq!(refused(&changed(with_header(), |_| ())), None);
    assert_eq!(
        refused(&changed(with_header(), |echo| echo.header = None)),
        FORGED
    );
    let moved = |echo: &mut Challenge<'_>| {
        echo.header = None;
        echo.opaque = Some(format!("{HEADER}|{}", echo.opaque.clone().unwrap()).into());
    };
    assert_eq!(refused(&changed(with_header(), moved)), FORGED);
    let mut bench = changed(bought(), |_| ());
    bench.terms.authorization_taken = true;
    bench.head.headers = [(
        PAYMENT_AUTHORIZATION,
        bench.head.headers[AUTHORIZATION].clone(),
    )]
    .into_iter()
    .collect();
    assert_eq!(refused(&bench), FORGED, "bought for `Authorization`");
}

#[test]
fn only_the_selected_header_is_read() {
    let mut bench = bought();
    let value = bench.head.headers.remove(AUTHORIZATION).unwrap();
    bench.head.headers.insert(PAYMENT_AUTHORIZATION, value);
    assert_eq!(bench.proof().unwrap_err(), None);
    let mut bench = changed(with_header(), |_| ());
    let value = bench.head.headers.remove(PAYMENT_AUTHORIZATION).unwrap();
    bench.head.headers.insert(AUTHORIZATION, value);
    assert_eq!(bench.proof().unwrap_err(), None);
}

#[test]
fn an_old_secret_verifies_until_it_is_removed() {
    let secrets = crate::Secrets::new([1; 32]).unwrap();
    let ring = KeyRing::new(
        secrets.clone(),
        crate::dialect::list::purposes(),
        Network::Regtest,
        (vec!["https://api.example.com".into()], ""),
        [9; 16],
    )
    .unwrap();
    let mut bench = bought();
    let verdict = |bench: &Bench| {
        let current = ring.current();
        let view = RequestView {
            keys: current.of(0),
            ..bench.view()
        };
        matches!(
            Mpp.credential(&view, &bench.terms, bench.now),
            Presented::Authentic(_)
        )
    };
    assert!(verdict(&bench));
    secrets.add([2; 32]).unwrap();
    secrets.mint_with([2; 32]).unwrap();
    assert!(verdict(&bench), "an old secret verifies");
    bench.keys = crate::dialect::list::keys_of_secret(
        &[2; 32],
        Network::Regtest,
        ("https://api.example.com", ""),
        &[9; 16],
    );
    bench.present().unwrap();
    assert!(verdict(&bench), "the new one verifies");
    let new = bench.head.clone();
    bench = bought();
    secrets.remove([1; 32]).unwrap();
    assert!(!verdict(&bench), "a removed one does not");
    bench.head = new;
    assert!(verdict(&bench));
}

#[test]
fn a_wrong_preimage_is_unpaid_and_an_unreadable_one_malformed() {
    let mut bench = bought();
    bench.preimage = Preimage::from_bytes([1; 32]);
    assert_eq!(
        refused(&changed(bench, |_| ())),
        Some((RefusalKind::Unpaid, "verification-failed"))
    );
    let bench = bought();
    let token = bench.head.headers[AUTHORIZATION].to_str().unwrap()[8..].to_owned();
    let json = String::from_utf8(base64::decode_url(token).unwrap()).unwrap();
    let hex = bench.preimage.expose_hex();
    for other in [hex.to_uppercase(), hex[2..].to_owned(), String::new()] {
        assert_eq!(
            refused(&sent(
                bought(),
                &base64::encode_url(json.replace(&hex, &other))
            )),
            MALFORMED,
            "{other}"
        );
    }
    assert_eq!(refused(&sent(bought(), &base64::encode_url(json))), None);
}

fn sent(mut bench: Bench, token: &str) -> Bench {
    bench.head.headers.insert(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Payment {token}")).unwrap(),
    );
    bench
}

#[test]
fn what_cannot_be_read_is_malformed() {
    for token in ["", "!", "AB", "e30", "e29vcHN9", "a,b"] {
        assert_eq!(refused(&sent(bought(), token)), MALFORMED, "{token}");
    }
}

#[test]
fn a_padded_credential_is_read() {
    let bench = bought();
    let token = bench.head.headers[AUTHORIZATION].to_str().unwrap()[8..].to_owned();
    let padded = format!("{token}{}", &"==="[..(4 - token.len() % 4) % 4]);
    assert_eq!(refused(&sent(bench, &padded)), None);
}

#[test]
fn two_credentials_in_one_request_are_wrong() {
    let mut bench = bought();
    let value = bench.head.headers[AUTHORIZATION].clone();
    bench
        .head
        .headers
        .append(AUTHORIZATION, "Bearer x".parse().unwrap());
    assert_eq!(refused(&bench), None);
    bench.head.headers.append(AUTHORIZATION, value);
    assert!(matches!(
        Mpp.credential(&bench.view(), &bench.terms, bench.now),
        Presented::Wrong(_)
    ));
}
