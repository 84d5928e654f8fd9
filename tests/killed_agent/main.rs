//! An agent that pays a separate `paid_api` with its wallet, and is killed at every step of a
//! payment in turn: it pays once for what it asked for once, and its ledger forgets nothing.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod agent;
mod between;
mod shop;
mod sweep;

use std::collections::BTreeSet;

use self::{
    agent::{Dialect, TASKS, Task},
    between::{Held, Pass},
    sweep::{Street, traced},
};

/// The agent is this test, in a process of its own.
const AGENT: &str = "an_agent_killed_at_any_message_of_a_payment_pays_once_and_forgets_nothing";

/// Whether the paid API keeps its answers. If it does, the agent gets every answer that it paid for.
const KEEPS: [bool; 2] = [false, true];

/// What a killed agent must have left at least once: a payment of which nobody knows, and one that
/// was made. A mere reservation leaves nothing.
const FOUND: [&str; 2] = ["Sent", "Paid"];

#[test]
fn an_agent_killed_at_any_message_of_a_payment_pays_once_and_forgets_nothing() {
    if let Some(task) = Task::of_this_process() {
        return task.run();
    }
    sweep::block_on(async {
        for keeps_answers in KEEPS {
            let street = Street::open(keeps_answers).await;
            for dialect in Dialect::ALL {
                sweep_messages(&street, dialect).await;
            }
        }
    });
}

async fn sweep_messages(street: &Street, dialect: Dialect) {
    let mut found = BTreeSet::new();
    let mut message = 0;
    'messages: loop {
        for pass in [Pass::Request, Pass::Answer] {
            let held = Held { message, pass };
            let mut house = street.house(dialect, format!("{dialect:?}, {held:?}"));
            if house.live_until(held).await {
                break 'messages;
            }
            found.extend(house.come_back().await);
        }
        message += 1;
    }
    // The node's description, the 402, a look-up, the approval, the payment, the answer.
    assert!(
        message >= 6,
        "{dialect:?}: it was killed at {message} messages"
    );
    for state in FOUND {
        assert!(found.contains(state), "{dialect:?}: found only {found:?}");
    }
}

#[test]
fn an_agent_killed_at_any_write_of_its_ledger_pays_once_and_forgets_nothing() {
    if !sweep::can_trace() {
        return;
    }
    sweep::block_on(async {
        for keeps_answers in KEEPS {
            sweep_writes(&Street::open(keeps_answers).await).await;
        }
    });
}

async fn sweep_writes(street: &Street) {
    let mut found = BTreeSet::new();
    // Each record is a sync and a write of the journal, and a write of its floor.
    for (call, by_record) in [("fdatasync", 1), ("write", 2)] {
        let first = TASKS * by_record;
        let mut number = first;
        loop {
            let mut house = street.house(Dialect::X402, format!("{call} {number}"));
            if house.live_traced(&traced(call, number)).await {
                break;
            }
            found.extend(house.come_back().await);
            number += 1;
        }
        // Reserved, sent, paid.
        let killed = number - first;
        assert!(
            killed >= 3 * by_record,
            "killed at {killed} calls of {call}"
        );
    }
    for state in FOUND {
        assert!(found.contains(state), "found only {found:?}");
    }
}
