//! What a server asks, without paying it.

use tower_x402::{
    Charge,
    client::{NotTaken, PayErrorKind, Policy},
    ledger::{BeginRefusal, Budget, LimitKind},
};

use crate::{
    bank::{Bank, entries, sat},
    hostile,
    shop::{self, ALL, URL},
    stall::{Body, ask, client, get},
};

type Server = tower::util::BoxCloneService<
    http::Request<Body>,
    http::Response<Body>,
    std::convert::Infallible,
>;

fn server(bank: &Bank, price: u32) -> Server {
    let shop = shop::sells(bank, ALL, Charge::new(sat(price)).description("weather"));
    Server::new(tower::service_fn(move |request| {
        let answer = shop(request);
        async move { Ok(answer.await) }
    }))
}

#[tokio::test]
async fn a_quote_lists_every_offer_and_pays_nothing() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let quote = wallet.quote(server(&bank, 10), get(URL)).await.unwrap();
    assert_eq!(quote.status, 402);
    let dialects: Vec<_> = quote.offers.iter().map(|offer| offer.dialect).collect();
    assert_eq!(dialects[..3], ALL);
    assert!(
        quote
            .offers
            .iter()
            .all(|offer| offer.amount == Some(sat(10)))
    );
    let payable = quote.payable().unwrap();
    assert_eq!(payable.description.as_deref(), Some("weather"));
    assert!(payable.expires_at.is_some());
    assert_eq!((bank.asked(), entries(&ledger).len()), (0, 0));
}

#[tokio::test]
async fn a_quote_says_what_policy_and_budget_would_say() {
    let bank = Bank::new();
    let builder = bank.builder(&bank.ledger()).budget(Budget::total(sat(10)));
    let poor = builder.build().await.unwrap();
    let quote = poor.quote(server(&bank, 10), get(URL)).await.unwrap();
    assert!(
        quote.payable().is_none(),
        "with its fee limit it is more than the budget"
    );
    assert!(
        poor.quote(server(&bank, 9), get(URL))
            .await
            .unwrap()
            .payable()
            .is_some()
    );
    let quote = poor.quote(server(&bank, 101), get(URL)).await.unwrap();
    assert!(matches!(
        quote.offers[0].refusal,
        Some(NotTaken::MaxPayment { .. })
    ));
    let denied = Policy::new().deny_hosts(["api.example.com"]);
    let strict = bank
        .builder(&bank.ledger())
        .policy(denied)
        .build()
        .await
        .unwrap();
    assert!(
        strict
            .quote(server(&bank, 1), get(URL))
            .await
            .unwrap()
            .payable()
            .is_none()
    );
    let inside = strict
        .quote(server(&bank, 1), get("http://10.0.0.1/"))
        .await
        .unwrap_err();
    assert_eq!(inside.kind(), PayErrorKind::Address);
}

#[tokio::test]
async fn an_offer_that_becomes_dearer_after_its_quote_is_paid_up_to_the_policys_limit_alone() {
    let bank = Bank::new();
    let quoted = bank.wallet(&bank.ledger()).await;
    let quote = quoted.quote(server(&bank, 10), get(URL)).await.unwrap();
    let most = quote.payable().unwrap().amount.unwrap();
    let policy = Policy::new().max_payment(most);
    let wallet = bank
        .builder(&bank.ledger())
        .policy(policy)
        .build()
        .await
        .unwrap();
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(11))));
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!((error.kind(), bank.asked()), (PayErrorKind::NotPaid, 0));
}

#[tokio::test]
async fn a_quote_and_a_dry_run_know_the_limit_of_a_host_and_its_trouble() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let budget = Budget::total(sat(100)).per_host(sat(15));
    let builder = || bank.builder(&ledger).budget(budget.clone());
    let wallet = builder().build().await.unwrap();
    let dry = builder().policy(Policy::new().max_fee(sat(1)).dry_run());
    let dry = dry.build().await.unwrap();
    let (buyer, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    ask(&buyer, get(URL)).await.unwrap();
    let over = |why: &NotTaken| matches!(why, NotTaken::Ledger(BeginRefusal::OverBudget(over)) if over.kind == LimitKind::PerHost);
    let quote = wallet.quote(server(&bank, 10), get(URL)).await.unwrap();
    assert!(
        quote.offers[..3]
            .iter()
            .all(|offer| offer.refusal.as_ref().is_some_and(over))
    );
    let (dry_client, _) = client(&dry, shop::sells(&bank, ALL, Charge::new(sat(10))));
    let error = ask(&dry_client, get(URL)).await.unwrap_err();
    assert!(over(error.offers()[0].why()), "{error}");
    let quote = wallet.quote(server(&bank, 3), get(URL)).await.unwrap();
    assert!(quote.payable().is_some());

    // A server that takes the money and refuses.
    let (node, price) = (bank.node.clone(), sat(1));
    let (cheated, _) = client(&wallet, move |_| {
        let node = node.clone();
        async move { hostile::l402(&hostile::invoice(&node, price).await) }
    });
    ask(&cheated, get(URL)).await.unwrap_err();
    let quote = wallet.quote(server(&bank, 3), get(URL)).await.unwrap();
    let trouble =
        |why: &NotTaken| matches!(why, NotTaken::Ledger(BeginRefusal::HostInTrouble { .. }));
    assert!(quote.offers[0].refusal.as_ref().is_some_and(trouble));
}
