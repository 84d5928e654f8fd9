use super::*;

const STRONG: Demands = Demands {
    strong: true,
    unknown: false,
};
const UNKNOWN: Demands = Demands {
    strong: false,
    unknown: true,
};

fn unfit(error: SecretError, place: Option<Place>) -> Unfit {
    Unfit { error, place }
}

fn content(secrets: &[[u8; 32]], is_list: bool) -> Content {
    Content {
        secrets: secrets.iter().map(|secret| owned(secret)).collect(),
        is_list,
    }
}

fn read(secrets: &[[u8; 32]], is_list: bool) -> Secrets {
    Secrets::read(content(secrets, is_list), Source::Variable("X".into())).unwrap()
}

#[test]
fn a_ring_that_must_be_strong_stays_so_in_all_its_handles() {
    let weak = Secrets::new([1; 32]).unwrap();
    assert_eq!(weak.require(STRONG), Err(unfit(SecretError::Pattern, None)));
    weak.add([2; 32]).unwrap();
    let strong = Secrets::new(Secrets::test_secret(1)).unwrap();
    strong.add(Secrets::test_secret(2)).unwrap();
    let handle = strong.clone();
    strong.require(STRONG).unwrap();
    assert_eq!(handle.add([3; 32]), Err(SecretError::Pattern));
    assert_eq!(
        handle.add(b"a sentence of more than thirty-two letters"),
        Err(SecretError::Text)
    );
    handle.add(Secrets::test_secret(3)).unwrap();
    assert_eq!(format!("{strong:?}"), "Secrets { count: 3, .. }");
    let mixed = Secrets::new(Secrets::test_secret(1)).unwrap();
    mixed.add([2; 32]).unwrap();
    assert_eq!(
        mixed.require(STRONG),
        Err(unfit(SecretError::Pattern, None)),
        "one that verifies only counts too"
    );
}

#[test]
fn a_ring_of_real_money_holds_no_secret_for_tests_now_or_later() {
    let mut random = [0; 48];
    getrandom::fill(&mut random).unwrap();
    for number in 0..=u8::MAX {
        let secret = Secrets::test_secret(number);
        for secret in [
            secret.to_vec(),
            secret.repeat(2),
            [&random[..], &secret].concat(),
        ] {
            assert_eq!(
                Secrets::new(&secret).unwrap().require(UNKNOWN),
                Err(unfit(SecretError::Test, None)),
                "{number}"
            );
        }
    }
    let ring = Secrets::new(random).unwrap();
    ring.require(UNKNOWN).unwrap();
    ring.require(STRONG).unwrap();
    assert_eq!(
        ring.add(Secrets::test_secret(1)),
        Err(SecretError::Test),
        "one demand does not end the other"
    );
    assert_eq!(ring.add([7; 32]), Err(SecretError::Pattern));
}

#[test]
fn an_error_names_the_place_only_for_a_secret_that_was_read_from_one() {
    let ring = read(&[[1; 32]], false);
    assert_eq!(
        ring.require(STRONG),
        Err(unfit(SecretError::Pattern, Some(Place::Whole)))
    );
    let ring = read(&[Secrets::test_secret(1), [1; 32]], true);
    assert_eq!(
        ring.require(STRONG),
        Err(unfit(SecretError::Pattern, Some(Place::Listed(2))))
    );
    let ring = read(&[Secrets::test_secret(1)], false);
    ring.add([2; 32]).unwrap();
    assert_eq!(ring.require(STRONG), Err(unfit(SecretError::Pattern, None)));
}

#[test]
fn a_list_has_1_to_64_different_secrets_and_a_ring_takes_no_more() {
    let error = |list: Vec<[u8; 32]>| Secrets::from_list(list).unwrap_err();
    assert_eq!(error(Vec::new()), SecretError::Empty);
    assert_eq!(
        error(vec![[1; 32], [2; 32], [1; 32]]),
        SecretError::Duplicate
    );
    assert_eq!(error(vec![[1; 32], [0; 32]]), SecretError::Zero);
    let many = |most: u8| (1..=most).map(|number| [number; 32]);
    assert_eq!(error(many(65).collect()), SecretError::TooMany);
    let ring = Secrets::from_list(many(64)).unwrap();
    assert_eq!(ring.add([65; 32]), Err(SecretError::TooMany));
    assert_eq!(
        ring.remove([1; 32]),
        Err(SecretError::Minting),
        "the first mints"
    );
    ring.remove([2; 32]).unwrap();
    ring.add([65; 32]).unwrap();
}

#[test]
fn a_new_first_secret_mints_after_the_second_reading_and_a_known_one_at_once() {
    let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
    let ring = read(&[a], true);
    let relisted = |secrets: &[[u8; 32]]| ring.replace(content(secrets, true)).unwrap();
    let minting = || {
        let ring = ring.lock();
        ring.secrets[ring.minting].bytes.to_vec()
    };
    assert!(!relisted(&[b, a]).first_mints);
    assert_eq!(minting(), a, "other replicas may not know the new one");
    assert!(relisted(&[b, a]).first_mints);
    assert_eq!(minting(), b);
    assert!(relisted(&[b, a, c]).first_mints);
    let turned = relisted(&[c, b]);
    assert_eq!(
        turned,
        Relisted {
            held: 2,
            added: 0,
            removed: 1,
            has_turned: true,
            first_mints: true
        }
    );
    assert_eq!(minting(), c, "it was added at the end first");
    assert!(!relisted(&[c, b]).has_turned);
}

#[test]
fn a_reading_that_is_refused_changes_nothing() {
    let (a, b) = (Secrets::test_secret(1), Secrets::test_secret(2));
    let ring = read(&[a, b], true);
    ring.require(STRONG).unwrap();
    let version = ring.version();
    for (secrets, error, place) in [
        (vec![], SecretError::Empty, None),
        (vec![b], SecretError::Minting, None),
        (vec![Secrets::test_secret(3)], SecretError::Minting, None),
        (
            vec![a, b, a],
            SecretError::Duplicate,
            Some(Place::Listed(3)),
        ),
        (
            vec![a, [7; 32]],
            SecretError::Pattern,
            Some(Place::Listed(2)),
        ),
        (vec![[0; 32], a], SecretError::Zero, Some(Place::Listed(1))),
    ] {
        let refused = ring.replace(content(&secrets, true));
        assert_eq!(refused, Err(unfit(error, place)));
        assert_eq!((ring.version(), ring.lock().secrets.len()), (version, 2));
    }
    let refused = ring.replace(content(&[Secrets::test_secret(3)], false));
    assert_eq!(refused, Err(unfit(SecretError::Minting, None)));
}

#[test]
fn short_and_unknown_secrets_are_refused() {
    assert_eq!(Secrets::new([1; 31]).unwrap_err(), SecretError::TooShort);
    let secrets = Secrets::new([1; 32]).unwrap();
    assert_eq!(secrets.add([1; 32]), Err(SecretError::Duplicate));
    assert_eq!(secrets.mint_with([2; 32]), Err(SecretError::Unknown));
    assert_eq!(format!("{secrets:?}"), "Secrets { count: 1, .. }");
}
