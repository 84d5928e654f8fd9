//! A process that dies at each step of a payment, over a ledger in a folder.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, extract, routing::get};
use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    Charge, DialectName, Invoice, MemoryStore, Network, PayerId, PaymentHash, Paywall, Preimage,
    Secrets,
    client::{AutoPayLayer, Policy, Wallet},
    clock::{Clock as _, TestClock, Timestamp},
    ledger::{Budget, Ledger, LedgerOptions},
    lightning::{
        BoxFuture, NodeError, NodeErrorKind, PayLimits, Payer, PayerProfile, PaymentStatus,
    },
    server::KeptAnswers,
};

use crate::{
    bank::{Bank, sat},
    shop::ALL,
    stall::{Body, get as get_of},
};

type Plain = Client<HttpConnector, Body>;

const TEST: &str = "died::a_process_that_dies_at_any_step_neither_pays_twice_nor_forgets";

/// What a purchase passes: the first request, its 402, a lookup and its answer, the payment and its
/// answer, the paid request and its answer.
const STEPS: usize = 8;

#[test]
fn a_process_that_dies_at_any_step_neither_pays_twice_nor_forgets() {
    if std::env::var("CLIENT_CHILD").as_deref() == Ok(TEST) {
        return buy();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for dialect in ALL {
        for step in 1..=STEPS {
            let (bank, origin) = runtime.block_on(world());
            let folder = tempfile::tempdir().unwrap();
            let run = |dies_at| child(folder.path(), &origin, &bank, dialect, dies_at);
            let at = format!("{dialect}, step {step}");
            assert_eq!(run(step), None, "{at}: it died");
            let paid = bank.payments();
            assert_eq!(paid, usize::from(step > 5), "{at}");

            let mut said = run(0).unwrap();
            if step == 5 {
                // Nobody knows whether the payer was asked, until the invoice is over.
                assert_eq!(said, "InFlight, 0 sat spent, 11 sat reserved", "{at}");
                bank.clock.advance(std::time::Duration::from_secs(3_600));
                said = run(0).unwrap();
            }
            assert_eq!(said, "200, 10 sat spent, 0 sat reserved", "{at}");
            assert_eq!((bank.payments(), bank.paid()), (1, 10_000), "{at}");
        }
    }
}

/// Starts this test program again, as a buyer. Returns what it said, or `None` if it died.
fn child(
    folder: &Path,
    origin: &str,
    bank: &Bank,
    dialect: DialectName,
    dies_at: usize,
) -> Option<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env("CLIENT_CHILD", TEST)
        .env("CLIENT_FOLDER", folder)
        .env("CLIENT_ORIGIN", origin)
        .env("CLIENT_NOW", bank.clock.now().as_unix_seconds().to_string())
        .env("CLIENT_DIALECT", dialect.as_str())
        .env("CLIENT_DIES_AT", dies_at.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .find_map(|line| line.strip_prefix("> ").map(str::to_owned))
}

/// A server that sells `/weather` for 10 sat and keeps its answers, and the wallet's node.
async fn world() -> (Bank, String) {
    let bank = Bank::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let store = || MemoryStore::new().unwrap().with_clock(bank.clock.clone());
    let paywall = Paywall::builder(bank.node.clone())
        .origin(&origin)
        .master_secret(Secrets::test_secret(7))
        .replay_store(store())
        .clock(bank.clock.clone())
        .build()
        .unwrap();
    let charge = Charge::new(sat(10)).keep_answers(KeptAnswers::new(store()));
    let (pays, knows) = (bank.clone(), bank.clone());
    let app = Router::new()
        .route(
            "/weather",
            get(async || "sunny").layer(paywall.charge(charge).unwrap()),
        )
        .route(
            "/pay/{invoice}",
            get(async move |extract::Path(invoice): extract::Path<String>| {
                let invoice = Invoice::parse(&invoice).unwrap();
                let limits = PayLimits::new(sat(1), std::time::Duration::from_secs(60));
                said(pays.pay(&invoice, limits).await.unwrap())
            }),
        )
        .route(
            "/look/{hash}",
            get(async move |extract::Path(hash): extract::Path<String>| {
                let hash = PaymentHash::from_hex(&hash).unwrap();
                said(knows.lookup_payment(hash).await.unwrap())
            }),
        );
    tokio::spawn(async move { axum::serve(listener, app).await });
    (bank, origin)
}

fn said(status: PaymentStatus) -> String {
    match status {
        PaymentStatus::Paid { preimage, .. } => preimage.expose_hex(),
        PaymentStatus::InFlight => "in flight".to_owned(),
        PaymentStatus::Failed => "failed".to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Counts the steps of a purchase, and dies at one of them.
#[derive(Clone, Debug)]
struct Steps {
    count: Arc<AtomicUsize>,
    dies_at: usize,
}

impl Steps {
    fn next(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.dies_at {
            // Like a kill: nothing is dropped and nothing is flushed.
            std::process::abort();
        }
    }
}

/// The wallet's node, in the other process.
#[derive(Debug)]
struct Remote {
    origin: String,
    client: Plain,
    steps: Steps,
}

impl Remote {
    async fn ask(&self, path: String) -> Result<PaymentStatus, NodeError> {
        self.steps.next();
        let lost =
            |error| NodeError::new(NodeErrorKind::Unreachable, "the bank", error).maybe_paid();
        let request = get_of(&format!("{}{path}", self.origin));
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| lost(error.to_string()))?;
        let text = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| lost(error.to_string()))?;
        self.steps.next();
        Ok(match std::str::from_utf8(&text.to_bytes()).unwrap() {
            "in flight" => PaymentStatus::InFlight,
            "failed" => PaymentStatus::Failed,
            "unknown" => PaymentStatus::Unknown,
            hex => PaymentStatus::Paid {
                preimage: Preimage::from_hex(hex).unwrap(),
                fee: sat(0),
            },
        })
    }
}

impl Payer for Remote {
    fn profile(&self) -> PayerProfile {
        PayerProfile::new(PayerId::of("the bank", b""), Network::Regtest, true)
    }

    fn pay<'a>(
        &'a self,
        invoice: &'a Invoice,
        _: PayLimits,
    ) -> BoxFuture<'a, Result<PaymentStatus, NodeError>> {
        Box::pin(self.ask(format!("/pay/{invoice}")))
    }

    fn lookup_payment(&self, hash: PaymentHash) -> BoxFuture<'_, Result<PaymentStatus, NodeError>> {
        Box::pin(self.ask(format!("/look/{hash}")))
    }
}

