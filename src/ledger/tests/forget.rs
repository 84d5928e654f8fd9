use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn open(folder: &tempfile::TempDir, clock: &TestClock) -> Ledger {
    let options = LedgerOptions::new().clock(clock.clone());
    Ledger::open_with(folder.path(), options).unwrap()
}

/// One payment in each state, all of one host but for those that are in trouble.
async fn fill(ledger: &Ledger, wallet: &BudgetPath) {
    for number in 0..9 {
        let host = if number < 5 {
            "shop.example"
        } else {
            "other.example"
        };
        let new = NewPayment {
            host: host.to_owned(),
            ..payment(wallet, number)
        };
        let id = ledger.begin(new).await.unwrap().id;
        match number {
            0 => ledger.failed(id, "no route").await.unwrap(),
            1 => {}
            2 => ledger.unproved(id, "no preimage").await.unwrap(),
            _ => ledger.paid(id, preimage(number), sat(1)).await.unwrap(),
        }
        match number {
            3 | 4 => ledger.redeemed(id, 200),
            5 => ledger.redeemed_reusable(id, 200),
            6 => {
                ledger.refused(id, "402 again").await.unwrap();
                ledger.cleared(id).await.unwrap();
            }
            8 => ledger.refused(id, "402 again").await.unwrap(),
            _ => {}
        }
    }
    ledger
        .record_income(&crate::payment::PaymentReceipt::for_tests(sat(5)))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_over_can_be_forgotten_and_every_sum_and_limit_stays() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::at(START));
    let ledger = open(&folder, &clock);
    let wallet = BudgetPath::root("wallet").unwrap();
    let limits = Budget::total(sat(100)).per_host(sat(60)).per_day(sat(99));
    ledger.set_root(&wallet, limits.clone()).await.unwrap();
    fill(&ledger, &wallet).await;
    let sums = |ledger: &Ledger| {
        let state = ledger.budget(&wallet).unwrap();
        let totals = ledger.totals().unwrap();
        let sums = (totals.by_host, totals.by_budget, totals.by_day);
        (state, totals.all, sums)
    };
    let before = sums(&ledger);
    let now = START.saturating_add(DAY + Duration::from_secs(1));
    assert_eq!(
        ledger.forget_before(START).await.unwrap(),
        1,
        "the income is older"
    );
    assert_eq!(ledger.forget_before(now).await.unwrap(), 4);
    assert_eq!(ledger.forget_before(now).await.unwrap(), 0);
    let left: Vec<_> = ledger
        .entries(None)
        .unwrap()
        .iter()
        .map(Entry::state)
        .collect();
    let expected = [
        EntryState::Sent,
        EntryState::Unproved,
        EntryState::Redeemed,
        EntryState::Paid,
        EntryState::Refused,
    ];
    assert_eq!(
        left, expected,
        "what may still change, and what nobody cleared"
    );
    assert_eq!(sums(&ledger), before);
    drop(ledger);

    let ledger = open(&folder, &clock);
    assert_eq!(sums(&ledger), before);
    // Other limits apply to what was forgotten too.
    ledger
        .set_root(&wallet, limits.clone().per_host(sat(50)))
        .await
        .unwrap();
    let more = NewPayment {
        host: "shop.example".to_owned(),
        ..payment(&wallet, 9)
    };
    let refused = refusal(ledger.begin(more).await);
    assert!(matches!(refused, BeginRefusal::OverBudget(over) if over.kind == LimitKind::PerHost));
}

#[tokio::test]
async fn a_full_ledger_has_room_again_once_it_forgot() {
    let clock = TestClock::at(START);
    let two = std::num::NonZeroUsize::new(2).unwrap();
    let ledger = Ledger::in_memory_with(LedgerOptions::new().clock(clock.clone()).capacity(two));
    let wallet = BudgetPath::root("wallet").unwrap();
    ledger
        .set_root(&wallet, Budget::total(sat(25)))
        .await
        .unwrap();
    for number in 0..2 {
        let id = ledger.begin(payment(&wallet, number)).await.unwrap().id;
        ledger.paid(id, preimage(number), sat(1)).await.unwrap();
        ledger.redeemed(id, 200);
    }
    let cheap = NewPayment {
        amount: sat(1),
        ..payment(&wallet, 2)
    };
    let full = ledger.begin(cheap.clone()).await;
    assert!(
        matches!(full, Err(BeginError::Ledger(error)) if error.kind() == LedgerErrorKind::Full)
    );
    clock.advance(DAY * 2);
    assert_eq!(ledger.forget_before(clock.now()).await.unwrap(), 2);
    let over = refusal(ledger.begin(payment(&wallet, 2)).await);
    let stays_spent = matches!(over, BeginRefusal::OverBudget(_));
    assert!(stays_spent);
    ledger.begin(cheap).await.unwrap();
}

