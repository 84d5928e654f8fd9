use http::Method;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::dialect::{
    bound::EMPTY_BODY,
    mpp::{challenge::Challenge, verify::bound_hash},
};

fn hash(body: &[u8]) -> Option<[u8; 32]> {
    Some(Sha256::digest(body).into())
}

#[test]
fn what_was_bought_is_served() {
    let bench = Bench::new().unwrap();
    let proof = bench.proof().unwrap();
    assert_eq!(
        (proof.amount, proof.network),
        (bench.amount, bench.terms.network)
    );
    assert_eq!(proof.payment_hash, bench.preimage.payment_hash());
    assert_eq!(proof.valid_until, bench.invoice.expires_at());
    let value = bench.challenge().unwrap();
    assert_eq!(
        proof.note.as_deref(),
        Some(&*Challenge::parse_line(value.as_bytes())[0].id)
    );
}

#[test]
fn a_credential_opens_no_other_method_path_or_query() {
    let mut bench = Bench::new().unwrap();
    for method in [Method::POST, Method::HEAD, Method::CONNECT] {
        bench.head.method = method;
        assert_eq!(refused(&bench), OTHER_REQUEST);
    }
    bench.head.method = Method::GET;
    for target in [
        "/weather",
        "/weather?city=oslo&",
        "/weather?city=Oslo",
        "/Weather?city=oslo",
        "/weather/?city=oslo",
        "/dear",
    ] {
        bench.target = target.to_owned();
        assert_eq!(refused(&bench), OTHER_REQUEST, "{target}");
    }
}

#[test]
fn method_and_target_do_not_run_into_each_other() {
    let mut bench = Bench::new().unwrap();
    bench.head.method = Method::from_bytes(b"GE").unwrap();
    bench.target = format!("T{}", bench.target);
    assert_eq!(refused(&bench), OTHER_REQUEST);
}

#[test]
fn a_credential_opens_no_other_body() {
    let mut bench = Bench::new().unwrap();
    assert_eq!(hash(b""), Some(EMPTY_BODY));
    bench.body_hash = hash(b"{}");
    assert_eq!(refused(&bench), OTHER_REQUEST, "bought without a body");
    bench.present().unwrap();
    assert_eq!(refused(&bench), None);
    for other in [b"{} ".as_slice(), b"", b"{\"a\":1}"] {
        bench.body_hash = hash(other);
        assert_eq!(refused(&bench), OTHER_REQUEST, "{other:?}");
    }
    bench.body_hash = None;
    assert_eq!(refused(&bench), OTHER_REQUEST, "a body that nobody hashed");
}

#[test]
fn a_streamed_body_is_not_bound_and_what_was_bought_stays_when_the_charge_changes() {
    let mut bench = Bench::new().unwrap();
    bench.terms.streams_body = true;
    bench.body_hash = None;
    bench.present().unwrap();
    assert_eq!(refused(&bench), None);
    assert!(!Mpp.binds_body(&bench.view(), &bench.terms));
    bench.terms.bound_covers_body = true;
    assert!(Mpp.binds_body(&bench.view(), &bench.terms));

    bench.terms = Terms::plain(Access::Once);
    bench.body_hash = hash(b"{}");
    assert_eq!(refused(&bench), None, "bought for any body");
    bench.present().unwrap();
    bench.terms.streams_body = true;
    assert_eq!(refused(&bench), None, "bought for this body");
    for other in [None, hash(b"")] {
        bench.body_hash = other;
        assert_eq!(refused(&bench), OTHER_REQUEST, "bought for another body");
    }
}

fn form(bench: &mut Bench, content_type: &'static str) {
    bench.head.headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(content_type),
    );
}

#[test]
fn a_form_in_parts_is_left_alone_because_no_client_can_send_it_twice() {
    for (content_type, is_left) in [
        ("multipart/form-data; boundary=a", true),
        ("Multipart/Form-Data;boundary=\"b\"", true),
        ("multipart/form-data", true),
        ("multipart/mixed; boundary=a", false),
        ("application/x-www-form-urlencoded", false),
        ("text/plain; x=multipart/form-data", false),
    ] {
        let mut bench = Bench::new().unwrap();
        form(&mut bench, content_type);
        bench.body_hash = hash(b"--a");
        bench.present().unwrap();
        assert_eq!(refused(&bench), None);
        bench.body_hash = hash(b"--b");
        let expected = if is_left { None } else { OTHER_REQUEST };
        assert_eq!(refused(&bench), expected, "{content_type}");
        bench.target = "/dear".to_owned();
        assert_eq!(refused(&bench), OTHER_REQUEST, "{content_type}");
    }
}

#[test]
fn a_form_in_parts_is_bound_if_the_price_reads_it_or_the_charge_says_so() {
    let by_price = |terms: &mut Terms| terms.bound_covers_body = true;
    let by_charge = |terms: &mut Terms| terms.binds_multipart = true;
    for bind in [by_price, by_charge] {
        let mut bench = Bench::new().unwrap();
        form(&mut bench, "multipart/form-data; boundary=a");
        bench.body_hash = hash(b"--a");
        // Left alone when it was sold, and then its price reads it.
        bench.present().unwrap();
        let left = bench.head.clone();
        bind(&mut bench.terms);
        bench.present().unwrap();
        assert_eq!(refused(&bench), None);
        bench.body_hash = hash(b"--b");
        assert_eq!(refused(&bench), OTHER_REQUEST);
        bench.head = left;
        let expected = if bench.terms.bound_covers_body {
            OTHER_REQUEST
        } else {
            None
        };
        assert_eq!(refused(&bench), expected);
    }
}

