//! Which client paid, and what handlers and layers outside learn of it: the address that the layer
//! resolved, and no stranger's word.

use axum::{Router, extract::Request, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, DialectName, Paid, ResolvedClient, RouteTable, price_fn,
    server::{ClientAddr, PaywallBuilder},
};

use crate::{
    customer::Call,
    shop::{Shop, ask, get},
};

/// Peer, `X-Forwarded-For`, and the client that follows, if 10.0.0.0/8 is trusted.
const CASES: [(Option<&str>, Option<&str>, &str); 6] = [
    (Some("203.0.113.9"), None, "203.0.113.9"),
    (Some("203.0.113.9"), Some("198.51.100.1"), "203.0.113.9"),
    (Some("10.0.0.7"), Some("198.51.100.1"), "198.51.100.1"),
    (Some("10.0.0.7"), Some("2001:db8::7:1"), "2001:db8::7:1"),
    (Some("10.0.0.7"), Some("unknown"), "unknown"),
    (None, Some("198.51.100.1"), "unknown"),
];

fn builder(shop: &Shop) -> PaywallBuilder {
    shop.builder().trusted_proxy("10.0.0.0/8")
}

fn request(call: &Call, peer: Option<&str>, forwarded: Option<&str>) -> Request {
    let mut request = call.request();
    if let Some(peer) = peer {
        let peer = ClientAddr::new(peer.parse().unwrap());
        request.extensions_mut().insert(peer);
    }
    if let Some(forwarded) = forwarded {
        let line = forwarded.parse().unwrap();
        request.headers_mut().insert("x-forwarded-for", line);
    }
    request
}

#[tokio::test]
async fn a_receipt_and_a_settlement_tell_which_client_paid() {
    for (peer, forwarded, client) in CASES {
        let shop = Shop::new();
        let paywall = builder(&shop).build().unwrap();
        let mut settlements = paywall.settlements(1);
        let handler = async |Paid(receipt): Paid, request: Request| {
            let resolved = ResolvedClient::of(request.extensions());
            assert_eq!(resolved, Some(receipt.client()));
            receipt.client().to_string()
        };
        let layer = paywall.charge(Amount::from_sat(10)).unwrap();
        let app = Router::new().route("/a", on_get(handler).route_layer(layer));
        let call = Call::new("GET", "/a");
        let bought = shop.bought(&call, &ask(&app, request(&call, None, None)).await);
        let call = call.with(bought.of(DialectName::L402));
        let served = ask(&app, request(&call, peer, forwarded)).await;
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(served.body(), client, "{peer:?} {forwarded:?}");
        let told = settlements.next().await.unwrap();
        assert_eq!(told.client().to_string(), client);
    }
}

#[tokio::test]
async fn a_handler_sees_the_client_of_a_priced_request_that_passes_for_free() {
    let shop = Shop::new();
    let paywall = builder(&shop).build().unwrap();
    let free = Charge::new(price_fn(|_| async { Ok(None) }));
    let handler = async |request: Request| {
        ResolvedClient::of(request.extensions()).map_or("none".to_owned(), |who| who.to_string())
    };
    let layer = paywall.charge(free).unwrap();
    let app = Router::new()
        .route("/a", on_get(handler).route_layer(layer))
        .route("/b", on_get(handler));
    for (peer, forwarded, client) in CASES {
        let call = Call::new("GET", "/a");
        let served = ask(&app, request(&call, peer, forwarded)).await;
        assert_eq!(served.body(), client, "{peer:?} {forwarded:?}");
    }
    assert_eq!(ask(&app, get("/b")).await.body(), "none");
}

#[tokio::test]
async fn a_paywall_tells_the_client_of_any_request_of_a_free_one_too() {
    let shop = Shop::new();
    let paywall = builder(&shop).build().unwrap();
    let table = RouteTable::new()
        .charge("GET /a", Amount::from_sat(10))
        .otherwise_free();
    let layer = paywall.routes(table).unwrap();
    let handler = async move |request: Request| paywall.client(&request).to_string();
    let app = Router::new().route("/free", on_get(handler)).layer(layer);
    for (peer, forwarded, client) in CASES {
        let call = Call::new("GET", "/free");
        let served = ask(&app, request(&call, peer, forwarded)).await;
        assert_eq!(served.body(), client, "{peer:?} {forwarded:?}");
        let told = shop_client(&shop, &request(&call, peer, forwarded));
        assert_eq!(told, client, "a layer outside");
    }
}

fn shop_client(shop: &Shop, request: &Request) -> String {
    let paywall = builder(shop).build().unwrap();
    paywall.client(request).to_string()
}
