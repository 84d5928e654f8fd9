use std::time::Duration;

use tower_x402::{
    Amount, InvoiceDescription, Network,
    lightning::{
        Description, Devnet, InvoiceRequest, InvoiceStatus, Lie, LocalNode, NodeErrorKind,
        PayLimits, Payer, PaymentStatus, Receiver, conformance,
    },
};

use crate::{LIMITS, invoice, pays, preimage};

#[tokio::test]
async fn a_devnet_does_what_every_node_must() {
    let devnet = Devnet::start().await.unwrap();
    conformance::receiver(&devnet.server()).await;
    conformance::payer(&devnet.server(), &devnet.client()).await;
    conformance::receiver(&devnet.client()).await;
    conformance::payer(&devnet.client(), &devnet.server()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_devnet_does_so_on_many_threads_too() {
    let devnet = Devnet::start().await.unwrap();
    conformance::payer(&devnet.server(), &devnet.client()).await;
}

#[tokio::test]
async fn each_payment_moves_its_amount_once() {
    let devnet = Devnet::start().await.unwrap();
    let (server, client) = (devnet.server(), devnet.client());
    let (had, theirs) = (client.spendable(), server.spendable());
    let open = invoice(&server, 1_000, 60).await;
    let first = pays(&client, &open).await;
    for _ in 0..3 {
        assert_eq!(pays(&client, &open).await.expose(), first.expose());
    }
    let at_once = invoice(&server, 500, 60).await;
    let both = tokio::join!(client.pay(&at_once, LIMITS), client.pay(&at_once, LIMITS));
    assert_eq!(
        preimage(&at_once, both.0.unwrap()).expose(),
        preimage(&at_once, both.1.unwrap()).expose()
    );
    until_settled(&server, &at_once).await;
    settled_down(|| client.spendable() == had.checked_sub(Amount::from_sat(1_500)).unwrap()).await;
    settled_down(|| server.spendable() == theirs.checked_add(Amount::from_sat(1_500)).unwrap())
        .await;
}

#[tokio::test]
async fn payments_that_exceed_the_channels_limit_wait_for_a_free_slot() {
    let devnet = Devnet::start().await.unwrap();
    let payments: Vec<_> = (0..600)
        .map(|_| {
            let (server, client) = (devnet.server(), devnet.client());
            tokio::spawn(async move {
                let open = invoice(&server, 1, 60).await;
                pays(&client, &open).await;
            })
        })
        .collect();
    for payment in payments {
        payment.await.unwrap();
    }
}

#[tokio::test]
async fn a_payment_that_takes_too_long_is_in_flight_and_still_arrives() {
    let devnet = Devnet::start().await.unwrap();
    let open = invoice(&devnet.server(), 10, 60).await;
    let no_time = PayLimits::new(Amount::ZERO, Duration::ZERO);
    assert!(matches!(
        devnet.client().pay(&open, no_time).await.unwrap(),
        PaymentStatus::InFlight
    ));
    assert!(matches!(
        devnet
            .client()
            .lookup_payment(open.payment_hash())
            .await
            .unwrap(),
        PaymentStatus::InFlight
    ));
    pays(&devnet.client(), &open).await;
    until_settled(&devnet.server(), &open).await;
}

#[tokio::test]
async fn a_payment_whose_call_was_dropped_still_arrives() {
    let devnet = Devnet::start().await.unwrap();
    let (server, client) = (devnet.server(), devnet.client());
    let open = invoice(&server, 10, 60).await;
    assert!(futures_util::FutureExt::now_or_never(client.pay(&open, LIMITS)).is_none());
    until_settled(&server, &open).await;
    pays(&client, &open).await;
}

#[tokio::test]
async fn only_open_invoices_of_regtest_that_name_their_amount_are_paid() {
    let devnet = Devnet::start().await.unwrap();
    let (server, client) = (devnet.server(), devnet.client());
    let stranger = LocalNode::new();
    assert!(matches!(
        client
            .pay(&invoice(&stranger, 10, 60).await, LIMITS)
            .await
            .unwrap(),
        PaymentStatus::Failed
    ));
    assert!(matches!(
        client
            .pay(&invoice(&server, 10, 0).await, LIMITS)
            .await
            .unwrap(),
        PaymentStatus::Failed
    ));
    assert!(matches!(
        client
            .pay(&invoice(&client, 10, 60).await, LIMITS)
            .await
            .unwrap(),
        PaymentStatus::Failed
    ));

    stranger.lie(Lie::Network);
    let foreign = invoice(&stranger, 10, 60).await;
    assert_eq!(foreign.network(), Network::Signet);
    let error = client.pay(&foreign, LIMITS).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the devnet refused: expected a regtest invoice: this node's money is not real"
    );
    assert!(!error.may_have_paid());
}

#[tokio::test]
async fn an_invoice_is_expired_after_its_expiry() {
    let devnet = Devnet::start().await.unwrap();
    let over = invoice(&devnet.server(), 10, 0).await;
    assert_eq!(
        devnet
            .server()
            .lookup_invoice(over.payment_hash())
            .await
            .unwrap(),
        InvoiceStatus::Expired
    );
}

#[tokio::test]
async fn requests_that_bolt11_cannot_encode_are_refused() {
    let server = Devnet::start().await.unwrap().server();
    for (amount, text, expiry) in [
        (Amount::ZERO, "nothing".to_owned(), Duration::from_secs(60)),
        (
            Amount::from_msat(u64::MAX),
            "everything".to_owned(),
            Duration::from_secs(60),
        ),
        (
            Amount::from_sat(1),
            "x".repeat(640),
            Duration::from_secs(60),
        ),
        (Amount::from_sat(1), "for ever".to_owned(), Duration::MAX),
    ] {
        let error = server
            .create_invoice(InvoiceRequest::new(amount, Description::Text(text), expiry))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), NodeErrorKind::Refused, "{error}");
    }
    let text = Description::Text("x".repeat(639));
    let made = server
        .create_invoice(InvoiceRequest::new(
            Amount::from_msat(1),
            text,
            Duration::ZERO,
        ))
        .await
        .unwrap();
    assert_eq!(
        *made.description(),
        InvoiceDescription::Text("x".repeat(639))
    );
}

#[tokio::test]
async fn its_tasks_end_with_the_last_handle() {
    let tasks = tokio::runtime::Handle::current().metrics();
    assert_eq!(tasks.num_alive_tasks(), 0);
    let devnet = Devnet::start().await.unwrap();
    let client = devnet.client();
    let server = devnet.server();
    drop(devnet);
    pays(&client, &invoice(&server, 10, 60).await).await;
    drop(client);
    assert!(tasks.num_alive_tasks() > 0);
    drop(server);
    settled_down(|| tasks.num_alive_tasks() == 0).await;
}

#[test]
fn it_says_that_it_needs_a_runtime() {
    let error = futures_util::FutureExt::now_or_never(Devnet::start())
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the devnet refused: expected a tokio runtime: start it in an async function of one"
    );
}

async fn until_settled(node: &impl Receiver, invoice: &tower_x402::Invoice) {
    let settled = async {
        while node
            .lookup_invoice(invoice.payment_hash())
            .await
            .expect("the node answers")
            != InvoiceStatus::Settled
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled)
        .await
        .expect("it never settled");
}

async fn settled_down(mut done: impl FnMut() -> bool) {
    let settled = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled)
        .await
        .expect("the condition never became true");
}
