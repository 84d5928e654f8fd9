//! What every adapter must do with a node that answers wrongly.

use tower_x402::lightning::{
    ConnectErrorKind, Lie as LocalLie, LocalNode, NodeErrorKind, Payer, Receiver, connect,
};

use crate::{
    LIMITS, asks,
    fake::{
        Fault, Server,
        ledger::{Ledger, Lie},
    },
    invoice, unheard_of,
};

/// Connects a node, which must fail, and must not repeat a secret of the URL: `hunter2`.
pub(crate) async fn expect_no_connection(url: &str, kind: ConnectErrorKind, text: &str) {
    let error = connect(url).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().contains(text) && !format!("{error} {error:?}").contains("hunter2"),
        "{error}"
    );
}

/// Asks for invoices and for their status, while the node lies and fails on a path.
pub(crate) async fn expect_no_false_answer(
    path: &'static str,
    (ledger, server): (&Ledger, &Server),
    receiver: &impl Receiver,
) {
    for lie in [Lie::Amount, Lie::Network, Lie::Payee, Lie::NoInvoice] {
        ledger.lie(lie);
        let error = asks(receiver).await.unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::BadAnswer, "{lie:?}: {error}");
    }
    for (fault, kind) in [
        (Fault::Status(502), NodeErrorKind::BadAnswer),
        // A proxy's, which is no statement about a payment.
        (Fault::Status(404), NodeErrorKind::BadAnswer),
        (Fault::Garbage, NodeErrorKind::BadAnswer),
        (Fault::Half, NodeErrorKind::Unreachable),
        (Fault::Lost, NodeErrorKind::Unreachable),
    ] {
        server.fault(path, fault);
        assert_eq!(asks(receiver).await.unwrap_err().kind(), kind, "{fault:?}");
        let looked_up = receiver.lookup_invoice(unheard_of()).await;
        assert_eq!(looked_up.unwrap_err().kind(), kind, "{fault:?}");
    }
}

/// Pays an invoice of another network than regtest, which must be refused.
pub(crate) async fn expect_own_network_only(payer: &impl Payer) {
    let other = LocalNode::new();
    other.lie(LocalLie::Network);
    let signet = invoice(&other, 21, 60).await;
    let error = payer.pay(&signet, LIMITS).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected an invoice for regtest"),
        "{error}"
    );
    assert_eq!(error.kind(), NodeErrorKind::Refused);
    assert!(!error.may_have_paid());
}