/// Buys once, and says what came of it.
#[allow(clippy::print_stdout)]
fn buy() {
    let told = |name: &str| std::env::var(name).unwrap();
    let steps = Steps {
        count: Arc::default(),
        dies_at: told("CLIENT_DIES_AT").parse().unwrap(),
    };
    let clock = TestClock::at(Timestamp::from_unix_seconds(
        told("CLIENT_NOW").parse().unwrap(),
    ));
    let dialect = ALL
        .into_iter()
        .find(|dialect| dialect.as_str() == told("CLIENT_DIALECT"));
    let client: Plain = Client::builder(TokioExecutor::new()).build_http();
    let remote = Remote {
        origin: told("CLIENT_ORIGIN"),
        client: client.clone(),
        steps: steps.clone(),
    };
    let url = format!("{}/weather", remote.origin);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = LedgerOptions::new().clock(clock.clone());
        let ledger = Ledger::open_with(told("CLIENT_FOLDER"), options).unwrap();
        let wallet = Wallet::builder(remote)
            .budget(Budget::total(sat(100)))
            .clock(clock)
            .ledger(ledger)
            .dialects(dialect)
            .policy(Policy::new().max_fee(sat(1)).allow_private_addresses())
            .build()
            .await
            .unwrap();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, steps) = (client.clone(), steps.clone());
            async move {
                steps.next();
                let answer = client.request(request).await;
                steps.next();
                answer
            }
        });
        let paying = AutoPayLayer::new(wallet.clone());
        let answer = paying.layer(service).oneshot(get_of(&url)).await;
        let outcome = match answer {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(error) => format!("{:?}", error.kind()),
        };
        let budget = wallet.budget().unwrap();
        println!(
            "\n> {outcome}, {} spent, {} reserved",
            budget.spent, budget.reserved
        );
    });
}
