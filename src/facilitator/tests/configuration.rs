//! Tests of a facilitator's configuration, and of how long it remembers.

use std::time::Duration;

use super::*;

#[test]
fn a_configuration_that_could_settle_twice_or_never_is_refused() {
    let store = Arc::new(Store::default());
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    assert!(builder(&store).pay_to(key).build().is_ok());
    let durable = Facilitator::builder(
        Arc::clone(&store) as Arc<dyn ReplayStore>,
        BearerTokens::new(),
    )
    .pay_to(key);
    for (builder, word) in [
        (builder(&store), "pay_to"),
        (builder(&store).pay_to("bad"), "pay_to"),
        (builder(&store).pay_to(key.to_uppercase()), "pay_to"),
        (
            builder(&store).pay_to(format!("02{}", "ff".repeat(32))),
            "pay_to",
        ),
        (
            builder(&store).pay_to(key).max_timeout(Duration::ZERO),
            "max_timeout",
        ),
        (
            builder(&store)
                .pay_to(key)
                .max_timeout(Duration::from_secs(7 * 86_400 + 1)),
            "max_timeout",
        ),
        (
            builder(&store).pay_to(key).time_limit(Duration::ZERO),
            "time_limit",
        ),
        (
            builder(&store).pay_to(key).skew(Duration::from_secs(601)),
            "skew",
        ),
        (
            builder(&store)
                .pay_to(key)
                .remember_for(Duration::from_secs(3659)),
            "remember_for",
        ),
        (
            builder(&store)
                .pay_to(key)
                .skew(Duration::from_secs(600))
                .remember_for(Duration::from_secs(4199)),
            "remember_for",
        ),
        (
            durable,
            "use a durable store such as DurableStore::open(\"spent\")?, set up the server of a Redis or PostgreSQL store as its warning in the log says, accept this one with .allow_volatile_replay_store(), or support test",
        ),
    ] {
        assert!(
            builder.build().unwrap_err().to_string().contains(word),
            "{word}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_rate_that_is_taken_can_be_counted() {
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    for (calls, per, is_taken) in [
        (1, Duration::MAX, false),
        (u32::MAX, Duration::MAX, false),
        (1, day + Duration::from_nanos(1), false),
        (1, Duration::ZERO, false),
        (0, second, false),
        (1_000_001, day, false),
        (1, day, true),
        (1_000_000, second, true),
        (1_000_000, day, true),
        (1, second, true),
    ] {
        let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        let built = builder(&Arc::default())
            .pay_to(key)
            .rate(calls, per)
            .build();
        assert_eq!(built.is_ok(), is_taken, "{calls} in {per:?}");
        let Ok(facilitator) = built else { continue };
        let verify = || {
            Request::post("/verify")
                .header("authorization", "Bearer token")
                .body(Full::<Bytes>::default())
                .unwrap()
        };
        assert_eq!(
            facilitator
                .clone()
                .oneshot(verify())
                .await
                .unwrap()
                .status(),
            StatusCode::OK
        );
        if calls == 1 {
            let answer = facilitator.oneshot(verify()).await.unwrap();
            assert_eq!(answer.headers()["retry-after"], per.as_secs().to_string());
        }
    }
}

#[tokio::test]
async fn no_skew_that_is_configured_later_settles_what_the_store_has_forgotten() {
    let (seconds, mut tried) = (Duration::from_secs, 0);
    for later in [0, 60, 600, 601, 3600, 7200, 90_000] {
        let clock = TestClock::at(Timestamp::from_unix_seconds(1_600_000_000));
        let one = std::num::NonZeroUsize::MIN;
        let store = Arc::new(
            crate::MemoryStore::new()
                .unwrap()
                .with_clock(clock.clone())
                .with_capacity(one),
        );
        clock.set(Timestamp::from_unix_seconds(1_700_000_000));
        let Stage { document, .. } = stage(|builder| builder);
        let key = document["paymentRequirements"]["payTo"]
            .as_str()
            .unwrap()
            .to_owned();
        // The shortest allowed time for each skew.
        let with_skew = |skew: u64| {
            let callers = BearerTokens::new().with("shop", "token");
            let builder = Facilitator::builder(Arc::clone(&store) as Arc<dyn ReplayStore>, callers)
                .clock(clock.clone());
            let builder = builder
                .pay_to(key.clone())
                .allow_volatile_replay_store()
                .skew(seconds(skew));
            builder.remember_for(seconds(skew + 3600)).build()
        };
        let settle = async |facilitator: Facilitator| {
            let request = Request::post("/settle").header("authorization", "Bearer token");
            let request = request
                .body(Full::<Bytes>::from(document.to_string()))
                .unwrap();
            body(facilitator.oneshot(request).await.unwrap()).await
        };
        assert_eq!(settle(with_skew(0).unwrap()).await["success"], true);
        let Ok(facilitator) = with_skew(later) else {
            continue;
        };
        clock.advance(seconds(300 + later));
        assert_eq!(
            settle(facilitator).await["errorReason"],
            "duplicate_settlement",
            "{later} s"
        );
        tried += 1;
    }
    assert_eq!(tried, 3);
}
