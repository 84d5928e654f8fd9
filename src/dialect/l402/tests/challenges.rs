use http::header::WWW_AUTHENTICATE;
use proptest::prelude::*;

use super::*;
use crate::{
    codec::base64,
    dialect::{Asked, Rank, l402::Challenge},
    payment::{Invoice, InvoiceDescription, InvoiceDraft, SigningKey},
};

fn read(lines: &[&str]) -> Vec<Challenge> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(
            WWW_AUTHENTICATE,
            HeaderValue::from_bytes(line.as_bytes()).unwrap(),
        );
    }
    Challenge::in_headers(&headers)
}

#[track_caller]
fn reads_one(line: &str) {
    let [challenge] = &read(&[line])[..] else {
        panic!("one challenge in {line}")
    };
    assert_eq!(
        (challenge.token(), challenge.invoice()),
        ("AgE+/w==", "lnbc1x"),
        "{line}"
    );
}

pub(super) fn invoice() -> Invoice {
    invoice_of(hash())
}

pub(super) fn invoice_of(payment_hash: PaymentHash) -> Invoice {
    let draft = InvoiceDraft {
        network: Network::Regtest,
        amount: AMOUNT,
        payment_hash,
        description: InvoiceDescription::Hash([3; 32]),
        created_at: END,
        expiry: Duration::from_secs(300),
    };
    draft.sign(&SigningKey::random().unwrap()).unwrap()
}

#[test]
fn the_lines_have_the_one_shape_that_every_client_reads() {
    let (scene, invoice) = (Scene::new(ONCE), invoice());
    let lines = scene.with(|view| {
        let asked = Asked {
            view,
            terms: &scene.terms,
            amount: AMOUNT,
            invoice: &invoice,
            committed: None,
            refused: None,
            brief: false,
        };
        scene.dialect.challenge(&asked).unwrap()
    });
    assert_eq!(
        lines.iter().map(|line| line.rank).collect::<Vec<_>>(),
        [Rank::L402, Rank::Lsat]
    );
    let [l402, lsat] = &lines[..] else {
        panic!("two lines")
    };
    assert!(l402.value.is_sensitive() && lsat.value.is_sensitive());
    let text = l402.value.to_str().unwrap();
    let read = read(&[text, lsat.value.to_str().unwrap()]);
    let token = base64::encode_standard(read[0].macaroon().unwrap().to_bytes());
    assert_eq!(
        text,
        format!("L402 macaroon=\"{token}\", invoice=\"{invoice}\"")
    );
    assert_eq!(
        lsat.value.to_str().unwrap(),
        text.replacen("L402", "LSAT", 1)
    );

    let until = invoice.expires_at().saturating_add(DAY).as_unix_seconds();
    assert_eq!(
        caveats(&read[0].macaroon().unwrap()).last(),
        Some(&&*format!("valid_until={until}"))
    );
    for challenge in &read {
        let mut scene = Scene::new(ONCE);
        scene
            .headers
            .append(AUTHORIZATION, challenge.answer(&preimage()));
        assert!(scene.proof().is_ok(), "what was answered is accepted");
    }
}

#[test]
fn released_servers_shapes_are_read() {
    for line in [
        "L402 macaroon=\"AgE+/w==\", invoice=\"lnbc1x\"",
        "LSAT macaroon=\"AgE+/w==\",invoice=\"lnbc1x\"",
        "l402 macaroon=AgE+/w==, invoice=lnbc1x",
        "L402 version=\"0\", token=\"AgE+/w==\", invoice=\"lnbc1x\"",
        "L402 version=\"0\" token=\"AgE+/w==\", invoice=\"lnbc1x\"",
        "L402 invoice=\"lnbc1x\" , Macaroon = \"AgE+/w==\"",
        "L402 macaroon=\"AgE+/w==\", invoice=\"lnbc1x\", version=\"0\", token=\"other\"",
        "Payment id=\"a, L402 macaroon=b\", x=\"\\\"\", L402 macaroon=\"AgE+/w==\", invoice=\"lnbc1x\"",
        "Negotiate YII=, L402 macaroon=\"AgE+/w==\", invoice=\"lnbc1x\", Bearer realm=\"x\"",
    ] {
        reads_one(line);
    }
    let folded = "LSAT macaroon=\"a\", invoice=\"lnbc1\", L402 macaroon=\"b\", invoice=\"lnbc2\"";
    let tokens: Vec<_> = read(&[folded])
        .iter()
        .map(|challenge| (challenge.scheme(), challenge.token().to_owned()))
        .collect();
    assert_eq!(
        tokens,
        [
            (Scheme::Lsat, "a".to_owned()),
            (Scheme::L402, "b".to_owned())
        ],
        "values stay with their challenge"
    );
}

#[test]
fn what_is_no_sound_challenge_is_left_out() {
    for line in [
        "L402",
        "Bearer macaroon=\"a\", invoice=\"lnbc1\"",
        "L402 macaroon=\"a\"",
        "L402 invoice=\"lnbc1\"",
        "L402 macaroon=\"\", invoice=\"lnbc1\"",
        "L402 macaroon=\"a:b\", invoice=\"lnbc1\"",
        "L402 macaroon=\"a\", macaroon=\"b\", invoice=\"lnbc1\"",
        "L402 macaroon=\"a\", invoice=\"lnbc1 x\"",
        "L402 macaroon=\"a\", invoice=\"lnbc1",
        "L402 macaroon=\"\u{e9}\", invoice=\"lnbc1\"",
    ] {
        assert!(read(&[line]).is_empty(), "{line}");
    }
    let many = ["L402 macaroon=\"a\", invoice=\"lnbc1\""; 100];
    assert_eq!(read(&many).len(), Challenge::MAX_PER_RESPONSE);
    assert_eq!(read(&[&many.join(", ")]).len(), Challenge::MAX_PER_RESPONSE);
}

#[test]
fn an_answer_repeats_the_servers_spelling() {
    let challenge = &read(&["LSAT macaroon=\"a-_\", invoice=\"lnbc1\""])[0];
    let answer = challenge.answer(&preimage());
    assert!(answer.is_sensitive());
    assert_eq!(
        answer.to_str().unwrap(),
        format!("LSAT a-_:{}", "09".repeat(32))
    );
    assert_eq!(
        format!("{challenge:?}"),
        "Challenge { scheme: Lsat, invoice: \"lnbc1\", .. }"
    );
}

proptest! {
    #[test]
    fn any_line_is_read_without_a_panic_and_what_is_read_is_written_alike(line in "(L402|lsat)? ?[ ,=\"\\\\a-z0-9:-]{0,40}(, invoice=\"ln\", token=a)?") {
        for challenge in read(&[&line]) {
            let again = read(&[challenge.header_value().to_str().unwrap()]);
            prop_assert_eq!(again.len(), 1);
            prop_assert_eq!((again[0].token(), again[0].invoice()), (challenge.token(), challenge.invoice()));
        }
    }
}
