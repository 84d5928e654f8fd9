//! URLs of Redis servers, and the secrets that they name.

use std::{fmt, fs, io, path::Path};

use percent_encoding::percent_decode_str;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisResult, TlsCertificates,
};
use rustls::crypto::{CryptoProvider, ring};

use super::fault::setup;
use crate::{exposed, replay::StoreError};

/// What a URL says.
#[derive(Debug)]
pub(super) struct RedisUrl {
    pub(super) kind: Kind,
    pub(super) hosts: Vec<Host>,
    /// The name of the store.
    pub(super) name: String,
    pub(super) access: Access,
}

/// What the hosts of a URL are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Some servers of a cluster.
    Cluster,
    /// Sentinels, which know the server of this name.
    Sentinel(String),
    /// The server.
    Single,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Host(pub(super) String, pub(super) u16);

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// How the servers are connected.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) tls: bool,
    /// The only authority to trust, in PEM.
    certificate: Option<Vec<u8>>,
    user: Option<String>,
    password: Option<String>,
    database: i64,
}

/// Shows no password.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("tls", &self.tls)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl RedisUrl {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(EXPECTED))?;
        let (tls, form) = match scheme.strip_prefix("rediss") {
            Some(form) => (true, form),
            None => (false, scheme.strip_prefix("redis").unwrap_or("?")),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        // A password that is not encoded is cut here, and a part of it is taken for the host.
        if path.contains('@') {
            return Err(wrong(UNENCODED));
        }
        let cut = |error| match query.contains('@') {
            true => wrong(UNENCODED),
            false => error,
        };
        let (kind, database, port) = match form {
            "" => {
                let number = if path.is_empty() { "0" } else { path };
                let number = number
                    .parse()
                    .map_err(|_| cut(wrong("the path must be the number of a database")))?;
                (Kind::Single, number, 6379)
            }
            "+cluster" if path.is_empty() => (Kind::Cluster, 0, 6379),
            "+cluster" => return Err(wrong("a cluster has no path")),
            "+sentinel" if !path.is_empty() => (Kind::Sentinel(decoded(path)?), 0, 26379),
            "+sentinel" => {
                return Err(wrong(
                    "the path must be the name that the Sentinels know the server by",
                ));
            }
            _ => return Err(wrong(EXPECTED)),
        };
        let hosts: Vec<_> = hosts
            .split(',')
            .map(|host| self::host(host, port))
            .collect::<Result<_, _>>()
            .map_err(cut)?;
        if kind == Kind::Single && hosts.len() > 1 {
            return Err(wrong(
                "several hosts need redis+cluster:// or redis+sentinel://",
            ));
        }
        let (user, password) = match credentials.map(|it| it.split_once(':').unwrap_or((it, ""))) {
            Some((user, password)) => (some(decoded(user)?), some(decoded(password)?)),
            None => (None, None),
        };
        let access = Access {
            tls,
            certificate: None,
            user,
            password,
            database,
        };
        let mut parsed = Self {
            kind,
            hosts,
            name: "x402".to_owned(),
            access,
        };
        for (field, value) in form_urlencoded::parse(query.as_bytes()) {
            parsed.set(&field, &value)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, field: &str, value: &str) -> Result<(), StoreError> {
        match field {
            "name" if is_name(value) => value.clone_into(&mut self.name),
            "name" => return Err(wrong("the name must have 1 to 64 letters, digits, - or _")),
            "password_file" => {
                let file = exposed::open("password", Path::new(value));
                let text = file
                    .and_then(io::read_to_string)
                    .map_err(|error| wrong(format!("{value} cannot be read: {error}")))?;
                self.access.password = some(text.trim_end_matches(['\r', '\n']).to_owned());
            }
            "password_env" => {
                let text = std::env::var(value).map_err(|_| {
                    wrong(format!("the environment has no variable {value} in UTF-8"))
                })?;
                self.access.password = some(text);
            }
            "cert" if self.access.tls => {
                let pem = fs::read(value)
                    .map_err(|error| wrong(format!("{value} cannot be read: {error}")))?;
                self.access.certificate = Some(pem);
            }
            "cert" => return Err(wrong("cert needs rediss://")),
            _ if field.contains('@') => return Err(wrong(UNENCODED)),
            // What follows an unknown name may be a secret.
            _ => {
                return Err(wrong(
                    "known fields are name, password_file, password_env and cert",
                ));
            }
        }
        Ok(())
    }
}

impl Access {
    /// Returns a client of a server of the store.
    pub(super) fn client(&self, host: &Host) -> RedisResult<Client> {
        let mut settings = RedisConnectionInfo::default()
            .set_db(self.database)
            .set_skip_set_lib_name();
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        self.build(self.address(host)?.set_redis_settings(settings))
    }

    /// Returns a client of a Sentinel, which gets no password.
    pub(super) fn sentinel(&self, host: &Host) -> RedisResult<Client> {
        let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
        self.build(self.address(host)?.set_redis_settings(settings))
    }

    fn address(&self, Host(host, port): &Host) -> RedisResult<ConnectionInfo> {
        let (host, port) = (host.clone(), *port);
        if self.tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
        .into_connection_info()
    }

