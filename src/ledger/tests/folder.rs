//! A ledger in a folder, opened again after each step of a payment.

use super::*;
use crate::replay::{DurableStore, StoreErrorKind};

fn open(folder: &tempfile::TempDir) -> Ledger {
    let options = LedgerOptions::new().clock(TestClock::at(START));
    Ledger::open_with(folder.path().join("ledger"), options).unwrap()
}

async fn with_wallet(ledger: &Ledger) -> BudgetPath {
    let wallet = BudgetPath::root("wallet").unwrap();
    ledger
        .set_root(&wallet, Budget::total(sat(100)))
        .await
        .unwrap();
    wallet
}

#[tokio::test]
async fn whatever_step_a_process_ends_after_the_next_one_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let wallet = with_wallet(&ledger).await;
    let held = NewPayment {
        is_held: true,
        ..payment(&wallet, 1)
    };
    ledger.begin(held.clone()).await.unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, sat(11));
    drop(ledger);

    // Reserved: nothing was given to the payer.
    let ledger = open(&folder);
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, Amount::ZERO);
    let id = ledger.begin(held).await.unwrap().id;
    ledger.send(id).await.unwrap();
    drop(ledger);

    // Sent: the payer must be asked, and the same request is not paid again before that.
    let ledger = open(&folder);
    let [sent] = &ledger.unresolved().unwrap()[..] else {
        panic!("one is sent")
    };
    assert_eq!((sent.id(), sent.invoice()), (id, "lnbcrt1"));
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, sat(11));
    let again = NewPayment {
        payment_hash: preimage(2).payment_hash(),
        ..payment(&wallet, 1)
    };
    assert_eq!(
        refusal(ledger.begin(again.clone()).await),
        BeginRefusal::Unresolved(id)
    );
    ledger.in_flight(id).await.unwrap();
    drop(ledger);

    let ledger = open(&folder);
    assert_eq!(
        ledger.unresolved().unwrap()[0].state(),
        EntryState::InFlight
    );
    ledger.paid(id, preimage(1), sat(1)).await.unwrap();
    drop(ledger);

    // Paid: the next call redeems it.
    let ledger = open(&folder);
    assert_eq!(
        refusal(ledger.begin(again.clone()).await),
        BeginRefusal::AlreadyPaid(id)
    );
    let Claim::Taken(paid) = ledger.claim(id).unwrap() else {
        panic!("it is free");
    };
    assert!(paid.payment_hash().is_of(paid.preimage().unwrap()));
    assert_eq!(paid.payable(), payment(&wallet, 1).payable);
    ledger.answered(id, 503);
    drop(ledger);

    let ledger = open(&folder);
    assert_eq!(ledger.entry(id).unwrap().unwrap().answered(), Some(503));
    ledger.redeemed(id, 200);
    drop(ledger);

    let ledger = open(&folder);
    let redeemed = ledger.entry(id).unwrap().unwrap();
    assert_eq!(
        (redeemed.state(), redeemed.answered()),
        (EntryState::Redeemed, Some(200))
    );
    assert!(redeemed.preimage().is_none());
    let state = ledger.budget(&wallet).unwrap();
    assert_eq!((state.spent, state.reserved), (sat(11), Amount::ZERO));
    ledger.begin(again).await.unwrap();
}

#[tokio::test]
async fn trouble_reusable_credentials_and_budgets_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let wallet = with_wallet(&ledger).await;
    let limits = Budget::total(sat(50))
        .per_day(sat(40))
        .per_host(sat(30))
        .owner("ann");
    let task = ledger
        .create_budget(&wallet, "task", limits.clone())
        .await
        .unwrap();
    let revoked = ledger
        .create_budget(&wallet, "revoked", limits.clone())
        .await
        .unwrap();
    ledger.revoke(&revoked).await.unwrap();
    for number in 1..=2 {
        let id = ledger.begin(payment(&task, number)).await.unwrap().id;
        ledger
            .paid(id, preimage(number), Amount::ZERO)
            .await
            .unwrap();
        match number {
            1 => ledger.redeemed_reusable(id, 200),
            _ => ledger.refused(id, "402 again").await.unwrap(),
        }
    }
    let before = (
        ledger.budget(&task).unwrap(),
        ledger.budget(&revoked).unwrap(),
    );
    drop(ledger);

    let ledger = open(&folder);
    assert_eq!(
        (
            ledger.budget(&task).unwrap(),
            ledger.budget(&revoked).unwrap()
        ),
        before
    );
    assert!(before.1.is_revoked);
    assert_eq!(
        ledger.create_budget(&wallet, "task", limits).await.unwrap(),
        task
    );
    let [token] = &ledger.reusable().unwrap()[..] else {
        panic!("one token")
    };
    assert!(token.preimage().is_some() && !token.payable().is_empty());
    ledger.dropped(token.id());
    let same_host = NewPayment {
        host: "host2.example".to_owned(),
        ..payment(&wallet, 3)
    };
    let refused = refusal(ledger.begin(same_host).await);
    assert!(matches!(refused, BeginRefusal::HostInTrouble { .. }));
    drop(ledger);
    let ledger = open(&folder);
    assert!(ledger.reusable().unwrap().is_empty());
    let page = ledger.entries(None).unwrap();
    assert_eq!(
        page.iter().map(Entry::host).collect::<Vec<_>>(),
        ["host1.example", "host2.example"]
    );
}

