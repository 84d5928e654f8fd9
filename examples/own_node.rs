//! Your own node: an implementation of `Receiver` over a node's client that uses hexadecimal text.
//! The crate's conformance suite checks it.
//!
//! Replace the bodies of `create_invoice` and `lookup_invoice` with calls of your node's client.
//! The rest stays.
//!
//! `cargo run --example own_node`

use std::time::Duration;

use tower_x402::{
    Amount, Invoice, Network, PaymentHash,
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, KeyCustody, LocalNode, NodeError,
        NodeErrorKind, Receiver, ReceiverProfile, conformance,
    },
    server::BoxError,
};

/// Holds the client of the node. The `Debug` of a real one must not show its access token.
#[derive(Debug)]
struct MyNode(Client);

impl Receiver for MyNode {
    fn profile(&self) -> ReceiverProfile {
        // `Exclusive`: nobody else can make this node sign, or learn the preimages of its unpaid
        // invoices.
        let mut profile = ReceiverProfile::new(Network::Regtest, KeyCustody::Exclusive);
        profile.public_key = self.0.public_key(); // x402 needs it
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            let made = self
                .0
                .new_invoice(
                    request.amount.as_msat(),
                    request.description,
                    request.expiry,
                )
                .await;
            let text =
                made.map_err(|error| NodeError::new(NodeErrorKind::Unreachable, NAME, error))?;
            let invoice = Invoice::parse(&text)
                .map_err(|error| NodeError::new(NodeErrorKind::BadAnswer, NAME, error))?;
            match invoice.amount() == Some(request.amount) {
                true => Ok(invoice),
                false => Err(NodeError::new(
                    NodeErrorKind::BadAnswer,
                    NAME,
                    "the invoice is not of the requested amount",
                )),
            }
        })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        Box::pin(async move {
            let state = self.0.state(&payment_hash.to_string()).await;
            match &*state
                .map_err(|error| NodeError::new(NodeErrorKind::Unreachable, NAME, error))?
            {
                "OPEN" => Ok(InvoiceStatus::Open),
                "SETTLED" => Ok(InvoiceStatus::Settled),
                "EXPIRED" => Ok(InvoiceStatus::Expired),
                "UNKNOWN" => Ok(InvoiceStatus::Unknown),
                // Never guess: the server answers 503, and nobody is asked to pay.
                _ => Err(NodeError::new(
                    NodeErrorKind::BadAnswer,
                    NAME,
                    "expected the state of an invoice",
                )),
            }
        })
    }
}

const NAME: &str = "my node";

#[tokio::main]
async fn main() {
    // Write the same line in a test, against your node on regtest. `conformance` has more suites:
    // for a node that is down, killed in mid-payment or silent, and for one that lies.
    conformance::receiver(&MyNode(Client(LocalNode::new()))).await;
    println!("this node passes every check; use it with Paywall::builder(MyNode(..))");
}

/// An example of a node's client. It uses a node in this process, so that the example needs no
/// other.
#[derive(Debug)]
struct Client(LocalNode);

impl Client {
    fn public_key(&self) -> Option<[u8; 33]> {
        self.0.profile().public_key
    }

    async fn new_invoice(
        &self,
        msat: u64,
        description: Description,
        expiry: Duration,
    ) -> Result<String, BoxError> {
        let request = InvoiceRequest::new(Amount::from_msat(msat), description, expiry);
        Ok(self.0.create_invoice(request).await?.as_str().to_owned())
    }

    async fn state(&self, payment_hash: &str) -> Result<String, BoxError> {
        let payment_hash = PaymentHash::from_hex(payment_hash).ok_or("expected a payment hash")?;
        Ok(format!("{:?}", self.0.lookup_invoice(payment_hash).await?).to_uppercase())
    }
}
