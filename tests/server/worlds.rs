//! No credential is valid on another network, service, store or secret, and none becomes valid
//! again.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tower_x402::{
    Amount, Charge, DialectName, Invoice, MemoryStore, Network, PaymentHash, Paywall, Secrets,
    clock::{Clock as _, Timestamp},
    lightning::{
        BoxFuture, InvoiceRequest, InvoiceStatus, Lie, LocalNode, NodeError, Receiver,
        ReceiverProfile,
    },
    server::PaywallBuilder,
};

use crate::{
    customer::{ALL, Call},
    shop::{NOW, ORIGIN, Shop, ask, get, paid, problem, reason},
};

fn route(paywall: &Paywall, charge: impl Into<Charge>) -> Router {
    let layer = paywall.charge(charge).unwrap();
    Router::new().route("/a", on_get(async || "served").route_layer(layer))
}

fn world(receiver: impl Receiver, shop: &Shop, origin: &str) -> PaywallBuilder {
    Paywall::builder(receiver)
        .origin(origin)
        .master_secret(Secrets::test_secret(7))
        .clock(shop.clock.clone())
        .dialects(ALL)
}

/// The same node and secret on another network.
#[derive(Clone, Debug)]
struct Staging(LocalNode);

impl Receiver for Staging {
    fn profile(&self) -> ReceiverProfile {
        let mut profile = self.0.profile();
        profile.network = Network::Signet;
        profile
    }

    fn create_invoice(&self, request: InvoiceRequest) -> BoxFuture<'_, Result<Invoice, NodeError>> {
        Box::pin(async move {
            self.0.lie(Lie::Network);
            let invoice = self.0.create_invoice(request).await;
            self.0.lie(None);
            invoice
        })
    }

    fn lookup_invoice(
        &self,
        payment_hash: PaymentHash,
    ) -> BoxFuture<'_, Result<InvoiceStatus, NodeError>> {
        self.0.lookup_invoice(payment_hash)
    }
}

#[tokio::test]
async fn a_credential_of_staging_opens_nothing_in_production() {
    let shop = Shop::new();
    let staging = world(Staging(shop.node.clone()), &shop, ORIGIN)
        .replay_store(shop.store.clone())
        .build()
        .unwrap();
    let production = world(shop.node.clone(), &shop, ORIGIN)
        .replay_store(shop.store.clone())
        .build()
        .unwrap();
    let call = Call::get("/a").with_wallet_on(Network::Signet);
    let day = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400));
    for charge in [Charge::new(Amount::from_sat(10)), day] {
        for dialect in [DialectName::L402, DialectName::Mpp] {
            let answer = ask(&route(&staging, charge.clone()), call.request()).await;
            let preimage = shop
                .node
                .settle(crate::customer::payment_hash(&answer))
                .unwrap();
            let Some(credential) = call.credential(&shop, dialect, &answer, &preimage) else {
                continue;
            };
            let refused = ask(&route(&production, charge.clone()), call.paid(&credential)).await;
            assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
            assert_eq!(
                ask(&route(&staging, charge.clone()), call.paid(&credential))
                    .await
                    .status(),
                StatusCode::OK
            );
        }
    }
}

