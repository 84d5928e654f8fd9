use super::subject::{
    RACERS, Setup, Subject, a_hash, a_key, a_use, each_is_granted_once, race, uses,
};
use crate::{
    payment::Network,
    replay::{Consumption, ConsumptionKey, ReplayStore},
};

pub(super) async fn suite<S: ReplayStore>(open: &impl AsyncFn(Setup) -> S) {
    let subject = Subject::new(open).await;
    for _ in 0..ROUNDS {
        for bought in [1, 2, 7] {
            as_many_are_granted_as_were_bought(&subject, bought).await;
        }
        one_use_id_takes_one_use(&subject).await;
    }
    keys_do_not_touch(&subject).await;
    limits_may_change(&subject).await;
}

async fn as_many_are_granted_as_were_bought<S: ReplayStore>(subject: &Subject<S>, bought: u32) {
    let key = a_key();
    let answers = race(&[&subject.store], key, bought, a_use).await;
    let what = format!("{RACERS} tasks raced for {bought} uses");
    each_is_granted_once(answers, bought, &what);
    assert_eq!(
        subject.consume(key, a_use(), uses(bought)).await,
        Consumption::Spent,
        "{bought} uses were taken"
    );
}

async fn one_use_id_takes_one_use<S: ReplayStore>(subject: &Subject<S>) {
    let (key, id) = (a_key(), a_use());
    for answer in race(&[&subject.store], key, 2, || id).await {
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 1 },
            "the same use id must get the same answer"
        );
    }
    assert_eq!(
        subject.consume(key, a_use(), uses(2)).await,
        Consumption::Granted { remaining: 0 }
    );
    assert_eq!(
        subject.consume(key, id, uses(2)).await,
        Consumption::Granted { remaining: 1 },
        "a use id must get the same answer although another use was granted since"
    );
    assert_eq!(
        subject.consume(key, a_use(), uses(2)).await,
        Consumption::Spent
    );
}

async fn keys_do_not_touch<S: ReplayStore>(subject: &Subject<S>) {
    let (hash, id) = (a_hash(), a_use());
    let here = ConsumptionKey::lightning(Network::Regtest, hash);
    let elsewhere = ConsumptionKey::lightning(Network::Bitcoin, hash);
    for key in [here, elsewhere, a_key()] {
        let answer = subject.consume(key, id, uses(1)).await;
        assert_eq!(
            answer,
            Consumption::Granted { remaining: 0 },
            "another key must have uses of its own"
        );
    }
}

async fn limits_may_change<S: ReplayStore>(subject: &Subject<S>) {
    let key = a_key();
    assert_eq!(
        subject.consume(key, a_use(), uses(1)).await,
        Consumption::Granted { remaining: 0 }
    );
    assert_eq!(
        subject.consume(key, a_use(), uses(3)).await,
        Consumption::Granted { remaining: 1 }
    );
    assert_eq!(
        subject.consume(key, a_use(), uses(1)).await,
        Consumption::Spent,
        "grants must not exceed the limit of the ask"
    );
}

const ROUNDS: usize = 8;
