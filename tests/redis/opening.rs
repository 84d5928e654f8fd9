//! Processes that make one store at the same time.

use std::pin::pin;

use tokio::{select, task::yield_now};
use tower_x402::replay::{Consumption, ReplayStore as _};

use crate::{
    GRANTED, consume, key, patient,
    server::{Server, programs},
};

/// A process that pauses is taken for one that died. It must not take back what it lost.
#[tokio::test]
async fn a_process_that_was_given_up_while_it_made_the_store_joins_the_one_that_made_it() {
    for program in programs() {
        let server = Server::start(program, &[]);
        let url = server.url("shop");
        let attempt_of = |bucket: u16| {
            let bucket = format!("{{shop/{bucket}}}:m");
            server.ask(&["HGET", &bucket, "attempt"])
        };
        let (mut first, mut second) = (pin!(patient(&url)), pin!(patient(&url)));
        let begins = async |attempt| {
            while attempt_of(0) != attempt {
                yield_now().await;
            }
        };
        select! {
            biased;
            _ = &mut first => panic!("it made all at once"),
            () = begins("1") => {}
        }
        select! {
            biased;
            _ = &mut second => panic!("it made all at once"),
            () = begins("2") => {}
        }
        assert_eq!(attempt_of(1_023), "", "no process has made all");
        let third = patient(&url).await;
        for (late, number) in [(first.await, 1), (second.await, 2)] {
            assert_eq!(late.id(), third.id());
            assert_eq!(consume(&late, key(number)).await.unwrap(), GRANTED);
            let again = consume(&third, key(number)).await;
            assert_eq!(again.unwrap(), Consumption::Spent);
        }
        assert!(
            (0..1_024)
                .step_by(100)
                .all(|bucket| attempt_of(bucket) == "3")
        );
    }
}
