//! How many slots there are, and how long each is held.

use super::*;

#[test]
fn one_client_cannot_take_all() {
    let limiter = limiter(2, 10, 0, 10);
    limiter
        .reserve(client(1), at(0))
        .unwrap()
        .issued(hash(1), at(300));
    limiter
        .reserve(client(1), at(10))
        .unwrap()
        .issued(hash(2), at(310));
    assert_eq!(retry_after(limiter.reserve(client(1), at(100))), 200);
    assert!(limiter.reserve(client(2), at(100)).is_ok());
    assert!(limiter.reserve(client(1), at(300)).is_err());
    assert!(limiter.reserve(client(1), at(301)).is_ok());
    limiter.paid(hash(2), client(1), at(301));
    limiter.paid(hash(2), client(1), at(301));
    assert!(limiter.state().slots.is_empty());
}

#[test]
fn a_dropped_request_keeps_its_slot_once_the_node_was_asked() {
    let limiter = limiter(1, 10, 0, 10);
    drop(limiter.reserve(client(1), at(0)).unwrap());
    let mut slot = limiter.reserve(client(1), at(0)).unwrap();
    assert_eq!(retry_after(limiter.reserve(client(1), at(0))), 1);
    slot.node_called(at(0), life(300), LIMIT);
    drop(slot);
    assert_eq!(retry_after(limiter.reserve(client(1), at(1))), 299);
    let mut slot = limiter.reserve(client(1), at(301)).unwrap();
    slot.node_called(at(301), life(300), LIMIT);
    slot.not_issued(CallEnd::Refused);
    let mut slot = limiter.reserve(client(1), at(301)).unwrap();
    slot.node_called(at(301), life(300), LIMIT);
    slot.issued(hash(1), at(500));
    assert_eq!(retry_after(limiter.reserve(client(1), at(311))), 189);
}

/// A call that the node has not answered.
fn called(limiter: &Arc<Limiter>, n: u8, now: u64) -> Slot {
    let mut slot = limiter.reserve(client(n), at(now)).unwrap();
    slot.node_called(at(now), life(300), LIMIT);
    slot
}

#[tokio::test(start_paused = true)]
async fn requests_dropped_while_the_node_is_silent_hold_their_slots_for_a_moment_only() {
    let seconds = |n| tokio::time::advance(life(n));
    let limiter = limiter(1, 10, 0, 10);
    called(&limiter, 9, 0).issued(hash(9), at(300));
    // It is not known yet that the node hangs: these two are as good as reset.
    drop((called(&limiter, 1, 0), called(&limiter, 2, 0)));
    assert_eq!(retry_after(limiter.reserve(client(1), at(1))), 299);
    // Nobody waits until the time limit, but one waits for longer than a node that answers would
    // take.
    let patient = called(&limiter, 3, 1);
    seconds(3).await;
    drop(patient);
    assert_eq!(retry_after(limiter.reserve(client(1), at(4))), 6);
    assert_eq!(retry_after(limiter.reserve(client(3), at(4))), 7);
    // The node may have recovered since: one that is dropped at once proves nothing, until another
    // one has waited.
    drop(called(&limiter, 4, 5));
    assert_eq!(retry_after(limiter.reserve(client(4), at(5))), 300);
    let patient = called(&limiter, 5, 5);
    seconds(3).await;
    drop(patient);
    assert_eq!(retry_after(limiter.reserve(client(4), at(8))), 7);
    assert!(
        [1, 2, 3, 4, 5]
            .map(|n| limiter.reserve(client(n), at(16)))
            .iter()
            .all(Result::is_ok)
    );

    // An answer ends it.
    called(&limiter, 5, 16).issued(hash(5), at(316));
    drop(called(&limiter, 6, 16));
    assert_eq!(retry_after(limiter.reserve(client(6), at(17))), 299);
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_that_answers_others_is_not_silent() {
    let seconds = |n| tokio::time::advance(life(n));
    let limiter = limiter(1, 10, 0, 10);
    let slow = called(&limiter, 1, 0);
    seconds(2).await;
    slow.issued(hash(1), at(300));
    // It takes two seconds, so seven are not too long, and one that is answered meanwhile counts.
    let reset = called(&limiter, 2, 2);
    seconds(7).await;
    drop(reset);
    assert_eq!(retry_after(limiter.reserve(client(2), at(9))), 293);
    let (reset, other) = (called(&limiter, 3, 9), called(&limiter, 4, 9));
    seconds(9).await;
    other.issued(hash(4), at(310));
    drop(reset);
    assert_eq!(retry_after(limiter.reserve(client(3), at(18))), 291);
}

#[test]
fn a_node_that_is_lost_frees_what_was_dropped_since_its_last_answer_and_nothing_before() {
    let limiter = limiter(1, 10, 0, 10);
    drop(called(&limiter, 1, 0));
    called(&limiter, 2, 0).issued(hash(2), at(300));
    drop(called(&limiter, 3, 0));
    called(&limiter, 4, 1).not_issued(CallEnd::Unreachable);
    let waits = [1, 2, 3, 4].map(|n| retry_after(limiter.reserve(client(n), at(1))));
    assert_eq!(
        waits,
        [299, 5, 9, 10],
        "the second has an invoice and may pay"
    );
}

#[test]
fn what_the_node_answered_says_how_long_a_slot_is_held() {
    use CallEnd::{BadAnswer, HungUp, Refused, TimedOut, Unreachable, WrongInvoice};
    for (why, wait) in [
        (BadAnswer, 10),
        (HungUp, 300),
        (Refused, 0),
        (TimedOut, 10),
        (Unreachable, 10),
        (WrongInvoice, 300),
    ] {
        let limiter = limiter(1, 10, 0, 10);
        called(&limiter, 1, 0).not_issued(why);
        let refused = limiter
            .reserve(client(1), at(0))
            .err()
            .map_or(0, |full| full.retry_after.as_secs());
        assert_eq!(refused, wait, "{why:?}");
    }
}

#[test]
fn clients_beyond_the_table_share_one_count_with_unknown_ones() {
    let limiter = limiter(1, 6, 0, 2);
    let _held: Vec<_> = [1, 2, 3, 3, 0, 0]
        .map(|n| limiter.reserve(client(n), at(0)).unwrap())
        .into();
    assert!(limiter.reserve(client(4), at(0)).is_err());
    assert_eq!(limiter.state().clients.len(), 2);
}

#[test]
fn racing_requests_never_get_more_than_there_is() {
    let limiter = limiter(5, 20, 0, 100);
    let slots: Vec<_> = std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..64_u8)
            .map(|n| {
                let limiter = &limiter;
                scope.spawn(move || {
                    (0..10)
                        .filter_map(|_| limiter.reserve(client(n % 6 + 1), at(0)).ok())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        tasks
            .into_iter()
            .flat_map(|task| task.join().unwrap())
            .collect()
    });
    assert_eq!(slots.len(), 20);
    assert!(
        limiter
            .state()
            .clients
            .values()
            .all(|known| known.held <= 5)
    );
    drop(slots);
    assert!(limiter.state().slots.is_empty() && limiter.state().clients.is_empty());
}
