//! How often the layer allocates: configuration is shared, never cloned for each request.

use std::{convert::Infallible, sync::Arc, time::Duration};

use allocation_counter::measure;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{Layer as _, Service as _, service_fn};
use tower_x402::{
    Amount, Charge, DialectName, Invoice, MemoryStore, PaymentHash, Paywall, Preimage, RouteTable,
    Secrets,
    clock::{TestClock, Timestamp},
    l402,
    lightning::{
        BoxFuture, Description, InvoiceRequest, InvoiceStatus, LocalNode, NodeError, Receiver,
        ReceiverProfile,
    },
};

/// Answers with one invoice that was made before: what is counted is the layer's own.
#[derive(Debug)]
struct Prepared(LocalNode, Invoice);

impl Receiver for Prepared {
    fn profile(&self) -> ReceiverProfile {
        Receiver::profile(&self.0)
    }

    fn create_invoice(&self, _: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async { Ok(self.1.clone()) })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        self.0.lookup_invoice(payment_hash)
    }
}

/// A paywall of many rules with long texts, so that a deep clone of it would be seen.
fn table() -> RouteTable {
    let charge = || {
        Charge::new(Amount::from_sat(10))
            .description("")
            .tags(["a", "b", "c"])
            .icon_url("i".repeat(1_000))
    };
    (0..200)
        .fold(RouteTable::new(), |table, rule| {
            table.charge(format!("GET /rule/{rule}/{{id}}"), charge())
        })
        .otherwise_free()
}

#[test]
fn a_request_allocates_little_and_the_same_however_large_the_configuration_is() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = TestClock::at(Timestamp::from_unix_seconds(1_790_000_000));
    let node = LocalNode::new().with_clock(clock.clone());
    let ask = InvoiceRequest::new(
        Amount::from_sat(10),
        Description::Text(String::new()),
        Duration::from_secs(300),
    );
    let invoice = runtime.block_on(node.create_invoice(ask)).unwrap();
    let preimage: Preimage = node.settle(invoice.payment_hash()).unwrap();
    let paywall = Paywall::builder(Prepared(node, invoice))
        .origin("https://api.example.com")
        .master_secret(Secrets::test_secret(7))
        .replay_store(Arc::new(
            MemoryStore::new().unwrap().with_clock(clock.clone()),
        ))
        .clock(clock)
        .dialects([DialectName::L402])
        .build()
        .unwrap();
    let inner =
        service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new())) });
    let mut service = paywall.routes(table()).unwrap().layer(inner);
    let mut answer = |request: Request<Empty<bytes::Bytes>>| {
        let mut answer = None;
        let counted = measure(|| answer = Some(runtime.block_on(service.call(request)).unwrap()));
        (answer.unwrap(), counted.count_total, counted.bytes_total)
    };
    let unpaid = || Request::get("/rule/150/7").body(Empty::new()).unwrap();
    let free = || Request::get("/free").body(Empty::new()).unwrap();
    // What is made at the first use of anything is not a request's.
    let (first, ..) = answer(unpaid());
    let credential = l402::Challenge::in_headers(first.headers())[0].answer(&preimage);

    let (passed, count, bytes) = answer(free());
    assert_eq!(passed.status(), StatusCode::OK);
    eprintln!("free: {count} allocations, {bytes} bytes");
    assert_eq!(count, 0, "allocations for a request that is free");
    let mut foreign = free();
    foreign.headers_mut().insert(
        "authorization",
        http::HeaderValue::from_static("Bearer of-the-application"),
    );
    let (passed, count, _) = answer(foreign);
    assert_eq!(passed.status(), StatusCode::OK);
    assert_eq!(
        count, 0,
        "allocations for a free request with a credential of the application's own"
    );

    let (asked, count, bytes) = answer(unpaid());
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
    eprintln!("unpaid: {count} allocations, {bytes} bytes");
    assert!(
        count <= 42 && bytes <= 32 * 1024,
        "{count} allocations of {bytes} bytes for a 402"
    );

    let mut paid = unpaid();
    paid.headers_mut().insert("authorization", credential);
    let (served, count, bytes) = answer(paid);
    assert_eq!(served.status(), StatusCode::OK);
    eprintln!("paid: {count} allocations, {bytes} bytes");
    assert!(
        count <= 28 && bytes <= 8 * 1024,
        "{count} allocations of {bytes} bytes for a paid request"
    );
}