#[tokio::test]
async fn budgets_that_are_over_make_room_and_their_sums_go_to_the_budget_above() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::at(START));
    let ledger = open(&folder, &clock);
    let wallet = BudgetPath::root("wallet").unwrap();
    let limits = Budget::total(sat(100)).per_host(sat(50));
    ledger.set_root(&wallet, limits).await.unwrap();
    let total = || Budget::total(sat(20));
    let create = async |parent: &BudgetPath, name, limits| {
        ledger.create_budget(parent, name, limits).await.unwrap()
    };
    let revoked = create(&wallet, "revoked", total()).await;
    let below = create(&revoked, "below", total()).await;
    let expired = create(&wallet, "expired", total().lasting(DAY)).await;
    let unresolved = create(&wallet, "unresolved", total().lasting(DAY)).await;
    let lasting = create(&wallet, "lasting", total()).await;
    for (number, path) in [&below, &expired, &lasting].into_iter().enumerate() {
        let number = number as u32;
        let id = ledger.begin(payment(path, number)).await.unwrap().id;
        ledger.paid(id, preimage(number), sat(1)).await.unwrap();
        ledger.redeemed(id, 200);
    }
    ledger.begin(payment(&unresolved, 9)).await.unwrap();
    ledger.revoke(&revoked).await.unwrap();
    let before = ledger.budget(&wallet).unwrap();
    let later = START.saturating_add(DAY * 3);
    assert_eq!(ledger.forget_before(later).await.unwrap(), 3);
    assert_eq!(ledger.budgets().unwrap().len(), 6, "nothing is over yet");
    clock.set(later);
    ledger.forget_before(later).await.unwrap();
    let left = [wallet.clone(), lasting, unresolved];
    assert_eq!(ledger.budgets().unwrap(), left);
    let by_budget = ledger.totals().unwrap().by_budget;
    assert_eq!(by_budget[&wallet].spent, sat(22));
    assert_eq!(ledger.budget(&wallet).unwrap(), before);
    drop(ledger);

    let ledger = open(&folder, &clock);
    assert_eq!(ledger.budget(&wallet).unwrap(), before);
    assert_eq!(ledger.totals().unwrap().by_budget, by_budget);
    // The name is free again, and what was spent under it counts above it alone.
    let again = ledger.create_budget(&wallet, "expired", total()).await;
    let again = ledger.budget(&again.unwrap()).unwrap();
    assert_eq!(
        (again.spent, again.remaining),
        (Amount::ZERO, Some(sat(20)))
    );
}

#[tokio::test]
async fn what_was_forgotten_leaves_a_window_by_the_day_on_which_it_was_spent() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::at(START));
    let ledger = open(&folder, &clock);
    let wallet = BudgetPath::root("wallet").unwrap();
    let limits = Budget::without_limits().rolling(DAY * 3, sat(44));
    ledger.set_root(&wallet, limits).await.unwrap();
    // One payment of 11 sat on each of four days.
    for number in 0..4 {
        let new = NewPayment {
            host: "shop.example".to_owned(),
            ..payment(&wallet, number)
        };
        let id = ledger.begin(new).await.unwrap().id;
        ledger.paid(id, preimage(number), sat(1)).await.unwrap();
        ledger.redeemed(id, 200);
        clock.advance(DAY);
    }
    let later = START.saturating_add(DAY * 5);
    assert_eq!(ledger.forget_before(later).await.unwrap(), 4);
    drop(ledger);
    for (days, remaining) in [(4, 22), (5, 33), (6, 44)] {
        clock.set(START.saturating_add(DAY * days + DAY / 10));
        let ledger = open(&folder, &clock);
        let left = ledger.budget(&wallet).unwrap().remaining;
        assert_eq!(left, Some(sat(remaining)), "after {days} days");
    }
}

