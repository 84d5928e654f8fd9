//! Servers that these tests start, on ports and in folders of their own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

/// Settings under which each answer comes after an fsync.
pub(crate) const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A server of Redis or Valkey. It ends with this value.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    program: String,
    settings: Vec<String>,
    child: Option<Child>,
    /// What it says when it is ready.
    ready: &'static str,
}

impl Server {
    pub(crate) fn start(program: &str, settings: &[&str]) -> Self {
        let mut server = Self {
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            program: program.to_owned(),
            settings: settings.iter().map(ToString::to_string).collect(),
            child: None,
            ready: "Ready to accept connections",
        };
        server.start_again();
        server
    }

    /// Starts a Sentinel that calls a server `main`.
    pub(crate) fn sentinel(program: &str, primary: &Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("sentinel.conf");
        let port = primary.port;
        let text = format!(
            "sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 500\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut sentinel = Self {
            port: free_port(),
            folder,
            program: program.to_owned(),
            settings: vec!["--sentinel".to_owned()],
            child: None,
            ready: "+monitor master main",
        };
        sentinel.start_with(&[config.to_str().unwrap()]);
        sentinel
    }

    /// Starts the program with the same port and folder, and waits until it takes connections.
    pub(crate) fn start_again(&mut self) {
        self.start_with(&[]);
    }

    fn start_with(&mut self, first: &[&str]) {
        let mut child = Command::new(&self.program)
            .args(first)
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
            ])
            .arg(self.folder.path())
            .args(&self.settings)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut said = Vec::new();
        let is_ready = lines.any(|line| {
            said.push(line.clone());
            line.contains(self.ready)
        });
        assert!(is_ready, "the server did not start: {said:?}");
        // It must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// Starts as a replica of another server the next time.
    pub(crate) fn follow(&mut self, primary: &Self) {
        let primary = format!("127.0.0.1 {}", primary.port);
        self.settings.extend(["--replicaof".to_owned(), primary]);
    }

    /// Starts without its settings the next time.
    pub(crate) fn forget_settings(&mut self) {
        self.settings.clear();
    }

    /// Ends the program with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal, such as STOP.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Runs a command at the server, and returns what it answers.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli")
            .args(["-p", &port])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns a URL of the store of this name.
    pub(crate) fn url(&self, name: impl std::fmt::Display) -> String {
        format!("redis://127.0.0.1:{}?name={name}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a port that is free now, and so is the one that is 10,000 higher, at which the servers
/// of a cluster listen to each other. Both are below those that systems give to connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id()
            .wrapping_mul(31)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(number % 10_000).unwrap();
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// The programs that are installed. Without any, a test reports that it was skipped, and fails if
/// `X402_REQUIRE_ALL=1`.
pub(crate) fn programs() -> Vec<&'static str> {
    let is_there = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let found: Vec<_> = ["redis-server", "valkey-server"]
        .into_iter()
        .filter(is_there)
        .collect();
    if found.is_empty() {
        assert!(
            std::env::var("X402_REQUIRE_ALL").as_deref() != Ok("1"),
            "redis-server is not installed: run scripts/stores install"
        );
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test}: redis-server is not installed, run scripts/stores install"
        );
    }
    found
}
