//! The store behind PgBouncer in transaction mode.

use std::{
    net::TcpStream,
    process::{Child, Command},
};

use tower_x402::replay::{Consumption, PostgresOptions, PostgresStore, conformance};

use crate::{
    GRANTED, answered, child, connect, consume, key, lost,
    server::{Server, as_server, free_port, own},
    until,
};

struct Pooler {
    process: Child,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Pooler {
    /// Starts PgBouncer before a server. Returns `None` after it said why, if this system has none.
    fn start(server: &Server) -> Option<Self> {
        if !Command::new("pgbouncer")
            .arg("-V")
            .output()
            .is_ok_and(|output| output.status.success())
        {
            child::skip("no PgBouncer: install Debian's package `pgbouncer`");
            return None;
        }
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=x402\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 500\nserver_login_retry = 1\n",
            server.port
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        own(folder.path());
        own(&file);
        let process = as_server("pgbouncer").arg("-q").arg(&file).spawn().unwrap();
        until("PgBouncer must start", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self {
            process,
            _folder: folder,
            port,
        })
    }

    fn url(&self, schema: impl std::fmt::Display) -> String {
        format!(
            "postgres://x402@127.0.0.1:{}/postgres?schema={schema}",
            self.port
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_pooler_in_transaction_mode_the_store_keeps_the_contract() {
    let Some(server) = Server::start() else {
        return;
    };
    let Some(pooler) = Pooler::start(&server) else {
        return;
    };
    let open = async |setup: conformance::Setup| {
        let options = PostgresOptions::new().clock(setup.clock);
        PostgresStore::connect_with(&pooler.url(format_args!("s_{}", setup.name)), options)
            .await
            .unwrap()
    };
    conformance::replay_store(open).await;
    conformance::records(open, true).await;
    conformance::two_handles(open).await;
}

#[tokio::test]
async fn behind_a_pooler_a_server_that_starts_again_is_checked_too() {
    let Some(server) = Server::start() else {
        return;
    };
    let Some(pooler) = Pooler::start(&server) else {
        return;
    };
    let store = connect(&pooler.url("s")).await;
    assert_eq!(consume(&store, key(1)).await.unwrap(), GRANTED);
    server.restart();
    assert_eq!(answered(&store, key(2)).await, GRANTED);
    assert_eq!(answered(&store, key(1)).await, Consumption::Spent);
    server.kill();
    server.resume();
    server.sql("DELETE FROM s.entries WHERE get_byte(key, 0) = 112");
    server.restart();
    let error = lost(&store, key(1)).await;
    assert!(error.to_string().contains("acknowledged"), "{error}");
}
