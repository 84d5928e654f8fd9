//! A real aperture in front of a service: it sells over L402 and MPP, and a real LND makes its
//! invoices. It also offers sessions, which the client does not pay for.

use std::{fs, process::Stdio, time::Duration};

use axum::{Json, Router, body::Bytes, extract::Query, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command};
use tower_x402::{
    Amount, DialectName,
    lightning::{InvoiceStatus, Receiver as _},
    mpp,
};

use crate::{
    purchase::{Buyer, PRICE, ask, expect_served},
    real::{PATIENCE, pair, url},
    site::{Client, Place},
};

async fn render(Query(asked): Query<Value>, body: Bytes) -> Json<Value> {
    Json(json!({ "size": asked["size"], "length": body.len() }))
}

#[tokio::test]
async fn a_real_aperture_is_paid_over_l402_and_mpp() {
    let variables = ["GRPC", "CERT", "MACAROONS"].map(|name| format!("X402_NODE_LND_B_{name}"));
    let Some((payer, node)) = pair("X402_NODE_LND_A", "X402_NODE_LND_B_INVOICE").await else {
        return;
    };
    let receiver = node.receiver().unwrap();
    let [lnd, certificate, macaroons] = variables.map(|name| url(&name).unwrap());

    let folder = tempfile::tempdir().unwrap();
    let service = Place::free().await;
    let (behind, address) = (service.address(), Place::free().await.address());
    service.serve(Router::new().route("/render", post(render)));
    let settings = json!({
        "listenaddr": address.to_string(),
        "basedir": folder.path(),
        "insecure": true,
        "dbbackend": "sqlite",
        "sqlite": { "databasefilename": folder.path().join("aperture.db") },
        "authenticator": {
            "network": "regtest",
            "lndhost": lnd,
            "tlspath": certificate,
            "macdir": macaroons,
            "enablempp": true,
            "enablesessions": true,
            "mpprealm": address.to_string(),
        },
        "services": [{
            "name": "render",
            "hostregexp": ".*",
            "pathregexp": "^/render$",
            "address": behind.to_string(),
            "protocol": "http",
            "authscheme": "l402+mpp",
            "price": PRICE.as_msat() / 1000,
        }],
    });
    // JSON is YAML.
    let file = folder.path().join("aperture.yaml");
    fs::write(&file, settings.to_string()).unwrap();
    let mut aperture = Command::new(url("X402_APERTURE").unwrap())
        .arg(format!("--configfile={}", file.display()))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            assert_eq!(aperture.try_wait().unwrap(), None, "aperture has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listening).await.unwrap();

    let (client, origin) = (Client::new(), format!("http://{address}"));
    let [tokens, charges] =
        [DialectName::L402, DialectName::Mpp].map(|dialect| Buyer::new(payer.clone(), dialect));
    let (tokens, charges) = (tokens.await, charges.await);
    let token = tokens.buy(&origin).await;
    let charge = charges.buy(&origin).await;
    for bought in [&token, &charge] {
        let status = receiver.lookup_invoice(bought.payment_hash()).await;
        assert_eq!(status.unwrap(), InvoiceStatus::Settled);
        // This release also accepts an MPP credential again, until it expires.
        expect_served(&ask(&client, &origin, bought.proof.clone()).await);
    }
    let receipt = mpp::Receipt::in_headers(charge.answer.headers()).unwrap();
    assert_eq!(receipt.reference, charge.payment_hash().to_string());

    // The client presents its token again, and pays for each charge.
    assert!(tokens.buy(&origin).await.receipt.is_none());
    assert_ne!(
        charges.buy(&origin).await.payment_hash(),
        charge.payment_hash()
    );
    assert_eq!(
        (tokens.spent(), charges.spent()),
        (PRICE, Amount::from_sat(50))
    );
    let version = url("X402_APERTURE_VERSION").unwrap();
    println!(
        "aperture: {version} over l402: 402, 25 sat paid from LND to LND, 200, then 200 without a payment\n\
         aperture: {version} over mpp: 402, 25 sat paid from LND to LND, 200 with a receipt, then 200 again"
    );
}