#[tokio::test]
async fn a_begin_that_nobody_waits_for_reserves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let wallet = with_wallet(&ledger).await;
    {
        let mut begun = std::pin::pin!(ledger.begin(payment(&wallet, 1)));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(begun.as_mut().poll(&mut context).is_pending());
    }
    // Commands are taken in order, so the begin and its release were written before this.
    ledger.begin(payment(&wallet, 2)).await.unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, sat(11));
    let begun = ledger.entries(None).unwrap();
    assert_eq!(
        begun.iter().map(Entry::invoice).collect::<Vec<_>>(),
        ["lnbcrt2"],
        "what was abandoned takes no room"
    );
}

#[tokio::test]
async fn what_is_redeemed_is_taken_up_by_nobody_although_that_is_not_written_yet() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let wallet = BudgetPath::root("wallet").unwrap();
    ledger
        .set_root(&wallet, Budget::without_limits())
        .await
        .unwrap();
    for number in 0..50 {
        let id = ledger.begin(payment(&wallet, number)).await.unwrap().id;
        ledger
            .paid(id, preimage(number), Amount::ZERO)
            .await
            .unwrap();
        ledger.release(id);
        let claim = || ledger.claim(id).unwrap();
        assert!(matches!(claim(), Claim::Taken(_)), "it can be redeemed");
        ledger.redeemed(id, 200);
        ledger.release(id);
        assert!(matches!(claim(), Claim::NotFree), "it is");
    }
}

#[tokio::test]
async fn a_folder_is_that_of_a_ledger_or_of_a_store_and_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let path = folder.path().join("ledger");
    let second = Ledger::open(&path).unwrap_err();
    assert_eq!(second.kind(), LedgerErrorKind::Unavailable);
    assert!(
        second.to_string().contains("share one `Ledger`"),
        "{second}"
    );
    assert!(ledger.is_durable() && !Ledger::in_memory().is_durable());
    drop(ledger);
    let store = DurableStore::open(&path).unwrap_err();
    assert_eq!(store.kind(), StoreErrorKind::Corrupt);
    drop(DurableStore::open(folder.path().join("store")).unwrap());
    let ledger = Ledger::open(folder.path().join("store")).unwrap_err();
    assert_eq!(ledger.kind(), LedgerErrorKind::Corrupt);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_but_its_owner_reads_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let path = folder.path().join("ledger");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn whoever_finds_a_damaged_ledger_is_told_that_an_empty_one_forgets_what_was_spent() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    std::fs::remove_file(folder.path().join("ledger/floor")).unwrap();
    let damaged = Ledger::open(folder.path().join("ledger")).unwrap_err();
    assert_eq!(damaged.kind(), LedgerErrorKind::Corrupt);
    let text = damaged.to_string();
    assert!(
        text.contains("payments could be made twice: look at your node"),
        "{text}"
    );
    assert!(!text.contains("store refuses"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_ledger_whose_folder_was_deleted_begins_no_payment() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let wallet = with_wallet(&ledger).await;
    let path = folder.path().join("ledger");
    std::fs::remove_dir_all(&path).unwrap();
    for number in 1..=2 {
        let error = ledger.begin(payment(&wallet, number)).await.unwrap_err();
        assert!(
            error.to_string().contains("was deleted while it was open"),
            "{error}"
        );
        // A folder in its place does not make a new ledger of it.
        std::fs::create_dir_all(&path).unwrap();
    }
    assert_eq!(
        ledger.budget(&wallet).unwrap().limits,
        Budget::total(sat(100))
    );
}

#[tokio::test]
async fn a_person_changes_the_limits_of_a_budget_below_and_its_sums_stay() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder);
    let wallet = with_wallet(&ledger).await;
    let (narrow, wide) = (Budget::total(sat(30)), Budget::total(sat(50)));
    let task = ledger.create_budget(&wallet, "task", narrow).await.unwrap();
    ledger.begin(payment(&task, 1)).await.unwrap();
    let other = ledger.create_budget(&wallet, "task", wide.clone()).await;
    let text = other.unwrap_err().to_string();
    assert!(text.contains("Ledger::set_limits"), "{text}");
    ledger.set_limits(&task, wide.clone()).await.unwrap();
    let none = wallet.child("none").unwrap();
    let unknown = ledger.set_limits(&none, wide.clone()).await.unwrap_err();
    assert_eq!(unknown.kind(), LedgerErrorKind::Unknown);
    drop(ledger);
    let ledger = open(&folder);
    let state = ledger.budget(&task).unwrap();
    assert_eq!((state.limits, state.reserved), (wide.clone(), sat(11)));
    ledger.create_budget(&wallet, "task", wide).await.unwrap();
}

#[tokio::test]
async fn a_folder_without_a_ledger_has_no_approvals_and_nothing_to_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("typo");
    let error = Approvals::open(&path).unwrap_err();
    assert_eq!(error.kind(), LedgerErrorKind::Unknown);
    assert!(!path.exists(), "nothing is created");
    let id = EntryId::from_bytes([1; 16]);
    let error = Ledger::ask_to_clear(folder.path(), id).unwrap_err();
    assert_eq!(error.kind(), LedgerErrorKind::Unknown);
    drop(open(&folder));
    let ledger = folder.path().join("ledger");
    Approvals::open(&ledger).unwrap();
    Ledger::ask_to_clear(&ledger, id).unwrap();
}

#[tokio::test]
async fn a_ledger_in_the_place_of_a_file_says_that_a_folder_is_expected() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = Ledger::open(file.path()).unwrap_err().to_string();
    assert!(text.contains("expected a folder"), "{text}");
}
