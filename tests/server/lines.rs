//! Requests with one payment queue for the store: all paid ones are served, and only a few others
//! hold permits.

use std::{
    convert::Infallible,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use tokio::{sync::Semaphore, time::Instant};
use tower::{Layer as _, ServiceBuilder, service_fn};
use tower_x402::{
    Amount, Charge, MemoryStore,
    body::RequestBody,
    clock::Timestamp,
    l402::{Credential, Scheme},
    replay::{
        BoxFuture, Consumption, ConsumptionKey, Durability, ReleaseReason, ReplayStore, StoreError,
        StoreId, UseId, UseRequest,
    },
};

use crate::shop::{Shop, ask, get, paid};

fn uses(uses: u32) -> Charge {
    Charge::new(Amount::from_sat(10)).uses(NonZeroU32::new(uses).unwrap())
}

/// Answers as the test says.
#[derive(Debug)]
struct Steered {
    inner: Arc<MemoryStore>,
    latency: Mutex<Duration>,
    /// Says of all but these limits that nothing is left.
    only: Mutex<Option<u32>>,
    asked: Semaphore,
}

impl Steered {
    fn new(inner: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            latency: Mutex::default(),
            only: Mutex::default(),
            asked: Semaphore::new(0),
        })
    }

    fn answers_after(&self, time: Duration) {
        *self.latency.lock().unwrap() = time;
    }

    /// How many questions came since this was asked last.
    fn asked(&self) -> usize {
        self.asked.forget_permits(usize::MAX)
    }
}

impl ReplayStore for Steered {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn created_at(&self) -> Timestamp {
        self.inner.created_at()
    }

    fn consume(&self, request: UseRequest) -> BoxFuture<'_, Result<Consumption, StoreError>> {
        self.asked.add_permits(1);
        let (latency, only) = (*self.latency.lock().unwrap(), *self.only.lock().unwrap());
        Box::pin(async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            if only.is_some_and(|only| only != request.limits().uses.get()) {
                return Ok(Consumption::Spent);
            }
            self.inner.consume(request).await
        })
    }

    fn release(&self, key: ConsumptionKey, use_id: UseId, why: ReleaseReason) {
        self.inner.release(key, use_id, why);
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

/// A service that works so long on each request, on so many at a time.
macro_rules! service {
    ($shop:expr, $store:expr, $charge:expr, $limit:expr, $works:expr) => {{
        let handler = service_fn(async |_: Request<RequestBody<Body>>| {
            tokio::time::sleep($works).await;
            Ok::<_, Infallible>(Response::<Body>::default())
        });
        let inner = ServiceBuilder::new()
            .concurrency_limit($limit)
            .service(handler);
        $shop
            .builder()
            .replay_store($store.clone())
            .build()
            .unwrap()
            .charge($charge)
            .unwrap()
            .layer(inner)
    }};
}

#[tokio::test(start_paused = true)]
async fn all_uses_that_are_presented_side_by_side_are_served_however_long_they_wait_for_the_handler()
 {
    for limit in [1, 3] {
        let shop = Shop::new();
        let store = Steered::new(shop.store.clone());
        let service = service!(shop, store, uses(50), limit, Duration::from_secs(6));
        let token = shop.buy(&service, get("/a")).await;
        let answers =
            futures_util::future::join_all((0..50).map(|_| ask(&service, paid("/a", &token))))
                .await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.status() == StatusCode::OK)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_asked_about_many_uses_at_once_once_it_grants_them() {
    let shop = Shop::new();
    let store = Steered::new(shop.store.clone());
    let service = service!(shop, store, uses(1_000), 1_000, Duration::ZERO);
    let token = shop.buy(&service, get("/a")).await;
    store.answers_after(Duration::from_millis(100));
    let began = Instant::now();
    let answers =
        futures_util::future::join_all((0..500).map(|_| ask(&service, paid("/a", &token)))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status() == StatusCode::OK)
    );
    // 2, 4, 8, 16, 32, then 64 in each round.
    assert!(
        began.elapsed() < Duration::from_millis(1_400),
        "{:?}",
        began.elapsed()
    );
}

/// The same credential, of which its holder has left so many uses.
fn narrowed(token: &HeaderValue, uses: u32) -> HeaderValue {
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, token.clone())]);
    let whole = Credential::in_headers(&headers).next().unwrap().unwrap();
    let child = whole.macaroon().attenuate(format!("uses={uses}")).unwrap();
    Credential::new(child, whole.preimage().clone()).header_value(Scheme::L402)
}

#[tokio::test(start_paused = true)]
async fn a_holder_with_fewer_uses_makes_the_others_of_its_payment_wait_no_longer() {
    for child_is_spent in [false, true] {
        let shop = Shop::new();
        let store = Steered::new(shop.store.clone());
        let service = service!(shop, store, uses(1_000), 1_000, Duration::ZERO);
        let token = shop.buy(&service, get("/a")).await;
        let child = narrowed(&token, 1);
        *store.only.lock().unwrap() = child_is_spent.then_some(1_000);
        store.answers_after(Duration::from_secs(1));
        if child_is_spent {
            assert_eq!(
                ask(&service, paid("/a", &child)).await.status(),
                StatusCode::PAYMENT_REQUIRED
            );
        }
        // The children are in line first.
        let mut children: Vec<_> = (0..20)
            .map(|_| tokio_test::task::spawn(ask(&service, paid("/a", &child))))
            .collect();
        children
            .iter_mut()
            .for_each(|child| assert!(child.poll().is_pending()));
        let began = Instant::now();
        let asking =
            futures_util::future::join_all((0..100).map(|_| ask(&service, paid("/a", &token))));
        let (answers, _) =
            futures_util::future::join(asking, futures_util::future::join_all(children)).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.status() == StatusCode::OK)
        );
        assert!(
            began.elapsed() <= Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn replays_of_what_another_process_spent_ask_the_store_one_at_a_time() {
    for charge in [Charge::new(Amount::from_sat(10)), uses(3)] {
        let shop = Shop::new();
        let (elsewhere, store) = (
            Steered::new(shop.store.clone()),
            Steered::new(shop.store.clone()),
        );
        let other = service!(shop, elsewhere, charge.clone(), 100, Duration::ZERO);
        let service = service!(shop, store, charge, 4, Duration::ZERO);
        let token = shop.buy(&other, get("/a")).await;
        while ask(&other, paid("/a", &token)).await.status() == StatusCode::OK {}
        store.asked();
        assert_eq!(
            ask(&service, paid("/a", &token)).await.status(),
            StatusCode::PAYMENT_REQUIRED
        );
        assert_eq!(store.asked(), 1, "the store is asked");
        store.answers_after(Duration::from_millis(1));
        let mut replays: Vec<_> = (0..100)
            .map(|_| tokio_test::task::spawn(ask(&service, paid("/a", &token))))
            .collect();
        replays
            .iter_mut()
            .for_each(|replay| assert!(replay.poll().is_pending()));
        assert_eq!(store.asked(), 1);
        for replay in futures_util::future::join_all(replays).await {
            assert_eq!(replay.status(), StatusCode::PAYMENT_REQUIRED);
        }
        assert_eq!(store.asked(), 99, "and about each of them");
    }
}
