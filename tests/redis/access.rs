//! Passwords and TLS.

use std::{path::Path, process::Command};

use tower_x402::replay::{Durability, RedisStore, ReplayStore as _, StoreErrorKind};

use crate::{
    GRANTED, consume, exposed,
    journal::Journal,
    key, patient,
    server::{DURABLE, Server, free_port, programs},
};

#[tokio::test]
async fn a_password_opens_the_server_and_is_not_printed() {
    for program in programs() {
        let server = Server::start(program, &["--requirepass", "hunter2"]);
        let at = |user: &str| format!("redis://{user}127.0.0.1:{}", server.port);
        let store = patient(&at(":hunter2@")).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        assert!(!format!("{store:?}").contains("hunter2"));
        let (none, wrong) = (
            "give a password in the URL",
            "check the user and the password",
        );
        for (user, fix) in [("", none), (":hunter3@", wrong), ("nobody:hunter3@", wrong)] {
            let error = RedisStore::connect(&at(user)).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter"), "{error}");
            assert!(text.contains(fix), "{error}");
            assert!(
                text.contains(&format!("127.0.0.1:{}: ", server.port)),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_password_file_that_every_user_may_read_is_logged_with_its_fix() {
    exposed::is_logged_with_its_fix("redis://127.0.0.1:1").await;
}

#[tokio::test]
async fn a_user_with_the_rights_of_the_docs_uses_the_store_and_one_without_them_is_told_where_they_are()
 {
    for program in programs() {
        let server = Server::start(program, &DURABLE);
        let rights = "on >hunter2 ~{shop}* ~{shop/* +@read +@write +@scripting +@transaction +info +role +wait +config|get";
        let words: Vec<_> = ["ACL", "SETUSER", "shop"]
            .into_iter()
            .chain(rights.split(' '))
            .collect();
        server.ask(&words);
        let url = format!("redis://shop:hunter2@127.0.0.1:{}?name=shop", server.port);
        let store = patient(&url).await;
        assert_eq!(store.durability(), Durability::Durable);
        let asked = (0..64).map(|number| consume(&store, key(number)));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.unwrap(), GRANTED);
        }
        store.ready().await.unwrap();
        let other = url.replace("name=shop", "name=other");
        let error = RedisStore::connect(&other).await.unwrap_err().to_string();
        assert!(error.contains("docs of `RedisStore`"), "{error}");
        server.ask(&["ACL", "SETUSER", "shop", "-config|get"]);
        let journal = Journal::begin();
        let store = patient(&url).await;
        assert_eq!(store.durability(), Durability::Volatile);
        let lines = journal.lines();
        assert!(
            lines.contains("let the user of the store run `CONFIG GET`"),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn an_error_of_a_connection_names_the_host_the_port_and_a_plain_port_under_tls() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let error = RedisStore::connect(&url).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}: ")), "{error}");
    for program in programs() {
        let server = Server::start(program, &[]);
        let url = format!("rediss://127.0.0.1:{}", server.port);
        let error = RedisStore::connect(&url).await.unwrap_err().to_string();
        assert!(error.contains("speaks no TLS at this port"), "{error}");
    }
}

#[tokio::test]
async fn only_a_server_with_a_trusted_certificate_is_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ours", "theirs"] {
        certify(folder.path(), name);
    }
    let pem = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for program in programs() {
        let port = free_port();
        let (number, certificate, secret) = (port.to_string(), pem("ours.pem"), pem("ours.key"));
        let _server = Server::start(
            program,
            &[
                "--tls-port",
                &number,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &secret,
                "--tls-auth-clients",
                "no",
            ],
        );
        let url = |host: &str, cert: &str| format!("rediss://{host}:{port}?cert={}", pem(cert));
        let store = patient(&url("127.0.0.1", "ours-ca.pem")).await;
        assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
        for url in [
            url("127.0.0.1", "theirs-ca.pem"),
            url("localhost", "ours-ca.pem"),
            format!("rediss://127.0.0.1:{port}"),
        ] {
            let error = RedisStore::connect(&url).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Refused, "{url}: {error}");
        }
    }
}

/// Makes a certificate authority, and a certificate of it for 127.0.0.1.
fn certify(folder: &Path, name: &str) {
    let run = |words: &str| {
        let mut openssl = Command::new("openssl");
        let done = openssl
            .args(words.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    run(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN={name} -keyout {name}-ca.key -out {name}-ca.pem"
    ));
    run(&format!(
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=server -addext subjectAltName=IP:127.0.0.1 -keyout {name}.key -out {name}.csr"
    ));
    run(&format!(
        "x509 -req -in {name}.csr -CA {name}-ca.pem -CAkey {name}-ca.key -CAcreateserial -days 9 -copy_extensions copy -out {name}.pem"
    ));
}
