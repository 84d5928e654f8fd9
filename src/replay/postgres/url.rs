//! The URL of a database, and how to connect to it.

use std::{io, net::IpAddr, path::Path, str::FromStr as _, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres::{
    Client, Config,
    config::{Host, SslMode, TargetSessionAttrs},
    error::SqlState,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::text;
use crate::exposed;

/// A database, and how to reach it. Nothing prints its password.
pub(super) struct Database {
    config: Config,
    tls: MakeRustlsConnect,
    pub(super) schema: String,
    pub(super) connections: usize,
}

impl Database {
    /// Reads a URL. An error names a field and never a value.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(
                "expected a URL such as postgres://user@host/database?password_file=/path".into(),
            );
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        // Otherwise a part of the password is taken for the host or the database.
        if address.matches('@').count() > 1 {
            return Err(UNENCODED.into());
        }
        let mut others = Vec::new();
        let (mut schema, mut connections) = ("tower_x402".to_owned(), CONNECTIONS);
        let (mut passwords, mut ca_file) = (Vec::new(), None);
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let value = || {
                percent_encoding::percent_decode_str(value)
                    .decode_utf8()
                    .map(|value| value.into_owned())
                    .map_err(|_| format!("the field {name} of the URL is not UTF-8"))
            };
            match name {
                "ca_file" => ca_file = Some(value()?),
                "connections" => connections = read_connections(&value()?)?,
                "password_env" => passwords.push(from_environment(&value()?)?),
                "password_file" => passwords.push(read_password(&value()?)?),
                "schema" => schema = checked_schema(value()?)?,
                "sslmode" if !["disable", "prefer", "require"].contains(&&*value()?) => {
                    return Err(
                        "expected sslmode=disable, prefer or require: require always checks the certificate and the name, as verify-full does"
                            .into(),
                    );
                }
                _ => others.push(field),
            }
        }
        let mut config = Config::from_str(&format!("{address}?{}", others.join("&")))
            .map_err(|error| format!("the URL is not valid: {}", text(&error)))?;
        if passwords.len() + usize::from(config.get_password().is_some()) > 1 {
            return Err("expected one of a password, password_file and password_env".into());
        }
        if let Some(password) = passwords.pop() {
            config.password(password.trim_end_matches(['\n', '\r']));
        }
        set_defaults(&mut config);
        Ok(Self {
            config,
            tls: tls(ca_file.as_deref())?,
            schema,
            connections,
        })
    }

    /// Connects, and starts a task for the connection.
    pub(super) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        // Whoever uses the client learns of its errors.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// Returns why no connection could be made, with a fix if there is one. Shows no password.
    pub(super) fn cannot_connect(&self, error: &tokio_postgres::Error) -> String {
        let cause = text(error);
        let lacks_tls = cause.contains("server does not support TLS");
        let fix = match error.code().map(SqlState::code) {
            Some("28P01") => "; check the user and the password in the URL or its password_file",
            Some("28000") => "; check the user in the URL, and `pg_hba.conf` of the server",
            Some("3D000") => "; check the database in the URL, or create it",
            None if cause.contains("password missing") => {
                "; give a password in the URL, or name password_file or password_env"
            }
            None if lacks_tls => {
                "; turn on `ssl` at the server, or write sslmode=disable if nobody else is on the way"
            }
            _ => "",
        };
        self.said(&format!("{cause}{fix}"))
    }

    /// Returns a text that begins with the hosts of the database and their ports.
    pub(super) fn said(&self, text: &str) -> String {
        let (hosts, ports) = (self.config.get_hosts(), self.config.get_ports());
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let place = |(at, host): (usize, &Host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            #[cfg(unix)]
            Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(at)),
        };
        let mut places: Vec<_> = hosts.iter().enumerate().map(place).collect();
        if places.is_empty() {
            let addresses = self.config.get_hostaddrs().iter().enumerate();
            places.extend(addresses.map(|(at, ip)| format!("{ip}:{}", port(at))));
        }
        format!("{}: {text}", places.join(", "))
    }

    /// Asks the server to cancel what a client is waiting for, for a short while.
    pub(super) fn cancel(&self, client: &Client) {
        let (token, tls) = (client.cancel_token(), self.tls.clone());
        tokio::spawn(async move {
            let _ = tokio::time::timeout(CANCEL, token.cancel_query(tls)).await;
        });
    }
}

fn set_defaults(config: &mut Config) {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    let all_are_local = config.get_hosts().iter().all(is_local)
        && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    // To a host elsewhere, TLS must not be left out because somebody on the way says so. On this
    // machine nobody trusts the certificate that Debian's package makes.
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if all_are_local {
            SslMode::Disable
        } else {
            SslMode::Require
        });
    }
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if config.get_application_name().is_none() {
        config.application_name("tower-x402");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    config.keepalives_idle(KEEPALIVE);
}

fn tls(ca_file: Option<&str>) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in CertificateDer::pem_slice_iter(read(file)?.as_bytes()) {
                certificate
                    .ok()
                    .and_then(|certificate| roots.add(certificate).ok())
                    .ok_or_else(|| {
                        format!("the file {file} has a certificate that is not valid")
                    })?;
            }
            if roots.is_empty() {
                return Err(format!("the file {file} has no certificate in PEM"));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn read_password(file: &str) -> Result<String, String> {
    let opened = exposed::open("password", Path::new(file));
    opened
        .and_then(io::read_to_string)
        .map_err(|error| unreadable(file, &error))
}

fn read(file: &str) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &str, error: &io::Error) -> String {
    format!("the file {file} cannot be read: {error}")
}

fn from_environment(variable: &str) -> Result<String, String> {
    std::env::var(variable)
        .map_err(|_| format!("the environment has no variable {variable} in UTF-8"))
}

