//! Redirects that lead to a payment.

use http::{HeaderValue, header::LOCATION};
use proptest::prelude::*;
use tower::{Layer as _, ServiceExt as _, util::BoxCloneService};
use tower_http::follow_redirect::{FollowRedirect, RequestUri};
use tower_x402::client::{AutoPayLayer, FinalUrl, PayErrorKind, Policy};

use crate::{
    bank::{Bank, sat},
    hostile::sells,
    stall::{Body, answer, ask, client, get},
};

async fn led(policy: Policy, to: &'static str) -> (PayErrorKindOrPaid, Bank) {
    let bank = Bank::new();
    let wallet = bank
        .builder(&bank.ledger())
        .policy(policy)
        .build()
        .await
        .unwrap();
    let shop = sells(&bank.node, sat(5));
    let (client, _) = client(&wallet, move |request| {
        let is_first = request.uri().path() == "/first";
        let shop = shop.clone();
        async move {
            if !is_first {
                return shop(request).await;
            }
            let mut answer = answer(302);
            let to = HeaderValue::from_static(to);
            answer.headers_mut().insert(LOCATION, to);
            answer
        }
    });
    ask(&client, get("https://a.example/first")).await.unwrap();
    // What a layer outside that follows redirects does.
    let url = if to.starts_with('/') {
        format!("https://a.example{to}")
    } else {
        to.to_owned()
    };
    let paid = ask(&client, get(&url)).await.map(drop);
    (paid.map_err(|error| error.kind()), bank)
}

type PayErrorKindOrPaid = Result<(), PayErrorKind>;

#[tokio::test]
async fn a_redirect_to_another_origin_leads_to_a_payment_only_if_that_is_allowed() {
    for (to, is_same) in [
        ("https://b.example/x", false),
        ("https://a.example:444/x", false),
        ("/x", true),
        ("https://a.example/x", true),
    ] {
        let (paid, bank) = led(Policy::new(), to).await;
        let expected = if is_same {
            Ok(())
        } else {
            Err(PayErrorKind::NotPaid)
        };
        assert_eq!(
            (paid, bank.payments()),
            (expected, usize::from(is_same)),
            "{to}"
        );
        let (paid, bank) = led(Policy::new().pay_after_redirects(), to).await;
        assert_eq!((paid, bank.payments()), (Ok(()), 1), "{to}");
    }
}

/// Which requests of a chain were sent to which host, in their order, and whether with a credential.
type Trail = Vec<(String, bool)>;

/// Each hop: the host that it leads to, and how its `Location` is written.
type Chain = Vec<(usize, usize)>;

const HOSTS: [&str; 3] = ["a.example", "b.example", "c.example"];

fn location((host, spelling): (usize, usize), path: &str) -> String {
    let (host, back) = (HOSTS[host], path.replace('/', "\\"));
    match spelling {
        0 => format!("https://{host}{path}"),
        1 => format!("//{host}{path}"),
        2 => format!("https://{}:443{path}", host.to_uppercase()),
        3 => format!("https://{host}/x/%2e%2E{path}"),
        4 => format!("https://{host}/%78/..{path}?%78=y"),
        5 => format!(r"https:\\{host}{back}"),
        6 => format!(" ht\ttps://{host}{path} "),
        7 => format!("https://{host}{path}?q=a b'ø|^"),
        8 => format!("https:/{host}{path}"),
        9 => format!("https:///{host}{path}"),
        10 => format!("https://\u{ff42}.example{path}"),
        11 => format!("https://{host}.{path}"),
        12 => format!("https://u@{host}{path}"),
        13 => format!("/\t/{host}{path}"),
        14 => format!("/\\{host}{path}"),
        15 => format!("https:{path}"),
        16 => format!("https://{host}{path}#x"),
        17 => format!("https://%62.example{path}"),
        _ => path.to_owned(),
    }
}

/// Follows chains of redirects at once, as tower-http does. Each begins at `a.example` and ends at
/// something that is sold. Every host is also asked by the caller meanwhile.
async fn followed(chains: Vec<Chain>) -> (Vec<Trail>, Bank) {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let shop = sells(&bank.node, sat(1));
    let served = chains.clone();
    let (client, seen) = client(&wallet, move |request| {
        let (shop, path) = (shop.clone(), request.uri().path().to_owned());
        let next = path.strip_prefix("/chain/").and_then(|path| {
            let (chain, hop) = path.split_once('/')?;
            let (chain, hop): (usize, usize) = (chain.parse().ok()?, hop.parse().ok()?);
            let to = *served.get(chain)?.get(hop)?;
            Some(location(to, &format!("/chain/{chain}/{}", hop + 1)))
        });
        async move {
            let Some(next) = next else {
                return shop(request).await;
            };
            let mut answer = answer(302);
            let next = HeaderValue::from_bytes(next.as_bytes()).unwrap();
            answer.headers_mut().insert(LOCATION, next);
            answer
        }
    });
    let client = FollowRedirect::new(client);
    let led = (0..chains.len()).map(|chain| format!("https://a.example/chain/{chain}/0"));
    let own = HOSTS.iter().map(|host| format!("https://{host}/own"));
    let asking = led.chain(own).map(|url| client.clone().oneshot(get(&url)));
    futures_util::future::join_all(asking).await;
    let seen = seen.lock().unwrap();
    let mut trails = vec![Trail::new(); chains.len()];
    for (url, headers) in &*seen {
        let url: http::Uri = url.parse().unwrap();
        let mut segments = url.path().split('/').skip(2);
        let chain = segments
            .next()
            .and_then(|chain| chain.parse::<usize>().ok());
        if let Some(trail) = chain.and_then(|chain| trails.get_mut(chain)) {
            let host = url.host().unwrap().trim_end_matches('.').to_lowercase();
            trail.push((host, headers.contains_key("authorization")));
        }
    }
    (trails, bank)
}

