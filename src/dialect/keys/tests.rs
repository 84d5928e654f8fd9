use super::*;
use crate::{
    dialect::{
        MacKey,
        l402::identifier::{COUNTED, TIMED},
        list::{keys_of_secret, purposes},
        mpp::issue::IDS,
        secrets::{SecretError, Secrets},
        x402::quote::QUOTES,
    },
    payment::Network,
};

fn ring_of(secrets: &Secrets, origin: &str, service: &str, store: u8) -> KeyRing {
    KeyRing::new(
        secrets.clone(),
        purposes(),
        Network::Regtest,
        (vec![origin.into()], service),
        [store; 16],
    )
    .unwrap()
}

fn ring(secrets: &Secrets, origin: &str, store: u8) -> KeyRing {
    ring_of(secrets, origin, "", store)
}

fn id(ring: &KeyRing, purpose: Purpose) -> [u8; 4] {
    ring.current().of(0).minting(purpose).id
}

#[test]
fn no_key_crosses_origins_purposes_or_stores() {
    let secrets = Secrets::new([1; 32]).unwrap();
    let a = ring(&secrets, "https://a", 1);
    assert_ne!(
        id(&a, COUNTED),
        id(&ring(&secrets, "https://b", 1), COUNTED)
    );
    assert_ne!(
        id(&a, COUNTED),
        id(&ring(&secrets, "https://a", 2), COUNTED)
    );
    assert_eq!(id(&a, TIMED), id(&ring(&secrets, "https://a", 2), TIMED));
    assert_ne!(id(&a, COUNTED), id(&a, TIMED));
}

#[test]
fn no_key_of_any_purpose_crosses_services() {
    let secrets = Secrets::new([1; 32]).unwrap();
    let services = ["", "a", "b", "ab", "https://a", " "]
        .map(|service| ring_of(&secrets, "https://a", service, 1));
    let moved = ring_of(&secrets, "https://aa", "", 1);
    for purpose in purposes() {
        let mut ids: Vec<_> = services
            .iter()
            .chain([&moved])
            .map(|ring| id(ring, purpose))
            .collect();
        assert_eq!(
            id(&ring_of(&secrets, "https://a", "a", 1), purpose),
            ids[1],
            "a label is a label"
        );
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 7, "{purpose:?}");
    }
}

#[test]
fn two_rings_share_the_kinds_of_credentials_that_both_accept() {
    let secrets = Secrets::new([1; 32]).unwrap();
    let one = ring_of(&secrets, "https://a", "x", 1);
    assert_eq!(
        one.in_common(&ring_of(&secrets, "https://a", "x", 1)),
        [true; 2]
    );
    assert_eq!(
        one.in_common(&ring_of(&secrets, "https://a", "x", 2)),
        [false, true]
    );
    for other in [
        ring_of(&secrets, "https://a", "y", 1),
        ring_of(&secrets, "https://b", "x", 1),
    ] {
        assert_eq!(one.in_common(&other), [false; 2]);
    }
    let others = Secrets::new([2; 32]).unwrap();
    let other = ring_of(&others, "https://a", "x", 1);
    assert_eq!(one.in_common(&other), [false; 2]);
    others.add([1; 32]).unwrap();
    assert_eq!(
        one.in_common(&other),
        [true; 2],
        "one that verifies only opens too"
    );
}

#[test]
fn a_secret_verifies_before_it_mints() {
    let secrets = Secrets::new([1; 32]).unwrap();
    let ring = ring(&secrets, "https://a", 1);
    let old = id(&ring, IDS);
    secrets.add([2; 32]).unwrap();
    assert_eq!(id(&ring, IDS), old);
    assert_eq!(ring.current().of(0).all(IDS).len(), 2);
    secrets.mint_with([2; 32]).unwrap();
    assert_ne!(id(&ring, IDS), old);
    assert!(ring.current().of(0).by_id(IDS, old).is_some());
    assert_eq!(secrets.remove([2; 32]), Err(SecretError::Minting));
    secrets.remove([1; 32]).unwrap();
    assert!(ring.current().of(0).by_id(IDS, old).is_none());
}

/// What was sold before an update must be accepted after it.
#[test]
fn keys_are_derived_alike_in_every_version() {
    let secret = std::array::from_fn::<u8, 32, _>(|at| at as u8);
    let place = ("https://api.example.com", "weather");
    let keys = keys_of_secret(&secret, Network::Regtest, place, &[9; 16]);
    for (purpose, id) in [
        (COUNTED, "81c8c1fa"),
        (TIMED, "31834da4"),
        (IDS, "5a935aad"),
        (QUOTES, "79882d57"),
    ] {
        assert_eq!(
            crate::codec::hex::encode(keys.minting(purpose).id),
            id,
            "{purpose:?}"
        );
    }
}

#[test]
fn two_keys_with_the_same_id_are_found_if_the_id_alone_selects_the_key() {
    let key = |id: u8| DerivedKey {
        id: [id; 4],
        mac: MacKey::new(&[id; 32]),
    };
    for (ids, are_unique) in [
        ([&[1_u8, 2][..], &[3, 4], &[1, 2], &[1, 2]], true),
        ([&[1, 1], &[3, 4], &[1, 2], &[1, 2]], false),
        ([&[1, 2], &[3, 1], &[1, 2], &[1, 2]], false),
        ([&[1, 2, 3], &[4, 5, 3], &[1, 2, 3], &[1, 2, 3]], false),
        ([&[1, 2], &[3, 4], &[1, 1], &[1, 2]], false),
        ([&[1, 2], &[3, 4], &[1, 2], &[2, 2]], false),
    ] {
        let keys = OriginKeys {
            keys: [COUNTED, TIMED, IDS, QUOTES]
                .into_iter()
                .zip(ids.map(|ids| ids.iter().map(|id| key(*id)).collect()))
                .collect(),
            minting: 0,
        };
        assert_eq!(keys.have_unique_ids(), are_unique, "{ids:?}");
    }
}
