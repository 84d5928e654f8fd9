//! Master secrets: which are refused, and the file that holds one.

use std::{fs, path::Path};

use tower_x402::{MemoryStore, Paywall, SecretError, Secrets, server::PaywallBuilder};

use crate::{journal::Journal, shop::Shop};

const LOOPBACK: [&str; 4] = [
    "http://127.0.0.1:3000",
    "http://localhost",
    "https://localhost:8443",
    "http://[::1]:3000",
];

fn at(origin: &str) -> PaywallBuilder {
    let shop = Shop::new();
    Paywall::builder(shop.node)
        .insecure_origin(origin)
        .replay_store(MemoryStore::new().unwrap())
}

/// What people type and what programs fill memory with.
fn weak() -> Vec<Vec<u8>> {
    let hex = tower_x402::internals::codec::hex::encode(Secrets::test_secret(1));
    vec![
        vec![7; 32],
        vec![b'a'; 32],
        vec![0xff; 64],
        [0xde, 0xad].repeat(16),
        [0xca, 0xfe, 0xba, 0xbe].repeat(16),
        Secrets::test_secret(1)[..16].repeat(2),
        [&Secrets::test_secret(1)[..16], &Secrets::test_secret(1)[..15], &[1]].concat(),
        [b"my very secret password!".as_slice(), &[0xff; 8]].concat(),
        (0..32).collect(),
        (0..=255).rev().collect(),
        b"correct horse battery staple, said twice over".to_vec(),
        b"0123456789abcdef0123456789abcdef".to_vec(),
        hex.clone().into(),
        format!("{hex}\n").into(),
        tower_x402::internals::codec::base64::encode_standard(Secrets::test_secret(1)).into(),
        "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{43a}\u{43e}\u{442}\u{43e}\u{440}\u{44b}\u{439} \u{43d}\u{435}".into(),
    ]
}

#[test]
fn off_loopback_a_weak_secret_is_refused_with_the_command_that_makes_a_good_one() {
    for secret in weak() {
        for origin in [
            "https://api.example.com",
            "http://10.0.0.1",
            "https://localhost.example.com",
            "http://0.0.0.0:3000",
        ] {
            let error = at(origin)
                .master_secret(&secret)
                .build()
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("`(umask 077; head -c 32 /dev/urandom > master-secret)`"),
                "{error}"
            );
            assert!(
                error.starts_with("for an origin that is not a loopback address"),
                "{error}"
            );
            assert!(
                error.contains("text") || error.contains("repeats itself"),
                "{error}"
            );
            let error = at(origin)
                .secrets(Secrets::new(&secret).unwrap())
                .build()
                .unwrap_err()
                .to_string();
            assert!(error.contains("/dev/urandom"), "{error}");
        }
        for origin in LOOPBACK {
            at(origin).master_secret(&secret).build().unwrap();
            assert!(
                at(origin)
                    .master_secret(&secret)
                    .origin("https://api.example.com")
                    .build()
                    .is_err(),
                "one is not on loopback"
            );
            assert!(
                at(origin)
                    .master_secret(&secret)
                    .accept_authority("api.example.com")
                    .build()
                    .is_err()
            );
            at(origin)
                .master_secret(&secret)
                .accept_authority("localhost:80")
                .build()
                .unwrap();
        }
    }
    for number in 0..=255 {
        at("https://api.example.com")
            .master_secret(Secrets::test_secret(number))
            .build()
            .unwrap();
    }
    for origin in LOOPBACK {
        let error = at(origin)
            .master_secret([0; 32])
            .build()
            .unwrap_err()
            .to_string();
        assert!(error.contains("all zeros"), "{error}");
    }
}

#[test]
fn a_ring_that_serves_off_loopback_takes_no_weak_secret_later() {
    let ring = Secrets::new(Secrets::test_secret(1)).unwrap();
    let local = ring.clone();
    at("http://localhost")
        .secrets(local.clone())
        .build()
        .unwrap();
    local.add([7; 32]).unwrap();
    assert!(
        at("https://api.example.com")
            .secrets(ring.clone())
            .build()
            .is_err(),
        "a weak one is in the ring"
    );
    local.remove([7; 32]).unwrap();
    at("https://api.example.com")
        .secrets(ring.clone())
        .build()
        .unwrap();
    for secret in weak() {
        let error = local.add(&secret).unwrap_err();
        assert!(
            matches!(error, SecretError::Text | SecretError::Pattern),
            "{error}"
        );
        assert_eq!(ring.mint_with(&secret), Err(SecretError::Unknown));
    }
    ring.add(Secrets::test_secret(2)).unwrap();
    local.mint_with(Secrets::test_secret(2)).unwrap();
}

