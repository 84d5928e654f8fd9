//! Real nodes that are killed in mid-payment. They disturb other tests, so they run only one after the other, as
//! `scripts/nodes test` runs them.

use std::{env, process::Command, time::Duration};

use sha2::{Digest as _, Sha256};
use tower_x402::{
    Amount, Invoice, PaymentHash, Preimage,
    lightning::{PayLimits, Payer, PaymentStatus, connect},
};

use crate::preimage;

pub(crate) const LIMITS: PayLimits = PayLimits::new(Amount::from_sat(10), Duration::from_secs(30));

/// Waits for something that a real node does, and fails if that takes more than a minute.
pub(crate) async fn within<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    match tokio::time::timeout(patience, happens).await {
        Ok(result) => result,
        Err(_) => panic!("waited longer than {patience:?} for {what}"),
    }
}

/// Waits until a payment is in flight.
pub(crate) async fn in_flight(payer: &impl Payer, hash: PaymentHash) {
    within("a payment to be in flight", async {
        while !matches!(
            payer.lookup_payment(hash).await.unwrap(),
            PaymentStatus::InFlight
        ) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Runs `scripts/nodes` with these words.
pub(crate) fn nodes(words: [&str; 2]) {
    let script = env::var("X402_NODES_SCRIPT")
        .unwrap_or_else(|_| format!("{}/scripts/nodes", env!("CARGO_MANIFEST_DIR")));
    assert!(
        Command::new(script).args(words).status().unwrap().success(),
        "{words:?}"
    );
}

/// Sends JSON, or nothing, to the REST interface of the LND that a URL names, and returns the answer.
pub(crate) fn rest(url: &str, path: &str, body: &str) -> String {
    let script = "import ssl, sys, urllib.request as u
url, path, body = sys.argv[1:]
host, fields = url.removeprefix('lnd://').split('?')
fields = dict(field.split('=') for field in fields.split('&'))
macaroon = open(fields['macaroon'], 'rb').read().hex()
request = u.Request(f'https://{host}{path}', body.encode() or None, {'grpc-metadata-macaroon': macaroon})
print(u.urlopen(request, context=ssl._create_unverified_context(), timeout=20).read().decode())";
    let output = Command::new("python3")
        .args(["-c", script, url, path, body])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The URLs in these variables. Without `X402_REQUIRE_NODES=1`, a test says so and does nothing.
pub(crate) fn urls<const N: usize>(variables: [&str; N]) -> Option<[String; N]> {
    if env::var("X402_REQUIRE_NODES").as_deref() != Ok("1") {
        println!("skipped: it kills a node, run scripts/nodes test");
        return None;
    }
    Some(variables.map(|name| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))))
}

/// An invoice that its payee holds until it is told the preimage.
pub(crate) fn held(payee: &str, number: u8) -> (Invoice, Preimage) {
    let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let secret = Sha256::digest(format!("{number} {:?}", std::time::SystemTime::now()));
    let preimage = Preimage::from_bytes(secret.into());
    let hash = base64(preimage.payment_hash().as_bytes());
    let body = format!(r#"{{"hash": "{hash}", "value_msat": "21001", "expiry": "600"}}"#);
    let made: serde_json::Value =
        serde_json::from_str(&rest(payee, "/v2/invoices/hodl", &body)).unwrap();
    (
        Invoice::parse(made["payment_request"].as_str().unwrap()).unwrap(),
        preimage,
    )
}

pub(crate) fn settle(payee: &str, preimage: &Preimage) {
    let preimage = base64_simd::STANDARD.encode_to_string(preimage.expose());
    rest(
        payee,
        "/v2/invoices/settle",
        &format!(r#"{{"preimage": "{preimage}"}}"#),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnd_that_is_killed_in_mid_payment_tells_the_outcome_after_its_restart() {
    let Some([payer_url, payee]) = urls(["X402_NODE_LND_A", "X402_NODE_LND_B"]) else {
        return;
    };
    let payer = connect(&payer_url).await.unwrap().payer().unwrap();
    let (invoice, secret) = held(&payee, 1);
    let hash = invoice.payment_hash();
    let paying = tokio::spawn({
        let (payer, invoice) = (payer.clone(), invoice.clone());
        async move { payer.pay(&invoice, LIMITS).await }
    });
    in_flight(&payer, hash).await;
    within("the payee to hold the payment", async {
        let path = format!("/v1/invoice/{hash}");
        while !rest(&payee, &path, "").contains("\"state\":\"ACCEPTED\"") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    nodes(["kill", "lnd_a"]);
    // Neither paid nor failed.
    match within("the broken payment", paying).await.unwrap() {
        Ok(status) => assert!(matches!(status, PaymentStatus::InFlight), "{status:?}"),
        Err(error) => assert!(error.may_have_paid(), "{error}"),
    }
    assert!(
        payer
            .lookup_payment(hash)
            .await
            .unwrap_err()
            .may_have_paid()
    );
    settle(&payee, &secret);
    nodes(["start", "lnd_a"]);
    // The same connection, which was never made again.
    let status = within("the outcome of the payment", async {
        loop {
            match payer.lookup_payment(hash).await {
                Ok(PaymentStatus::InFlight) | Err(_) => {
                    tokio::time::sleep(Duration::from_millis(200)).await
                }
                Ok(status) => break status,
            }
        }
    })
    .await;
    preimage(&invoice, status);
    preimage(&invoice, payer.pay(&invoice, LIMITS).await.unwrap());
}
