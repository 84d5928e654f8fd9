//! An inner service that failed, panicked or was dropped leaves nothing behind that a later request
//! waits for. The layer's own services live on, as on a kept connection.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer as _, Service, ServiceBuilder, limit::ConcurrencyLimit, service_fn};
use tower_x402::{Amount, RouteTable, body::RequestBody, server::X402Service};

use crate::shop::Shop;

fn layered<S: Clone>(inner: S) -> X402Service<S> {
    let table = RouteTable::new()
        .charge("GET /a", Amount::from_sat(10))
        .free("GET /health")
        .otherwise_refuse();
    Shop::new().paywall().routes(table).unwrap().layer(inner)
}

fn one_at_a_time<S>(inner: S) -> ConcurrencyLimit<S> {
    ServiceBuilder::new().concurrency_limit(1).service(inner)
}

fn free() -> Request<Body> {
    Request::get("/health").body(Body::empty()).unwrap()
}

/// Nobody stands before it.
async fn is_served<S>(service: &mut S) -> bool
where
    S: Service<Request<Body>>,
{
    let answer = tokio::time::timeout(Duration::from_secs(60), service.call(free())).await;
    answer
        .expect("another request's permit is free again")
        .is_ok()
}

/// What goes wrong once: being ready, or being called. Asked again after an error, this instance
/// panics, as tower allows.
#[derive(Debug)]
struct Faulty {
    fails: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
    is_dead: bool,
}

impl Faulty {
    fn sound() -> Self {
        Self {
            fails: Arc::default(),
            panics: Arc::default(),
            is_dead: false,
        }
    }

    fn failing() -> Self {
        Self {
            fails: Arc::new(true.into()),
            ..Self::sound()
        }
    }

    fn panicking() -> Self {
        Self {
            panics: Arc::new(true.into()),
            ..Self::sound()
        }
    }
}

impl Clone for Faulty {
    fn clone(&self) -> Self {
        Self {
            fails: self.fails.clone(),
            panics: self.panics.clone(),
            is_dead: false,
        }
    }
}

impl Service<Request<RequestBody<Body>>> for Faulty {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(
            !self.is_dead,
            "it has said that it can serve nothing any more"
        );
        self.is_dead = self.fails.swap(false, Ordering::SeqCst);
        Poll::Ready(if self.is_dead {
            Err(io::Error::other("gone"))
        } else {
            Ok(())
        })
    }

    fn call(&mut self, _: Request<RequestBody<Body>>) -> Self::Future {
        assert!(
            !self.panics.swap(false, Ordering::SeqCst),
            "it was to panic once"
        );
        ready(Ok(Response::default()))
    }
}

/// Panics before what it wraps is called, which has given its permit already.
#[derive(Clone, Debug)]
struct Before<S>(S, Arc<AtomicBool>);

impl<S: Service<Request<RequestBody<Body>>>> Service<Request<RequestBody<Body>>> for Before<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody<Body>>) -> S::Future {
        assert!(
            !self.1.swap(false, Ordering::SeqCst),
            "it was to panic once"
        );
        self.0.call(request)
    }
}

#[tokio::test]
async fn an_error_of_the_inner_service_is_handed_on_and_the_instance_is_not_asked_again() {
    let mut service = layered(Faulty::failing());
    assert_eq!(service.call(free()).await.unwrap_err().to_string(), "gone");
    assert!(is_served(&mut service).await);
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_a_service_that_failed_comes_back() {
    let mut kept = layered(one_at_a_time(Faulty::failing()));
    let mut other = kept.clone();
    assert!(kept.call(free()).await.is_err());
    assert!(is_served(&mut other).await);
    assert!(is_served(&mut kept).await);
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_a_service_that_panicked_comes_back() {
    let panics_itself = layered(one_at_a_time(Faulty::panicking()));
    assert!(after_a_panic(panics_itself).await);
    let panics_before = layered(Before(
        one_at_a_time(Faulty::sound()),
        Arc::new(true.into()),
    ));
    assert!(after_a_panic(panics_before).await);
}

async fn after_a_panic<S>(mut kept: X402Service<S>) -> bool
where
    X402Service<S>: Service<Request<Body>> + Clone,
{
    let mut other = kept.clone();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(kept.call(free())))).is_err());
    is_served(&mut other).await && is_served(&mut kept).await
}

#[tokio::test(start_paused = true)]
async fn a_place_in_the_queue_goes_with_its_request() {
    let handler = service_fn(async |_: Request<RequestBody<Body>>| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>(Response::<Body>::default())
    });
    let mut first = layered(one_at_a_time(handler));
    let (mut queued, mut last) = (first.clone(), first.clone());
    let serving = first.call(free());
    drop(queued.call(free()));
    serving.await.unwrap();
    assert!(is_served(&mut last).await);
    assert!(is_served(&mut queued).await);
}