#[tokio::test]
async fn a_credential_of_one_service_opens_nothing_at_another_with_the_same_secret_node_and_store()
{
    let shop = Shop::new();
    let own = world(shop.node.clone(), &shop, ORIGIN)
        .replay_store(shop.store.clone())
        .build()
        .unwrap();
    let other = world(shop.node.clone(), &shop, "https://other.example.com")
        .replay_store(shop.store.clone())
        .build()
        .unwrap();
    for charge in [
        Charge::new(Amount::from_sat(10)),
        Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(60)),
    ] {
        for dialect in ALL {
            if dialect != DialectName::L402 && format!("{charge:?}").contains("ForDuration") {
                continue;
            }
            let call = Call::get("/a");
            let credential = call.buy(&shop, &route(&own, charge.clone()), dialect).await;
            let refused = ask(&route(&other, charge.clone()), call.paid(&credential)).await;
            assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
            assert_eq!(
                ask(&route(&own, charge.clone()), call.paid(&credential))
                    .await
                    .status(),
                StatusCode::OK,
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn counted_credentials_are_worth_nothing_at_a_store_that_does_not_remember_them() {
    let shop = Shop::new();
    let uses = Charge::new(Amount::from_sat(10)).uses(std::num::NonZeroU32::new(5).unwrap());
    let day = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400));
    let replica = |store: &Arc<MemoryStore>| {
        world(shop.node.clone(), &shop, ORIGIN)
            .replay_store(store.clone())
            .build()
            .unwrap()
    };
    let restarted = Arc::new(MemoryStore::new().unwrap().with_clock(shop.clock.clone()));
    let (before, after) = (replica(&shop.store), replica(&restarted));
    let call = Call::get("/a");
    for dialect in ALL {
        let credential = call
            .buy(&shop, &route(&before, Amount::from_sat(10)), dialect)
            .await;
        assert_eq!(
            ask(
                &route(&before, Amount::from_sat(10)),
                call.paid(&credential)
            )
            .await
            .status(),
            StatusCode::OK
        );
        let again = ask(&route(&after, Amount::from_sat(10)), call.paid(&credential)).await;
        assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
    }
    let counted = shop.buy(&route(&before, uses.clone()), get("/a")).await;
    assert_eq!(
        reason(&ask(&route(&after, uses), paid("/a", &counted)).await),
        "unknown_key"
    );
    // What only time ends needs no store: it goes on.
    let timed = shop.buy(&route(&before, day.clone()), get("/a")).await;
    assert_eq!(
        ask(&route(&after, day), paid("/a", &timed)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_and_back_gives_nothing_twice() {
    let call = Call::get("/a");
    for dialect in ALL {
        let shop = Shop::new();
        let app = route(&shop.paywall_of_every_dialect(), Amount::from_sat(10));
        let credential = call.buy(&shop, &app, dialect).await;
        assert_eq!(
            ask(&app, call.paid(&credential)).await.status(),
            StatusCode::OK
        );
        shop.clock.advance(Duration::from_secs(400 * 86_400));
        // Makes the store forget what is over.
        let other = call.buy(&shop, &app, DialectName::L402).await;
        assert_eq!(ask(&app, call.paid(&other)).await.status(), StatusCode::OK);
        shop.clock.set(Timestamp::from_unix_seconds(NOW));
        assert_eq!(shop.clock.now(), Timestamp::from_unix_seconds(NOW));
        for _ in 0..2 {
            let answer = ask(&app, call.paid(&credential)).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        }
    }
}

#[tokio::test]
async fn secrets_rotate_over_two_replicas_without_anybody_paying_twice() {
    let shop = Shop::new();
    let (old, new) = (Secrets::test_secret(7), Secrets::test_secret(8));
    let rings = [Secrets::new(old).unwrap(), Secrets::new(old).unwrap()];
    let replicas = rings.clone().map(|ring| {
        let paywall = shop.builder().dialects(ALL).secrets(ring).build().unwrap();
        route(&paywall, Amount::from_sat(10))
    });
    let call = Call::get("/a");
    // Bought at each of the two, presented at the other, in every dialect and at each step.
    let works = async || {
        for (sold, shown) in [(0, 1), (1, 0)] {
            for dialect in ALL {
                let credential = call.buy(&shop, &replicas[sold], dialect).await;
                assert_eq!(
                    ask(&replicas[shown], call.paid(&credential)).await.status(),
                    StatusCode::OK,
                    "{dialect}"
                );
            }
        }
        shop.clock.advance(Duration::from_secs(400));
    };
    works().await;
    rings[0].add(new).unwrap();
    works().await;
    rings[1].add(new).unwrap();
    works().await;
    rings[0].mint_with(new).unwrap();
    works().await;
    rings[1].mint_with(new).unwrap();
    works().await;
    let sold_before = call.buy(&shop, &replicas[0], DialectName::L402).await;
    rings[1].mint_with(old).unwrap();
    let sold_under_old = call.buy(&shop, &replicas[1], DialectName::L402).await;
    rings[1].mint_with(new).unwrap();
    for ring in &rings {
        ring.remove(old).unwrap();
    }
    works().await;
    let refused = ask(&replicas[0], call.paid(&sold_under_old)).await;
    assert_eq!(reason(&refused), "unknown_key");
    assert_eq!(
        ask(&replicas[1], call.paid(&sold_before)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_credential_under_a_secret_that_is_not_ours_is_402_with_a_reason() {
    let shop = Shop::new();
    let call = Call::get("/a");
    for dialect in ALL {
        let theirs = shop
            .builder()
            .dialects(ALL)
            .master_secret(Secrets::test_secret(9))
            .build()
            .unwrap();
        let ours = shop.paywall_of_every_dialect();
        let credential = call
            .buy(&shop, &route(&theirs, Amount::from_sat(10)), dialect)
            .await;
        let answer = ask(&route(&ours, Amount::from_sat(10)), call.paid(&credential)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{dialect}");
        assert_eq!(
            problem(&answer)["type"],
            "https://paymentauth.org/problems/invalid-challenge",
            "{dialect}"
        );
    }
}

#[tokio::test]
async fn what_is_bought_under_one_prefix_of_an_origin_opens_nothing_under_another() {
    let shop = Shop::new();
    let under = |prefix: &str| {
        world(shop.node.clone(), &shop, &format!("{ORIGIN}{prefix}"))
            .replay_store(shop.store.clone())
            .build()
            .unwrap()
    };
    let (cheap, dear) = (under("/cheap"), under("/dear"));
    let day = Charge::new(Amount::from_sat(10)).for_duration(Duration::from_secs(86_400));
    for charge in [Charge::new(Amount::from_sat(10)), day] {
        let answer = ask(&route(&cheap, charge.clone()), Call::get("/a").request()).await;
        let credential = shop.pay(&answer);
        let request = paid("/a", &credential);
        let refused = ask(&route(&dear, charge.clone()), request).await;
        assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
        let request = paid("/a", &credential);
        let served = ask(&route(&cheap, charge), request).await;
        assert_eq!(served.status(), StatusCode::OK);
    }
}
