//! Secrets that change while servers run: a list in a file that is read again, and in the
//! environment.

use std::{env, fs, path::PathBuf, process::Command};

use axum::{Router, routing::get as on_get};
use http::StatusCode;
use tempfile::TempDir;
use tower_x402::{
    Amount, Charge, DialectName, MemoryStore, Paywall, SecretError, SecretSourceError, Secrets,
    internals::codec::hex, server::PaywallBuilder,
};

use crate::{
    customer::{ALL, Call, HeaderLine, payment_hash},
    journal::Journal,
    shop::{Shop, ask, reason},
};

/// One server, with a file of its own.
struct Replica {
    folder: TempDir,
    secrets: Secrets,
    app: Router,
}

impl Replica {
    fn new(shop: &Shop, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("master-secret"), content).unwrap();
        let secrets = Secrets::from_file(folder.path().join("master-secret")).unwrap();
        let paywall = shop.builder().dialects(ALL).secrets(secrets.clone());
        let app = route(&paywall.build().unwrap());
        Self {
            folder,
            secrets,
            app,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("master-secret")
    }

    /// Writes the file and reads it again.
    fn reload(&self, content: impl AsRef<[u8]>) -> Result<bool, SecretSourceError> {
        fs::write(self.path(), content).unwrap();
        self.secrets.reload()
    }

    async fn serves(&self, call: &Call, credential: &HeaderLine) -> bool {
        ask(&self.app, call.paid(credential)).await.status() == StatusCode::OK
    }
}

fn route(paywall: &Paywall) -> Router {
    let layer = paywall.charge(Charge::new(Amount::from_sat(10))).unwrap();
    Router::new().route("/a", on_get(async || "served").route_layer(layer))
}

fn secret(number: u8) -> String {
    hex::encode(Secrets::test_secret(number))
}

/// A list of these secrets.
fn list(numbers: &[u8]) -> String {
    numbers
        .iter()
        .map(|number| secret(*number) + "\n")
        .collect()
}

fn real(shop: Shop) -> PaywallBuilder {
    Paywall::builder(shop.node)
        .origin("https://api.example.com")
        .replay_store(MemoryStore::new().unwrap())
}

/// The cause of an error, if it is a secret that is not fit.
fn cause(error: &SecretSourceError) -> Option<SecretError> {
    let cause = std::error::Error::source(error)?;
    cause.downcast_ref::<SecretError>().copied()
}

#[tokio::test]
async fn files_rotate_over_two_replicas_and_every_outstanding_challenge_is_paid_and_redeemed() {
    let shop = Shop::new();
    let replicas = [(); 2].map(|()| Replica::new(&shop, list(&[1])));
    let call = Call::get("/a");
    let steps = [[1, 2].as_slice(), &[2, 1], &[2]];
    // Every dialect and replica, with a challenge from before each change.
    for (step, replica) in (0..3).flat_map(|step| [(step, 0), (step, 1)]) {
        let mut outstanding = Vec::new();
        for (sold, shown) in [(0, 1), (1, 0)] {
            for dialect in ALL {
                let answer = ask(&replicas[sold].app, call.request()).await;
                outstanding.push((dialect, shown, answer));
            }
        }
        // What the old secret signed ends before that is removed.
        if step < 2 {
            assert!(replicas[replica].reload(list(steps[step])).unwrap());
        }
        for (dialect, shown, answer) in outstanding {
            let preimage = shop.node.settle(payment_hash(&answer)).unwrap();
            let credential = call.credential(&shop, dialect, &answer, &preimage);
            let credential = credential.expect("it is offered");
            assert!(
                replicas[shown].serves(&call, &credential).await,
                "{dialect} after step {step} on replica {replica}"
            );
        }
        if step == 2 {
            assert!(replicas[replica].reload(list(steps[step])).unwrap());
        }
        shop.clock.advance(std::time::Duration::from_secs(400));
    }
}

