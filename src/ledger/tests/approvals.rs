use super::*;

/// Both kinds of approvals, with the clock that they share.
fn both() -> (tempfile::TempDir, [Approvals; 2], TestClock) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::at(START));
    let shared = || std::sync::Arc::new(clock.clone());
    let in_folder = Approvals::open_with(folder.path(), shared()).unwrap();
    (folder, [Approvals::in_memory(shared()), in_folder], clock)
}

fn asked(number: u32) -> NewPayment {
    payment(&BudgetPath::root("wallet").unwrap(), number)
}

fn parked(approval: Approval) -> ApprovalId {
    match approval {
        Approval::Parked(id) => id,
        other => panic!("it should wait: {other:?}"),
    }
}

#[test]
fn an_approval_is_for_one_use_of_one_request_at_most_at_its_price() {
    let (_folder, both, _) = both();
    for approvals in both {
        let id = parked(approvals.ask(&asked(1)).unwrap());
        assert_eq!(parked(approvals.ask(&asked(1)).unwrap()), id, "asked again");
        let [shown] = &approvals.pending().unwrap()[..] else {
            panic!("one waits");
        };
        assert_eq!((shown.id, shown.max), (id, sat(11)));
        approvals.approve(id).unwrap();
        assert!(approvals.pending().unwrap().is_empty());

        let dearer = NewPayment {
            amount: sat(12),
            ..asked(1)
        };
        let another_fee = NewPayment {
            max_fee: sat(2),
            ..asked(1)
        };
        let another_host = NewPayment {
            host: "thief.example".to_owned(),
            ..asked(1)
        };
        let another_body = NewPayment {
            request_key: request(2),
            ..asked(1)
        };
        let budget = BudgetPath::root("other").unwrap();
        let another_budget = NewPayment { budget, ..asked(1) };
        for other in [
            dearer,
            another_fee,
            another_host,
            another_body,
            another_budget,
        ] {
            assert_ne!(parked(approvals.ask(&other).unwrap()), id, "{other:?}");
        }
        // A new invoice for the same request, and no dearer.
        let cheaper = NewPayment {
            amount: sat(9),
            payment_hash: preimage(7).payment_hash(),
            ..asked(1)
        };
        assert_eq!(approvals.ask(&cheaper).unwrap(), Approval::Approved);
        assert_eq!(parked(approvals.ask(&asked(1)).unwrap()), id, "used up");
    }
}

#[test]
fn what_a_person_refused_stays_refused_and_everything_is_forgotten_after_a_day() {
    let (_folder, both, clock) = both();
    for approvals in both {
        clock.set(START);
        let refused = parked(approvals.ask(&asked(1)).unwrap());
        approvals.refuse(refused).unwrap();
        assert_eq!(
            approvals.ask(&asked(1)).unwrap(),
            Approval::Refused(refused)
        );
        let approved = parked(approvals.ask(&asked(2)).unwrap());
        approvals.approve(approved).unwrap();
        let waiting = parked(approvals.ask(&asked(3)).unwrap());
        for decided in [refused, approved] {
            let again = approvals.approve(decided).unwrap_err();
            assert_eq!(again.kind(), LedgerErrorKind::Unknown);
        }
        clock.advance(Duration::from_secs(86_400));
        let late = approvals.approve(waiting).unwrap_err();
        assert_eq!(late.kind(), LedgerErrorKind::Unknown);
        for number in 1..=3 {
            parked(approvals.ask(&asked(number)).unwrap());
        }
        // A clock that was set back brings back no approval.
        approvals.approve(approved).unwrap();
        clock.set(START);
        parked(approvals.ask(&asked(2)).unwrap());
    }
}

#[test]
fn of_many_who_use_an_approval_at_once_one_gets_it() {
    let (_folder, both, _) = both();
    for approvals in both {
        let id = parked(approvals.ask(&asked(1)).unwrap());
        approvals.approve(id).unwrap();
        let used = std::thread::scope(|scope| {
            let asking = || approvals.ask(&asked(1)).unwrap() == Approval::Approved;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(asking)).collect();
            let answers = threads.into_iter().map(|thread| thread.join().unwrap());
            answers.filter(|approved| *approved).count()
        });
        assert_eq!(used, 1);
    }
}