#[tokio::test]
async fn a_layer_outside_follows_redirects_within_the_origin_to_what_is_paid() {
    for spelling in [0, 3, 5, 7, 16, 18] {
        let (trails, _) = followed(vec![vec![(0, spelling), (0, 18)]]).await;
        let hosts: Vec<_> = trails[0].iter().map(|(host, _)| &**host).collect();
        assert_eq!(hosts, ["a.example"; 4], "{spelling}");
        assert!(trails[0][3].1, "{spelling}");
    }
}

#[tokio::test]
async fn a_second_hop_within_the_other_origin_is_not_paid_either() {
    let (trails, _) = followed(vec![vec![(1, 0), (1, 18), (1, 18)]]).await;
    let to = |host: &str| (host.to_owned(), false);
    let b = || to("b.example");
    assert_eq!(trails[0], [to("a.example"), b(), b(), b()]);
}

#[tokio::test]
async fn two_requests_that_are_redirected_to_one_place_at_once_are_both_not_paid() {
    let (trails, bank) = followed(vec![vec![(1, 0)]; 2]).await;
    assert!(
        trails.iter().flatten().all(|(_, is_paid)| !is_paid),
        "{trails:?}"
    );
    assert!(bank.payments() <= HOSTS.len());
}

#[tokio::test]
async fn an_answer_whose_final_url_differs_from_the_requested_one_is_not_paid() {
    for (from, is_same) in [
        (None, true),
        (Some("https://a.example/x"), true),
        (Some("https://A.example:443/./x"), true),
        (Some("https://a.example/y"), false),
        (Some("https://a.example/x?y"), false),
        (Some("https://b.example/x"), false),
        (Some("http://a.example/x"), false),
    ] {
        let bank = Bank::new();
        let wallet = bank.wallet(&bank.ledger()).await;
        let shop = sells(&bank.node, sat(5));
        let (client, _) = client(&wallet, move |request| {
            let answer = shop(request);
            async move {
                let mut answer = answer.await;
                if let Some(url) = from {
                    let url = FinalUrl(url.parse().unwrap());
                    answer.extensions_mut().insert(url);
                }
                answer
            }
        });
        let asked = ask(&client, get("https://a.example/x")).await;
        let kind = asked.map_err(|error| error.kind()).map(drop);
        let wanted = is_same.then_some(()).ok_or(PayErrorKind::NotPaid);
        assert_eq!(
            (kind, bank.asked()),
            (wanted, usize::from(is_same)),
            "{from:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_that_is_followed_beneath_the_layer_leads_to_no_payment_if_the_layer_is_told() {
    let bank = Bank::new();
    let wallet = bank.wallet(&bank.ledger()).await;
    let shop = sells(&bank.node, sat(5));
    let server = tower::service_fn(move |request: http::Request<Body>| {
        let (shop, is_first) = (shop.clone(), request.uri().path() == "/first");
        async move {
            if !is_first {
                return Ok::<_, std::convert::Infallible>(shop(request).await);
            }
            let mut answer = answer(302);
            let to = HeaderValue::from_static("https://b.example/x");
            answer.headers_mut().insert(LOCATION, to);
            Ok(answer)
        }
    });
    let told = FollowRedirect::new(server).map_response(|mut answer: http::Response<Body>| {
        if let Some(RequestUri(url)) = answer.extensions().get().cloned() {
            answer.extensions_mut().insert(FinalUrl(url));
        }
        answer
    });
    let client = AutoPayLayer::new(wallet).layer(BoxCloneService::new(told));
    let error = ask(&client, get("https://a.example/first"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("followed a redirect"), "{error}");
    assert_eq!(bank.asked(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_chain_of_redirects_leads_to_a_payment_at_another_origin(
        chains in prop::collection::vec(prop::collection::vec((0..3_usize, 0..20_usize), 0..5), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let (trails, _) = runtime.block_on(followed(chains));
        for trail in trails {
            let left = trail.iter().position(|(host, _)| host != "a.example");
            let paid = trail.iter().rposition(|(_, is_paid)| *is_paid);
            let is_kept = left.is_none_or(|left| paid.is_none_or(|paid| paid < left));
            prop_assert!(is_kept, "{trail:?}");
        }
    }
}
