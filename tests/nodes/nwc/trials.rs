//! The trial invoice of a wallet that is connected, and a paywall without one.

use tower_x402::lightning::{ConnectErrorKind, Description, Receiver};

use super::{Set, open, options::Fault, request};
use crate::{invoice, starting::builder};

#[tokio::test]
async fn a_passing_error_of_a_wallet_does_not_make_it_round_prices() {
    let (set, _, _) = Set::connected().await;
    for code in ["RATE_LIMITED", "QUOTA_EXCEEDED", "UNAUTHORIZED"] {
        for fault in [Fault::ErrorOnce(code), Fault::NoFractions(code)] {
            set.receiver.fault("make_invoice", fault);
            let error = open(&set.receiver.url).await.unwrap_err();
            assert_eq!(error.kind(), ConnectErrorKind::Node, "{error}");
            assert!(error.to_string().contains(code), "{error}");
        }
    }
    set.receiver.fault("make_invoice", Fault::Garbage);
    open(&set.receiver.url).await.unwrap_err();
    for code in ["INTERNAL", "OTHER", "A_NEW_CODE"] {
        set.receiver.fault("make_invoice", Fault::ErrorOnce(code));
        let wallet = open(&set.receiver.url).await.unwrap();
        assert!(!Receiver::profile(&wallet).whole_sats_only, "{code}");
        let fraction = request(1_001, Description::Text(String::new()));
        wallet.create_invoice(fraction).await.unwrap();
    }
}

#[tokio::test]
async fn a_wallet_that_refuses_fractions_of_a_satoshi_sells_for_whole_ones() {
    let (set, _, _) = Set::connected().await;
    for code in ["INTERNAL", "OTHER", "A_NEW_CODE"] {
        set.receiver.fault("make_invoice", Fault::NoFractions(code));
        let wallet = open(&set.receiver.url).await.unwrap();
        assert!(Receiver::profile(&wallet).whole_sats_only, "{code}");
        invoice(&wallet, 10, 60).await;
    }
}

#[tokio::test]
async fn no_paywall_is_built_with_a_wallet_that_can_only_pay() {
    let (_set, receiver, payer) = Set::connected().await;
    let built = builder(payer).allow_test_network().build();
    let text = built.unwrap_err().to_string();
    assert!(
        text.contains("lacks a right: allow it make_invoice and lookup_invoice"),
        "{text}"
    );
    builder(receiver).allow_test_network().build().unwrap();
}
