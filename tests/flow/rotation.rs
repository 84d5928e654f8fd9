//! The master secret rotates while clients buy and redeem, at two servers with one store.
//!
//! Each client keeps a challenge and a paid credential from earlier rounds, so that every change of
//! the secrets finds both outstanding. What one server sold is shown to the other.

use std::{fs, path::PathBuf, sync::Arc};

use axum::{Router, body::Body, routing::post};
use http::{HeaderMap, Request, Response, StatusCode};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};
use tower::ServiceExt as _;
use tower_x402::{
    Amount, Devnet, DialectName, MemoryStore, Network, Paywall, Secrets, lightning::DevnetNode,
};

use crate::buyer::Payable;

const ORIGIN: &str = "https://api.example.com";
const URL: &str = "https://api.example.com/render";
const BODY: &[u8] = b"a scene";
const PRICE: Amount = Amount::from_sat(2);
/// Four of each dialect.
const CLIENTS: usize = 12;
/// After so many rounds a client has redeemed everything that it held.
const DRAINED: usize = 4;

/// One server, with its own copy of the file.
struct Instance {
    folder: TempDir,
    secrets: Secrets,
    app: Router,
}

impl Instance {
    fn new(node: DevnetNode, store: Arc<MemoryStore>, list: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("master-secret"), list.join("\n")).unwrap();
        let secrets = Secrets::from_file(folder.path().join("master-secret")).unwrap();
        let paywall = Paywall::builder(node)
            .origin(ORIGIN)
            .secrets(secrets.clone())
            .replay_store(store)
            .max_unpaid_per_client(10_000)
            .build()
            .unwrap();
        let layer = paywall.charge(PRICE).unwrap();
        let app = Router::new().route("/render", post(async || "served").route_layer(layer));
        Self {
            folder,
            secrets,
            app,
        }
    }

    /// Writes the file and reads it again.
    fn reload(&self, list: &[&str]) -> bool {
        let path: PathBuf = self.folder.path().join("master-secret");
        fs::write(path, list.join("\n")).unwrap();
        self.secrets.reload().unwrap()
    }
}

/// What the clients have done so far.
#[derive(Default)]
struct Progress {
    rounds: [usize; CLIENTS],
    served: usize,
    /// What was refused although it was paid: the dialect, and the server that sold it.
    refused: Vec<(DialectName, usize)>,
    is_over: bool,
}

#[derive(Clone)]
struct Load(watch::Sender<Progress>);

impl Load {
    /// Waits until every client has made so many more rounds.
    async fn goes_on(&self, rounds: usize) {
        let mut progress = self.0.subscribe();
        let targets = progress.borrow().rounds.map(|made| made + rounds);
        let have_reached = |progress: &Progress| {
            let mut pairs = progress.rounds.iter().zip(&targets);
            pairs.all(|(made, target)| made >= target)
        };
        progress.wait_for(have_reached).await.unwrap();
    }

    /// Buys at one server and redeems at the other, round after round.
    async fn client(self, number: usize, payer: DevnetNode, apps: [Router; 2]) {
        let dialects = [DialectName::L402, DialectName::Mpp, DialectName::X402];
        let dialect = dialects[number % 3];
        let mut challenge: Option<(usize, Payable)> = None;
        let mut paid: Option<(usize, HeaderMap)> = None;
        for round in number / 3.. {
            if let Some((sold, headers)) = paid.take() {
                let answer = send(&apps[1 - sold], headers).await;
                let is_served = answer.status() == StatusCode::OK;
                self.0.send_modify(|progress| match is_served {
                    true => progress.served += 1,
                    false => progress.refused.push((dialect, sold)),
                });
            }
            if self.0.borrow().is_over {
                return;
            }
            if let Some((sold, payable)) = challenge.take() {
                paid = Some((sold, payable.pay(&payer, PRICE).await));
            }
            let sold = round % 2;
            let asked = send(&apps[sold], HeaderMap::new()).await;
            assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
            let payable = Payable::of(dialect, Network::Regtest, URL, BODY, asked.headers());
            challenge = Some((sold, payable));
            self.0.send_modify(|progress| progress.rounds[number] += 1);
        }
    }
}

async fn send(app: &Router, headers: HeaderMap) -> Response<Body> {
    let mut request = Request::post("/render").body(Body::from(BODY)).unwrap();
    *request.headers_mut() = headers;
    app.clone().oneshot(request).await.unwrap()
}

/// Runs the clients while the secrets change, and returns what they did.
async fn under_load(
    [a, b]: &[Instance; 2],
    payer: DevnetNode,
    rotate: impl AsyncFnOnce(&Load),
) -> Progress {
    let load = Load(watch::Sender::default());
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let apps = [a.app.clone(), b.app.clone()];
        clients.spawn(load.clone().client(number, payer.clone(), apps));
    }
    load.goes_on(DRAINED).await;
    rotate(&load).await;
    load.goes_on(DRAINED).await;
    load.0.send_modify(|progress| progress.is_over = true);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    load.0.send_replace(Progress::default())
}

fn instances(devnet: &Devnet, list: &[&str]) -> [Instance; 2] {
    let store = Arc::new(MemoryStore::new().unwrap());
    [(); 2].map(|()| Instance::new(devnet.server(), store.clone(), list))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotating_the_secret_under_load_refuses_no_valid_token() {
    let devnet = Devnet::start().await.unwrap();
    let [one, two, three] = [(); 3].map(|()| Secrets::generate().unwrap());
    let (one, two, three) = (one.as_str(), two.as_str(), three.as_str());
    let both = instances(&devnet, &[one]);
    let [a, b] = &both;
    let progress = under_load(&both, devnet.client(), async |load| {
        // Added at the end, moved to the top, and the old one removed: one server after the other.
        for list in [&[one, two][..], &[two, one]] {
            for instance in [a, b] {
                assert!(instance.reload(list));
                load.goes_on(DRAINED).await;
            }
        }
        for instance in [b, a] {
            assert!(instance.reload(&[two]));
            load.goes_on(DRAINED).await;
        }
        // A hasty operator puts the next one first at once. It mints after the second reload.
        for mints in [false, true] {
            for instance in [b, a] {
                assert_eq!(instance.reload(&[three, two]), mints);
                load.goes_on(DRAINED).await;
            }
        }
    })
    .await;
    assert_eq!(progress.refused, []);
    // At least one redeemed by each client in each round but the first two.
    assert!(progress.served >= CLIENTS * 35, "{}", progress.served);
}

/// The load finds the mistake that the order of the steps prevents.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_that_mints_before_another_server_knows_it_is_found_under_load() {
    let devnet = Devnet::start().await.unwrap();
    let one = Secrets::generate().unwrap();
    let both = instances(&devnet, &[&one]);
    let [a, _] = &both;
    let progress = under_load(&both, devnet.client(), async |load| {
        let two = Secrets::test_secret(2);
        a.secrets.add(two).unwrap();
        a.secrets.mint_with(two).unwrap();
        load.goes_on(DRAINED).await;
    })
    .await;
    let sold_by_a = |(_, sold): &(DialectName, usize)| *sold == 0;
    assert!(!progress.refused.is_empty() && progress.refused.iter().all(sold_by_a));
    for dialect in [DialectName::L402, DialectName::Mpp, DialectName::X402] {
        assert!(progress.refused.contains(&(dialect, 0)), "{dialect}");
    }
}
