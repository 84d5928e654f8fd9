//! Clients that buy, redeem what they bought, try again after failures, and try for more than they
//! paid for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use http::StatusCode;
use tokio::time::sleep;
use tower_x402::{Network, PaymentHash};

use crate::{
    book::{Kind, Try},
    buyer::Payable,
    cluster::{Answer, PRICE},
    dice::Dice,
    world::{BODY, ORIGIN, World},
};

/// How often a client tries to redeem before it leaves that for later.
const TRIES: u32 = 30;

/// How often it is refused before it leaves that for later.
const REFUSALS: u32 = 3;

/// The most invoices that a local node makes.
const INVOICES: u64 = 1_000_000;

/// Buys until the run has as many payments as it is to have, or is over.
pub(crate) async fn shop(world: Arc<World>, client: u64, bought: Arc<AtomicU64>) {
    let mut dice = Dice::new(world.options.seed, 1_000_000 + client);
    let mut earlier = Vec::new();
    let is_over =
        |bought: u64| bought >= world.options.payments || world.node.invoices_created() >= INVOICES;
    while !is_over(bought.fetch_add(1, Ordering::Relaxed)) {
        let kind = Kind::ALL[dice.below(4) as usize];
        let hash = buy(&world, kind, &mut dice).await;
        earlier.push(hash);
        // Some are only redeemed once everything is up again.
        if dice.below(16) == 0 {
            continue;
        }
        redeem(&world, hash, &mut dice).await;
        if world.book.is_complete(hash) {
            try_again(&world, hash, dice.below(3)).await;
        }
        let old = earlier[dice.below(earlier.len() as u64) as usize];
        if world.book.is_complete(old) {
            try_again(&world, old, 1).await;
        }
    }
}

/// Asks for the price until a server answers, and pays it.
async fn buy(world: &World, kind: Kind, dice: &mut Dice) -> PaymentHash {
    loop {
        if let Answer::From(_, answer) = world.ask(kind).await
            && answer.status() == StatusCode::PAYMENT_REQUIRED
        {
            let url = format!("{ORIGIN}{}", kind.path());
            let headers = answer.headers();
            let payable = Payable::of(kind.dialect(), Network::Regtest, &url, BODY, headers);
            let hash = payable.invoice().payment_hash();
            let credential = payable.pay(&world.node, PRICE).await;
            world.book.add(hash, kind, credential);
            return hash;
        }
        pause(dice).await;
    }
}

/// Redeems all uses. Sends up to three equal requests at a time.
async fn redeem(world: &World, hash: PaymentHash, dice: &mut Dice) {
    let (mut tries, mut refusals) = (0, 0);
    while !world.book.is_complete(hash) && tries < TRIES && refusals < REFUSALS {
        let equal = 1 + dice.below(6) / 4 + dice.below(6) / 4;
        let results = join_all((0..equal).map(|_| world.redeem(hash))).await;
        tries += 1;
        if !results.contains(&Try::Served) {
            refusals += u32::from(!results.contains(&Try::Failed));
            pause(dice).await;
        }
    }
}

/// Tries to use what is used up.
pub(crate) async fn try_again(world: &World, hash: PaymentHash, times: u64) {
    for _ in 0..times {
        if world.redeem(hash).await == Try::Refused {
            world.book.count_refused_again();
        }
    }
}

async fn pause(dice: &mut Dice) {
    let pause: Duration = dice.millis(50..500);
    sleep(pause).await;
}
