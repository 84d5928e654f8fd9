//! A server that is killed repeatedly while it serves. No payment is served more often than its
//! uses, none is lost, and a payment that was redeemed in one dialect stays spent in the others.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tower_x402::{
    ClientConditions, ClientRequest, Invoice, Network, PaymentHash, Preimage,
    clock::{Clock as _, SystemClock},
    l402, mpp, x402,
};

use crate::{
    child::{Server, serve_until_killed},
    site::Client,
};

pub(crate) const TEST: &str =
    "killed::nothing_is_served_twice_and_nothing_bought_is_lost_when_the_server_is_killed";
const ROUNDS: u64 = 15;
pub(crate) const USES: u32 = 3;
const PAYMENTS: usize = 100;
const ENOUGH: Duration = Duration::from_secs(30);
const GIVE_UP: Duration = Duration::from_secs(240);
pub(crate) const ORIGIN: &str = "https://api.example.com";

/// A payment, what it bought, and how often it was served.
#[derive(Clone, Debug)]
struct Bought {
    payment_hash: PaymentHash,
    path: &'static str,
    uses: u32,
    /// One credential in each offered dialect: all three for one use, and only L402's for several.
    credentials: Vec<(HeaderName, HeaderValue)>,
    /// How many requests were answered with 200.
    served: u32,
    /// How many requests got no answer.
    lost: u32,
}

/// The payments to present after the kill, and those that were presented before it.
type Bag = Arc<Mutex<(Vec<Bought>, Vec<Bought>)>>;

