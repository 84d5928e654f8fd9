//! A tonic server behind the layer, and tonic's client: calls with one message and with streams.
#![allow(clippy::unwrap_used, reason = "what cannot be is a failed test")]

#[path = "examples/grpc/weather.rs"]
mod weather;

use std::{num::NonZeroU32, time::Duration};

use http::uri::PathAndQuery;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower_x402::{
    Amount, Charge, Invoice, MemoryStore, Paywall, RouteTable, Secrets, l402, lightning::LocalNode,
};

use self::weather::{ASK, REPORT, TALK, Weather};

/// A server, its node, and a connection to it.
struct Place {
    node: LocalNode,
    channel: Channel,
}

type Credential = Option<(&'static str, String)>;

impl Place {
    async fn new(charge: Charge) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let node = LocalNode::new();
        let paywall = Paywall::builder(node.clone())
            .origin(&origin)
            .master_secret(Secrets::test_secret(7))
            .replay_store(MemoryStore::new().unwrap())
            .build()
            .unwrap();
        let table = RouteTable::new()
            .charge("POST /weather.Weather/{method}", charge.grpc())
            .otherwise_refuse();
        let server = Server::builder()
            .layer(paywall.routes(table).unwrap())
            .add_service(Weather)
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        let channel = Channel::from_shared(origin)
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self { node, channel }
    }

    async fn once() -> Self {
        Self::new(Charge::new(Amount::from_sat(10))).await
    }

    /// A call with any stream of messages.
    async fn streaming(
        &self,
        method: &'static str,
        messages: impl Stream<Item = String> + Send + 'static,
        credential: &Credential,
    ) -> Result<Response<Streaming<String>>, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let mut request = Request::new(messages);
        if let Some((name, value)) = credential {
            let value = MetadataValue::try_from(value.as_str()).unwrap();
            request.metadata_mut().insert(*name, value);
        }
        let path = PathAndQuery::from_static(method);
        client
            .streaming(request, path, ProstCodec::<String, String>::default())
            .await
    }

    /// A call that has one answer.
    async fn call(
        &self,
        method: &'static str,
        messages: impl Stream<Item = String> + Send + 'static,
        credential: &Credential,
    ) -> Result<String, Status> {
        let mut answer = self
            .streaming(method, messages, credential)
            .await?
            .into_inner();
        let first = answer.message().await?.unwrap();
        assert_eq!(answer.message().await?, None);
        Ok(first)
    }

    async fn ask(&self, city: &str, credential: &Credential) -> Result<String, Status> {
        self.call(ASK, tokio_stream::once(city.to_owned()), credential)
            .await
    }

    /// Pays, and makes the credential as HTTP has it.
    #[track_caller]
    fn pay(&self, status: &Status) -> Credential {
        let (challenge, preimage) = self.settled(status);
        let value = challenge.answer(&preimage);
        Some(("authorization", value.to_str().unwrap().to_owned()))
    }

    #[track_caller]
    fn settled(&self, status: &Status) -> (l402::Challenge, tower_x402::Preimage) {
        assert_eq!(
            (status.code(), status.message()),
            (Code::Internal, "payment required")
        );
        let metadata = status.metadata().clone().into_headers();
        let challenge = l402::Challenge::in_headers(&metadata).remove(0);
        let invoice = Invoice::parse(challenge.invoice()).unwrap();
        let preimage = self.node.settle(invoice.payment_hash()).unwrap();
        (challenge, preimage)
    }
}

fn cities(count: usize) -> impl Stream<Item = String> {
    tokio_stream::iter((0..count).map(|city| city.to_string()))
}

