//! Tokens that were tampered with, and valid tokens in another spelling.

use axum::{Router, routing::get as on_get};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower_x402::{
    Amount, Charge,
    internals::codec::base64,
    l402::{Credential, Macaroon, Scheme},
};

use crate::shop::{Shop, ask, get, paid, reason};

fn site(shop: &Shop, charge: impl Into<Charge>) -> Router {
    let layer = shop.paywall().charge(charge).unwrap();
    Router::new().route("/a", on_get(async || "served").route_layer(layer))
}

fn parts(credential: &HeaderValue) -> Credential {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, credential.clone());
    Credential::in_headers(&headers).next().unwrap().unwrap()
}

fn line(scheme: &str, macaroon: &str, preimage: &str) -> HeaderValue {
    format!("{scheme} {macaroon}:{preimage}").parse().unwrap()
}

/// All spellings of one credential that released clients send.
fn spellings(credential: &HeaderValue) -> Vec<HeaderValue> {
    let credential = parts(credential);
    let (bytes, preimage) = (
        credential.macaroon().to_bytes(),
        credential.preimage().expose_hex(),
    );
    let bare = |text: &str| text.trim_end_matches('=').to_owned();
    let (standard, url) = (base64::encode_standard(&bytes), base64::encode_url(&bytes));
    let padded_url = format!(
        "{}{}",
        bare(&url),
        "=".repeat(standard.len() - bare(&standard).len())
    );
    let mut lines = Vec::new();
    for scheme in ["L402", "l402", "LSAT", "Lsat"] {
        for macaroon in [
            standard.clone(),
            bare(&standard),
            bare(&url),
            padded_url.clone(),
        ] {
            for preimage in [preimage.clone(), preimage.to_uppercase()] {
                lines.push(line(scheme, &macaroon, &preimage));
            }
        }
    }
    lines
}

#[tokio::test]
async fn every_spelling_of_a_token_opens_and_all_of_them_together_open_once() {
    let shop = Shop::new();
    let app = site(&shop, Amount::from_sat(10));
    let count = spellings(&shop.buy(&app, get("/a")).await).len();
    for first in 0..count {
        let all = spellings(&shop.buy(&app, get("/a")).await);
        assert_eq!(
            ask(&app, paid("/a", &all[first])).await.status(),
            StatusCode::OK,
            "{:?}",
            all[first]
        );
        for again in &all {
            assert_eq!(reason(&ask(&app, paid("/a", again)).await), "spent");
        }
        shop.clock.advance(std::time::Duration::from_secs(400));
    }
}

#[tokio::test]
async fn a_narrowed_copy_of_a_spent_token_is_spent() {
    let shop = Shop::new();
    let app = site(&shop, Amount::from_sat(10));
    let credential = shop.buy(&app, get("/a")).await;
    assert_eq!(
        ask(&app, paid("/a", &credential)).await.status(),
        StatusCode::OK
    );
    let whole = parts(&credential);
    let preimage = format!("preimage={}", whole.preimage().expose_hex());
    for caveat in ["note=new", "unknown", "uses=1", &preimage] {
        let copy = Credential::new(
            whole.macaroon().attenuate(caveat).unwrap(),
            whole.preimage().clone(),
        );
        assert_eq!(
            reason(&ask(&app, paid("/a", &copy.header_value(Scheme::L402))).await),
            "spent",
            "{caveat}"
        );
    }
}

/// The token's bytes, changed by somebody who cannot sign.
async fn refused(shop: &Shop, app: &Router, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let credential = parts(&shop.buy(app, get("/a")).await);
    let mut bytes = credential.macaroon().to_bytes();
    change(&mut bytes);
    let line = line(
        "L402",
        &base64::encode_standard(bytes),
        &credential.preimage().expose_hex(),
    );
    reason(&ask(app, paid("/a", &line)).await)
}

#[tokio::test]
async fn a_token_with_any_byte_changed_opens_nothing() {
    let shop = Shop::new();
    let app = Router::new().route(
        "/a",
        on_get(async || "served").route_layer(
            shop.builder()
                .max_unpaid_per_client(100_000)
                .build()
                .unwrap()
                .charge(Amount::from_sat(10))
                .unwrap(),
        ),
    );
    let length = parts(&shop.buy(&app, get("/a")).await)
        .macaroon()
        .to_bytes()
        .len();
    for at in 0..length {
        let why = refused(&shop, &app, |bytes| bytes[at] ^= 1).await;
        assert!(!why.is_empty(), "byte {at}");
    }
}

/// Makes other caveats of those of a token.
type Choose = fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>;

#[tokio::test]
async fn bytes_after_the_token_and_cut_or_reordered_caveats_open_nothing() {
    let shop = Shop::new();
    let app = site(&shop, Amount::from_sat(10));
    assert_eq!(
        refused(&shop, &app, |bytes| bytes.push(0)).await,
        "malformed"
    );
    assert_eq!(
        refused(&shop, &app, |bytes| bytes.truncate(bytes.len() - 1)).await,
        "malformed"
    );
    let rebuilt = |choose: Choose| {
        move |bytes: &mut Vec<u8>| {
            let token = Macaroon::parse(bytes.clone()).unwrap();
            let caveats = choose(token.caveats().map(<[u8]>::to_vec).collect());
            let signature = bytes[bytes.len() - 32..].to_vec();
            *bytes = Macaroon::mint([0; 32], token.identifier(), caveats)
                .unwrap()
                .to_bytes();
            let end = bytes.len() - 32;
            bytes[end..].copy_from_slice(&signature);
        }
    };
    let choices: [Choose; 4] = [
        |mut caveats| {
            caveats.pop();
            caveats
        },
        |mut caveats| {
            caveats.reverse();
            caveats
        },
        |_| Vec::new(),
        |mut caveats| {
            let last = caveats.pop().unwrap();
            let text = String::from_utf8(last).unwrap();
            assert!(text.starts_with("valid_until="));
            caveats.push(b"valid_until=99999999999".to_vec());
            caveats
        },
    ];
    for choose in choices {
        assert_eq!(refused(&shop, &app, rebuilt(choose)).await, "bad_signature");
    }
}

