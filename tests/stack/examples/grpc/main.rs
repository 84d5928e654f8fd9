//! A tonic server that charges for its methods, and its first customer: the status with the price, the
//! payment, the answer, and that a second use is refused.
//!
//! `cargo run -p tower-x402-stack --example grpc`
//!
//! With an address, such as `127.0.0.1:3000`, it keeps running for other clients: `weather.Weather/Ask`
//! costs 10 sat for one call, and the two streaming methods 10 sat for an hour. `wallet.Wallet/Pay` is
//! free and pays an invoice, so that a client needs no wallet of its own. All messages are
//! `google.protobuf.StringValue`.
//!
//! With the URL of a node after the address, that node gets paid, and clients need a wallet of their own.
//! It must be on a test network. [`lightning::connect`] has the form of the URLs.

use std::{error::Error, sync::Arc, time::Duration};

use http::uri::PathAndQuery;
use tonic::{
    Request, Response, Status,
    body::Body,
    metadata::MetadataValue,
    transport::{
        Channel, Server,
        server::{TcpConnectInfo, TcpIncoming},
    },
};
use tonic_prost::ProstCodec;
use tower::util::MapRequestLayer;
use tower_x402::{
    Amount, Charge, Devnet, Invoice, MemoryStore, Paywall, RouteTable, Secrets, l402,
    lightning::{self, PayLimits, Payer as _, PaymentStatus, Receiver},
    server::ClientAddr,
};

mod wallet;
mod weather;

/// Tells the paywall which client it is: tonic has a type of its own for that.
fn with_client(mut request: http::Request<Body>) -> http::Request<Body> {
    let peer = request.extensions().get::<TcpConnectInfo>();
    if let Some(address) = peer.and_then(TcpConnectInfo::remote_addr) {
        let client = ClientAddr::new(address.ip());
        request.extensions_mut().insert(client);
    }
    request
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init(); // the log says why an answer was UNAVAILABLE
    let mut arguments = std::env::args().skip(1);
    let (address, node) = (arguments.next(), arguments.next());
    let listener =
        tokio::net::TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let origin = format!("http://{}", listener.local_addr()?);

    let (receiver, wallet): (Arc<dyn Receiver>, _) = match node {
        Some(url) => (lightning::connect(&url).await?.receiver()?, None),
        None => {
            let devnet = Devnet::start().await?;
            (Arc::new(devnet.server()), Some(devnet.client()))
        }
    };
    let paywall = Paywall::builder(receiver)
        .allow_test_network() // in production: leave it out
        .origin(&origin)
        .master_secret(Secrets::test_secret(7)) // in production: `.master_secret_file("master-secret")`
        .replay_store(MemoryStore::new()?)
        .build()?;
    let charge = Charge::new(Amount::from_sat(10)).grpc();
    let hour = charge.clone().for_duration(Duration::from_secs(3_600));
    let table = RouteTable::new()
        .charge("POST /weather.Weather/{method}", hour)
        .charge(format!("POST {}", weather::ASK), charge)
        .free("POST /wallet.Wallet/Pay")
        .otherwise_refuse();
    let server = Server::builder()
        .layer(MapRequestLayer::new(with_client))
        .layer(paywall.routes(table)?)
        .add_service(weather::Weather)
        .add_optional_service(wallet.clone().map(wallet::Wallet))
        .serve_with_incoming(TcpIncoming::from(listener));
    println!("A paid gRPC service runs at {origin}.");
    let (None, Some(wallet)) = (address, wallet) else {
        return Ok(server.await?);
    };
    tokio::spawn(server);

    let channel = Channel::from_shared(origin)?.connect().await?;
    println!("\n1. Ask(\"oslo\"), without paying:");
    let status = ask(&channel, None)
        .await
        .err()
        .ok_or("served without a payment")?;
    println!("   {:?}: {}", status.code(), status.message());
    let metadata = status.metadata().clone().into_headers();
    let challenges = l402::Challenge::in_headers(&metadata);
    let challenge = challenges.first().ok_or("no challenge")?;

    let invoice = Invoice::parse(challenge.invoice())?;
    println!(
        "\n2. The wallet pays the invoice of {}.",
        invoice.amount().unwrap_or_default()
    );
    let limits = PayLimits::new(Amount::from_sat(1), Duration::from_secs(10));
    let PaymentStatus::Paid { preimage, .. } = wallet.pay(&invoice, limits).await? else {
        return Err("the payment did not succeed".into());
    };

    println!("\n3. The same call again, with the proof of payment:");
    let credential = challenge.answer(&preimage);
    let answer = ask(&channel, Some(&credential)).await?;
    println!("   {}", answer.get_ref());

    println!("\n4. The same proof once more:");
    let status = ask(&channel, Some(&credential))
        .await
        .err()
        .ok_or("served twice")?;
    println!("   {:?}: {}", status.code(), status.message());
    Ok(())
}

async fn ask(
    channel: &Channel,
    credential: Option<&http::HeaderValue>,
) -> Result<Response<String>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(String::from("oslo"));
    if let Some(value) = credential.and_then(|value| MetadataValue::try_from(value.as_bytes()).ok())
    {
        request.metadata_mut().insert("authorization", value);
    }
    let path = PathAndQuery::from_static(weather::ASK);
    client
        .unary(request, path, ProstCodec::<String, String>::default())
        .await
}
