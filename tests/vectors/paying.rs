//! The section `client` of `lnbtc.json` through the paying client: what must be refused is refused
//! before the payer is asked.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::Full;
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    Amount, DialectName, Invoice, Network, PayerId, PaymentHash, Preimage,
    client::{AutoPayLayer, PayErrorKind, Policy, Wallet},
    clock::{TestClock, Timestamp},
    ledger::Budget,
    lightning::{
        BoxFuture, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus,
    },
};

use crate::{
    report, vectors,
    x402::{lines, text},
};

/// A payer that reports what a vector says, as an adapter would: strictly.
#[derive(Debug)]
struct Told {
    result: Value,
    asked: Arc<AtomicUsize>,
}

impl Told {
    fn report(&self, invoice: &Invoice) -> Result<PaymentStatus, NodeError> {
        let bad = |why| Err(NodeError::new(NodeErrorKind::BadAnswer, "told", why).maybe_paid());
        let told = |name: &str| self.result[name].as_str().unwrap_or_default();
        if told("status") != "paid" {
            return Ok(PaymentStatus::Failed);
        }
        if told("invoice") != invoice.as_str()
            || told("payment_hash") != invoice.payment_hash().to_string()
            || told("amount_msat") != invoice.amount().expect("an amount").as_msat().to_string()
        {
            return bad("another payment");
        }
        match Preimage::from_hex(told("preimage")) {
            Some(preimage) => Ok(PaymentStatus::Paid {
                preimage,
                fee: Amount::ZERO,
            }),
            None => bad("no preimage"),
        }
    }
}

impl Payer for Told {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(PayerId::of("told", b""), Network::Bitcoin, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        _: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { self.report(invoice) })
    }

    fn lookup_payment(&self, _: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        let asked = self.asked.load(Ordering::SeqCst) > 0;
        Box::pin(async move {
            match asked {
                false => Ok(PaymentStatus::Unknown),
                true => Err(NodeError::new(NodeErrorKind::BadAnswer, "told", "the same")),
            }
        })
    }
}

#[tokio::test]
async fn what_must_be_refused_is_refused_before_the_payer_is_asked() {
    let Some(file) = vectors("lnbtc.json") else {
        return;
    };
    let mut outcomes = Vec::new();
    for case in file["client"].as_array().expect("a list") {
        let name = format!("client/{}", text(&case["id"]));
        outcomes.push((name, pays(case).await));
    }
    report(outcomes);
}

async fn pays(case: &Value) -> Result<(), String> {
    let asked = Arc::new(AtomicUsize::new(0));
    let payer = Told {
        result: case["payer_result"].clone(),
        asked: Arc::clone(&asked),
    };
    let now = Timestamp::from_unix_seconds(case["now"].as_u64().expect("seconds"));
    let wallet = Wallet::builder(payer)
        .budget(Budget::total(Amount::from_sat(1_000)))
        .policy(Policy::new().min_life(std::time::Duration::ZERO))
        .dialects([DialectName::X402])
        .clock(TestClock::at(now))
        .volatile_ledger()
        .build()
        .await
        .expect("a wallet");
    let presented = Arc::new(AtomicUsize::new(0));
    let (seen, asks) = (Arc::clone(&presented), case["payment_required"].to_string());
    let server = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let has = request.headers().contains_key("payment-signature");
        seen.fetch_add(usize::from(has), Ordering::SeqCst);
        let body = Full::<Bytes>::from(asks.clone());
        let answer = Response::builder().header(CONTENT_TYPE, "application/json");
        let answer = answer.status(if has { 200 } else { 402 }).body(body);
        async move { Ok::<_, Infallible>(answer.expect("an answer")) }
    });
    let http = &case["intended_request"]["http"];
    let mut request = Request::builder()
        .method(text(&http["method"]))
        .uri(text(&http["url"]));
    for (name, value) in lines(&http["header_lines"]) {
        request = request.header(name, value);
    }
    assert_eq!(http["body_hex"], "", "no case has a body");
    let request = request
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    let answer = AutoPayLayer::new(wallet)
        .layer(server)
        .oneshot(request)
        .await;
    let outcome = match &answer {
        Ok(answer) => format!("{} ", answer.status().as_u16()),
        Err(error) => format!("{error}"),
    };
    let counts = (
        asked.load(Ordering::SeqCst),
        presented.load(Ordering::SeqCst),
    );
    let kind = answer.err().map(|error| error.kind());
    let expected = match text(&case["expect"]) {
        "pays, preimage" => (None, (1, 1)),
        "OPEN: pay | invoice_expired" => (Some(PayErrorKind::NotPaid), (0, 0)),
        "exact_lnbtc_payment_not_paid" => (Some(PayErrorKind::PaymentFailed), (1, 0)),
        word => match word.strip_suffix(" before pay") {
            Some(code) if !outcome.contains(code) => return Err(format!("{outcome}: no {code}")),
            Some(_) => (Some(PayErrorKind::NotPaid), (0, 0)),
            None => (Some(PayErrorKind::Unproved), (1, 0)),
        },
    };
    match (kind, counts) == expected {
        true => Ok(()),
        false => Err(format!("{outcome}: {kind:?} {counts:?}, not {expected:?}")),
    }
}
