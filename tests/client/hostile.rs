//! Challenges by hand, for servers that do what ours never does.

use std::time::Duration;

use http::{Response, header::WWW_AUTHENTICATE};
use tower_x402::{
    Amount, Invoice,
    lightning::{Description, InvoiceRequest, LocalNode, Receiver as _},
};

use crate::stall::{Body, answer};

pub(crate) async fn invoice(node: &LocalNode, amount: Amount) -> Invoice {
    invoice_for(node, amount, 300).await
}

pub(crate) async fn invoice_for(node: &LocalNode, amount: Amount, seconds: u64) -> Invoice {
    let what = Description::Text("something".to_owned());
    let expiry = Duration::from_secs(seconds);
    let request = InvoiceRequest::new(amount, what, expiry);
    node.create_invoice(request).await.unwrap()
}

/// A 402 with an L402 challenge of a server that is not ours. Its token opens whatever its server
/// says.
pub(crate) fn l402(invoice: &Invoice) -> Response<Body> {
    let mut answer = answer(402);
    let line = format!("L402 macaroon=\"dG9rZW4=\", invoice=\"{invoice}\"");
    answer
        .headers_mut()
        .append(WWW_AUTHENTICATE, line.parse().unwrap());
    answer
}

/// Whether a request has an L402 credential.
pub(crate) fn is_paid<B>(request: &http::Request<B>) -> bool {
    let line = request.headers().get("authorization");
    line.is_some_and(|line| line.to_str().unwrap().starts_with("L402 "))
}

/// A server that sells each request for so much, and takes any credential.
pub(crate) fn sells(
    node: &LocalNode,
    price: Amount,
) -> impl Fn(http::Request<Body>) -> tower_x402::lightning::BoxFuture<'static, Response<Body>>
+ Clone
+ Send
+ Sync
+ 'static {
    let node = node.clone();
    move |request| {
        let node = node.clone();
        Box::pin(async move {
            match is_paid(&request) {
                true => answer(200),
                false => l402(&invoice(&node, price).await),
            }
        })
    }
}
