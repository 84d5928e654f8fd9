use super::*;
use crate::payment::PayerId;

#[tokio::test]
async fn a_payment_counts_from_its_beginning_and_with_its_fee_once_that_is_known() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(30))).await;
    let state = || {
        let state = ledger.budget(&wallet).unwrap();
        (state.spent, state.reserved, state.remaining.unwrap())
    };
    let begun = ledger.begin(payment(&wallet, 1)).await.unwrap();
    assert_eq!(begun.remaining, Some(sat(19)));
    assert_eq!(state(), (sat(0), sat(11), sat(19)));
    ledger.in_flight(begun.id).await.unwrap();
    assert_eq!(state(), (sat(0), sat(11), sat(19)));
    let fee = Amount::from_msat(7);
    ledger.paid(begun.id, preimage(1), fee).await.unwrap();
    let spent = Amount::from_msat(10_007);
    assert_eq!(state(), (spent, sat(0), Amount::from_msat(19_993)));
    ledger.redeemed(begun.id, 200);
    assert_eq!(state().0, spent);
    let entry = ledger.entry(begun.id).unwrap().unwrap();
    assert_eq!(entry.state(), EntryState::Redeemed);
    assert!(entry.preimage().is_none() && entry.payable().is_empty() && entry.invoice().is_empty());
}

#[tokio::test]
async fn the_money_of_a_failed_payment_is_free_again_and_that_of_an_unproved_one_is_not() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(30))).await;
    let failed = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.failed(failed, "no route").await.unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().remaining, Some(sat(30)));
    let unproved = ledger.begin(payment(&wallet, 2)).await.unwrap().id;
    ledger.unproved(unproved, "no preimage").await.unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().spent, sat(11));
    // The true preimage came after all: the true fee counts.
    ledger
        .paid(unproved, preimage(2), Amount::ZERO)
        .await
        .unwrap();
    assert_eq!(ledger.budget(&wallet).unwrap().spent, sat(10));
}

#[tokio::test]
async fn a_step_from_a_state_that_does_not_allow_it_is_refused_and_changes_nothing() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(100))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    let wrong = ledger.paid(id, preimage(2), Amount::ZERO).await;
    assert_eq!(wrong.unwrap_err().kind(), LedgerErrorKind::Conflict);
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    for refused in [
        ledger.failed(id, "").await,
        ledger.in_flight(id).await,
        ledger.send(id).await,
        ledger.unproved(id, "").await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), LedgerErrorKind::Conflict);
    }
    assert_eq!(ledger.entry(id).unwrap().unwrap().state(), EntryState::Paid);
    let unknown = ledger.send(EntryId::from_bytes([0; 16])).await.unwrap_err();
    assert_eq!(unknown.kind(), LedgerErrorKind::Unknown);
}

#[tokio::test]
async fn an_invoice_of_another_request_is_refused_whatever_became_of_its_payment() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    let elsewhere = NewPayment {
        request_key: request(2),
        host: "thief.example".to_owned(),
        ..payment(&wallet, 1)
    };
    let refused = async || refusal(ledger.begin(elsewhere.clone()).await);
    assert_eq!(refused().await, BeginRefusal::KnownElsewhere(id));
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    assert_eq!(refused().await, BeginRefusal::KnownElsewhere(id));
    ledger.redeemed(id, 200);
    assert_eq!(refused().await, BeginRefusal::KnownElsewhere(id));
}

#[tokio::test]
async fn an_invoice_stays_known_by_a_failed_payment_after_a_later_one_was_given_up_unsent() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let failed = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.failed(failed, "no route").await.unwrap();
    let held = NewPayment {
        is_held: true,
        ..payment(&wallet, 1)
    };
    let unsent = ledger.begin(held).await.unwrap().id;
    ledger.failed(unsent, "not approved").await.unwrap();
    assert!(ledger.entry(unsent).unwrap().is_none());
    let elsewhere = NewPayment {
        request_key: request(2),
        ..payment(&wallet, 1)
    };
    assert_eq!(
        refusal(ledger.begin(elsewhere).await),
        BeginRefusal::KnownElsewhere(failed)
    );
}