#[test]
fn what_a_price_saw_is_bound() {
    let header = |value: &'static str| http::HeaderValue::from_static(value);
    let mut bench = Bench::new().unwrap();
    let sold_before = bench.head.headers.clone();
    bench.terms.binds = "@query,@body,x-a".to_owned();
    bench.body_hash = None;
    assert!(
        bench.challenge().is_none(),
        "nothing is sold before it is known"
    );
    bench.body_hash = Some(EMPTY_BODY);
    bench.head.headers.insert("x-a", header("1"));
    bench.present().unwrap();
    assert_eq!(refused(&bench), None);
    // It says what it bound, whatever the charge binds now.
    for binds in ["@query,@body,x-a", "", "x-b"] {
        binds.clone_into(&mut bench.terms.binds);
        bench.head.headers.insert("x-a", header("1"));
        assert_eq!(refused(&bench), None);
        bench.head.headers.insert("x-a", header("2"));
        assert_eq!(refused(&bench), OTHER_REQUEST);
        bench.head.headers.remove("x-a");
        assert_eq!(refused(&bench), OTHER_REQUEST);
    }
    // What it left open and today's price reads must be absent, unless an earlier charge is named.
    bench.head.headers = sold_before;
    bench.terms.priced_headers = vec!["x-a".to_owned()];
    assert_eq!(refused(&bench), None);
    bench.head.headers.insert("x-a", header("1"));
    assert_eq!(refused(&bench), OTHER_REQUEST);
    bench.terms.earlier = vec![Terms::plain(Access::Once)];
    assert_eq!(refused(&bench), None);
}

#[test]
fn what_was_sold_before_a_moment_is_void() {
    let mut bench = Bench::new().unwrap();
    bench.terms.sold_since = Some(bench.invoice.created_at());
    assert_eq!(refused(&bench), None);
    let later = std::time::Duration::from_secs(1);
    bench.terms.sold_since = Some(bench.invoice.created_at().saturating_add(later));
    assert_eq!(
        refused(&bench),
        Some((RefusalKind::Revoked, "invalid-challenge"))
    );
}

#[test]
fn a_credential_ends_with_its_invoice() {
    let mut bench = Bench::new().unwrap();
    bench.now = Timestamp::from_unix_seconds(bench.invoice.expires_at().as_unix_seconds() - 1);
    assert_eq!(refused(&bench), None);
    bench.now = bench.invoice.expires_at();
    assert_eq!(
        refused(&bench),
        Some((RefusalKind::Expired, "payment-expired"))
    );
}

#[test]
fn the_store_remembers_as_long_as_was_minted_whatever_the_configuration_says_now() {
    let mut bench = Bench::new().unwrap();
    let minted = crate::payment::retain_until(bench.terms.longest_life(bench.invoice.expires_at()));
    bench.terms.redeem_within = std::time::Duration::ZERO;
    let crate::payment::Spend::Times {
        uses,
        restores,
        retain_until,
    } = bench.proof().unwrap().spend
    else {
        panic!("a charge is counted");
    };
    assert_eq!((uses.get(), restores, retain_until), (1, 0, minted));
}

#[test]
fn what_ended_between_head_and_body_is_refused() {
    let bench = Bench::new().unwrap();
    let view = bench.view();
    let Presented::Authentic(claim) = Mpp.credential(&view, &bench.terms, bench.now) else {
        panic!("not authentic")
    };
    let refusal = claim
        .verify(&view, &bench.terms, None, bench.invoice.expires_at())
        .unwrap_err();
    assert_eq!(refusal.kind(), RefusalKind::Expired);
}

#[test]
fn what_binds_a_credential_is_written_alike_in_every_version() {
    for (method, target, bound, expected) in [
        (
            "GET",
            "/weather?city=oslo",
            None,
            "90effae620c7abc9a0bd3a189690b8d5657a1580badb83dc2657cd8de354d589",
        ),
        (
            "POST",
            "/",
            Some([1; 32]),
            "018dcecda83996b8f248ca2aaceca824dd7d8a79e315d63f96f35d12800467ff",
        ),
    ] {
        assert_eq!(
            crate::codec::hex::encode(bound_hash(method, target, bound.as_ref())),
            expected
        );
    }
}

proptest! {
    #[test]
    fn exactly_the_same_request_is_served(
        bought in ("[A-Z]{1,4}", "/[a-z/?&=]{0,6}", any::<Option<[u8; 2]>>()),
        shown in ("[A-Z]{1,4}", "/[a-z/?&=]{0,6}", any::<Option<[u8; 2]>>()),
    ) {
        let mut bench = Bench::new().unwrap();
        let ask = |(method, target, body): &(String, String, Option<[u8; 2]>), bench: &mut Bench| {
            bench.head.method = Method::from_bytes(method.as_bytes()).unwrap();
            bench.target.clone_from(target);
            bench.body_hash = hash(body.as_ref().map_or(&[], |body| &body[..]));
        };
        ask(&bought, &mut bench);
        bench.present().unwrap();
        prop_assert_eq!(refused(&bench), None);
        ask(&shown, &mut bench);
        prop_assert_eq!(refused(&bench).is_none(), bought == shown);
    }
}