#[tokio::test]
async fn a_unary_call_is_paid_for_and_served_once() {
    let place = Place::once().await;
    for city in ["oslo", "quito", "K\u{f6}ln"] {
        let unpaid = place.ask(city, &None).await.unwrap_err();
        let credential = place.pay(&unpaid);
        let answer = place.ask(city, &credential).await.unwrap();
        assert_eq!(answer, format!("sunny in {city}; you paid 10 sat"));
        let spent = place.ask(city, &credential).await.unwrap_err();
        place.ask(city, &place.pay(&spent)).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_in_metadata_opens_every_method_of_the_service_for_an_hour() {
    let hour = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(3_600));
    let place = Place::new(hour).await;
    let (challenge, preimage) = place.settled(&place.ask("oslo", &None).await.unwrap_err());
    let proven = format!("preimage={}", preimage.expose_hex());
    let proven = challenge.macaroon().unwrap().attenuate(proven).unwrap();
    let hex = proven
        .to_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let credential = Some(("macaroon", hex));
    for _ in 0..3 {
        place.ask("oslo", &credential).await.unwrap();
        let reported = place.call(REPORT, cities(3), &credential).await.unwrap();
        assert_eq!(reported, "3 reports");
        place.streaming(TALK, cities(1), &credential).await.unwrap();
    }
    let unimplemented = place
        .call("/weather.Weather/Nothing", cities(1), &credential)
        .await;
    assert_eq!(unimplemented.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_client_that_streams_learns_the_price_whatever_it_has_sent() {
    let place = Place::once().await;
    for method in [REPORT, TALK] {
        // It says nothing, a little, or more than any window, and never ends.
        let silent = place
            .streaming(method, tokio_stream::pending(), &None)
            .await
            .unwrap_err();
        let little = cities(3).chain(tokio_stream::pending());
        let little = place.streaming(method, little, &None).await.unwrap_err();
        let endless = tokio_stream::iter(std::iter::repeat_with(|| "x".repeat(4_096)));
        let endless = place.streaming(method, endless, &None).await.unwrap_err();
        for status in [silent, little, endless] {
            let credential = place.pay(&status);
            place
                .streaming(method, cities(2), &credential)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_stream_of_messages_is_paid_for_and_served() {
    let place = Place::once().await;
    for count in [0, 1, 1_000] {
        let unpaid = place.call(REPORT, cities(count), &None).await.unwrap_err();
        let credential = place.pay(&unpaid);
        let answer = place
            .call(REPORT, cities(count), &credential)
            .await
            .unwrap();
        assert_eq!(answer, format!("{count} reports"));
        let spent = place
            .call(REPORT, cities(count), &credential)
            .await
            .unwrap_err();
        place.pay(&spent);
    }
}

#[tokio::test]
async fn two_sides_that_wait_for_each_other_talk_through_the_layer() {
    let place = Place::once().await;
    let unpaid = place
        .streaming(TALK, tokio_stream::pending(), &None)
        .await
        .unwrap_err();
    let credential = place.pay(&unpaid);
    let (say, said) = mpsc::channel(1);
    let answer = place
        .streaming(TALK, ReceiverStream::new(said), &credential)
        .await
        .unwrap();
    let mut heard = answer.into_inner();
    for city in ["oslo", "quito", "perth"] {
        say.send(city.to_owned()).await.unwrap();
        let answer = heard.message().await.unwrap().unwrap();
        assert_eq!(answer, format!("sunny in {city}"));
    }
    drop(say);
    assert_eq!(heard.message().await.unwrap(), None);
    let spent = place
        .streaming(TALK, tokio_stream::pending(), &credential)
        .await
        .unwrap_err();
    place.pay(&spent);
}

#[tokio::test]
async fn a_failure_of_the_service_gives_the_use_back_two_times_and_a_bad_call_does_not() {
    for (uses, tries) in [(1, 3), (2, 4), (3, 5)] {
        let charge = Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(uses).unwrap());
        let place = Place::new(charge).await;
        let credential = place.pay(&place.ask("atlantis", &None).await.unwrap_err());
        for _ in 0..tries {
            let status = place.ask("atlantis", &credential).await.unwrap_err();
            assert_eq!(status.message(), "the station is under water");
        }
        let spent = place.ask("atlantis", &credential).await.unwrap_err();
        let credential = place.pay(&spent);
        for _ in 0..uses {
            let status = place.ask("", &credential).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument);
        }
        place.pay(&place.ask("", &credential).await.unwrap_err());
    }
}
