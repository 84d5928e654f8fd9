//! The store over TLS, and with passwords.

use std::process::Command;

use tower_x402::replay::PostgresStore;

use crate::{
    GRANTED, connect, consume, exposed, key,
    server::{Server, own, run},
};

#[tokio::test]
async fn tls_needs_a_certificate_that_is_trusted_and_no_error_tells_the_password() {
    let Some(server) = Server::start() else {
        return;
    };
    let (certificate, secret) = (
        server.folder().join("cert.pem"),
        server.folder().join("key.pem"),
    );
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&secret)
        .arg("-out")
        .arg(&certificate));
    own(&secret);
    server.kill();
    server.configure(&format!(
        "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'",
        certificate.display(),
        secret.display()
    ));
    server.resume();
    server.sql("ALTER ROLE x402 PASSWORD 'hunter2'");
    server.only_with_tls_and_password();

    let url = format!(
        "postgres://x402:hunter2@localhost:{}/postgres?schema=s&sslmode=require",
        server.port
    );
    let trusted = format!("{url}&ca_file={}", certificate.display());
    let store = connect(&trusted).await;
    assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
    let wrong = [
        (url.clone(), ""),
        (trusted.replace("localhost", "127.0.0.1"), ""),
        (
            trusted.replace("hunter2", "hunter3"),
            "check the user and the password",
        ),
        (
            trusted.replace(":hunter2", ""),
            "give a password in the URL",
        ),
        (
            trusted.replace("require", "disable"),
            "check the user in the URL, and `pg_hba.conf`",
        ),
    ];
    for (url, fix) in wrong {
        let error = PostgresStore::connect(&url).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(fix), "{url}: {text}");
        assert!(text.contains(&format!(":{}: ", server.port)), "{text}");
        assert!(
            !format!("{error} {error:?} {store:?}").contains("hunter"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_error_of_a_connection_names_its_place_and_the_fix() {
    let error = PostgresStore::connect("postgres://x402@127.0.0.1:1/postgres").await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1: "), "{error}");
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.url("s");
    for (url, fix) in [
        (
            format!("{url}&sslmode=require"),
            "turn on `ssl` at the server",
        ),
        (
            url.replace("/postgres?", "/nowhere?"),
            "check the database in the URL",
        ),
    ] {
        let error = PostgresStore::connect(&url).await.unwrap_err().to_string();
        assert!(error.contains(fix), "{error}");
    }
}

#[tokio::test]
async fn a_password_file_that_every_user_may_read_is_logged_with_its_fix() {
    exposed::is_logged_with_its_fix("postgres://x402@127.0.0.1:1/postgres").await;
}
