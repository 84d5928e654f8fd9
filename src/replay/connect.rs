use std::{fmt, sync::Arc};

use super::{MemoryStore, Records, ReplayStore, StoreError, StoreErrorKind};

/// A store that [`connect`] opened.
#[derive(Clone)]
pub struct Store {
    replay: Arc<dyn ReplayStore>,
    records: Arc<dyn Records>,
}

impl Store {
    fn new<S: ReplayStore + Records>(store: S) -> Self {
        let store = Arc::new(store);
        Self {
            replay: store.clone(),
            records: store,
        }
    }

    /// Returns the store as one that remembers which payments are spent.
    #[must_use]
    pub fn replay_store(&self) -> Arc<dyn ReplayStore> {
        self.replay.clone()
    }

    /// Returns the store as one of small records, such as revocations.
    #[must_use]
    pub fn records(&self) -> Arc<dyn Records> {
        self.records.clone()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.replay.fmt(f)
    }
}

/// Opens the store that a URL names.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryStore`], empty | |
/// | `file://spent`, `file:///var/lib/spent` | `DurableStore`, in the folder of this path | `replay-durable` |
/// | `redis://host/0?name=shop` | `RedisStore`, which lists all its URLs | `replay-redis` |
/// | `postgres://user@host/shop`, `postgresql://` | `PostgresStore`, which lists the fields of its URL | `replay-postgres` |
///
/// A path is percent-decoded. A `file:` URL blocks while the folder is read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_x402::replay::{Durability, connect};
///
/// let store = connect("memory:").await?;
/// assert_eq!(store.replay_store().durability(), Durability::Volatile);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`StoreErrorKind::Setup`] if the URL is wrong or a feature is missing, or as the store's own
/// constructor says. No error shows the URL, because that may hold a password. If a server cannot be
/// reached, the error names its host and port.
pub async fn connect(url: &str) -> Result<Store, StoreError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "memory" if url == "memory:" => Ok(Store::new(MemoryStore::new()?)),
        #[cfg(feature = "replay-durable")]
        "file" => {
            let path = url.strip_prefix("file://").filter(|path| !path.is_empty());
            let path = path.ok_or_else(|| wrong("expected file:// and the path of a folder"))?;
            let path = percent_encoding::percent_decode_str(path).decode_utf8();
            let path = path.map_err(|_| wrong("expected a path in UTF-8"))?;
            super::DurableStore::open(&*path).map(Store::new)
        }
        #[cfg(feature = "replay-redis")]
        _ if is_redis(scheme) => super::RedisStore::connect(url).await.map(Store::new),
        #[cfg(feature = "replay-postgres")]
        _ if is_postgres(scheme) => super::PostgresStore::connect(url).await.map(Store::new),
        _ => Err(unknown(scheme)),
    }
}

fn is_redis(scheme: &str) -> bool {
    let (name, _) = scheme.split_once('+').unwrap_or((scheme, ""));
    name == "redis" || name == "rediss"
}

fn is_postgres(scheme: &str) -> bool {
    scheme == "postgres" || scheme == "postgresql"
}

/// Returns the error for a scheme that no enabled store has.
fn unknown(scheme: &str) -> StoreError {
    let feature = match scheme {
        "file" => "replay-durable",
        _ if is_redis(scheme) => "replay-redis",
        _ if is_postgres(scheme) => "replay-postgres",
        _ => {
            return wrong(
                "expected memory:, file://, redis://, rediss://, redis+sentinel://, redis+cluster:// or postgres://",
            );
        }
    };
    wrong(format!(
        "a {scheme} URL needs the feature {feature} of tower-x402: add it in Cargo.toml"
    ))
}

fn wrong(text: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Setup, "the store of the URL", text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_opens_the_store_that_it_names() {
        let store = connect("memory:").await.unwrap();
        assert!(format!("{store:?}").starts_with("MemoryStore"));
        #[cfg(feature = "replay-durable")]
        {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("file://{}/spent%20ones", folder.path().display());
            let store = connect(&url).await.unwrap();
            assert!(folder.path().join("spent ones").is_dir());
            assert_eq!(
                store.replay_store().durability(),
                crate::replay::Durability::Durable
            );
        }
    }

    #[tokio::test]
    async fn a_wrong_url_or_a_missing_feature_is_named_and_no_secret_is_printed() {
        for url in [
            "https://u:hunter2@h",
            "memory:hunter2",
            "hunter2",
            "file:hunter2",
            "redis://:hunter2@:x",
            "postgres://u:hunter2@h:x/d",
            "postgresql://u:hunter2@h/d?schema=a;b",
        ] {
            let error = connect(url).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Setup);
            assert!(!error.to_string().contains("hunter2@"), "{error}");
        }
        for (scheme, feature) in [
            ("file", "replay-durable"),
            ("rediss+cluster", "replay-redis"),
            ("postgres", "replay-postgres"),
            ("postgresql", "replay-postgres"),
        ] {
            assert_eq!(
                unknown(scheme).to_string(),
                format!(
                    "the store of the URL is not set up: a {scheme} URL needs the feature {feature} of tower-x402: add it in Cargo.toml"
                )
            );
        }
    }
}
