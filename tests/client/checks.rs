//! What is checked before the payer is asked.

use http::{
    Response, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use tower_x402::{
    Amount, Charge, DialectName, Network,
    client::{NotTaken, PayErrorKind, Policy, Wallet},
    clock::Timestamp,
    ledger::Budget,
    lightning::Lie,
};

use crate::{
    bank::{Bank, entries, sat},
    hostile::{invoice, invoice_for, l402},
    shop::{self, ALL, URL},
    stall::{Body, answer, ask, client, get},
};

/// Asks a server that answers with this 402, and returns why its first offer was not taken.
async fn refused(bank: &Bank, policy: Policy, asks: Response<Body>) -> NotTaken {
    let ledger = bank.ledger();
    let wallet = bank
        .builder(&ledger)
        .policy(policy)
        .volatile_ledger()
        .build()
        .await
        .unwrap();
    let (client, _) = client(&wallet, move |_| {
        let asks = asks.clone();
        async move { asks }
    });
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid, "{error}");
    assert_eq!((bank.asked(), entries(&ledger).len()), (0, 0), "{error}");
    error.offers()[0].why().clone()
}

#[tokio::test]
async fn a_price_above_the_limit_is_not_paid_and_there_is_a_default_limit() {
    let bank = Bank::new();
    let asks = l402(&invoice(&bank.node, Amount::from_msat(100_001)).await);
    let why = refused(&bank, Policy::new(), asks).await;
    assert!(matches!(why, NotTaken::MaxPayment { limit, .. } if limit == sat(100)));
    let asks = l402(&invoice(&bank.node, sat(6)).await);
    let why = refused(&bank, Policy::new().max_payment(sat(5)), asks).await;
    assert!(matches!(why, NotTaken::MaxPayment { .. }));
}

#[tokio::test]
async fn an_invoice_that_locks_the_money_for_too_long_is_not_paid() {
    let bank = Bank::new();
    let asks = l402(&invoice(&bank.node, sat(5)).await); // 18 blocks
    let why = refused(&bank, Policy::new().max_final_cltv(17), asks).await;
    assert!(matches!(
        why,
        NotTaken::FinalCltv {
            blocks: 18,
            limit: 17
        }
    ));
}

#[tokio::test]
async fn an_invoice_with_less_than_30_seconds_left_is_not_paid() {
    let bank = Bank::new();
    let asks = l402(&invoice_for(&bank.node, sat(5), 29).await);
    assert!(matches!(
        refused(&bank, Policy::new(), asks).await,
        NotTaken::TooLate
    ));
}

#[tokio::test]
async fn an_invoice_of_another_network_is_not_paid() {
    let bank = Bank::new();
    bank.node.lie(Lie::Network);
    let asks = l402(&invoice(&bank.node, sat(5)).await);
    assert!(matches!(
        refused(&bank, Policy::new(), asks).await,
        NotTaken::Challenge(_)
    ));
}

/// The invoice without an amount of BOLT 11, "Examples".
const OPEN: &str = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql";

#[tokio::test]
async fn an_invoice_without_an_amount_is_not_paid_and_never_counts_as_zero() {
    let mut bank = Bank::new();
    bank.network = Network::Bitcoin;
    bank.clock.set(Timestamp::from_unix_seconds(1_496_314_658));
    let mut asks = answer(402);
    let line = format!("L402 macaroon=\"dG9rZW4=\", invoice=\"{OPEN}\"");
    asks.headers_mut()
        .append(WWW_AUTHENTICATE, line.parse().unwrap());
    let why = refused(&bank, Policy::new(), asks).await;
    assert!(
        why.to_string().contains("leaves the amount to the payer"),
        "{why}"
    );
}

/// What our server asks for in x402, with a change, as a body.
async fn changed(bank: &Bank, from: &str, to: &str) -> Response<Body> {
    let shop = shop::sells(
        bank,
        [DialectName::X402],
        Charge::new(sat(5)).description("weather"),
    );
    let asks = shop(get(URL)).await;
    let line = &asks.headers()["payment-required"];
    let text = tower_x402::x402::decode_header(line.as_bytes()).unwrap();
    assert!(text.contains(from), "{text}");
    Response::builder()
        .status(402)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(text.replace(from, to)))
        .unwrap()
}

#[tokio::test]
async fn a_price_that_differs_from_the_invoices_is_not_paid() {
    let bank = Bank::new();
    let asks = changed(&bank, "\"amount\":\"5000\"", "\"amount\":\"1000\"").await;
    assert!(matches!(
        refused(&bank, Policy::new(), asks).await,
        NotTaken::Challenge(_)
    ));
    let asks = changed(&bank, "city=oslo", "city=rome").await;
    assert!(matches!(
        refused(&bank, Policy::new(), asks).await,
        NotTaken::Challenge(_)
    ));
}

#[tokio::test]
async fn an_offer_in_the_body_alone_is_paid_and_its_text_is_cleaned() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let asks = changed(
        &bank,
        "\"description\":\"weather\"",
        "\"description\":\"=we\\u202eather\\u001b[2J\"",
    )
    .await;
    let (client, _) = client(&wallet, move |request: http::Request<_>| {
        let asks = asks.clone();
        let is_paid = request.headers().contains_key("payment-signature");
        async move { if is_paid { answer(200) } else { asks } }
    });
    assert_eq!(
        ask(&client, get(URL)).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(entries(&ledger)[0].description(), Some("=weather[2J"));
}

