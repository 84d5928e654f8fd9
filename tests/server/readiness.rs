//! The inner service is called only when it is ready, and unpaid requests hold no permit of it.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceBuilder, service_fn};
use tower_x402::{
    Amount, Charge, DialectName, PaymentHash, RouteTable,
    body::RequestBody,
    clock::Timestamp,
    replay::{
        BoxFuture, Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError,
        StoreId, UseId, UseRequest,
    },
};

use crate::{
    customer::{ALL, Call, payment_hash},
    shop::{Shop, ask},
};

macro_rules! limited {
    ($shop:expr, $limit:expr) => {{
        let handler = service_fn(async |_: Request<RequestBody<Body>>| {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Response::<Body>::default())
        });
        let inner = ServiceBuilder::new()
            .concurrency_limit($limit)
            .service(handler);
        $shop
            .paywall_of_every_dialect()
            .charge(Amount::from_sat(10))
            .unwrap()
            .layer(inner)
    }};
}

#[tokio::test]
async fn under_a_concurrency_limit_all_that_was_paid_is_served() {
    let shop = Shop::new();
    let service = limited!(shop, 1);
    for dialect in ALL {
        let call = Call::get("/a");
        let mut racing = Vec::new();
        for _ in 0..20 {
            let request = call.paid(&call.buy(&shop, &service, dialect).await);
            let service = service.clone();
            racing.push(tokio::spawn(async move {
                ask(&service, request).await.status()
            }));
        }
        for answer in racing {
            assert_eq!(answer.await.unwrap(), StatusCode::OK, "{dialect}");
        }
    }
}

#[tokio::test]
async fn under_a_concurrency_limit_all_that_is_free_is_served() {
    let shop = Shop::new();
    let handler = service_fn(async |_: Request<RequestBody<Body>>| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::<Body>::default())
    });
    let table = RouteTable::new()
        .charge("GET /a", Amount::from_sat(10))
        .free("GET /health")
        .otherwise_refuse();
    let inner = ServiceBuilder::new().concurrency_limit(1).service(handler);
    let service = shop.paywall().routes(table).unwrap().layer(inner);
    let ask_for_free = || {
        let service = service.clone();
        tokio::spawn(async move { ask(&service, Call::get("/health").request()).await.status() })
    };
    for answer in (0..20).map(|_| ask_for_free()).collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn unpaid_and_spent_requests_that_wait_for_the_node_hold_no_permit() {
    let shop = Shop::new();
    let service = limited!(shop, 2);
    let call = Call::get("/a");
    let spent = call.buy(&shop, &service, DialectName::L402).await;
    assert_eq!(
        ask(&service, call.paid(&spent)).await.status(),
        StatusCode::OK
    );
    let mut credentials = Vec::new();
    for _ in 0..4 {
        credentials.push(call.buy(&shop, &service, DialectName::L402).await);
    }
    shop.node.pause();
    let mut waiting = Vec::new();
    for i in 0..20 {
        let request = if i % 2 == 0 {
            call.request()
        } else {
            call.paid(&spent)
        };
        let service = service.clone();
        waiting.push(tokio::spawn(async move {
            ask(&service, request).await.status()
        }));
    }
    let all_ask = tokio::time::timeout(Duration::from_secs(1), shop.node.paused_calls(20)).await;
    all_ask.expect("nobody waits for a permit");
    for credential in &credentials {
        let served =
            tokio::time::timeout(Duration::from_secs(5), ask(&service, call.paid(credential)))
                .await;
        assert_eq!(served.expect("a permit is free").status(), StatusCode::OK);
    }
    shop.node.resume();
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), StatusCode::PAYMENT_REQUIRED);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_holds_no_permit_either() {
    let shop = Shop::new();
    let service = limited!(shop, 1);
    let call = Call::post("/a", b"abc");
    let stuck = call.buy(&shop, &service, DialectName::Mpp).await;
    let endless = call.paid(&stuck).map(|_| {
        Body::from_stream(futures_util::stream::pending::<
            Result<bytes::Bytes, Infallible>,
        >())
    });
    let waiting = tokio::spawn({
        let service = service.clone();
        async move { ask(&service, endless).await.status() }
    });
    tokio::task::yield_now().await;
    let credential = call.buy(&shop, &service, DialectName::L402).await;
    let served = tokio::time::timeout(
        Duration::from_secs(5),
        ask(&service, call.paid(&credential)),
    )
    .await;
    assert_eq!(served.expect("a permit is free").status(), StatusCode::OK);
    assert_eq!(waiting.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(
        ask(&service, call.paid(&stuck)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn invoices_are_made_side_by_side() {
    let shop = Shop::new();
    let service = limited!(shop, 1);
    shop.node.pause();
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { ask(&service, Call::get("/a").request()).await.status() })
        })
        .collect();
    shop.node.paused_calls(30).await;
    shop.node.resume();
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), StatusCode::PAYMENT_REQUIRED);
    }
}

