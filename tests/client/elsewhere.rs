//! Invoices that belong to somebody else's sale.

use tower_x402::{
    client::{NotTaken, PayErrorKind},
    ledger::BeginRefusal,
    lightning::Receiver,
};

use crate::{
    bank::{Bank, sat},
    hostile::{invoice, is_paid, l402, sells},
    stall::{answer, ask, client, credentials, get},
};

#[tokio::test]
async fn an_invoice_that_was_paid_elsewhere_hands_no_credential_to_a_thief() {
    let bank = Bank::new();
    let sold = invoice(&bank.node, sat(5)).await;
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let theirs = sold.clone();
    let shop = move |request: http::Request<_>| {
        let invoice = theirs.clone();
        async move {
            if is_paid(&request) {
                answer(200)
            } else {
                l402(&invoice)
            }
        }
    };
    let (honest, _) = client(&wallet, shop.clone());
    ask(&honest, get("https://shop.example/a")).await.unwrap();
    assert_eq!(bank.payments(), 1);

    // The same wallet, the same payer with a ledger that knows nothing, and another path.
    let forgetful = bank.wallet(&bank.ledger()).await;
    for (wallet, url) in [
        (&wallet, "https://thief.example/a"),
        (&wallet, "https://shop.example/b"),
        (&forgetful, "https://thief.example/a"),
    ] {
        let (thief, seen) = client(wallet, shop.clone());
        let error = ask(&thief, get(url)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::NotPaid);
        assert!(
            matches!(
                error.offers()[0].why(),
                NotTaken::PaidElsewhere | NotTaken::Ledger(BeginRefusal::KnownElsewhere(_))
            ),
            "{error}"
        );
        assert_eq!((credentials(&seen), bank.asked()), (0, 1), "{url}");
    }
}

#[tokio::test]
async fn an_invoice_in_flight_for_another_request_is_not_taken() {
    let bank = Bank::new();
    let sold = invoice(&bank.node, sat(5)).await;
    bank.node
        .payments(tower_x402::lightning::Payments::StayInFlight);
    let wallet = bank.wallet(&bank.ledger()).await;
    let (shop, _) = client(&wallet, move |_| {
        let asks = l402(&sold);
        async move { asks }
    });
    let error = ask(&shop, get("https://shop.example/a")).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::InFlight);
    let error = ask(&shop, get("https://thief.example/a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert_eq!(bank.asked(), 1);
}

#[tokio::test]
async fn an_invoice_of_the_owners_own_paywall_is_not_paid() {
    let bank = Bank::new();
    let key = Receiver::profile(&bank.node).public_key.unwrap();
    let ledger = bank.ledger();
    let wallet = bank
        .builder(&ledger)
        .own_receiver(key)
        .build()
        .await
        .unwrap();
    let (client, seen) = client(&wallet, sells(&bank.node, sat(5)));
    let error = ask(&client, get("https://thief.example/"))
        .await
        .unwrap_err();
    assert!(matches!(error.offers()[0].why(), NotTaken::OwnReceiver));
    assert_eq!((bank.asked(), credentials(&seen)), (0, 0));
}

#[tokio::test]
async fn an_invoice_that_was_used_for_the_same_request_buys_nothing_twice() {
    let bank = Bank::new();
    let sold = invoice(&bank.node, sat(5)).await;
    let wallet = bank.wallet(&bank.ledger()).await;
    let (client, seen) = client(&wallet, move |request: http::Request<_>| {
        let asks = l402(&sold);
        async move { if is_paid(&request) { answer(404) } else { asks } }
    });
    ask(&client, get("https://shop.example/a")).await.unwrap();
    let sent = credentials(&seen);
    // Its token is used once more, and its invoice is not.
    let again = ask(&client, get("https://shop.example/a")).await.unwrap();
    assert_eq!(again.status(), 404);
    assert_eq!((bank.payments(), credentials(&seen)), (1, sent + 1));
}
