mod approvals;
mod budgets;
mod clock;
mod concurrent;
mod disk;
mod export;
mod folder;
mod forget;
mod interleavings;
mod steps;

use std::time::Duration;

use super::*;
use crate::{
    clock::{Clock as _, TestClock, Timestamp},
    payment::{Amount, DialectName, Network, Preimage},
};

/// A moment long after 1970.
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// A ledger in memory with one budget, `wallet`, and its clock.
async fn ledger(limits: Budget) -> (Ledger, BudgetPath, TestClock) {
    let clock = TestClock::at(START);
    let ledger = Ledger::in_memory_with(LedgerOptions::new().clock(clock.clone()));
    let wallet = BudgetPath::root("wallet").unwrap();
    ledger.set_root(&wallet, limits).await.unwrap();
    (ledger, wallet, clock)
}

fn preimage(number: u32) -> Preimage {
    let mut bytes = [0x5e; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Preimage::from_bytes(bytes)
}

/// A payment of 10 sat, with a fee of 1 sat at most, for request `number` of its own host.
fn payment(budget: &BudgetPath, number: u32) -> NewPayment {
    NewPayment {
        budget: budget.clone(),
        payer: None,
        request_key: request(number),
        headers: [0; 32],
        others: Vec::new(),
        network: Network::Regtest,
        payment_hash: preimage(number).payment_hash(),
        amount: Amount::from_sat(10),
        max_fee: Amount::from_sat(1),
        invoice: format!("lnbcrt{number}"),
        invoice_expires_at: START.saturating_add(Duration::from_secs(600)),
        origin: format!("https://api.host{number}.example"),
        host: format!("host{number}.example"),
        method: "GET".to_owned(),
        path: "/tile".to_owned(),
        query: None,
        body: None,
        dialect: DialectName::L402,
        description: Some("a tile".to_owned()),
        payable: "{\"macaroon\":\"secret\"}".to_owned(),
        redeem_until: START.saturating_add(Duration::from_secs(86_400)),
        is_held: false,
    }
}

fn request(number: u32) -> RequestKey {
    RequestKey::of([&b"GET"[..], &number.to_le_bytes()])
}

/// Why a payment was refused.
fn refusal(begun: Result<Begun, BeginError>) -> BeginRefusal {
    match begun {
        Err(BeginError::Refused(refusal)) => refusal,
        other => panic!("a refusal was expected: {other:?}"),
    }
}

fn sat(amount: u32) -> Amount {
    Amount::from_sat(amount)
}