#[tokio::test]
async fn what_never_went_to_the_payer_takes_no_room_and_what_failed_makes_room() {
    let two = std::num::NonZeroUsize::new(2).unwrap();
    let options = || {
        LedgerOptions::new()
            .clock(TestClock::at(START))
            .capacity(two)
    };
    let folder = tempfile::tempdir().unwrap();
    let in_folder = Ledger::open_with(folder.path(), options()).unwrap();
    for ledger in [Ledger::in_memory_with(options()), in_folder] {
        let wallet = BudgetPath::root("wallet").unwrap();
        ledger
            .set_root(&wallet, Budget::total(sat(100)))
            .await
            .unwrap();
        for number in 0..6 {
            let held = NewPayment {
                is_held: true,
                ..payment(&wallet, number)
            };
            let id = ledger.begin(held).await.unwrap().id;
            match number % 2 {
                0 => ledger.failed(id, "the approver refused it").await.unwrap(),
                _ => ledger.release(id),
            }
        }
        // The other steps were written before this one.
        let sent = ledger.begin(payment(&wallet, 6)).await.unwrap().id;
        assert_eq!(ledger.entries(None).unwrap().len(), 1);
        for number in 7..12 {
            let id = ledger.begin(payment(&wallet, number)).await.unwrap().id;
            ledger.failed(id, "no route").await.unwrap();
        }
        let left = ledger.entries(None).unwrap();
        let left: Vec<_> = left.iter().map(|entry| entry.payment_hash()).collect();
        let of = |number| preimage(number).payment_hash();
        assert_eq!(left, [of(6), of(11)], "the newest failure and what is sent");
        ledger.paid(sent, preimage(6), sat(1)).await.unwrap();
        ledger.begin(payment(&wallet, 12)).await.unwrap();
        match ledger.begin(payment(&wallet, 13)).await {
            Err(BeginError::Ledger(error)) => assert_eq!(error.kind(), LedgerErrorKind::Full),
            other => panic!("{other:?}"),
        }
        let state = ledger.budget(&wallet).unwrap();
        assert_eq!((state.spent, state.reserved), (sat(11), sat(11)));
    }
    let again = Ledger::open_with(folder.path(), options()).unwrap();
    assert_eq!(again.entries(None).unwrap().len(), 2);
}

#[tokio::test]
async fn a_reusable_credential_that_has_ended_can_be_forgotten() {
    let (ledger, wallet, clock) = ledger(Budget::total(sat(100))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.paid(id, preimage(1), sat(1)).await.unwrap();
    ledger.redeemed_reusable(id, 200);
    let later = START.saturating_add(DAY * 2);
    assert_eq!(ledger.forget_before(later).await.unwrap(), 0, "it is good");
    clock.set(later);
    assert_eq!(ledger.forget_before(later).await.unwrap(), 1);
    assert!(ledger.reusable().unwrap().is_empty());
    assert_eq!(ledger.budget(&wallet).unwrap().spent, sat(11));
}

#[tokio::test]
async fn what_would_begin_is_what_begins_and_asking_reserves_nothing() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(25)).per_host(sat(11))).await;
    let first = payment(&wallet, 1);
    ledger.would_begin(&first).unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, Amount::ZERO);
    ledger.begin(first).await.unwrap();
    let same_host = NewPayment {
        host: "host1.example".to_owned(),
        ..payment(&wallet, 2)
    };
    for refused in [same_host, payment(&BudgetPath::root("x").unwrap(), 3)] {
        let would = ledger.would_begin(&refused);
        let would = would
            .map(|()| panic!("it is over a limit"))
            .map_err(|error| error.to_string());
        let begun = ledger.begin(refused).await.map(drop);
        assert_eq!(would, begun.map_err(|error| error.to_string()));
    }
}

#[tokio::test]
async fn a_payment_whose_credential_has_ended_is_forgotten_unless_a_call_is_at_work_on_it() {
    let (ledger, wallet, clock) = ledger(Budget::total(sat(100))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    let spent = ledger.budget(&wallet).unwrap().spent;
    clock.advance(2 * DAY);
    let later = START.saturating_add(DAY + Duration::from_secs(1));
    assert_eq!(ledger.forget_before(later).await.unwrap(), 0);
    ledger.release(id);
    assert_eq!(ledger.forget_before(START).await.unwrap(), 0);
    assert_eq!(ledger.forget_before(later).await.unwrap(), 1);
    assert_eq!(ledger.budget(&wallet).unwrap().spent, spent);
    assert!(!ledger.has_unended().unwrap());
    assert!(ledger.find(&request(1)).unwrap().is_empty());
}