#[tokio::test]
async fn a_payment_that_was_cleared_in_flight_counts_against_its_payer_once_it_is_unproved() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let payer = Some(PayerId::of("LND", b"02ab"));
    let by = |number: u32| NewPayment {
        payer,
        ..payment(&wallet, number)
    };
    for number in [1, 2] {
        let id = ledger.begin(by(number)).await.unwrap().id;
        ledger.in_flight(id).await.unwrap();
        ledger.cleared(id).await.unwrap();
        ledger.unproved(id, "no preimage").await.unwrap();
    }
    let refused = refusal(ledger.begin(by(3)).await);
    assert!(matches!(refused, BeginRefusal::PayerInTrouble { .. }));
}

#[tokio::test]
async fn a_credential_that_was_used_before_its_payment_was_written_counts_as_presented() {
    type Note = fn(&Ledger, EntryId);
    let notes: [Note; 3] = [
        |ledger, id| ledger.presented(id),
        |ledger, id| ledger.answered(id, 503),
        |ledger, id| ledger.redeemed(id, 200),
    ];
    for note in notes {
        let (ledger, wallet, _) = ledger(Budget::total(sat(100))).await;
        let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
        note(&ledger, id);
        ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
        let entry = ledger.entry(id).unwrap().unwrap();
        assert!(entry.is_presented() && entry.state() == EntryState::Paid);
    }
}

#[tokio::test]
async fn a_payment_is_given_up_only_if_a_person_cleared_it_and_stops_nobody_then() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.in_flight(id).await.unwrap();
    let refused = ledger.given_up(id, "gone").await.unwrap_err();
    assert_eq!(refused.kind(), LedgerErrorKind::Conflict);
    ledger.cleared(id).await.unwrap();
    ledger.given_up(id, "gone").await.unwrap();
    let entry = ledger.entry(id).unwrap().unwrap();
    assert!(entry.state() == EntryState::Unproved && entry.is_cleared());
}

#[tokio::test]
async fn a_request_is_not_paid_again_before_its_earlier_payment_has_ended() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    let again = NewPayment {
        payment_hash: preimage(2).payment_hash(),
        ..payment(&wallet, 1)
    };
    // The call is over, and nobody knows what became of the payment.
    ledger.release(id);
    assert_eq!(
        refusal(ledger.begin(again.clone()).await),
        BeginRefusal::Unresolved(id)
    );
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    assert_eq!(
        refusal(ledger.begin(again.clone()).await),
        BeginRefusal::AlreadyPaid(id)
    );
    let same = payment(&wallet, 1);
    assert_eq!(
        refusal(ledger.begin(same.clone()).await),
        BeginRefusal::AlreadyPaid(id)
    );
    ledger.redeemed(id, 200);
    assert_eq!(
        refusal(ledger.begin(same).await),
        BeginRefusal::AlreadyUsed(id)
    );
    ledger.begin(again).await.unwrap();
}

#[tokio::test]
async fn one_call_at_a_time_works_on_a_payment() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    let claim = || ledger.claim(id).unwrap();
    assert!(matches!(claim(), Claim::NotFree), "its request is at work");
    ledger.release(id);
    assert!(matches!(claim(), Claim::Taken(_)));
    assert!(matches!(claim(), Claim::LookedUp));
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    assert!(matches!(claim(), Claim::LookedUp), "until it is released");
    let released = ledger.released();
    ledger.release(id);
    released.await;
    assert!(matches!(claim(), Claim::Taken(paid) if paid.preimage().is_some()));
    assert!(matches!(claim(), Claim::NotFree), "it is redeemed");
    ledger.redeemed(id, 200);
    ledger.release(id);
    assert!(matches!(claim(), Claim::NotFree), "it has ended");
}

#[tokio::test]
async fn a_request_is_not_begun_while_its_earlier_payment_is_looked_up() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.release(id);
    ledger.claim(id).unwrap();
    let again = NewPayment {
        payment_hash: preimage(2).payment_hash(),
        ..payment(&wallet, 1)
    };
    let refused = async || refusal(ledger.begin(again.clone()).await);
    assert_eq!(refused().await, BeginRefusal::Unresolved(id));
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    assert_eq!(refused().await, BeginRefusal::AlreadyPaid(id));
    // Once a request presents it, the same request is another one.
    ledger.release(id);
    ledger.claim(id).unwrap();
    ledger.begin(again).await.unwrap();
}