#[test]
fn no_more_than_a_thousand_payments_wait() {
    let (_folder, [approvals, _], _) = both();
    for number in 0..1_000 {
        parked(approvals.ask(&asked(number)).unwrap());
    }
    let full = approvals.ask(&asked(1_000)).unwrap_err();
    assert_eq!(full.kind(), LedgerErrorKind::Full);
    parked(approvals.ask(&asked(999)).unwrap());
}

#[cfg(unix)]
#[test]
fn another_process_decides_through_files_that_only_their_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;

    let (folder, [_, approvals], _) = both();
    let shown = NewPayment {
        path: "/tile?zoom=3".to_owned(),
        query: Some("zoom=3".to_owned()),
        body: Some(BodyDigest::of(b"{}")),
        ..asked(1)
    };
    let id = parked(approvals.ask(&shown).unwrap());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let inside = folder.path().join("approvals");
    let files: Vec<_> = std::fs::read_dir(&inside)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(
        (mode(&inside), files.len(), mode(&files[0])),
        (0o700, 1, 0o600)
    );
    let text = std::fs::read_to_string(&files[0]).unwrap();

    let clock = std::sync::Arc::new(TestClock::at(START));
    let elsewhere = Approvals::open_with(folder.path(), clock).unwrap();
    let waiting = elsewhere.pending().unwrap();
    assert_eq!(waiting, approvals.pending().unwrap());
    assert_eq!(waiting[0].path, "/tile");
    assert_eq!(waiting[0].query.as_deref(), Some("zoom=3"));
    assert_eq!(waiting[0].body, Some(BodyDigest::of(b"{}")));
    elsewhere.approve(id).unwrap();
    // A file that says something else than its name is no approval.
    let raised = text.replace("11000", "99000");
    assert_ne!(raised, text);
    let approved = inside.join(format!("{id}.approved"));
    std::fs::write(&approved, raised).unwrap();
    parked(approvals.ask(&shown).unwrap());
    std::fs::write(&approved, text).unwrap();
    assert_eq!(approvals.ask(&shown).unwrap(), Approval::Approved);
}

#[test]
fn a_host_that_moves_its_price_has_one_place_and_many_requests_of_a_host_have_fifty() {
    let (_folder, both, _) = both();
    for approvals in both {
        for price in 1..=1_100 {
            let moved = NewPayment {
                amount: sat(price),
                ..asked(1)
            };
            parked(approvals.ask(&moved).unwrap());
        }
        let [last] = &approvals.pending().unwrap()[..] else {
            panic!("one waits");
        };
        assert_eq!(last.max, sat(1_101));
        let of_host = |number| NewPayment {
            host: "host1.example".to_owned(),
            ..asked(number)
        };
        for number in 2..=50 {
            parked(approvals.ask(&of_host(number)).unwrap());
        }
        let full = approvals.ask(&of_host(51)).unwrap_err();
        assert_eq!(full.kind(), LedgerErrorKind::Full);
        parked(approvals.ask(&asked(51)).unwrap());
        // The price of one that waits may still move.
        let moved = NewPayment {
            amount: sat(3),
            ..of_host(50)
        };
        parked(approvals.ask(&moved).unwrap());
    }
}

#[test]
fn what_a_person_refused_is_refused_at_a_higher_price_too() {
    let (_folder, both, _) = both();
    for approvals in both {
        let refused = parked(approvals.ask(&asked(1)).unwrap());
        approvals.refuse(refused).unwrap();
        let at = |price| NewPayment {
            amount: sat(price),
            ..asked(1)
        };
        let dearer = approvals.ask(&at(11)).unwrap();
        assert_eq!(dearer, Approval::Refused(refused));
        parked(approvals.ask(&at(9)).unwrap());
    }
}
