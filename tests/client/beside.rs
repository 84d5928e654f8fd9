//! Recovery beside the same request: whatever either has reached, there is one payment.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http::StatusCode;
use tower::ServiceExt as _;
use tower_x402::{
    client::PayErrorKind,
    ledger::{Entry, EntryState},
};

use crate::{
    bank::{Bank, entries},
    shop,
    stall::{ask, client, get},
};

/// Polls a future so many times. Returns whether it is done.
fn poll<T>(future: &mut Pin<Box<impl Future<Output = T>>>, times: usize) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    (0..times).any(|_| matches!(future.as_mut().poll(&mut cx), Poll::Ready(_)))
}

/// Who asks the payer beside the request.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// The same wallet recovers.
    Recovery,
    /// A second wallet of the same ledger recovers.
    SecondWallet,
    /// Another request to the host, which is in trouble.
    Request,
}

/// Drops a request after so many polls, lets `other` ask the payer for so many polls, and makes the
/// same request beside it. Returns whether there was something left to drop, and to ask.
async fn beside(other: Other, dropped_after: usize, asked_for: usize) -> (bool, bool) {
    let at = format!("{other:?}, dropped after {dropped_after} polls, asked for {asked_for}");
    let bank = Bank::new();
    let ledger = bank.ledger();
    let shop = shop::keeps_answers(&bank);
    let wallet = bank.wallet(&ledger).await;
    let (paying, _) = client(&wallet, shop);
    let page = |number: u8| get(&format!("https://api.example.com/{number}"));
    // Whatever an earlier process left is asked about before the first payment.
    ask(&paying, page(0)).await.unwrap();

    let mut first = Box::pin(paying.clone().oneshot(page(1)));
    if poll(&mut first, dropped_after) {
        return (false, true);
    }
    drop(first);
    if matches!(other, Other::Request) {
        let mut second = Box::pin(paying.clone().oneshot(page(2)));
        poll(&mut second, dropped_after);
    }
    let second_wallet = bank.wallet(&ledger).await;
    let mut asking: Pin<Box<dyn Future<Output = ()>>> = match other {
        Other::Recovery => Box::pin(async { assert!(wallet.recover().await.is_ok()) }),
        Other::SecondWallet => Box::pin(async { assert!(second_wallet.recover().await.is_ok()) }),
        Other::Request => Box::pin(async { drop(ask(&paying, page(3)).await) }),
    };
    let mut cx = Context::from_waker(Waker::noop());
    let is_over = (0..asked_for).any(|_| asking.as_mut().poll(&mut cx).is_ready());
    if is_over {
        return (true, false);
    }
    // It stands still meanwhile, and then goes on.
    let answer = ask(&paying, page(1)).await;
    let of_page = |entry: &Entry| entry.path() == "/1" && entry.state() != EntryState::Failed;
    let payments = entries(&ledger).into_iter().filter(of_page).count();
    assert_eq!(payments, 1, "{at}");
    let (again, ()) = tokio::join!(ask(&paying, page(1)), asking);
    for answer in [answer, again] {
        match answer {
            Ok(answer) => assert_eq!(answer.status(), StatusCode::OK, "{at}"),
            // It is not known whether the payer was asked, or what it did.
            Err(error) => assert_eq!(error.kind(), PayErrorKind::InFlight, "{at}: {error}"),
        }
    }
    (true, true)
}

#[tokio::test(start_paused = true)]
async fn recovery_beside_the_same_request_costs_no_second_payment() {
    for other in [Other::Recovery, Other::SecondWallet, Other::Request] {
        let mut dropped_after = 1;
        while beside(other, dropped_after, 0).await.0 {
            let mut asked_for = 0;
            while beside(other, dropped_after, asked_for).await.1 {
                asked_for += 1;
            }
            dropped_after += 1;
        }
        assert!(dropped_after >= 8, "{other:?}: {dropped_after}");
    }
}