fn file(folder: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join("master-secret");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_secret_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for length in [32, 4_096] {
        let secret: Vec<u8> = (0..length / 32)
            .flat_map(|number| Secrets::test_secret(number as u8))
            .collect();
        let path = file(folder.path(), &secret);
        let ring = Secrets::from_file(&path).unwrap();
        assert_eq!(
            ring.add(&secret),
            Err(SecretError::Duplicate),
            "it is what the file holds"
        );
        at("https://api.example.com")
            .master_secret_file(&path)
            .build()
            .unwrap();
    }
    let path = file(folder.path(), &[7; 32]);
    at("http://localhost")
        .master_secret_file(&path)
        .build()
        .unwrap();
    assert!(
        at("https://api.example.com")
            .master_secret_file(&path)
            .build()
            .is_err()
    );
}

#[test]
fn a_file_that_holds_no_secret_is_named_with_what_was_expected_and_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let refused = |path: &Path, words: &[&str]| {
        let error = Secrets::from_file(path).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("the master secret `{}` ", path.display())),
            "{text}"
        );
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        let built = at("http://localhost")
            .master_secret_file(path.to_string_lossy().as_ref())
            .build()
            .unwrap_err();
        assert_eq!(built.to_string(), text);
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    };
    let make = |path: &Path| {
        format!(
            "make one with `(umask 077; head -c 32 /dev/urandom > {})`",
            path.display()
        )
    };
    let lost = "a new secret makes all that was sold before worthless";
    refused(
        &missing,
        &[
            "cannot be read: ",
            "; put it back if there was one, or ",
            &make(&missing),
            lost,
        ],
    );
    assert!(std::error::Error::source(&Secrets::from_file(&missing).unwrap_err()).is_some());
    refused(folder.path(), &["is a folder: name the file in it"]);
    let path = folder.path().join("master-secret");
    for short in [&b""[..], b"hunter2", &Secrets::test_secret(1)[..31]] {
        refused(
            &file(folder.path(), short),
            &[
                "is too short",
                "at least 32 random bytes",
                &make(&path),
                lost,
            ],
        );
    }
    refused(
        &file(folder.path(), &[0; 32]),
        &["is all zeros", &make(&path), lost],
    );
    refused(
        &file(folder.path(), &[1; 4_097]),
        &["has more than 4096 bytes", "name the right one", lost],
    );
    assert!(
        !Secrets::from_file(&path)
            .unwrap_err()
            .to_string()
            .contains(&make(&path)),
        "nobody overwrites another file"
    );
    #[cfg(unix)]
    refused(Path::new("/dev/urandom"), &["is not a regular file"]);
}

#[test]
fn a_weak_secret_of_a_file_is_reported_with_the_file_and_how_to_convert_it() {
    let folder = tempfile::tempdir().unwrap();
    let base64 = tower_x402::internals::codec::base64::encode_standard(Secrets::test_secret(1));
    let path = file(folder.path(), base64.as_bytes());
    let shown = path.display();
    let by_file = at("https://api.example.com")
        .master_secret_file(&path)
        .build()
        .unwrap_err()
        .to_string();
    let by_ring = at("https://api.example.com")
        .secrets(Secrets::from_file(&path).unwrap())
        .build()
        .unwrap_err()
        .to_string();
    assert_eq!(by_file, by_ring);
    assert!(
        by_file.starts_with(&format!("the master secret `{shown}` is text")),
        "{by_file}"
    );
    assert!(
        by_file.contains(&format!("`(umask 077; base64 -d {shown} > {shown}.bin)`")),
        "{by_file}"
    );
    let path = file(folder.path(), &[7; 32]);
    let repeats = at("https://api.example.com")
        .master_secret_file(&path)
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        repeats.starts_with(&format!(
            "the master secret `{shown}` is a repeating or counting pattern"
        )),
        "{repeats}"
    );
    assert!(
        repeats.contains(&format!("`(umask 077; head -c 32 /dev/urandom > {shown})`")),
        "{repeats}"
    );
}

#[test]
fn an_unknown_secret_is_reported_alike_for_minting_and_removing() {
    let ring = Secrets::new(Secrets::test_secret(1)).unwrap();
    for error in [ring.remove([7; 32]), ring.mint_with([7; 32])].map(Result::unwrap_err) {
        assert_eq!(
            error.to_string(),
            "the ring does not hold that secret: it must be byte for byte the one that was added, and one that is to mint must be \
             added first"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_may_read_is_logged() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &Secrets::test_secret(1));
    for (mode, lines) in [(0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let journal = Journal::begin();
        Secrets::from_file(&path).unwrap();
        assert_eq!(
            journal.lines().matches("chmod 600").count(),
            lines,
            "{mode:o}"
        );
    }
}