#[tokio::test]
async fn a_new_secret_that_was_put_first_mints_only_after_a_second_reload() {
    let shop = Shop::new();
    let replicas = [(); 2].map(|()| Replica::new(&shop, list(&[1])));
    let call = Call::get("/a");
    let journal = Journal::begin();
    assert!(!replicas[0].reload(list(&[2, 1])).unwrap());
    assert!(
        journal.lines().contains("mints after the next reload"),
        "{}",
        journal.lines()
    );
    for dialect in ALL {
        let credential = call.buy(&shop, &replicas[0].app, dialect).await;
        assert!(
            replicas[1].serves(&call, &credential).await,
            "{dialect}: this replica does not know the new secret yet"
        );
    }
    assert!(!replicas[1].reload(list(&[2, 1])).unwrap());
    for (sold, shown) in [(0, 1), (1, 0)] {
        assert!(replicas[sold].secrets.reload().unwrap());
        for dialect in ALL {
            let credential = call.buy(&shop, &replicas[sold].app, dialect).await;
            assert!(
                replicas[shown].serves(&call, &credential).await,
                "{dialect}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_removed_secret_sold_is_refused_and_nothing_else() {
    let shop = Shop::new();
    let replica = Replica::new(&shop, list(&[1, 2]));
    let call = Call::get("/a");
    let old = call.buy(&shop, &replica.app, DialectName::L402).await;
    assert!(replica.reload(list(&[2, 1])).unwrap());
    let new = call.buy(&shop, &replica.app, DialectName::L402).await;
    let journal = Journal::begin();
    replica.reload(list(&[2])).unwrap();
    assert!(
        journal.lines().contains("1 are removed"),
        "{}",
        journal.lines()
    );
    let refused = ask(&replica.app, call.paid(&old)).await;
    assert_eq!(reason(&refused), "unknown_key");
    assert!(replica.serves(&call, &new).await);
}

#[tokio::test]
async fn a_reload_that_fails_keeps_the_secrets_returns_an_error_and_is_logged() {
    let shop = Shop::new();
    let replica = Replica::new(&shop, list(&[1, 2]));
    let call = Call::get("/a");
    let whole = list(&[1, 2]);
    let pattern = hex::encode([7; 32]);
    let hex_of_text = hex::encode(b"hunter2 hunter3 hunter4 hunter56");
    let base64 = "aHVudGVyMmh1bnRlcjNodW50ZXI0aHVudGVyNTYyMzQ=";
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "too short"),
        (b"# no secret is here\n".to_vec(), "too short"),
        (whole[..100].into(), "master secret 2 in the file"),
        (whole.replacen('\n', "", 1).into(), "has 128 hex digits"),
        (
            whole.replacen(secret(2).as_str(), &pattern, 1).into(),
            "repeating or counting",
        ),
        (
            whole.replacen(secret(2).as_str(), &hex_of_text, 1).into(),
            "text written in hex",
        ),
        (format!("{}{base64}\n", list(&[1])).into(), "is not hex"),
        (list(&[1, 2, 1]).into(), "is there twice"),
        (
            list(&[2]).into(),
            "no longer has the master secret that mints",
        ),
        (
            list(&[3]).into(),
            "no longer has the master secret that mints",
        ),
        (
            Secrets::test_secret(3).into(),
            "no longer has the master secret that mints",
        ),
        (
            vec![b'#'; 70_000],
            "bytes, so it is probably the wrong file",
        ),
    ];
    let mut sold = Vec::new();
    for dialect in ALL {
        sold.push(call.buy(&shop, &replica.app, dialect).await);
    }
    let fails = |words: &str| {
        let journal = Journal::begin();
        let error = replica.secrets.reload().unwrap_err();
        let lines = journal.lines();
        assert!(error.to_string().contains(words), "{words}: {error}");
        let logged = format!("the master secrets stay as they were, because {error}");
        assert!(lines.contains("WARN") && lines.contains(&logged), "{lines}");
        let all = format!("{lines} {error:?}");
        for shown in [secret(1), secret(2), pattern.clone(), hex_of_text.clone()] {
            assert!(!all.contains(&shown[..16]), "{all}");
        }
        assert!(
            !all.contains("aHVudGVy") && !all.contains("hunter"),
            "{all}"
        );
        error
    };
    for (content, words) in bad {
        fs::write(replica.path(), content).unwrap();
        let error = fails(words);
        assert_eq!(
            cause(&error) == Some(SecretError::Minting),
            words.contains("mints")
        );
        let buys = call.buy(&shop, &replica.app, DialectName::L402).await;
        assert!(replica.serves(&call, &buys).await, "{words}");
    }
    fs::remove_file(replica.path()).unwrap();
    fails("cannot be read");
    fs::create_dir(replica.path()).unwrap();
    fails("is a folder");
    for credential in &sold {
        assert!(replica.serves(&call, credential).await);
    }
    fs::remove_dir(replica.path()).unwrap();
    replica.reload(&whole).unwrap();
}

#[test]
fn only_a_ring_that_was_read_can_be_read_again() {
    let ring = Secrets::from_list([Secrets::test_secret(1), Secrets::test_secret(2)]).unwrap();
    let error = ring.reload().unwrap_err().to_string();
    assert!(error.contains("was not read from a file"), "{error}");
}

#[test]
fn a_list_may_have_comments_commas_and_digits_of_either_case() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master-secret");
    let (a, b) = (secret(1), secret(2).to_uppercase());
    for text in [
        format!("{a}\n{b}\n"),
        format!("# of march\r\n{a}\r\n\r\n{b} # of may"),
        format!(" {a},{b}"),
        format!("\t{a} {b}\n#{}", secret(3)),
    ] {
        fs::write(&path, text).unwrap();
        let ring = Secrets::from_file(&path).unwrap();
        assert_eq!(format!("{ring:?}"), "Secrets { count: 2, .. }");
        for number in [1, 2] {
            let held = ring.add(Secrets::test_secret(number));
            assert_eq!(held, Err(SecretError::Duplicate));
        }
        let first = ring.remove(Secrets::test_secret(1));
        assert_eq!(first, Err(SecretError::Minting), "the first mints");
        real(Shop::new()).secrets(ring).build().unwrap();
    }
}

