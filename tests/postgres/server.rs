//! A PostgreSQL server of Debian's package, in a folder and on a port of its own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::child;

/// A server, which ends when this is dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

/// How often a server is started that does not start.
const MOST_STARTS: usize = 40;
const BETWEEN_STARTS: Duration = Duration::from_millis(500);

impl Server {
    /// Makes and starts a server. Returns `None` after it said why, if this system has no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(free_port(), "")
    }

    /// Makes and starts a server on a port, with more lines for its configuration.
    pub(crate) fn start_with(port: u16, settings: &str) -> Option<Self> {
        if programs().is_none() {
            child::skip("no PostgreSQL: install Debian's package `postgresql`");
            return None;
        }
        let server = Self::empty(port);
        let data = server.data();
        run(as_server("initdb")
            .args(["-A", "trust", "-U", "x402", "--no-sync", "-E", "UTF8"])
            .arg("-D")
            .arg(&data));
        server.configure(settings);
        server.resume();
        Some(server)
    }

    /// Makes a standby that follows this server, on a port of its own. It is not started.
    pub(crate) fn standby_elsewhere(&self) -> Self {
        let standby = Self::empty(free_port());
        run(as_server("pg_basebackup")
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "x402",
                "-R",
                "-c",
                "fast",
                "--no-sync",
                "-p",
                &self.port.to_string(),
            ])
            .arg("-D")
            .arg(standby.data()));
        standby.configure("");
        standby
    }

    /// Gives the server another port, from its next start on.
    pub(crate) fn move_to(&mut self, port: u16) {
        self.port = port;
        self.configure("");
    }

    /// Lets nobody in but over TLS and with a password.
    pub(crate) fn only_with_tls_and_password(&self) {
        let file = self.data().join("pg_hba.conf");
        std::fs::write(file, "hostssl all all all scram-sha-256\n").unwrap();
        run(&mut self.control("reload"));
    }

    fn empty(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        own(folder.path());
        Self { folder, port }
    }

    /// Adds lines to the configuration.
    pub(crate) fn configure(&self, settings: &str) {
        let file = self.data().join("postgresql.conf");
        let before = std::fs::read_to_string(&file).unwrap();
        let port = self.port;
        let own = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nshared_buffers = 16MB\n"
        );
        std::fs::write(&file, format!("{before}\n{own}{settings}\n")).unwrap();
    }

    /// Starts the server again. After a kill, what is left of the old one may be in the way for a
    /// while.
    pub(crate) fn resume(&self) {
        for _ in 1..MOST_STARTS {
            let mut start = self.control("start");
            start.current_dir("/").stdin(Stdio::null());
            start.stdout(Stdio::null()).stderr(Stdio::null());
            if start.status().is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(BETWEEN_STARTS);
        }
        self.resume_in(&[]);
    }

    /// Starts the server again, by a command that ends with the words of the start.
    pub(crate) fn resume_in(&self, before: &[&str]) {
        let start = self.control("start");
        let words: Vec<_> = before
            .iter()
            .map(std::ffi::OsStr::new)
            .chain([start.get_program()])
            .chain(start.get_args())
            .map(ToOwned::to_owned)
            .collect();
        run(Command::new(&words[0]).args(&words[1..]));
    }

    /// Stops the server, without a chance to write anything.
    pub(crate) fn kill(&self) {
        run(self.control("stop").args(["-m", "immediate"]));
    }

    pub(crate) fn restart(&self) {
        self.kill();
        self.resume();
    }

    /// Makes a primary of a standby.
    pub(crate) fn promote(&self) {
        run(&mut self.control("promote"));
    }

    /// Makes a standby without a primary of this server, from its next start on.
    pub(crate) fn demote(&self) {
        std::fs::write(self.data().join("standby.signal"), "").unwrap();
    }

    /// Sends a signal, such as STOP, to all processes of the server.
    pub(crate) fn signal(&self, signal: &str) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let first = file.lines().next().unwrap();
        let children = Command::new("pgrep").args(["-P", first]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let kill = || {
            let mut kill = Command::new("kill");
            kill.arg(format!("-{signal}"));
            kill
        };
        run(kill().arg(first));
        // One that ends meanwhile is no error.
        let _ = kill().args(children.split_whitespace()).output();
    }

    fn control(&self, action: &str) -> Command {
        let mut command = as_server("pg_ctl");
        command.args([action, "-w", "-s", "-D"]).arg(self.data());
        command.arg("-l").arg(self.folder.path().join("log"));
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the URL of a schema.
    pub(crate) fn url(&self, schema: impl std::fmt::Display) -> String {
        format!(
            "postgres://x402@127.0.0.1:{}/postgres?schema={schema}",
            self.port
        )
    }

    /// Runs statements, and returns what they print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let mut command = self.psql();
        run(command.args(["-c", statements])).trim().to_owned()
    }

    /// Fills the disk of a folder, and then the pages that the table of the store has there.
    pub(crate) fn fill(&self, folder: &str) {
        let large = "SELECT repeat('x', 1000000) FROM generate_series(1, 100)";
        let copy = format!("COPY ({large}) TO '{folder}/filler'");
        let said = self.psql().args(["-c", &copy]).output().unwrap();
        assert!(!said.status.success(), "the disk is not small");
        self.sql(
            "SET synchronous_commit = off;
             DO $$ BEGIN
                 LOOP
                     BEGIN
                         INSERT INTO s.entries (key, expires_at, version)
                             VALUES (decode(md5(random()::text), 'hex'), 9e18, 1);
                     EXCEPTION WHEN disk_full THEN EXIT;
                     END;
                 END LOOP;
             END $$",
        );
    }

    /// Empties what filled the disk.
    pub(crate) fn make_room(&self, folder: &str) {
        self.sql(&format!("COPY (SELECT 1 LIMIT 0) TO '{folder}/filler'"));
    }

    /// Starts a session that carries out what is written to it.
    pub(crate) fn session(&self) -> Child {
        let mut command = self.psql();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().unwrap()
    }

    fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        let port = self.port.to_string();
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "x402",
            "-d",
            "postgres",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
        ]);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.control("stop").args(["-m", "immediate"]).output();
    }
}

/// Returns a port that is free now. It is below those that systems give to outgoing connections, so
/// none of these takes it while the server is down, and above those of the tests of Redis.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id()
            .wrapping_mul(31)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 30_000 + u16::try_from(number % 2_700).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Gives a folder to the user that the servers run as.
pub(crate) fn own(folder: &Path) {
    if is_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(folder));
    }
}

/// Returns a command for a program of the server, which refuses to run as root.
pub(crate) fn as_server(program: &str) -> Command {
    let path = programs().unwrap().join(program);
    let path = if path.exists() { path } else { program.into() };
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(path);
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

/// Returns the folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    folders.sort();
    folders.pop()
}

/// Runs a command, and returns its output. Panics with what it said if it fails.
pub(crate) fn run(command: &mut Command) -> String {
    // A server that was started would keep pipes open.
    let said = tempfile::tempfile().unwrap();
    let (out, error) = (said.try_clone().unwrap(), said.try_clone().unwrap());
    let status = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(error)
        .status();
    let mut text = String::new();
    let mut said = said;
    std::io::Seek::rewind(&mut said).unwrap();
    std::io::Read::read_to_string(&mut said, &mut text).unwrap();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{command:?}: {status:?}\n{text}"
    );
    text
}
