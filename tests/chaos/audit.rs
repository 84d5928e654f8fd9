//! What became of each payment, once everything is up again.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;
use tower_x402::PaymentHash;

use crate::{
    book::{Kind, Payment, Try},
    history::History,
    shopper::try_again,
    world::World,
};

/// How often what is not served yet is tried, twice a second.
const MOST_ROUNDS: usize = 120;

/// How often it is tried at least before a process that died counts as the reason.
const ROUNDS: usize = 10;

/// How many payments are tried again at the end, of those that are used up.
const TRIED_AGAIN: usize = 20_000;

/// The sums of one kind of payment. All but the first count uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) payments: u64,
    pub(crate) bought: u64,
    /// What handlers served, by what they wrote down.
    pub(crate) served: u64,
    /// Of those, what was redeemed after everything was up again.
    pub(crate) at_end: u64,
    /// Of those, what no client got an answer for, because the process died after it served.
    pub(crate) unanswered: u64,
    /// Granted by a process that died before it served.
    pub(crate) died_granted: u64,
    /// Granted by a process that answered 503 and died before the store took the use back.
    pub(crate) died_releasing: u64,
    /// Served more often than was paid for.
    pub(crate) beyond: u64,
    /// Paid for, not served, and refused, though no process died over it.
    pub(crate) lost: u64,
}

/// Redeems what is left, tries for more, and sums up.
pub(crate) async fn audit(world: &World) -> BTreeMap<Kind, Sums> {
    let before = world.served();
    redeem_what_is_left(world).await;
    let complete: Vec<_> = {
        let payments = world.book.payments();
        let complete = payments.iter().filter(|(_, payment)| payment.is_complete());
        let complete: Vec<_> = complete.map(|(hash, _)| *hash).collect();
        let step = complete.len() / TRIED_AGAIN + 1;
        complete.into_iter().step_by(step).collect()
    };
    at_once(complete, |hash| try_again(world, hash, 1)).await;

    let served = world.served();
    let mut sums: BTreeMap<Kind, Sums> = BTreeMap::new();
    let payments = world.book.payments();
    for hash in served.keys() {
        assert!(payments.contains_key(hash), "nothing is served unpaid");
    }
    for (hash, payment) in payments.iter() {
        let counted = served.get(hash).copied().unwrap_or_default();
        let early = before.get(hash).copied().unwrap_or_default();
        add(
            sums.entry(payment.kind).or_default(),
            payment,
            counted,
            early,
            &world.history,
        );
    }
    sums
}

fn add(sums: &mut Sums, payment: &Payment, served: u64, early: u64, history: &History) {
    let uses = payment.kind.uses();
    let (died_granted, died_releasing) = excuses(payment, history);
    let missing = uses.saturating_sub(served);
    let granted = missing.min(died_granted);
    let releasing = (missing - granted).min(died_releasing);
    sums.payments += 1;
    sums.bought += uses;
    sums.served += served;
    sums.at_end += served - early;
    sums.unanswered += served.saturating_sub(payment.received);
    sums.died_granted += granted;
    sums.died_releasing += releasing;
    // What a client got counts too, in case a handler wrote nothing down.
    sums.beyond += served.max(payment.received).saturating_sub(uses);
    sums.lost += missing - granted - releasing;
}

/// Returns how many uses processes that died may have taken with them: by a request that was under
/// way when they died, and by one that they could not give back.
fn excuses(payment: &Payment, history: &History) -> (u64, u64) {
    let broken = payment.broken.iter();
    let broken = broken.filter(|broken| history.was_killed_over(**broken));
    let failed = payment.failed.iter();
    let failed = failed.filter(|(process, at)| history.was_killed_before_release(*process, *at));
    (broken.count() as u64, failed.count() as u64)
}

async fn redeem_what_is_left(world: &World) {
    // Without havoc there is nothing to wait for.
    let most = if world.options.havoc { MOST_ROUNDS } else { 1 };
    for round in 0..most {
        let served = world.served();
        let left: Vec<_> = {
            let payments = world.book.payments();
            let left = payments.iter().filter(|(hash, payment)| {
                let served = served.get(*hash).copied().unwrap_or_default();
                let missing = payment.kind.uses().saturating_sub(served);
                let (granted, releasing) = excuses(payment, &world.history);
                let is_excused = missing <= granted + releasing;
                missing > 0 && (round < ROUNDS || !is_excused)
            });
            left.map(|(hash, _)| *hash).collect()
        };
        if left.is_empty() {
            return;
        }
        at_once(
            left,
            async |hash| {
                while world.redeem(hash).await == Try::Served {}
            },
        )
        .await;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Does something with each payment, 64 at a time.
async fn at_once<F: Future<Output = ()>>(hashes: Vec<PaymentHash>, job: impl Fn(PaymentHash) -> F) {
    stream::iter(hashes)
        .map(job)
        .buffer_unordered(64)
        .collect::<()>()
        .await;
}
