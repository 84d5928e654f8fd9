//! At most one payment for one request.

use http::{HeaderValue, StatusCode, header::LOCATION};
use tower_x402::{
    Charge, DialectName,
    client::{Money, PaidReceipt, PayErrorKind},
    ledger::EntryState,
};

use crate::{
    bank::{Bank, entries, sat},
    hostile::{invoice, is_paid, l402},
    shop::{self, ALL, URL},
    stall::{answer, ask, client, credentials, get},
};

#[tokio::test]
async fn a_request_is_paid_once_in_every_dialect_and_carries_its_receipt() {
    for dialect in ALL {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet_of(&ledger, dialect).await;
        let (client, seen) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
        let answer = ask(&client, get(URL)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let receipt = answer.extensions().get::<PaidReceipt>().unwrap();
        assert_eq!((receipt.amount(), receipt.dialect()), (sat(10), dialect));
        assert!(!receipt.is_earlier());
        assert_eq!(
            (bank.paid(), bank.payments(), credentials(&seen)),
            (10_000, 1, 1)
        );
        let entry = ledger.entry(receipt.entry()).unwrap().unwrap();
        assert_eq!(
            (entry.state(), entry.answered()),
            (EntryState::Redeemed, Some(200))
        );
        assert_eq!((entry.host(), entry.path()), ("example.com", "/weather"));
    }
}

#[tokio::test]
async fn a_request_that_is_free_costs_nothing_and_passes_as_it_is() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, seen) = client(&wallet, |_| async { answer(204) });
    let answer = ask(&client, get(URL)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(answer.extensions().get::<PaidReceipt>().is_none());
    assert_eq!((bank.asked(), entries(&ledger).len()), (0, 0));
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].1["accept-payment"], "lightning/charge");
    assert_eq!(seen[0].1["accept-authenticate"], "L402");
}

#[tokio::test]
async fn a_server_that_asks_again_after_it_was_paid_gets_nothing_more() {
    for second in [402, 401] {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet(&ledger).await;
        let node = bank.node.clone();
        let (client, _) = client(&wallet, move |request| {
            let node = node.clone();
            async move {
                let mut asks = l402(&invoice(&node, sat(5)).await);
                if is_paid(&request) {
                    *asks.status_mut() = StatusCode::from_u16(second).unwrap();
                }
                asks
            }
        });
        let error = ask(&client, get(URL)).await.unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::RefusedAfterPayment);
        assert!(matches!(error.money(), Money::Left(receipt) if receipt.amount() == sat(5)));
        assert_eq!(entries(&ledger)[0].state(), EntryState::Refused);

        // The host is not paid again until a person says so.
        let error = ask(&client, get("https://api.example.com/other"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PayErrorKind::NotPaid, "{error}");
        let error = ask(&client, get("https://sub.example.com/"))
            .await
            .unwrap_err();
        assert_eq!(
            error.kind(),
            PayErrorKind::NotPaid,
            "subdomains are no way around it"
        );
        assert_eq!(bank.payments(), 1);
        ledger.cleared(entries(&ledger)[0].id()).await.unwrap();
        ask(&client, get(URL)).await.unwrap_err();
        assert_eq!(bank.payments(), 2);
    }
}

#[tokio::test]
async fn a_402_in_another_dialect_after_the_payment_is_not_paid() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (x402, mpp) = (
        shop::sells(&bank, [DialectName::X402], Charge::new(sat(5))),
        shop::sells(&bank, [DialectName::Mpp], Charge::new(sat(5))),
    );
    let (client, _) = client(&wallet, move |request| {
        match request.headers().contains_key("payment-signature") {
            true => {
                let mut request = get(&request.uri().to_string());
                request
                    .headers_mut()
                    .insert("accept-payment", HeaderValue::from_static("*/*"));
                mpp(request)
            }
            false => x402(request),
        }
    });
    let error = ask(&client, get(URL)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::RefusedAfterPayment);
    assert_eq!(bank.payments(), 1);
}

#[tokio::test]
async fn a_redirect_instead_of_the_paid_answer_leads_to_no_second_payment() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let node = bank.node.clone();
    let (client, seen) = client(&wallet, move |request| {
        let node = node.clone();
        async move {
            if !is_paid(&request) {
                return l402(&invoice(&node, sat(5)).await);
            }
            let mut answer = answer(302);
            let to = HeaderValue::from_static("/elsewhere");
            answer.headers_mut().insert(LOCATION, to);
            answer
        }
    });
    let answer = ask(&client, get(URL)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(answer.extensions().get::<PaidReceipt>().is_some());
    // What a layer outside that follows redirects does.
    let there = "https://api.example.com/elsewhere";
    let error = ask(&client, get(there)).await.unwrap_err();
    assert_eq!(error.kind(), PayErrorKind::NotPaid);
    assert_eq!((bank.payments(), credentials(&seen)), (1, 1));
    // Asked for by the caller, it is another request.
    ask(&client, get(there)).await.unwrap();
    assert_eq!(bank.payments(), 2);
}

#[tokio::test]
async fn equal_requests_at_once_are_each_paid_once_and_none_redeems_anothers_payment() {
    let bank = Bank::new();
    let ledger = bank.ledger();
    let wallet = bank.wallet(&ledger).await;
    let (client, seen) = client(&wallet, shop::sells(&bank, ALL, Charge::new(sat(10))));
    let asking = (0..20).map(|_| ask(&client, get(URL)));
    let answers = futures_util::future::join_all(asking).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    assert_eq!((bank.payments(), credentials(&seen)), (20, 20));
}
