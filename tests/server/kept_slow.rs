//! Records that do not answer, or not as one hopes.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tower_x402::{
    MemoryStore,
    clock::Timestamp,
    replay::{BoxFuture, RecordKey, Records, StoreError, StoreErrorKind},
};

/// Records in memory that can be told to hang or to fail.
#[derive(Debug)]
pub(crate) struct SlowRecords {
    inner: Arc<MemoryStore>,
    hangs: AtomicBool,
    fails: AtomicBool,
}

impl SlowRecords {
    pub(crate) fn new(inner: Arc<MemoryStore>) -> Self {
        Self {
            inner,
            hangs: AtomicBool::new(false),
            fails: AtomicBool::new(false),
        }
    }

    /// Does nothing and never answers.
    pub(crate) fn hangs(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Does nothing and answers with an error.
    pub(crate) fn fails(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    async fn before(&self) -> Result<(), StoreError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending().await
        }
        match self.fails.load(Ordering::SeqCst) {
            true => Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the test's records",
                "the disk is full",
            )),
            false => Ok(()),
        }
    }
}

impl Records for SlowRecords {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expires_at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            self.before().await?;
            self.inner.put_if_absent(key, value, expires_at).await
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            self.before().await?;
            self.inner.get(key).await
        })
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.before().await?;
            self.inner.delete(key).await
        })
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        Box::pin(async move {
            self.before().await?;
            self.inner.scan(prefix).await
        })
    }
}

/// What becomes of a record that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Works,
    /// Somebody else writes another one first.
    Exists,
    Fails,
    Full,
    /// It is written, and the answer never comes.
    WorksAndHangs,
}

/// Records in memory of which only writing goes wrong.
#[derive(Debug)]
pub(crate) struct PutRecords {
    inner: Arc<MemoryStore>,
    put: Mutex<Put>,
}

impl PutRecords {
    pub(crate) fn new(inner: Arc<MemoryStore>) -> Self {
        Self {
            inner,
            put: Mutex::new(Put::Works),
        }
    }

    pub(crate) fn set(&self, put: Put) {
        *self.put.lock().unwrap() = put;
    }
}

impl Records for PutRecords {
    fn put_if_absent(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        until: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let put = *self.put.lock().unwrap();
        let error = |kind| Err(StoreError::new(kind, "the test's records", "no luck"));
        Box::pin(async move {
            match put {
                Put::Works => self.inner.put_if_absent(key, value, until).await,
                Put::Exists => {
                    let other = vec![7; 32];
                    self.inner.put_if_absent(key, other, until).await?;
                    Ok(false)
                }
                Put::Fails => error(StoreErrorKind::Unavailable),
                Put::Full => error(StoreErrorKind::Full),
                Put::WorksAndHangs => {
                    self.inner.put_if_absent(key, value, until).await?;
                    std::future::pending().await
                }
            }
        })
    }

    fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.get(key)
    }

    fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.delete(key)
    }

    fn scan(
        &self,
        prefix: RecordKey,
    ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
        self.inner.scan(prefix)
    }
}
