//! The ledger under killed processes and a full disk.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Write},
    num::NonZeroUsize,
    path::Path,
    time::{Duration, Instant},
};

use tower_x402::{
    Amount, Invoice, Preimage,
    ledger::{
        BeginError, BeginRefusal, Budget, BudgetPath, Claim, Entry, EntryState, Ledger,
        LedgerOptions, NewPayment, RequestKey,
    },
    lightning::{Description, InvoiceRequest, LocalNode, Receiver as _},
};

use crate::{child, full_disk};

const KILLED: &str = "ledger::whatever_a_kill_interrupts_nothing_is_paid_twice_or_forgotten";
const FULL: &str = "ledger::a_full_disk_stops_payments_for_a_while_and_loses_none";
const ROUNDS: u32 = 25;
const ENOUGH: Duration = Duration::from_secs(20);
const GIVE_UP: Duration = Duration::from_secs(240);

#[test]
fn whatever_a_kill_interrupts_nothing_is_paid_twice_or_forgotten() {
    if let Some(folder) = child::folder_of(KILLED) {
        return pay_until_killed(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (mut acknowledged, mut rounds, mut unresolved) = (HashSet::new(), 0, 0);
    // A slow machine runs fewer rounds, but enough of them to show something.
    while rounds < ROUNDS && started.elapsed() < ENOUGH
        || (acknowledged.len() <= 500 || unresolved == 0) && started.elapsed() < GIVE_UP
    {
        acknowledged.extend(heard_until_killed(folder.path(), rounds));
        rounds += 1;

        let ledger = open(folder.path());
        let paid = paid_by_the_payer(folder.path());
        let state = ledger.budget(&wallet()).unwrap();
        let counted = state.spent.checked_add(state.reserved).unwrap();
        assert!(counted >= cost(paid.len()), "less is counted than was paid");
        unresolved += ledger.unresolved().unwrap().len();
        for number in &acknowledged {
            let entry = of_number(&ledger, *number).expect("what was acknowledged");
            let is_kept = matches!(entry.state(), EntryState::Paid | EntryState::Redeemed);
            assert!(is_kept, "payment {number} is {}", entry.state());
        }
    }
    assert!(
        acknowledged.len() > 500,
        "only {} payments",
        acknowledged.len()
    );
    assert!(unresolved > 0, "no kill interrupted a payment");

    let ledger = open(folder.path());
    runtime().block_on(resolve(&ledger, folder.path()));
    let state = ledger.budget(&wallet()).unwrap();
    let paid = paid_by_the_payer(folder.path());
    assert_eq!(
        (state.spent, state.reserved),
        (cost(paid.len()), Amount::ZERO)
    );
    assert_eq!(ledger.totals().unwrap().all.spent, state.spent);
    eprintln!(
        "{rounds} kills, {} payments, {unresolved} interrupted",
        paid.len()
    );
}

/// Returns the payments that the child reported as paid. It is killed after a number of reports.
fn heard_until_killed(folder: &Path, round: u32) -> Vec<u32> {
    let mut child = child::command(KILLED, folder, &[]).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok);
    let mut heard = said.filter_map(|line| line.strip_prefix("> ")?.parse().ok());
    let enough = 20 + round as usize * 37 % 100;
    let mut numbers: Vec<_> = heard.by_ref().take(enough).collect();
    assert_eq!(numbers.len(), enough, "the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    numbers.extend(heard);
    numbers
}

/// Pays one number after the other, beginning a little before the last one that was paid.
fn pay_until_killed(folder: &Path) {
    runtime().block_on(async {
        let ledger = open(folder);
        let limits = Budget::daily(Amount::try_from_sat(1_000_000_000).unwrap());
        ledger.set_root(&wallet(), limits).await.unwrap();
        resolve(&ledger, folder).await;
        let last = paid_by_the_payer(folder).into_iter().max().unwrap_or(0);
        let template = template().await;
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..8 {
            let (ledger, template, folder) = (ledger.clone(), template.clone(), folder.to_owned());
            callers.spawn(async move {
                for number in (last.saturating_sub(64) + caller..).step_by(8) {
                    pay(&ledger, payment(&template, number), number, &folder).await;
                    child::say(number);
                }
            });
        }
        callers.join_all().await;
    });
}

/// Pays as a client does: written before each step, and never twice.
async fn pay(ledger: &Ledger, new: NewPayment, number: u32, folder: &Path) {
    match ledger.begin(new).await {
        Ok(begun) => {
            let line = format!("{number}\n");
            let mut options = File::options();
            let log = options.append(true).create(true);
            let mut log = log.open(folder.join("payer")).unwrap();
            assert_eq!(log.write(line.as_bytes()).unwrap(), line.len());
            ledger
                .paid(begun.id, preimage(number), fee())
                .await
                .unwrap();
            ledger.redeemed(begun.id, 200);
        }
        Err(BeginError::Refused(BeginRefusal::AlreadyUsed(_))) => {}
        Err(BeginError::Refused(BeginRefusal::AlreadyPaid(id))) => {
            let claim = ledger.claim(id).unwrap();
            assert!(matches!(claim, Claim::Taken(paid) if paid.preimage().is_some()));
            ledger.redeemed(id, 200);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Asks the payer about everything whose outcome is not known.
async fn resolve(ledger: &Ledger, folder: &Path) {
    let paid = paid_by_the_payer(folder);
    for entry in ledger.unresolved().unwrap() {
        let number = entry.path().trim_start_matches('/').parse().unwrap();
        if paid.contains(&number) {
            ledger
                .paid(entry.id(), preimage(number), fee())
                .await
                .unwrap();
        } else {
            ledger
                .failed(entry.id(), "unknown to the payer")
                .await
                .unwrap();
        }
    }
}

/// What the payer paid, by its own account. It panics if something was paid twice.
fn paid_by_the_payer(folder: &Path) -> HashSet<u32> {
    let log = std::fs::read_to_string(folder.join("payer")).unwrap_or_default();
    let mut paid = HashSet::new();
    for number in log.lines() {
        assert!(
            paid.insert(number.parse().unwrap()),
            "{number} was paid twice"
        );
    }
    paid
}

/// The child runs on a small file system of its own.
#[test]
fn a_full_disk_stops_payments_for_a_while_and_loses_none() {
    if let Some(folder) = child::folder_of(FULL) {
        return runtime().block_on(fill_and_recover(&folder));
    }
    if let Some(said) = full_disk::said_on_a_small_disk(FULL) {
        assert_eq!(said, ["recovered"], "the child must have come to its end");
    }
}

async fn fill_and_recover(folder: &Path) {
    let ledger = open(folder);
    let limits = Budget::daily(Amount::try_from_sat(1_000_000_000).unwrap());
    ledger.set_root(&wallet(), limits).await.unwrap();
    let template = template().await;
    let mut reserved = Vec::new();
    for number in 1_000_000..1_000_400 {
        let mut held = payment(&template, number);
        held.is_held = true;
        reserved.push(ledger.begin(held).await.unwrap().id);
    }
    let paid = ledger.begin(payment(&template, 900_000)).await.unwrap().id;
    ledger.paid(paid, preimage(900_000), fee()).await.unwrap();
    let ballast = folder.join("ballast");
    full_disk::fill(&ballast);

    let (mut acknowledged, mut released, mut errors) = (Vec::new(), Vec::new(), 0);
    for number in 0.. {
        // Some of these are in the group of which the write fails, and some come after it.
        let some = reserved.split_off(reserved.len().saturating_sub(4));
        some.iter().for_each(|id| ledger.release(*id));
        released.extend(some);
        match ledger.begin(payment(&template, number)).await {
            Ok(begun) => acknowledged.push(begun.id),
            Err(BeginError::Ledger(_)) => errors += 1,
            Err(other) => panic!("{other}"),
        }
        if errors == 1 {
            ledger.redeemed(paid, 200);
        }
        if errors == 20 {
            break;
        }
    }
    assert!(
        !acknowledged.is_empty() && reserved.len() > 4,
        "{}",
        reserved.len()
    );
    insist(&ledger, &template).await;
    std::fs::remove_file(&ballast).unwrap();
    let given_up = Instant::now() + Duration::from_secs(10);
    let last = loop {
        match ledger.begin(payment(&template, 2_000_000)).await {
            Ok(begun) => break begun.id,
            Err(error) => assert!(Instant::now() < given_up, "{error}"),
        }
    };
    acknowledged.push(last);
    // Whoever was refused holds nothing; whatever was acknowledged or told is there.
    let check = |ledger: &Ledger, reserved: usize| {
        let state = |id| ledger.entry(id).unwrap().unwrap().state();
        for id in &acknowledged {
            assert_eq!(state(*id), EntryState::Sent);
        }
        for id in &released {
            let held = ledger.entry(*id).unwrap();
            assert!(held.is_none(), "a release must be kept");
        }
        assert_eq!(
            state(paid),
            EntryState::Redeemed,
            "what was told must be kept"
        );
        let each = template.amount.checked_add(template.max_fee).unwrap();
        let expected = each.checked_mul((acknowledged.len() + reserved) as u64);
        let budget = ledger.budget(&wallet()).unwrap();
        assert_eq!((Some(budget.reserved), budget.spent), (expected, cost(1)));
    };
    check(&ledger, reserved.len());
    drop(ledger);
    // What was only reserved is free in another process.
    check(&open(folder), 0);
    child::say("recovered");
}

/// Begins a payment again and again while the disk takes none.
async fn insist(ledger: &Ledger, template: &NewPayment) {
    let before = full_disk::resident_bytes();
    let new = payment(template, 3_000_000);
    for _ in 0..1_000_000 {
        assert!(ledger.begin(new.clone()).await.is_err(), "the disk is full");
    }
    let grown = full_disk::resident_bytes().saturating_sub(before) >> 20;
    assert!(grown < 16, "a million refused payments cost {grown} MiB");
}

fn open(folder: &Path) -> Ledger {
    let most = NonZeroUsize::new(4_000_000).unwrap();
    let options = LedgerOptions::new().capacity(most);
    Ledger::open_with(folder.join("ledger"), options).unwrap()
}

fn of_number(ledger: &Ledger, number: u32) -> Option<Entry> {
    let hash = preimage(number).payment_hash();
    let network = tower_x402::Network::Regtest;
    ledger.of_hash(network, hash).unwrap()
}

/// An invoice, of which each payment is a copy with a number.
async fn template() -> NewPayment {
    let what = Description::Text("a test".to_owned());
    let request = InvoiceRequest::new(Amount::from_sat(10), what, Duration::from_secs(300));
    let invoice: Invoice = LocalNode::new().create_invoice(request).await.unwrap();
    let (key, dialect) = (RequestKey::of([]), tower_x402::DialectName::L402);
    NewPayment::new(wallet(), key, &invoice, Amount::from_sat(2), dialect).unwrap()
}

fn payment(template: &NewPayment, number: u32) -> NewPayment {
    let mut payment = template.clone();
    payment.request_key = RequestKey::of([number.to_le_bytes().as_slice()]);
    payment.payment_hash = preimage(number).payment_hash();
    payment.host = format!("host{number}.example");
    payment.path = format!("/{number}");
    payment
}

fn preimage(number: u32) -> Preimage {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Preimage::from_bytes(bytes)
}

fn wallet() -> BudgetPath {
    BudgetPath::root("wallet").unwrap()
}

const fn fee() -> Amount {
    Amount::from_sat(1)
}

/// What so many payments cost.
fn cost(payments: usize) -> Amount {
    Amount::from_sat(11).checked_mul(payments as u64).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}