#[tokio::test]
async fn ten_thousand_caveats_and_third_parties_are_refused_with_a_reason() {
    let shop = Shop::new();
    let app = site(&shop, Amount::from_sat(10));
    let many = |bytes: &mut Vec<u8>| {
        let end = bytes.len() - 35;
        let tail = bytes.split_off(end);
        for _ in 0..10_000 {
            bytes.extend([2, 1, b'x', 0]);
        }
        bytes.extend(tail);
    };
    assert_eq!(refused(&shop, &app, many).await, "malformed");
    let third_party = |bytes: &mut Vec<u8>| {
        let end = bytes.len() - 35;
        let tail = bytes.split_off(end);
        bytes.extend([1, 1, b'l', 2, 1, b'x', 4, 1, b'v', 0]);
        bytes.extend(tail);
    };
    assert_eq!(
        refused(&shop, &app, third_party).await,
        "third_party_caveat"
    );
}

#[tokio::test]
async fn another_payments_preimage_opens_nothing() {
    let shop = Shop::new();
    let app = site(&shop, Amount::from_sat(10));
    let (one, other) = (
        parts(&shop.buy(&app, get("/a")).await),
        parts(&shop.buy(&app, get("/a")).await),
    );
    let crossed = Credential::new(one.macaroon().clone(), other.preimage().clone())
        .header_value(Scheme::L402);
    assert_eq!(
        reason(&ask(&app, paid("/a", &crossed)).await),
        "bad_preimage"
    );
    let zero = Credential::new(
        one.macaroon().clone(),
        tower_x402::Preimage::from_bytes([0; 32]),
    );
    assert_eq!(
        reason(&ask(&app, paid("/a", &zero.header_value(Scheme::L402))).await),
        "bad_preimage"
    );
}

#[tokio::test]
async fn the_signature_is_judged_before_the_preimage_and_the_caveats() {
    let shop = Shop::new();
    let app = site(&shop, Amount::from_sat(10));
    let whole = parts(&shop.buy(&app, get("/a")).await);
    let forged = Macaroon::mint(
        [0; 32],
        whole.macaroon().identifier(),
        ["method=POST", "uses=x"],
    )
    .unwrap();
    let forged = Credential::new(forged, tower_x402::Preimage::from_bytes([0; 32]))
        .header_value(Scheme::L402);
    assert_eq!(
        reason(&ask(&app, paid("/a", &forged)).await),
        "bad_signature"
    );
}

#[tokio::test]
async fn foreign_schemes_are_left_alone_and_travel_to_the_handler() {
    let shop = Shop::new();
    let layer = shop.paywall().charge(Amount::from_sat(10)).unwrap();
    let handler = async |headers: HeaderMap| {
        let kept: Vec<_> = headers
            .get_all("authorization")
            .iter()
            .map(|line| line.to_str().unwrap().to_owned())
            .collect();
        kept.join("|")
    };
    let app = Router::new().route("/a", on_get(handler).route_layer(layer));
    let credential = shop.buy(&app, get("/a")).await;
    let mut request = get("/a");
    for line in [
        HeaderValue::from_static("Bearer of their own"),
        credential.clone(),
        HeaderValue::from_static("Basic YTpi"),
    ] {
        request.headers_mut().append(header::AUTHORIZATION, line);
    }
    assert_eq!(
        ask(&app, request).await.body(),
        "Bearer of their own|Basic YTpi"
    );
    let mut bearer = get("/a");
    bearer.headers_mut().insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer of their own"),
    );
    assert_eq!(reason(&ask(&app, bearer).await), "");
}

#[tokio::test]
async fn no_target_smuggles_a_caveat_into_its_token() {
    let shop = Shop::new();
    let layer = shop.paywall().charge(Amount::from_sat(10)).unwrap();
    let app = Router::new().route("/{*rest}", on_get(async || "served").route_layer(layer));
    for target in [
        "/a,services=other:0",
        "/a:b=c",
        "/a?uses=100&valid_until=99999999999",
        "/a=/dear",
        "/a;method=POST",
        "/a%2Fdear",
    ] {
        let credential = shop.buy(&app, get(target)).await;
        let token = parts(&credential).macaroon().clone();
        let caveats: Vec<_> = token
            .caveats()
            .map(|caveat| String::from_utf8(caveat.to_vec()).unwrap())
            .collect();
        let names: Vec<_> = caveats
            .iter()
            .map(|caveat| caveat.split_once('=').unwrap().0)
            .collect();
        assert_eq!(
            names,
            ["method", "target", "amount_msat", "valid_until"],
            "{target}"
        );
        let value = caveats[1].strip_prefix("target=").unwrap();
        assert!(
            value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)),
            "{value}"
        );
        for other in ["/a", "/dear", "/a/dear", "/b"] {
            assert_eq!(
                reason(&ask(&app, paid(other, &credential)).await),
                "wrong_target",
                "{target} at {other}"
            );
        }
        assert_eq!(
            ask(&app, paid(target, &credential)).await.status(),
            StatusCode::OK,
            "{target}"
        );
    }
}