#[tokio::test]
async fn of_a_thousand_challenges_sixteen_are_looked_at() {
    for (before, is_paid) in [(15, true), (16, false), (999, false)] {
        let bank = Bank::new();
        let wallet = bank.wallet(&bank.ledger()).await;
        bank.node.lie(Lie::Network);
        let bad = invoice(&bank.node, sat(5)).await;
        bank.node.lie(None);
        let good = invoice(&bank.node, sat(5)).await;
        let (client, _) = client(&wallet, move |request: http::Request<_>| {
            let mut asks = answer(if crate::hostile::is_paid(&request) {
                200
            } else {
                402
            });
            let invoices = std::iter::repeat_n(&bad, before).chain([&good]);
            for (number, invoice) in invoices.enumerate() {
                let line = format!("L402 macaroon=\"m{number}\", invoice=\"{invoice}\"");
                asks.headers_mut()
                    .append(WWW_AUTHENTICATE, line.parse().unwrap());
            }
            async move { asks }
        });
        let answer = ask(&client, get(URL)).await;
        assert_eq!(
            (answer.is_ok(), bank.payments() == 1),
            (is_paid, is_paid),
            "{before}"
        );
        if let Err(error) = answer {
            assert_eq!(error.offers().len(), 16);
        }
    }
}

#[tokio::test]
async fn if_the_preferred_offer_is_refused_the_next_is_taken_and_the_error_lists_each() {
    let bank = Bank::new();
    let policy = Policy::new().max_payment(sat(50));
    let builder = bank.builder(&bank.ledger()).policy(policy);
    let wallet = builder.build().await.unwrap();
    let asks = shop::sells(&bank, [DialectName::X402], Charge::new(sat(60)));
    let node = bank.node.clone();
    let dear_x402_and_cheap_l402 = move |request: http::Request<_>| {
        let (node, asks) = (node.clone(), asks.clone());
        async move {
            if crate::hostile::is_paid(&request) {
                return answer(200);
            }
            let mut both = asks(request).await;
            let cheap = l402(&invoice(&node, sat(40)).await);
            both.headers_mut().extend(cheap.headers().clone());
            both
        }
    };
    let (both, _) = client(&wallet, dear_x402_and_cheap_l402);
    assert_eq!(ask(&both, get(URL)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(bank.paid(), 40_000);

    let (all, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(60))));
    let error = ask(&all, get(URL)).await.unwrap_err();
    let dialects: Vec<_> = error.offers().iter().map(|offer| offer.dialect()).collect();
    assert_eq!(dialects[..3], ALL, "{error}");
    assert!(
        error
            .to_string()
            .contains("mpp, l402 for 60 sat: 60 sat is more than the policy's")
    );
}

#[tokio::test]
async fn a_dry_run_says_what_it_would_have_paid() {
    let bank = Bank::new();
    let wallet = bank.builder(&bank.ledger()).policy(Policy::new().dry_run());
    let wallet = wallet.build().await.unwrap();
    let (client, _) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(5))));
    let error = ask(&client, get(URL)).await.unwrap_err();
    let offer = &error.offers()[0];
    assert!(matches!(offer.why(), NotTaken::DryRun));
    assert_eq!((offer.amount(), bank.asked()), (Some(sat(5)), 0));
}

#[tokio::test]
async fn a_body_of_a_402_without_end_is_not_read_to_its_end() {
    let bank = Bank::new();
    let asks = Response::builder()
        .status(402)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(vec![b' '; 1 << 20]))
        .unwrap();
    let wallet = bank.wallet(&bank.ledger()).await;
    let (client, _) = client(&wallet, move |_| {
        let asks = asks.clone();
        async move { asks }
    });
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.offers().len()),
        (PayErrorKind::NotPaid, 0)
    );
}

#[tokio::test]
async fn a_wallet_without_a_limit_or_with_a_payer_without_one_is_not_built() {
    let bank = Bank::new();
    let no_budget = Wallet::builder(bank.clone()).build().await.unwrap_err();
    assert!(
        no_budget.to_string().contains("call `budget`"),
        "{no_budget}"
    );
    let weekly = Budget::without_limits()
        .rolling(std::time::Duration::from_secs(7 * 86_400), sat(1))
        .per_host(sat(1));
    assert!(
        Wallet::builder(bank.clone())
            .budget(weekly)
            .build()
            .await
            .is_err()
    );

    let mut spender = Bank::new();
    spender.keeps_fee_limit = false;
    let builder = || Wallet::builder(spender.clone()).budget(Budget::daily(sat(1)));
    let error = builder().build().await.unwrap_err();
    assert!(
        error.to_string().contains("allow_payer_without_fee_limit"),
        "{error}"
    );
    assert!(
        builder()
            .allow_payer_without_fee_limit()
            .build()
            .await
            .is_ok()
    );

    let mut real = Bank::new();
    real.network = Network::Bitcoin;
    let builder = || Wallet::builder(real.clone()).budget(Budget::daily(sat(1)));
    let error = builder().build().await.unwrap_err();
    assert!(error.to_string().contains("volatile_ledger"), "{error}");
    assert!(builder().volatile_ledger().build().await.is_ok());
}