#[test]
fn nothing_is_served_twice_and_nothing_bought_is_lost_when_the_server_is_killed() {
    if std::env::var_os("FLOW_CHILD").as_deref() == Some(OsStr::new(TEST)) {
        return serve_until_killed(Path::new(&std::env::var_os("FLOW_FOLDER").unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let started = Instant::now();
    let (mut kept, mut used) = (Vec::<Bought>::new(), Vec::<Bought>::new());
    let mut rounds = 0;
    let in_three = |used: &[Bought]| {
        used.iter()
            .filter(|bought| bought.credentials.len() == 3)
            .count()
    };
    let shows_little = |used: &[Bought]| used.len() <= PAYMENTS || in_three(used) <= PAYMENTS / 3;
    // Fewer rounds if the machine is slow, but enough payments for the test to mean something.
    while rounds < ROUNDS && started.elapsed() < ENOUGH
        || shows_little(&used) && started.elapsed() < GIVE_UP
    {
        let server = Server::start(folder.path());
        let before = std::mem::take(&mut kept);
        used.extend(runtime.block_on(redeem(&server.origin, before)));
        runtime.block_on(insist(&server.origin, &mut used));
        let bag = Arc::new(Mutex::new((Vec::new(), Vec::new())));
        let customers = runtime.block_on(async {
            (0..6)
                .map(|i| tokio::spawn(shop_around(server.origin.clone(), bag.clone(), i)))
                .collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(80 + rounds * 53 % 170));
        drop(server);
        runtime.block_on(async {
            for customer in customers {
                customer.await.unwrap();
            }
        });
        let (new_kept, new_used) = Arc::try_unwrap(bag).unwrap().into_inner().unwrap();
        kept.extend(new_kept);
        used.extend(new_used);
        rounds += 1;
    }
    let server = Server::start(folder.path());
    used.extend(runtime.block_on(redeem(&server.origin, kept)));
    drop(server);

    let ran = runs(folder.path());
    let mut runs = HashMap::<_, u32>::new();
    ran.iter()
        .for_each(|(payment_hash, _)| *runs.entry(*payment_hash).or_default() += 1);
    let mut lost = 0;
    for bought in &used {
        let ran = runs.get(&bought.payment_hash).copied().unwrap_or(0);
        assert!(
            ran <= bought.uses,
            "{} ran {ran} times for {} uses",
            bought.payment_hash,
            bought.uses
        );
        assert!(bought.served <= ran, "{bought:?} ran {ran} times");
        assert!(
            bought.lost > 0 || bought.served == bought.uses,
            "{bought:?} was not served for all its uses"
        );
        lost += bought.lost;
    }
    assert!(
        used.len() > PAYMENTS,
        "only {} payments in {rounds} rounds",
        used.len()
    );
    assert!(
        in_three(&used) > PAYMENTS / 3,
        "too few payments in three dialects"
    );
    let dialects = ran
        .iter()
        .map(|(_, dialect)| dialect)
        .collect::<HashSet<_>>();
    assert_eq!(dialects.len(), 3, "only {dialects:?} served");
    eprintln!(
        "{rounds} kills, {} payments, {} runs, {lost} answers lost on the way",
        used.len(),
        ran.len()
    );
}

/// Presents payments that were never presented before the kill. Each works in any dialect, as often
/// as it was paid for, and after that in no dialect.
async fn redeem(origin: &str, kept: Vec<Bought>) -> Vec<Bought> {
    let client = Client::new();
    let mut redeemed = Vec::new();
    for (turn, mut bought) in kept.into_iter().enumerate() {
        for use_number in 0..bought.uses + 3 {
            let expected = if use_number < bought.uses {
                StatusCode::OK
            } else {
                StatusCode::PAYMENT_REQUIRED
            };
            let status = show(&client, origin, &bought, turn + use_number as usize)
                .await
                .expect("this server is not killed now");
            assert_eq!(status, expected, "use {use_number} of {bought:?}");
            bought.served += u32::from(status == StatusCode::OK);
        }
        redeemed.push(bought);
    }
    redeemed
}

/// Presents again the payments that got no answer when the server was killed. They may have been
/// served, and must not be served more often than their uses.
async fn insist(origin: &str, used: &mut [Bought]) {
    let client = Client::new();
    for bought in used.iter_mut().filter(|bought| bought.lost > 0) {
        let answers =
            futures_util::future::join_all((0..6).map(|turn| show(&client, origin, bought, turn)))
                .await;
        bought.served += u32::try_from(
            answers
                .iter()
                .filter(|answer| **answer == Some(StatusCode::OK))
                .count(),
        )
        .unwrap();
    }
}

/// Presents one of the credentials. `turn` selects the dialect.
async fn show(client: &Client, origin: &str, bought: &Bought, turn: usize) -> Option<StatusCode> {
    let (name, value) = bought.credentials[turn % bought.credentials.len()].clone();
    let headers = HeaderMap::from_iter([(name, value)]);
    Some(
        client
            .open(
                Method::GET,
                &format!("{origin}{}", bought.path),
                headers,
                b"",
            )
            .await
            .ok()?
            .status(),
    )
}

/// Buys until the server is killed. Presents two of three payments at once, in all their dialects
/// and from six tasks.
async fn shop_around(origin: String, bag: Bag, customer: u32) {
    let client = Client::new();
    for number in customer.. {
        let (path, uses) = if number % 2 == 0 {
            ("/once", 1)
        } else {
            ("/thrice", USES)
        };
        let Some(mut bought) = buy(&client, &origin, path, uses).await else {
            return;
        };
        if number % 3 == 0 {
            bag.lock().unwrap().0.push(bought);
            continue;
        }
        let answers = futures_util::future::join_all(
            (0..6).map(|turn| show(&client, &origin, &bought, turn + number as usize)),
        )
        .await;
        for answer in &answers {
            match answer {
                Some(StatusCode::OK) => bought.served += 1,
                // Used up, or being served to another task.
                Some(status) => assert!(
                    [StatusCode::PAYMENT_REQUIRED, StatusCode::CONFLICT].contains(status),
                    "{status}"
                ),
                None => bought.lost += 1,
            }
        }
        let is_over = bought.lost > 0;
        bag.lock().unwrap().1.push(bought);
        if is_over {
            return;
        }
    }
}

async fn buy(client: &Client, origin: &str, path: &'static str, uses: u32) -> Option<Bought> {
    let answer = client
        .open(
            Method::GET,
            &format!("{origin}{path}"),
            HeaderMap::new(),
            b"",
        )
        .await
        .ok()?;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    let headers = answer.headers().clone();
    let invoice = l402::Challenge::in_headers(&headers)
        .remove(0)
        .invoice()
        .to_owned();
    let payment_hash = Invoice::parse(&invoice).unwrap().payment_hash();
    let wallet = format!("{origin}/wallet/{payment_hash}");
    let told = client
        .open(Method::GET, &wallet, HeaderMap::new(), b"")
        .await
        .ok()?
        .into_body()
        .collect()
        .await
        .ok()?;
    let preimage = Preimage::from_hex(std::str::from_utf8(&told.to_bytes()).ok()?)?;
    let credentials = credentials(&headers, &format!("{ORIGIN}{path}"), &preimage);
    assert_eq!(credentials.len(), if uses == 1 { 3 } else { 1 });
    Some(Bought {
        payment_hash,
        path,
        uses,
        credentials,
        served: 0,
        lost: 0,
    })
}

/// Returns the credential of each dialect for one payment.
fn credentials(
    headers: &HeaderMap,
    url: &str,
    preimage: &Preimage,
) -> Vec<(HeaderName, HeaderValue)> {
    let request = ClientRequest::Http {
        method: "GET",
        url,
        headers: &HeaderMap::new(),
        body_hash: Sha256::digest(b"").into(),
    };
    let conditions = ClientConditions::new(Network::Regtest, SystemClock::new().now());
    let l402 = l402::Challenge::in_headers(headers)
        .remove(0)
        .answer(preimage);
    let mut credentials = vec![(http::header::AUTHORIZATION, l402)];
    for challenge in mpp::Challenge::in_headers(headers) {
        let payable = mpp::Payable::check(&challenge, &request, &conditions).unwrap();
        let credential = payable.credential(preimage);
        credentials.push(credential.expect("the preimage of the one invoice"));
    }
    for challenge in x402::Challenge::in_headers(headers) {
        let payable = x402::Payable::check(&challenge, &request, &conditions).unwrap();
        let credential = payable.credential(preimage);
        credentials.push(credential.expect("the preimage of the one invoice"));
    }
    credentials
}

/// Returns the payment and the dialect of each run of the handler, in all processes.
fn runs(folder: &Path) -> Vec<(PaymentHash, String)> {
    let text = std::fs::read_to_string(folder.join("runs")).unwrap();
    let runs = text.lines().map(|line| line.split_once(' ').unwrap());
    runs.map(|(payment_hash, dialect)| {
        (
            PaymentHash::from_hex(payment_hash).unwrap(),
            dialect.to_owned(),
        )
    })
    .collect()
}
