//! Macaroons that were cut, extended, changed, or given too many caveats.

use http::{StatusCode, header};
use tower_x402::{
    DialectName,
    l402::{self, Macaroon},
};

use crate::{
    customer::Call,
    hostile::{l402, refused, service},
    shop::{Shop, ask, reason},
};

#[tokio::test]
async fn a_macaroon_that_is_cut_lengthened_or_changed_anywhere_is_refused() {
    let shop = Shop::new();
    let app = service(&shop, &[DialectName::L402]);
    let call = Call::new("GET", "/weather");
    let unpaid = ask(&app, call.request()).await;
    let macaroon = l402::Challenge::in_headers(unpaid.headers())[0]
        .macaroon()
        .unwrap()
        .to_bytes();
    let preimage = shop.bought(&call, &unpaid).preimage.expose_hex();
    let spelled = |line: &str| call.clone().header(header::AUTHORIZATION, line).request();
    for end in (0..macaroon.len()).step_by(7) {
        let before = shop.node.invoices_created();
        let answer = ask(&app, spelled(&l402(&macaroon[..end], &preimage))).await;
        refused(&shop, before, &answer, "malformed", "a truncated macaroon");
    }
    for at in (0..macaroon.len()).step_by(3) {
        let mut changed = macaroon.clone();
        changed[at] ^= 1;
        let answer = ask(&app, spelled(&l402(changed, &preimage))).await;
        let words = [
            "malformed",
            "bad_identifier",
            "unknown_key",
            "bad_signature",
        ];
        assert!(
            words.contains(&&*reason(&answer)),
            "byte {at}: {}",
            reason(&answer)
        );
    }
    let longer = [&macaroon[..], &[0]].concat();
    assert_eq!(
        reason(&ask(&app, spelled(&l402(longer, &preimage))).await),
        "malformed"
    );
    for wrong in [
        "",
        "00",
        &preimage[1..],
        &format!("{preimage}0"),
        &preimage.replace(['0', '1', '2'], "g"),
    ] {
        assert_eq!(
            reason(&ask(&app, spelled(&l402(&macaroon, wrong))).await),
            "malformed",
            "{wrong}"
        );
    }
    assert_eq!(
        reason(&ask(&app, spelled(&l402(&macaroon, &"0".repeat(64)))).await),
        "bad_preimage"
    );
    assert_eq!(
        ask(&app, spelled(&l402(&macaroon, &preimage.to_uppercase())))
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn too_many_caveats_and_numbers_out_of_range_are_refused() {
    let shop = Shop::new();
    let app = service(&shop, &[DialectName::L402]);
    let call = Call::new("GET", "/weather");
    let unpaid = ask(&app, call.request()).await;
    let challenge = l402::Challenge::in_headers(unpaid.headers()).remove(0);
    let macaroon = challenge.macaroon().unwrap();
    let preimage = shop.bought(&call, &unpaid).preimage.expose_hex();
    let ask_with = async |bytes: Vec<u8>| {
        ask(
            &app,
            call.clone()
                .header(header::AUTHORIZATION, &l402(bytes, &preimage))
                .request(),
        )
        .await
    };

    let many = |count: usize| {
        let mut bytes = macaroon.to_bytes();
        let signature = bytes.split_off(bytes.len() - 35);
        (0..count).for_each(|_| bytes.extend_from_slice(&[2, 3, b'a', b'=', b'b', 0]));
        [bytes, signature].concat()
    };
    for count in [Macaroon::MAX_CAVEATS + 1, 1_000, 10_000, 1_000_000] {
        assert_eq!(
            reason(&ask_with(many(count)).await),
            "malformed",
            "{count} caveats"
        );
    }
    for (caveat, word) in [
        ("valid_until=18446744073709551616", "bad_expiry"),
        ("valid_until=18446744073709551615", "widened"),
        ("valid_until=-1", "bad_expiry"),
        ("valid_until=", "bad_expiry"),
        ("valid_until=0", "expired"),
        ("amount_msat=99999999999999999999999", "widened"),
        ("uses=2", "widened"),
        ("uses=0", "spent"),
        ("uses=4294967297", "widened"),
        ("method=POST", "widened"),
        ("target=/other", "widened"),
        ("bound=00", "widened"),
        ("preimage=00", "preimage_caveat"),
        ("services=api.example.com:256", "bad_services"),
        ("services=other:0", "wrong_service"),
    ] {
        let narrowed = macaroon.attenuate(caveat).unwrap();
        assert_eq!(
            reason(&ask_with(narrowed.to_bytes()).await),
            word,
            "{caveat}"
        );
    }
    let third_party = {
        let mut bytes = macaroon.to_bytes();
        let signature = bytes.split_off(bytes.len() - 35);
        [&bytes[..], &[2, 1, b'a', 4, 1, b'v', 0], &signature].concat()
    };
    assert_eq!(reason(&ask_with(third_party).await), "third_party_caveat");
    let unknown = macaroon
        .attenuate("colour=\u{e9}\u{0}")
        .unwrap()
        .attenuate([0xff; 40])
        .unwrap();
    assert_eq!(
        ask_with(unknown.to_bytes()).await.status(),
        StatusCode::OK,
        "unknown caveats are skipped"
    );
}
