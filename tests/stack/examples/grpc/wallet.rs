//! The customer's wallet as a gRPC service, so that any client can pay by hand.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tonic::{Request, Response, Status, body::Body, server::NamedService};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_x402::{
    Amount, Invoice,
    lightning::{DevnetNode, PayLimits, Payer as _, PaymentStatus},
};

/// The service `wallet.Wallet`. Its one method takes an invoice and gives the preimage in hex.
#[derive(Clone, Debug)]
pub(crate) struct Wallet(pub(crate) DevnetNode);

impl NamedService for Wallet {
    const NAME: &'static str = "wallet.Wallet";
}

impl Service<http::Request<Body>> for Wallet {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let node = self.0.clone();
        let pay = service_fn(move |request: Request<String>| {
            let node = node.clone();
            async move {
                let invoice = Invoice::parse(request.get_ref())
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                let limits = PayLimits::new(Amount::from_sat(1), Duration::from_secs(10));
                match node.pay(&invoice, limits).await {
                    Ok(PaymentStatus::Paid { preimage, .. }) => {
                        Ok(Response::new(preimage.expose_hex()))
                    }
                    _ => Err(Status::unavailable("the payment did not succeed")),
                }
            }
        });
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
        Box::pin(async move { Ok(grpc.unary(pay, request).await) })
    }
}