#[test]
fn a_weak_secret_of_a_list_stops_the_start_and_its_number_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master-secret");
    fs::write(&path, secret(1) + "\n" + &hex::encode([7; 32])).unwrap();
    let error = real(Shop::new())
        .master_secret_file(&path)
        .build()
        .unwrap_err();
    let expected = format!(
        "master secret 2 in the file `{}` is a repeating or counting pattern, and for an origin that is not a loopback address random \
         bytes are expected: make one with `openssl rand -hex 32`; a new secret makes all that was sold before worthless",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_raw_secret_becomes_a_list_without_another_key_and_takes_no_line_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master-secret");
    let raw = Secrets::test_secret(1);
    fs::write(&path, raw).unwrap();
    let ring = Secrets::from_file(&path).unwrap();
    fs::write(&path, list(&[1, 2])).unwrap();
    assert!(ring.reload().unwrap());
    fs::write(&path, [&raw[..], secret(2).as_bytes(), b"\n"].concat()).unwrap();
    for error in [
        ring.reload().unwrap_err(),
        Secrets::from_file(&path).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("raw bytes with a line of hex digits"),
            "{text}"
        );
    }
}

#[test]
fn a_generated_secret_is_64_digits_fit_for_any_paywall_and_never_the_same() {
    let (one, two) = (Secrets::generate().unwrap(), Secrets::generate().unwrap());
    assert_ne!(one, two);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master-secret");
    // Of a million random secrets some three are refused.
    let fits = |secret: &String| {
        fs::write(&path, secret).unwrap();
        real(Shop::new()).master_secret_file(&path).build().is_ok()
    };
    assert!([one, two].iter().any(fits));
}

/// The test below runs this test in a process with other variables.
#[test]
fn with_a_variable_of_the_environment() {
    let Ok(expected) = env::var("ROTATING_EXPECTED") else {
        return;
    };
    let got = match Secrets::from_env("ROTATING_SECRETS") {
        Ok(ring) => match real(Shop::new()).secrets(ring.clone()).build() {
            Ok(_) => format!("{ring:?} {:?}", ring.reload().unwrap()),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    assert!(got.contains(&expected), "{got}");
}

#[test]
fn secrets_of_the_environment_are_checked_like_those_of_a_file() {
    let two = format!("{},{}", secret(1), secret(2));
    let weak = format!("{} {}", secret(1), hex::encode([7; 32]));
    for (value, expected) in [
        (Some(&*two), "Secrets { count: 2, .. } true"),
        (
            None,
            "the environment variable `ROTATING_SECRETS` is not set: expected secrets of 64",
        ),
        (
            Some(""),
            "the environment variable `ROTATING_SECRETS` lists no master secret",
        ),
        (
            Some("hunter2"),
            "master secret 1 in the environment variable `ROTATING_SECRETS` is not hex",
        ),
        (
            Some(&two[..70]),
            "master secret 2 in the environment variable `ROTATING_SECRETS` has 5 hex",
        ),
        (
            Some(&*weak),
            "master secret 2 in the environment variable `ROTATING_SECRETS` is a repeating",
        ),
    ] {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "rotating::with_a_variable_of_the_environment"]);
        child.env("ROTATING_EXPECTED", expected);
        match value {
            Some(value) => child.env("ROTATING_SECRETS", value),
            None => child.env_remove("ROTATING_SECRETS"),
        };
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{expected}: {text}"
        );
    }
}