fn read_connections(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=MOST_CONNECTIONS).contains(number))
        .ok_or_else(|| format!("expected 1 to {MOST_CONNECTIONS} as connections in the URL"))
}

/// Checks a name that is put into statements as it is.
fn checked_schema(name: String) -> Result<String, String> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.len() <= 48
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if is_name(&name) && !name.starts_with("pg_") {
        return Ok(name);
    }
    Err("expected up to 48 of a-z, 0-9 and _ as the schema in the URL".into())
}

const UNENCODED: &str = "percent-encode the user and the password in the URL (`@` is %40, `/` is %2F, `?` is %3F, `:` is %3A), or name password_file";
const CONNECTIONS: usize = 8;
const MOST_CONNECTIONS: usize = 1_000;
/// For each host.
const CONNECT: Duration = Duration::from_secs(2);
const CANCEL: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        Database::parse(url).err().expect("an error")
    }

    #[test]
    fn the_fields_of_the_store_are_read_and_the_others_go_to_the_client() {
        let url = "postgres://me:secret@db.example:7777/shop?schema=paid_2&connections=3&application_name=shop";
        let database = Database::parse(url).unwrap();
        assert_eq!(
            (database.schema.as_str(), database.connections),
            ("paid_2", 3)
        );
        let config = &database.config;
        assert_eq!(config.get_user(), Some("me"));
        assert_eq!(config.get_password(), Some(b"secret".as_slice()));
        assert_eq!(config.get_dbname(), Some("shop"));
        assert_eq!(config.get_ports(), [7777]);
        assert_eq!(config.get_application_name(), Some("shop"));
    }

    #[test]
    fn a_password_is_read_from_a_file_or_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "from the file\n").unwrap();
        let file = file.display();
        let url = format!("postgres://me@localhost/shop?password_file={file}");
        let database = Database::parse(&url).unwrap();
        assert_eq!(
            database.config.get_password(),
            Some(b"from the file".as_slice())
        );
        let both = format!("postgres://me:secret@localhost/shop?password_file={file}");
        assert!(error(&both).contains("expected one of"));
        let url = "postgres://me@localhost/shop?password_env=PATH";
        let path = std::env::var("PATH").unwrap();
        let database = Database::parse(url).unwrap();
        assert_eq!(database.config.get_password(), Some(path.as_bytes()));
        assert!(error(&format!("{url}&password_file={file}")).contains("expected one of"));
    }

    #[test]
    fn tls_is_left_out_only_to_this_machine_or_if_the_url_says_so() {
        let mode = |url: &str| Database::parse(url).unwrap().config.get_ssl_mode();
        for local in ["localhost", "127.0.0.1", "%2Frun%2Fpostgresql"] {
            let url = format!("postgres://me@{local}/shop");
            assert_eq!(mode(&url), SslMode::Disable, "{local}");
        }
        for other in ["db.example", "10.0.0.1", "localhost,db.example"] {
            let url = format!("postgres://me@{other}/shop");
            assert_eq!(mode(&url), SslMode::Require, "{other}");
        }
        let local = "postgres://me@localhost/shop?sslmode=require";
        assert_eq!(mode(local), SslMode::Require);
        let weaker = "postgres://me@db.example/shop?sslmode=prefer";
        assert_eq!(mode(weaker), SslMode::Require);
        let without = "postgres://me@db.example/shop?sslmode=disable";
        assert_eq!(mode(without), SslMode::Disable);
    }

    #[test]
    fn a_mode_of_tls_or_a_password_that_is_not_encoded_is_refused_with_the_fix() {
        let libpq = error("postgres://me@h/d?sslmode=verify-full");
        assert!(
            libpq.contains("expected sslmode=disable, prefer or require"),
            "{libpq}"
        );
        for url in [
            "postgres://me:s3cret/p@ss@h/d",
            "postgres://me:p@ss/s3cret@h/d",
        ] {
            let error = error(url);
            assert!(
                error.contains("percent-encode the user and the password"),
                "{error}"
            );
        }
        let encoded = Database::parse("postgres://me:s3cret%2Fp%40ss@h/d").unwrap();
        assert_eq!(
            encoded.config.get_password(),
            Some(b"s3cret/p@ss".as_slice())
        );
    }

    #[test]
    fn an_error_begins_with_each_host_and_its_port() {
        let said = |url: &str| Database::parse(url).unwrap().said("down");
        assert_eq!(said("postgres://me:hunter2@h/d"), "h:5432: down");
        assert_eq!(said("postgres://me@a:1,b:2/d"), "a:1, b:2: down");
        assert_eq!(said("postgres://me@%2Frun/d"), "/run/.s.PGSQL.5432: down");
    }

    #[test]
    fn a_wrong_url_is_an_error_that_tells_no_secret() {
        let wrong = [
            "mysql://me:secret@h/d",
            "postgres://me:secret@h:port/d",
            "postgres://me:secret@h/d?schema=a;b",
            "postgres://me:secret@h/d?schema=pg_x",
            "postgres://me:secret@h/d?schema=",
            "postgres://me:secret@h/d?sslmode=verify-full",
            "postgres://me:x/y@secret@h/d",
            "postgres://me:x@secret/y@h/d",
            "postgres://me:secret@h/d?connections=0",
            "postgres://me:secret@h/d?connections=many",
            "postgres://me:secret@h/d?secret=secret",
            "postgres://me:secret@h/d?ca_file=/no/such/file",
            "postgres://me:secret@h/d?password_file=/no/such/file",
            "postgres://me@h/d?password_env=NO_SUCH_VARIABLE",
        ];
        for url in wrong {
            let error = error(url);
            let told = error.replace("`secret`", "");
            assert!(!told.contains("secret"), "{url}: {error}");
        }
    }
}
