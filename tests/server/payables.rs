//! One loop over the dialects, as a client has it: challenges, checks, and the credential after the
//! client died between paying and asking again.

use axum::{Router, routing::get as on_get};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tower_x402::{
    Amount, ClientConditions, ClientRequest, Network, PaymentHash, Preimage, clock::Clock as _,
    l402, mpp, x402,
};

use crate::{
    customer::Call,
    shop::{ORIGIN, Shop, ask},
};

/// What a client of one dialect does, in steps that have the same names in each.
type Steps = (
    fn(&HeaderMap, &ClientRequest<'_>, &ClientConditions) -> Vec<String>,
    fn(&str) -> Option<PaymentHash>,
    fn(&str, &Preimage) -> Option<(HeaderName, HeaderValue)>,
);

macro_rules! steps {
    ($dialect:ident) => {
        (
            |headers, request, conditions| {
                $dialect::Challenge::in_headers(headers)
                    .iter()
                    .filter_map(|challenge| {
                        $dialect::Payable::check(challenge, request, conditions).ok()
                    })
                    .inspect(|payable| {
                        assert_eq!(payable.invoice().amount(), Some(payable.amount()));
                        assert!(payable.expires_at() <= payable.invoice().expires_at());
                    })
                    .map(|payable| payable.to_json())
                    .collect()
            },
            |stored| {
                let payable = $dialect::Payable::from_json(stored).ok()?;
                Some(payable.invoice().payment_hash())
            },
            |stored, preimage| {
                let payable = $dialect::Payable::from_json(stored).ok()?;
                let line = payable.credential(preimage)?;
                assert_eq!(line.0, payable.header_name());
                assert!(line.1.is_sensitive());
                Some(line)
            },
        )
    };
}

const DIALECTS: [Steps; 3] = [steps!(l402), steps!(mpp), steps!(x402)];

fn stored(shop: &Shop, answer: &Response<Bytes>, call: &Call, steps: &Steps) -> Vec<String> {
    let url = format!("{ORIGIN}{}", call.target);
    let request = ClientRequest::Http {
        method: call.method,
        url: &url,
        headers: &call.headers,
        body_hash: Sha256::digest(&call.body).into(),
    };
    let conditions = ClientConditions::new(Network::Regtest, shop.clock.now());
    steps.0(answer.headers(), &request, &conditions)
}

#[tokio::test]
async fn what_was_paid_before_the_client_died_is_redeemed_by_its_next_start_in_each_dialect() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let charge = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/a", on_get(async || "paid").route_layer(charge));
    let call = Call::get("/a?b=c");
    for (index, steps) in DIALECTS.iter().enumerate() {
        let answer = ask(&app, call.request()).await;
        let stored = stored(&shop, &answer, &call, steps);
        assert!(!stored.is_empty());
        let hash = steps.1(&stored[0]).unwrap();
        let preimage = shop.node.settle(hash).unwrap();
        for (other, steps) in DIALECTS.iter().enumerate() {
            let is_ours = other == index;
            assert_eq!(steps.1(&stored[0]).is_some(), is_ours, "{}", stored[0]);
        }
        assert!(steps.2(&stored[0], &Preimage::from_bytes([0; 32])).is_none());
        let line = steps.2(&stored[0], &preimage).unwrap();
        let served = ask(&app, call.paid(&line)).await;
        assert_eq!(served.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_challenge_of_another_network_or_bound_to_another_request_is_not_paid() {
    let shop = Shop::new();
    let paywall = shop.paywall_of_every_dialect();
    let charge = paywall.charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/a", on_get(async || "paid").route_layer(charge));
    let answer = ask(&app, Call::get("/a").request()).await;
    let other = Call::get("/b");
    assert!(stored(&shop, &answer, &other, &DIALECTS[2]).is_empty());
    let url = format!("{ORIGIN}/a");
    let request = ClientRequest::Http {
        method: "GET",
        url: &url,
        headers: &HeaderMap::new(),
        body_hash: Sha256::digest(b"").into(),
    };
    let mainnet = ClientConditions::new(Network::Bitcoin, shop.clock.now());
    for steps in &DIALECTS {
        assert!(steps.0(answer.headers(), &request, &mainnet).is_empty());
    }
}