/// Does not answer for one payment.
#[derive(Debug)]
struct Stalled {
    inner: Arc<tower_x402::MemoryStore>,
    payment: Mutex<Option<PaymentHash>>,
    asked: AtomicUsize,
}

impl ReplayStore for Stalled {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn created_at(&self) -> Timestamp {
        self.inner.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        if *self.payment.lock().unwrap() == request.key().payment_hash() {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Box::pin(std::future::pending());
        }
        self.inner.consume(request)
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.inner.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

#[tokio::test(start_paused = true)]
async fn one_payment_that_is_presented_to_a_slow_store_leaves_permits_for_others() {
    let several = Charge::new(Amount::from_sat(10)).uses(std::num::NonZeroU32::new(100).unwrap());
    for (charge, dialects, most) in [
        (Charge::new(Amount::from_sat(10)), &ALL[..], 1),
        (several, &ALL[..1], 2),
    ] {
        for dialect in dialects {
            let shop = Shop::new();
            let handler = service_fn(async |_: Request<RequestBody<Body>>| {
                Ok::<_, Infallible>(Response::<Body>::default())
            });
            let inner = ServiceBuilder::new().concurrency_limit(4).service(handler);
            let store = Stalled {
                inner: shop.store.clone(),
                payment: Mutex::default(),
                asked: AtomicUsize::new(0),
            };
            let store = Arc::new(store);
            let paywall = shop
                .builder()
                .dialects(ALL)
                .replay_store(store.clone())
                .build()
                .unwrap();
            let service = paywall.charge(charge.clone()).unwrap().layer(inner);
            let call = Call::get("/a");
            let answer = ask(&service, call.request()).await;
            let replayed = payment_hash(&answer);
            let preimage = shop.node.settle(replayed).unwrap();
            let credential = call
                .credential(&shop, *dialect, &answer, &preimage)
                .unwrap();
            *store.payment.lock().unwrap() = Some(replayed);
            let mut replays = Vec::new();
            for _ in 0..100 {
                let (service, request) = (service.clone(), call.paid(&credential));
                let mut asking =
                    tokio_test::task::spawn(async move { ask(&service, request).await.status() });
                assert!(asking.poll().is_pending());
                replays.push(asking);
            }
            assert_eq!(store.asked.load(Ordering::SeqCst), most, "{dialect}");
            for _ in 0..10 {
                let paid = call.buy(&shop, &service, *dialect).await;
                let mut asking = tokio_test::task::spawn(ask(&service, call.paid(&paid)));
                assert!(asking.poll().is_ready(), "{dialect}: no permit was left");
            }
            // None waits for ever, and nothing is lost.
            let waited = tokio::time::Instant::now();
            for answer in futures_util::future::join_all(replays).await {
                assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
            }
            assert!(
                waited.elapsed() <= Duration::from_secs(20),
                "{:?}",
                waited.elapsed()
            );
            *store.payment.lock().unwrap() = None;
            assert_eq!(
                ask(&service, call.paid(&credential)).await.status(),
                StatusCode::OK
            );
        }
    }
}

#[tokio::test]
async fn a_payment_that_is_known_to_be_spent_is_refused_without_the_store() {
    for dialect in ALL {
        let shop = Shop::new();
        let store = Stalled {
            inner: shop.store.clone(),
            payment: Mutex::default(),
            asked: AtomicUsize::new(0),
        };
        let store = Arc::new(store);
        let paywall = shop
            .builder()
            .dialects(ALL)
            .replay_store(store.clone())
            .build()
            .unwrap();
        let handler = service_fn(async |_: Request<RequestBody<Body>>| {
            Ok::<_, Infallible>(Response::<Body>::default())
        });
        let service = paywall.charge(Amount::from_sat(10)).unwrap().layer(handler);
        let call = Call::get("/a");
        let answer = ask(&service, call.request()).await;
        let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
        let credential = call.credential(&shop, dialect, &answer, &preimage).unwrap();
        assert_eq!(
            ask(&service, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
        *store.payment.lock().unwrap() = Some(payment_hash(&answer));
        for again in ALL {
            let credential = call.credential(&shop, again, &answer, &preimage).unwrap();
            assert_eq!(
                ask(&service, call.paid(&credential)).await.status(),
                StatusCode::PAYMENT_REQUIRED,
                "{dialect}, {again}"
            );
        }
        assert_eq!(store.asked.load(Ordering::SeqCst), 0);
    }
}
