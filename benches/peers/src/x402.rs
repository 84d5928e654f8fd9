use std::str::FromStr as _;

use lightning_invoice::Bolt11Invoice;
use tower_x402::internals::x402::Bench;
use x402_types::{
    proto::v2::{PaymentPayload, PaymentRequirements},
    util::Base64Bytes,
};

use crate::{
    measure::{ROUNDS, compare, job},
    report::Row,
};

type Payload = PaymentPayload<PaymentRequirements, serde_json::Value>;

pub fn rows() -> Vec<Row> {
    let bench = Bench::new();
    let call = bench.call();
    let invoice = bench.invoice(&call);
    let credential = bench.credential(&call, &bench.challenge(&call, &invoice));
    let (ours, foreign) = (
        call.clone().with(&credential),
        call.with(&bench.without_quote(&credential)),
    );
    assert!(bench.verify(&ours) && bench.verify(&foreign));

    let decode = || {
        serde_json::from_slice::<Payload>(&Base64Bytes::from(credential.as_bytes()).decode().ok()?)
            .ok()
    };
    assert!(decode().is_some());
    let quoted = compare(ROUNDS, [job(|| bench.verify(&ours)), job(decode)]);

    let parse = || Bolt11Invoice::from_str(invoice.as_str());
    parse().expect("an invoice");
    let recovered = compare(ROUNDS, [job(|| bench.verify(&foreign)), job(parse)]);
    vec![
        Row::faster(
            "x402 verify with a quote / x402-types 2.0 decodes",
            1.0,
            quoted,
        ),
        Row::at_most(
            "x402 verify, foreign / lightning-invoice parses, checks",
            1.15,
            recovered,
        ),
    ]
}
