//! Answers whose body breaks off after the payment.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};
use tower_x402::{
    client::{AutoPayLayer, PaidReceipt},
    ledger::EntryState,
};

use crate::{
    bank::{Bank, entries},
    shop::{self, ALL, URL},
    stall::{Body, get},
};

/// A body that hands out its bytes, and then breaks off or ends.
struct Cut(Body, bool);

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let is_cut = self.1;
        let frame = Pin::new(&mut self.0).poll_frame(cx);
        frame.map(|frame| match frame {
            None if is_cut => Some(Err("the connection broke")),
            frame => frame.map(|frame| frame.map_err(|never| match never {})),
        })
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_body_is_asked_for_again_and_not_paid_again() {
    for dialect in ALL {
        let bank = Bank::new();
        let ledger = bank.ledger();
        let wallet = bank.wallet_of(&ledger, dialect).await;
        let server = shop::keeps_answers(&bank);
        let cuts = Arc::new(AtomicBool::new(true));
        let cut = Arc::clone(&cuts);
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = server(request);
            let cut = Arc::clone(&cut);
            async move {
                let answer: Response<Body> = answer.await;
                let is_cut = answer.status().is_success() && cut.load(Ordering::SeqCst);
                Ok::<_, Infallible>(answer.map(|body| Cut(body, is_cut)))
            }
        });
        let client = AutoPayLayer::new(wallet).layer(service);
        let ask = async || client.clone().oneshot(get(URL)).await.unwrap();

        let answer = ask().await;
        assert!(!answer.body().is_end_stream());
        answer.into_body().collect().await.unwrap_err();
        assert_eq!(entries(&ledger)[0].state(), EntryState::Paid, "{dialect}");

        cuts.store(false, Ordering::SeqCst);
        let answer = ask().await;
        let receipt = answer.extensions().get::<PaidReceipt>().cloned();
        assert!(receipt.unwrap().is_earlier(), "{dialect}");
        answer.into_body().collect().await.unwrap();
        assert_eq!(entries(&ledger)[0].state(), EntryState::Redeemed);

        // An answer that nobody reads counts as received.
        drop(ask().await);
        assert_eq!(entries(&ledger).len(), 2, "{dialect}");
        let states = entries(&ledger).into_iter().map(|entry| entry.state());
        assert!(states.eq([EntryState::Redeemed; 2]), "{dialect}");
        assert_eq!(bank.payments(), 2, "{dialect}");
    }
}
