use proptest::{collection::vec, prelude::*};

use crate::dialect::l402::{Macaroon, MacaroonError};

fn minted(caveats: &[&str]) -> Macaroon {
    Macaroon::mint(b"root", b"id", caveats).unwrap()
}

#[test]
fn an_empty_location_is_read_and_never_written() {
    let plain = minted(&["a=b"]).to_bytes();
    let with_empty = [&[2, 1, 0], &plain[1..6], &[1, 0], &plain[6..]].concat();
    let read = Macaroon::parse(with_empty).unwrap();
    assert_eq!(read.to_bytes(), plain);
    assert!(read.is_signed_with(b"root"));
}

#[test]
fn a_location_is_kept_through_attenuation() {
    let plain = minted(&[]).to_bytes();
    let located = Macaroon::parse([&[2, 1, 4], &b"lsat"[..], &plain[1..]].concat()).unwrap();
    let narrower = located.attenuate("a=b").unwrap();
    assert_eq!(narrower.location(), b"lsat");
    assert!(narrower.is_signed_with(b"root"));
}

#[test]
fn only_what_an_encoder_writes_is_read() {
    let plain = minted(&["a=b"]).to_bytes();
    let section = [2, 3, b'a', b'=', b'b', 0];
    let at = 6;
    assert_eq!(
        plain[at - 1..at + 5],
        [0, 2, 3, b'a', b'=', b'b'],
        "where the caveat stands"
    );
    let with = |section: &[u8]| {
        Macaroon::parse([&plain[..at], section, &plain[at + 6..]].concat()).map(|_| ())
    };
    assert_eq!(with(&section), Ok(()));
    assert_eq!(
        with(&[2, 3, b'a', b'=', b'b', 4, 1, 7, 0]),
        Err(MacaroonError::ThirdParty)
    );
    assert_eq!(
        with(&[1, 1, b'x', 2, 3, b'a', b'=', b'b', 4, 1, 7, 0]),
        Err(MacaroonError::ThirdParty)
    );
    for bad in [
        &[1, 1, b'x', 2, 3, b'a', b'=', b'b', 0][..],
        &[2, 0x83, 0, b'a', b'=', b'b', 0],
        &[2, 0x83, 0x80, 0, b'a', b'=', b'b', 0],
        &[2, 3, b'a', b'=', b'b'],
        &[2, 3, b'a', b'=', b'b', 2, 1, b'x', 0],
        &[1, 0, 0],
        &[3, 1, 0, 0],
    ] {
        assert_eq!(with(bad), Err(MacaroonError::Malformed), "{bad:?}");
    }
    for length in 0..plain.len() {
        assert_eq!(
            Macaroon::parse(&plain[..length]).map(|_| ()),
            Err(MacaroonError::Malformed)
        );
    }
    assert_eq!(
        Macaroon::parse([&plain[..], &[0]].concat()).map(|_| ()),
        Err(MacaroonError::Malformed)
    );
}

#[test]
fn size_and_count_are_bounded() {
    let most = ["a=b"; 64];
    assert_eq!(
        minted(&most).attenuate("a=b").map(|_| ()),
        Err(MacaroonError::TooManyCaveats)
    );
    let long = "x".repeat(Macaroon::MAX_BYTES);
    assert_eq!(
        minted(&[]).attenuate(long).map(|_| ()),
        Err(MacaroonError::TooLong)
    );
    let room = Macaroon::MAX_BYTES - minted(&[&"x".repeat(8000)]).to_bytes().len();
    let (longest, longer) = ("x".repeat(8000 + room), "x".repeat(8001 + room));
    assert_eq!(minted(&[&longest]).to_bytes().len(), Macaroon::MAX_BYTES);
    assert_eq!(
        Macaroon::mint(b"root", b"id", [longer]).map(|_| ()),
        Err(MacaroonError::TooLong)
    );
    assert_eq!(
        minted(&[&"x".repeat(8000)])
            .caveats()
            .next()
            .map(<[u8]>::len),
        Some(8000)
    );
}

#[test]
fn a_macaroon_shows_only_its_number_of_caveats() {
    assert_eq!(
        format!("{:?}", minted(&["a=b"])),
        "Macaroon { caveats: 1, .. }"
    );
}

proptest! {
    #[test]
    fn reading_undoes_writing(
        root: Vec<u8>,
        identifier in vec(any::<u8>(), 0..200),
        caveats in vec(vec(any::<u8>(), 0..100), 0..20),
    ) {
        let macaroon = Macaroon::mint(&root, &identifier, &caveats).unwrap();
        let read = Macaroon::parse(macaroon.to_bytes()).unwrap();
        prop_assert_eq!(read.to_bytes(), macaroon.to_bytes());
        prop_assert_eq!(read.identifier(), identifier);
        prop_assert_eq!(read.caveats().collect::<Vec<_>>(), caveats);
        prop_assert!(read.is_signed_with(&root));
    }

    #[test]
    fn attenuation_extends_the_chain_and_cannot_be_undone(
        caveats in vec("[a-z]{1,5}=[a-z]{0,5}", 1..10),
        added in "[a-z]{1,5}=[a-z]{0,5}",
    ) {
        let whole = Macaroon::mint(b"root", b"id", &caveats).unwrap();
        let narrower = whole.attenuate(&added).unwrap();
        prop_assert!(narrower.is_signed_with(b"root"));
        let minted = Macaroon::mint(b"root", b"id", caveats.iter().chain([&added])).unwrap();
        prop_assert_eq!(minted.to_bytes(), narrower.to_bytes());

        let signature = narrower.to_bytes().split_off(narrower.to_bytes().len() - 32);
        let mut cut = whole.to_bytes();
        cut.truncate(cut.len() - 32);
        prop_assert!(!Macaroon::parse([cut, signature].concat()).unwrap().is_signed_with(b"root"));
    }

    #[test]
    fn whatever_is_read_is_written_as_it_is_read_again(bytes in vec(any::<u8>(), 0..120)) {
        if let Ok(macaroon) = Macaroon::parse([&[2, 2][..], &bytes].concat()) {
            prop_assert_eq!(Macaroon::parse(macaroon.to_bytes()).unwrap().to_bytes(), macaroon.to_bytes());
        }
    }
}
