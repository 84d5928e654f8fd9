use std::future::{Future, ready};

use futures_util::FutureExt as _;
use mpp::{
    ChargeMethod, ChargeRequest, PaymentCredential, Receipt, VerificationError,
    compute_challenge_id, format_authorization, parse_authorization, server::Mpp,
};
use tower_x402::{PaymentHash, Preimage, internals::mpp::Bench};

use crate::{
    measure::{ROUNDS, compare, job},
    report::Row,
};

/// The method `lightning` for the other crate: checks that the preimage is the invoice's.
#[derive(Clone)]
struct Lightning;

impl ChargeMethod for Lightning {
    fn method(&self) -> &str {
        "lightning"
    }

    fn verify(
        &self,
        credential: &PaymentCredential,
        request: &ChargeRequest,
    ) -> impl Future<Output = Result<Receipt, VerificationError>> + Send {
        let preimage = credential
            .payload
            .get("preimage")
            .and_then(|text| Preimage::from_hex(text.as_str()?));
        let details = request.method_details.as_ref();
        let hash = details
            .and_then(|details| PaymentHash::from_hex(details.get("paymentHash")?.as_str()?));
        let is_paid = preimage
            .zip(hash)
            .is_some_and(|(preimage, hash)| hash.is_of(&preimage));
        let receipt = || Receipt::success("lightning", credential.challenge.id.clone());
        ready(if is_paid {
            Ok(receipt())
        } else {
            Err(VerificationError::new("not paid"))
        })
    }
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub fn rows() -> Vec<Row> {
    let bench = Bench::new().expect("randomness");
    assert!(bench.verify());
    let header = bench.credential().expect("a credential");

    // The same credential, with the challenge as the other crate's server would have issued it.
    let mut credential =
        parse_authorization(header.to_str().expect("ASCII")).expect("a credential");
    let echo = &mut credential.challenge;
    echo.expires = Some("2099-01-01T00:00:00Z".to_owned());
    let opaque = echo.opaque.clone().expect("what is bound");
    echo.id = compute_challenge_id(
        SECRET,
        &echo.realm,
        "lightning",
        "charge",
        echo.request.raw(),
        echo.expires.as_deref(),
        None,
        Some(opaque.raw()),
    );
    let expected: ChargeRequest = echo.request.decode().expect("a charge");
    let server = Mpp::new(Lightning, echo.realm.clone(), SECRET).with_opaque(opaque);
    let text = format_authorization(&credential).expect("a header");
    let theirs = || {
        let credential = parse_authorization(&text).ok()?;
        server
            .verify_credential_with_expected_request(&credential, &expected)
            .now_or_never()?
            .ok()
    };
    assert!(theirs().is_some());
    vec![Row::faster(
        "MPP verify / mpp 0.18",
        5.0,
        compare(ROUNDS, [job(|| bench.verify()), job(theirs)]),
    )]
}