#[tokio::test]
async fn a_payment_that_is_looked_up_stays_trouble_of_its_host() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let of_host = |number| NewPayment {
        host: "shop.example".to_owned(),
        ..payment(&wallet, number)
    };
    let first = ledger.begin(of_host(1)).await.unwrap().id;
    let second = ledger.begin(of_host(2)).await.unwrap().id;
    for id in [first, second] {
        ledger.release(id);
        ledger.claim(id).unwrap();
    }
    let refused = refusal(ledger.begin(of_host(3)).await);
    assert!(matches!(refused, BeginRefusal::HostInTrouble { .. }));
}

#[tokio::test]
async fn a_host_that_refused_a_paid_credential_is_not_paid_until_somebody_clears_that() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let of_host = |number| NewPayment {
        host: "shop.example".to_owned(),
        ..payment(&wallet, number)
    };
    let id = ledger.begin(of_host(1)).await.unwrap().id;
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    ledger.refused(id, "402 again").await.unwrap();
    let expected = BeginRefusal::HostInTrouble {
        host: "shop.example".to_owned(),
        entries: vec![id],
    };
    assert_eq!(refusal(ledger.begin(of_host(2)).await), expected);
    assert!(
        ledger.begin(payment(&wallet, 3)).await.is_ok(),
        "another host"
    );
    let trouble: Vec<_> = ledger.trouble().unwrap().iter().map(Entry::id).collect();
    assert_eq!(trouble, [id]);
    ledger.cleared(id).await.unwrap();
    assert!(ledger.trouble().unwrap().is_empty());
    assert!(ledger.begin(of_host(2)).await.is_ok());
    assert_eq!(ledger.budget(&wallet).unwrap().spent, sat(10));
}

#[tokio::test]
async fn a_host_with_two_unresolved_payments_is_not_paid_and_calls_at_work_are_none() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let of_host = |number| NewPayment {
        host: "shop.example".to_owned(),
        ..payment(&wallet, number)
    };
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(ledger.begin(of_host(number)).await.unwrap().id);
    }
    ledger.in_flight(ids[0]).await.unwrap();
    ids.push(ledger.begin(of_host(4)).await.unwrap().id);
    ledger.release(ids[1]);
    let refused = refusal(ledger.begin(of_host(5)).await);
    assert!(matches!(refused, BeginRefusal::HostInTrouble { entries, .. } if entries.len() == 2));
    let left: Vec<_> = ledger.unresolved().unwrap().iter().map(Entry::id).collect();
    assert_eq!(left, [ids[1]], "the others are at work");
    ledger.failed(ids[1], "unknown to the payer").await.unwrap();
    assert!(ledger.begin(of_host(5)).await.is_ok());
}

#[tokio::test]
async fn clearing_one_trouble_does_not_clear_the_next_one_of_the_same_payment() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.in_flight(id).await.unwrap();
    ledger.cleared(id).await.unwrap();
    assert!(ledger.trouble().unwrap().is_empty());
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    ledger.refused(id, "402 again").await.unwrap();
    assert_eq!(ledger.trouble().unwrap().len(), 1);
}

#[tokio::test]
async fn a_credential_that_was_used_up_before_says_so_and_is_no_trouble() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(1_000))).await;
    let id = ledger.begin(payment(&wallet, 1)).await.unwrap().id;
    ledger.paid(id, preimage(1), Amount::ZERO).await.unwrap();
    ledger.answered(id, 503);
    ledger.redeemed(id, 402);
    let entry = ledger.entry(id).unwrap().unwrap();
    assert!(entry.note().unwrap().contains("asked for payment again"));
    assert!(ledger.trouble().unwrap().is_empty());
}

#[tokio::test]
async fn a_reservation_that_is_dropped_is_free_again() {
    let (ledger, wallet, _) = ledger(Budget::total(sat(11))).await;
    let held = |number| NewPayment {
        is_held: true,
        ..payment(&wallet, number)
    };
    let id = ledger.begin(held(1)).await.unwrap().id;
    assert_eq!(
        ledger.entry(id).unwrap().unwrap().state(),
        EntryState::Reserved
    );
    ledger.release(id);
    assert_eq!(ledger.budget(&wallet).unwrap().reserved, Amount::ZERO);
    let id = ledger.begin(held(2)).await.unwrap().id;
    ledger.send(id).await.unwrap();
    ledger.release(id);
    assert_eq!(
        ledger.budget(&wallet).unwrap().reserved,
        sat(11),
        "it was sent"
    );
}