    fn build(&self, info: ConnectionInfo) -> RedisResult<Client> {
        if !self.tls {
            return Client::open(info);
        }
        // The client crate panics if several providers are compiled in and none was chosen.
        if CryptoProvider::get_default().is_none() {
            let _ = ring::default_provider().install_default();
        }
        Client::build_with_tls(
            info,
            TlsCertificates {
                client_tls: None,
                root_cert: self.certificate.clone(),
            },
        )
    }
}

fn host(text: &str, default: u16) -> Result<Host, StoreError> {
    let malformed = || wrong("expected HOST or HOST:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(malformed)?;
            (
                host,
                if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':').ok_or_else(malformed)?)
                },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| malformed()))?;
    if host.is_empty() {
        Err(malformed())
    } else {
        Ok(Host(host.to_owned(), port))
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}

fn decoded(text: &str) -> Result<String, StoreError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| wrong("a part of it is no UTF-8 after percent-decoding"))
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The URL itself is not shown: it may hold a password.
fn wrong(text: impl fmt::Display) -> StoreError {
    setup(format!("the URL is wrong: {text}"))
}

const UNENCODED: &str = "percent-encode the user and the password (`@` is %40, `/` is %2F, `?` is %3F), or name password_file";
const EXPECTED: &str = "expected redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel:// or rediss+sentinel://";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Host {
        Host(host.to_owned(), port)
    }

    #[test]
    fn a_url_names_servers_a_store_and_secrets() {
        let url = RedisUrl::parse("rediss://us%40er:pa%2Fss@db.example/3?name=shop-1").unwrap();
        assert_eq!((&url.kind, url.name.as_str()), (&Kind::Single, "shop-1"));
        assert_eq!(url.hosts, [at("db.example", 6379)]);
        let access = &url.access;
        assert_eq!((access.tls, access.database), (true, 3));
        assert_eq!(access.user.as_deref(), Some("us@er"));
        assert_eq!(access.password.as_deref(), Some("pa/ss"));
        let url = RedisUrl::parse("redis+cluster://[::1]:7000,b").unwrap();
        assert_eq!(
            (url.kind, url.hosts),
            (Kind::Cluster, vec![at("::1", 7000), at("b", 6379)])
        );
        assert_eq!(url.name, "x402");
        let url = RedisUrl::parse("redis+sentinel://:pw@a,b:1/main").unwrap();
        assert_eq!(url.kind, Kind::Sentinel("main".to_owned()));
        assert_eq!(url.hosts, [at("a", 26379), at("b", 1)]);
    }

    #[test]
    fn a_password_comes_from_a_file_or_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "hunter2\n").unwrap();
        let url = RedisUrl::parse(&format!("redis://h?password_file={}", file.display())).unwrap();
        assert_eq!(url.access.password.as_deref(), Some("hunter2"));
        let url = RedisUrl::parse("redis://h?password_env=PATH").unwrap();
        assert_eq!(url.access.password, std::env::var("PATH").ok());
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_with_the_fix() {
        for url in [
            "redis://:s3cret/p@ss@h",
            "redis://u:p@ss/s3cret@h/0",
            "redis://:p?ss@h",
            "redis://u:12?ss@h",
            "redis://u:12/s3cret?ss@h",
            "redis+sentinel://u:12/s3cret@h/main",
        ] {
            let error = RedisUrl::parse(url).unwrap_err().to_string();
            assert!(
                error.contains("percent-encode the user and the password"),
                "{url}: {error}"
            );
        }
        let url = RedisUrl::parse("redis://:s3cret%2Fp%40ss@h").unwrap();
        assert_eq!(url.access.password.as_deref(), Some("s3cret/p@ss"));
        let url = RedisUrl::parse("redis://h?password_file=/no/such@file");
        let error = url.unwrap_err().to_string();
        assert!(error.contains("/no/such@file cannot be read"), "{error}");
    }

    #[test]
    fn a_field_wins_over_a_password_before_the_host() {
        let path = std::env::var("PATH").ok();
        let url = RedisUrl::parse("redis://:hunter2@h?password_env=PATH").unwrap();
        assert_eq!(url.access.password, path);
    }

    #[test]
    fn a_wrong_url_is_refused_and_no_secret_is_printed() {
        for url in [
            "127.0.0.1",
            "http://hunter2@h",
            "redis://h/hunter2",
            "redis://a,b",
            "redis+sentinel://h",
            "redis+cluster://h/1",
            "redis+sentinel://u:1/hunter2@h/main",
            "redis://u:hunter2@:1",
            "redis://u:hunter2@h:x",
            "redis://[::1",
            "redis://u:hunter2@h?name=a/b",
            "redis://h?passwd=hunter2",
            "redis://h?cert=/x",
            "redis://h?password_file=/no/such/file",
            "redis://h?password_env=NO_SUCH_VARIABLE",
        ] {
            let error = RedisUrl::parse(url).unwrap_err().to_string();
            assert!(
                error.starts_with("the Redis store is not set up: the URL is wrong: "),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
        let url = RedisUrl::parse("redis://u:hunter2@h").unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
