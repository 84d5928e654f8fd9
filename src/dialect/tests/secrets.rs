use super::*;

const STRONG: Demands = Demands {
    strong: true,
    unknown: false,
};
const UNKNOWN: Demands = Demands {
    strong: false,
    unknown: true,
};

#[test]
fn a_ring_that_must_be_strong_stays_so_in_all_its_handles() {
    let weak = Secrets::new([1; 32]).unwrap();
    assert_eq!(weak.require(STRONG), Err((SecretError::Pattern, None)));
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
        Err((SecretError::Pattern, None)),
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
                Err((SecretError::Test, None)),
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
fn an_error_names_the_file_only_for_the_secret_that_was_read_from_it() {
    let file = Path::new("master-secret");
    assert_eq!(
        Secrets::read(&[1; 32], file).unwrap().require(STRONG),
        Err((SecretError::Pattern, Some(file)))
    );
    let ring = Secrets::read(&Secrets::test_secret(1), file).unwrap();
    ring.add([2; 32]).unwrap();
    assert_eq!(ring.require(STRONG), Err((SecretError::Pattern, None)));
}

#[test]
fn short_and_unknown_secrets_are_refused() {
    assert_eq!(Secrets::new([1; 31]).unwrap_err(), SecretError::TooShort);
    let secrets = Secrets::new([1; 32]).unwrap();
    assert_eq!(secrets.add([1; 32]), Err(SecretError::Duplicate));
    assert_eq!(secrets.mint_with([2; 32]), Err(SecretError::Unknown));
    assert_eq!(format!("{secrets:?}"), "Secrets { count: 1, .. }");
}
