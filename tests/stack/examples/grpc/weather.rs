//! A gRPC service as tonic's generated code has it, written by hand so that nothing needs `protoc`. Its
//! messages are `google.protobuf.StringValue`.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming, body::Body, server::NamedService};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_x402::PaymentReceipt;

/// Takes and gives one text.
pub(crate) const ASK: &str = "/weather.Weather/Ask";
/// Takes a stream of texts and gives one.
pub(crate) const REPORT: &str = "/weather.Weather/Report";
/// Takes and gives a stream of texts.
pub(crate) const TALK: &str = "/weather.Weather/Talk";

/// The service `weather.Weather`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather;

async fn ask(request: Request<String>) -> Result<Response<String>, Status> {
    let receipt = request.extensions().get::<PaymentReceipt>();
    let paid = receipt.map(|receipt| format!("; you paid {}", receipt.payment()));
    let city = request.get_ref();
    match city.as_str() {
        "atlantis" => Err(Status::internal("the station is under water")),
        "" => Err(Status::invalid_argument("name a city")),
        _ => Ok(Response::new(format!(
            "sunny in {city}{}",
            paid.unwrap_or_default()
        ))),
    }
}

async fn report(request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
    let (mut reports, mut count) = (request.into_inner(), 0);
    while reports.message().await?.is_some() {
        count += 1;
    }
    Ok(Response::new(format!("{count} reports")))
}

type Answers = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

async fn talk(request: Request<Streaming<String>>) -> Result<Response<Answers>, Status> {
    let answers = request
        .into_inner()
        .map(|city| Ok(format!("sunny in {}", city?)));
    Ok(Response::new(Box::pin(answers)))
}

impl NamedService for Weather {
    const NAME: &'static str = "weather.Weather";
}

impl Service<http::Request<Body>> for Weather {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, String>::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                ASK => grpc.unary(service_fn(ask), request).await,
                REPORT => grpc.client_streaming(service_fn(report), request).await,
                TALK => grpc.streaming(service_fn(talk), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}
