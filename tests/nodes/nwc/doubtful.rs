//! Payments whose outcome is in doubt.

use std::{sync::atomic::Ordering, time::Duration};

use tower_x402::{
    Amount,
    clock::{Clock as _, SystemClock},
    lightning::{NodeErrorKind, PayLimits, Payer as _, PaymentStatus},
};

use super::{Payments, Set, open, options::Fault};
use crate::{LIMITS, invoice, pays, preimage};

#[tokio::test]
async fn a_payment_that_a_relay_rejects_may_have_been_forwarded() {
    for (forwards, payments) in [
        (true, Payments::Succeed),
        (true, Payments::StayInFlight),
        (false, Payments::Succeed),
    ] {
        let (set, receiver, payer) = Set::connected().await;
        let invoice = invoice(&receiver, 21, 600).await;
        set.ledger.payments(payments);
        let relay = &set.relay.inner;
        relay.forwards_rejected.store(forwards, Ordering::SeqCst);
        // The first event is the lookup before the payment.
        relay.rejects_in.store(2, Ordering::SeqCst);
        let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("blocked: a test"), "{error}");
        assert!(error.may_have_paid(), "{forwards} {payments:?}");
        if !forwards || payments == Payments::StayInFlight {
            for _ in 0..2 {
                let status = payer.pay(&invoice, LIMITS).await.unwrap();
                assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
                let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
                assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
            }
        } else {
            let mut settled = set.ledger.settled.subscribe();
            settled
                .wait_for(|settled| settled.len() == 1)
                .await
                .unwrap();
            let found = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
            preimage(&invoice, found);
            pays(&payer, &invoice).await;
        }
        let calls = set.payer.calls("pay_invoice").len();
        assert_eq!(calls, usize::from(forwards), "{payments:?}");
    }
}

/// NIP-47 says that `PAYMENT_FAILED` may be due to a timeout.
#[tokio::test]
async fn a_payment_that_failed_is_in_doubt_if_the_wallet_does_not_know_of_it() {
    for payments in [Payments::Fail, Payments::StayInFlight, Payments::Succeed] {
        let (set, receiver, payer) = Set::connected().await;
        let invoice = invoice(&receiver, 21, 600).await;
        set.payer.forget_payments(true);
        set.ledger.payments(payments);
        if payments == Payments::Succeed {
            set.payer
                .fault("pay_invoice", Fault::Error("PAYMENT_FAILED"));
        }
        let error = payer.pay(&invoice, LIMITS).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("PAYMENT_FAILED"), "{error}");
        assert!(error.may_have_paid(), "{payments:?}");
        for _ in 0..2 {
            let status = payer.pay(&invoice, LIMITS).await.unwrap();
            assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
            let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
            assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
        }
        assert_eq!(set.payer.calls("pay_invoice").len(), 1);
        set.payer.forget_payments(false);
        match payments {
            Payments::Fail => {
                let status = payer.lookup_payment(invoice.payment_hash()).await.unwrap();
                assert!(matches!(status, PaymentStatus::Failed), "{status:?}");
            }
            Payments::StayInFlight => {
                set.ledger.settle(invoice.payment_hash());
                pays(&payer, &invoice).await;
                assert_eq!(set.payer.calls("pay_invoice").len(), 1);
            }
            Payments::Succeed => {}
        }
    }
}

#[tokio::test]
async fn an_error_before_a_payment_may_hide_that_an_earlier_process_paid() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 600).await;
    pays(&payer, &invoice).await;
    for fault in [
        Fault::Error("INTERNAL"),
        Fault::Error("RATE_LIMITED"),
        Fault::Garbage,
        Fault::OtherHash,
    ] {
        let restarted = open(&set.payer.url).await.unwrap();
        set.payer.fault("lookup_invoice", fault);
        let error = restarted.pay(&invoice, LIMITS).await.unwrap_err();
        assert!(error.may_have_paid(), "{fault:?}: {error}");
        set.payer.honest();
        pays(&restarted, &invoice).await;
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
}

#[tokio::test]
async fn a_payment_in_doubt_stays_in_flight_when_its_invoice_expires() {
    let (set, receiver, payer) = Set::connected().await;
    set.payer.forget_payments(true);
    set.ledger.payments(Payments::StayInFlight);
    set.payer.fault("pay_invoice", Fault::Garbage);
    // On a busy machine the invoice may expire before it is paid.
    let invoice = loop {
        let invoice = invoice(&receiver, 21, 2).await;
        if payer
            .pay(&invoice, LIMITS)
            .await
            .unwrap_err()
            .may_have_paid()
        {
            break invoice;
        }
    };
    set.payer.honest();
    while SystemClock::new().now() < invoice.expires_at() {
        tokio::task::yield_now().await;
    }
    let hash = invoice.payment_hash();
    for _ in 0..2 {
        let status = payer.lookup_payment(hash).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
        let status = payer.pay(&invoice, LIMITS).await.unwrap();
        assert!(matches!(status, PaymentStatus::InFlight), "{status:?}");
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
    set.payer.forget_payments(false);
    set.ledger.settle(hash);
    pays(&payer, &invoice).await;
    assert_eq!(set.payer.calls("pay_invoice").len(), 1);
}

/// The time is paused, so that no test waits until a request that no relay takes has expired.
#[tokio::test(start_paused = true)]
async fn an_invoice_is_paid_when_a_relay_that_took_no_request_is_back() {
    let (set, receiver, payer) = Set::connected().await;
    let invoice = invoice(&receiver, 21, 600).await;
    let long = PayLimits::new(Amount::ZERO, Duration::from_secs(120));
    for down in [false, true] {
        if down {
            set.relay.kill().await;
        } else {
            set.relay.inner.rejects_in.store(1, Ordering::SeqCst);
        }
        let error = payer.pay(&invoice, long).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Unreachable, "{error}");
        assert!(error.may_have_paid(), "an earlier process may have paid");
    }
    assert!(set.payer.calls("pay_invoice").is_empty());
    set.relay.up().await;
    pays(&payer, &invoice).await;
}

#[tokio::test]
async fn a_time_limit_without_end_is_kept_to() {
    let (set, receiver, payer) = Set::connected().await;
    for time in [
        Duration::MAX,
        Duration::from_secs(u64::MAX),
        Duration::from_secs(u64::MAX - 300),
    ] {
        let invoice = invoice(&receiver, 21, 600).await;
        let status = payer
            .pay(&invoice, PayLimits::new(Amount::ZERO, time))
            .await;
        preimage(&invoice, status.unwrap());
    }
    assert_eq!(set.payer.calls("pay_invoice").len(), 3);
}
