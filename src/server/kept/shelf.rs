//! Writes answers to the records, and reads them.

use bytes::Bytes;
use http::{HeaderMap, Response};
use sha2::{Digest as _, Sha256};

use super::{KeptAnswers, answer::decode, bounds::OVERHEAD, key::AnswerKey};
use crate::{body::Share, clock::Timestamp, replay::StoreError, server::address::ClientKey};

/// Returns how many bytes of memory an encoded answer of this length takes while it is read.
pub(in crate::server) const fn memory(encoded: usize) -> usize {
    START + encoded
}

/// What was found for a spent payment.
#[derive(Debug)]
pub(in crate::server) enum Found {
    Nothing,
    /// There is too little memory to read it now.
    NoRoom,
    /// The answer, and the memory that it takes.
    Answer(Box<(Response<Bytes>, Share)>),
}

/// What became of something that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Put {
    Done,
    /// There was a record under its key already.
    Exists,
    /// There is no room for it.
    Full,
}

impl KeptAnswers {
    /// Keeps an answer. Only the request that was granted a use calls this, so a key is written
    /// once. The first part is written last: without it, there is no answer.
    ///
    /// # Errors
    ///
    /// If the records fail. Then the answer is not kept.
    pub(in crate::server) async fn put(
        &self,
        key: AnswerKey,
        client: ClientKey,
        answer: Vec<u8>,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let until = now.saturating_add(self.time);
        let mut whole = Vec::with_capacity(memory(answer.len()));
        whole.extend((answer.len() as u64).to_be_bytes());
        whole.extend(Sha256::digest(&answer));
        whole.extend(answer);
        let bytes = whole.len() + OVERHEAD * whole.len().div_ceil(PART);
        let room = &self.bounds.answers;
        let Some(taken) = room.take(client, bytes, until, now) else {
            return Ok(Put::Full);
        };
        let mut parts = whole.chunks(PART).enumerate().rev();
        let mut is_first = true;
        let put = loop {
            let Some((part, value)) = parts.next() else {
                return Ok(Put::Done);
            };
            let Some(record) = u16::try_from(part).ok().and_then(|part| key.record(part)) else {
                break Ok(Put::Full);
            };
            match self
                .records
                .put_if_absent(record, value.to_vec(), until)
                .await
            {
                Ok(true) => is_first = false,
                Ok(false) => break Ok(Put::Exists),
                Err(error) => break Err(error),
            }
        };
        // Parts that were written take their room until they expire.
        if is_first {
            room.give_back(taken);
        }
        put
    }

    /// Returns the answer that is kept for a request with these headers, if there is one and it was
    /// not given too often. Its memory is taken from `share` before the answer is read.
    ///
    /// # Errors
    ///
    /// If the records fail.
    pub(in crate::server) async fn get(
        &self,
        key: AnswerKey,
        asked: &HeaderMap,
        mut share: Share,
    ) -> Result<Found, StoreError> {
        if !self.bounds.may_give(key) {
            return Ok(Found::Nothing);
        }
        let Some((mut whole, length)) = self.read_first(key).await? else {
            return Ok(Found::Nothing);
        };
        if !share.grow_to(length) {
            return Ok(Found::NoRoom);
        }
        if !self.read_rest(key, &mut whole, length).await? {
            return Ok(Found::Nothing);
        }
        let whole = Bytes::from(whole);
        let answer = whole.slice(START..);
        let is_whole = Sha256::digest(&answer)[..] == whole[8..START];
        let answer = is_whole.then(|| decode(&answer, asked)).flatten();
        Ok(match answer.filter(|_| self.bounds.give(key)) {
            Some(answer) => Found::Answer(Box::new((answer, share))),
            None => Found::Nothing,
        })
    }

    /// Reads the first part of what is kept, and how long the whole is.
    async fn read_first(&self, key: AnswerKey) -> Result<Option<(Vec<u8>, usize)>, StoreError> {
        let Some(record) = key.record(0) else {
            return Ok(None);
        };
        let first = self.records.get(record).await?.unwrap_or_default();
        let told = first.first_chunk().copied().map(u64::from_be_bytes);
        let length = told
            .and_then(|told| usize::try_from(told).ok()?.checked_add(START))
            .filter(|length| *length <= LONGEST);
        Ok(length.map(|length| (first, length)))
    }

    /// Reads the further parts. Returns false if one is missing or has another length.
    async fn read_rest(
        &self,
        key: AnswerKey,
        whole: &mut Vec<u8>,
        length: usize,
    ) -> Result<bool, StoreError> {
        whole.reserve_exact(length.saturating_sub(whole.len()));
        for part in 1.. {
            // Every part but the last is full.
            if whole.len() >= length || !whole.len().is_multiple_of(PART) {
                break;
            }
            let Some(record) = key.record(part) else {
                return Ok(false);
            };
            let Some(value) = self.records.get(record).await? else {
                return Ok(false);
            };
            whole.extend(value);
        }
        Ok(whole.len() == length)
    }
}

/// Before the answer: its length and its hash.
const START: usize = 8 + 32;
/// The most bytes in one record: a record holds 64 KiB.
const PART: usize = 60 << 10;

/// No kept answer is as long as this, with its head.
const LONGEST: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use http::HeaderValue;

    use super::{
        super::{answer::encode, identifiers::Identified},
        *,
    };
    use crate::{
        body::Pool,
        boxed::BoxFuture,
        replay::{MemoryStore, RecordKey, Records, StoreErrorKind},
    };

    /// Records that count how often they are read, and that can be told to fail.
    #[derive(Clone, Debug)]
    struct Counted(Arc<(MemoryStore, AtomicUsize, AtomicBool)>);

    impl Counted {
        fn new() -> Self {
            let store = MemoryStore::new().unwrap();
            Self(Arc::new((
                store,
                AtomicUsize::new(0),
                AtomicBool::new(false),
            )))
        }

        /// Returns how often they were read since they were last asked.
        fn read(&self) -> usize {
            self.0.1.swap(0, Ordering::Relaxed)
        }

        fn fails(&self, fails: bool) {
            self.0.2.store(fails, Ordering::Relaxed);
        }
    }

    impl Records for Counted {
        fn put_if_absent(
            &self,
            key: RecordKey,
            value: Vec<u8>,
            until: Timestamp,
        ) -> BoxFuture<'_, Result<bool, StoreError>> {
            if self.0.2.load(Ordering::Relaxed) {
                let error = StoreError::new(StoreErrorKind::Unavailable, "the test", "no luck");
                return Box::pin(async { Err(error) });
            }
            self.0.0.put_if_absent(key, value, until)
        }

        fn get(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
            self.0.1.fetch_add(1, Ordering::Relaxed);
            self.0.0.get(key)
        }

        fn delete(&self, key: RecordKey) -> BoxFuture<'_, Result<(), StoreError>> {
            self.0.0.delete(key)
        }

        fn scan(
            &self,
            prefix: RecordKey,
        ) -> BoxFuture<'_, Result<Vec<(RecordKey, Vec<u8>)>, StoreError>> {
            self.0.0.scan(prefix)
        }
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn encoded(body: &[u8]) -> Vec<u8> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert("x-a", HeaderValue::from_static("b"));
        encode(&response.into_parts().0, body, &HeaderMap::new()).unwrap()
    }

    /// Returns what is kept, if it fits into so many bytes of memory.
    async fn get(kept: &KeptAnswers, key: AnswerKey, bytes: usize) -> Found {
        let memory = Some(Pool::new(bytes));
        let share = Share::of([memory, None, None, None, None]);
        kept.get(key, &HeaderMap::new(), share).await.unwrap()
    }

    async fn found(kept: &KeptAnswers, key: AnswerKey) -> Response<Bytes> {
        match get(kept, key, LONGEST).await {
            Found::Answer(found) => found.0,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_into_the_memory_that_it_takes_and_no_more_often_than_it_is_given() {
        for length in [1, PART, 2 * PART + 7] {
            let records = Counted::new();
            let kept = KeptAnswers::new(records.clone());
            let key = AnswerKey::of_parts(&[b"a"]);
            let encoded = encoded(&vec![7; length]);
            let whole = encoded.len() + START;
            let put = kept.put(key, ClientKey::Unknown, encoded, NOW);
            assert_eq!(put.await.unwrap(), Put::Done);
            let found = get(&kept, key, whole - 1).await;
            assert!(matches!(found, Found::NoRoom));
            assert_eq!(records.read(), 1, "the length comes first");
            for _ in 0..16 {
                let found = get(&kept, key, whole).await;
                assert!(matches!(found, Found::Answer(_)));
                assert_eq!(records.read(), whole.div_ceil(PART));
            }
            let found = get(&kept, key, whole).await;
            assert!(matches!(found, Found::Nothing));
            assert_eq!(records.read(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_not_written_takes_no_room() {
        let records = Counted::new();
        let kept = KeptAnswers::new(records.clone()).bytes_in_all(12_288);
        let client = ClientKey::V4(std::net::Ipv4Addr::LOCALHOST);
        let key = AnswerKey::of_parts(&[b"a"]);
        let put = |key| kept.put(key, client, vec![0; 1_000], NOW);
        assert_eq!(put(key).await.unwrap(), Put::Done);
        // An answer takes 1,552 bytes of 3,584.
        for fails in [false, true] {
            records.fails(fails);
            for n in 0..100_u8 {
                let key = [key, AnswerKey::of_parts(&[&[n]])][usize::from(fails)];
                let other = AnswerKey::of_parts(&[b"identifier", &[n]]);
                let identified = kept.identify(other, &[n; 32], client, NOW).await;
                match fails {
                    false => {
                        assert_eq!(put(key).await.unwrap(), Put::Exists);
                        assert_eq!(identified.unwrap(), Identified::This);
                    }
                    true => assert!(put(key).await.is_err() && identified.is_err()),
                }
            }
        }
        records.fails(false);
        for (name, expected) in [(b"b", Put::Done), (b"c", Put::Full)] {
            let put = put(AnswerKey::of_parts(&[name])).await.unwrap();
            assert_eq!(put, expected, "there is room for two");
        }
    }

    #[tokio::test]
    async fn an_answer_of_any_length_is_read_as_it_was_kept() {
        let store = Arc::new(MemoryStore::new().unwrap());
        let kept = KeptAnswers::new(store).bytes_in_all(64 << 20);
        for length in [
            0,
            1,
            PART - 80,
            PART - 79,
            PART,
            2 * PART,
            3 * PART + 7,
            4 << 20,
        ] {
            let key = AnswerKey::of_parts(&[&length.to_be_bytes()]);
            let body = vec![7; length];
            let put = kept.put(key, ClientKey::Unknown, encoded(&body), NOW);
            assert_eq!(put.await.unwrap(), Put::Done, "{length}");
            let answer = found(&kept, key).await;
            assert_eq!(
                (answer.body().len(), &answer.headers()["x-a"]),
                (length, &HeaderValue::from_static("b"))
            );
            let again = kept.put(key, ClientKey::Unknown, encoded(b"other"), NOW);
            assert_eq!(again.await.unwrap(), Put::Exists, "a key is written once");
            let answer = found(&kept, key).await;
            assert_eq!(answer.body().len(), length);
        }
    }

    #[tokio::test]
    async fn an_answer_of_which_a_part_is_missing_or_changed_is_none() {
        let store = Arc::new(MemoryStore::new().unwrap());
        let kept = KeptAnswers::new(store.clone());
        for (lost, with) in [
            (0, None),
            (1, None),
            (2, None),
            (1, Some(8)),
            (2, Some(8)),
            (0, Some(8)),
        ] {
            let key = AnswerKey::of_parts(&[&[lost as u8], &[with.unwrap_or(0)]]);
            let put = kept.put(
                key,
                ClientKey::Unknown,
                encoded(&vec![7; 2 * PART + 5]),
                NOW,
            );
            assert_eq!(put.await.unwrap(), Put::Done);
            let record: RecordKey = key.record(lost).unwrap();
            let mut value = store.get(record.clone()).await.unwrap().unwrap();
            store.delete(record.clone()).await.unwrap();
            if let Some(byte) = with {
                *value.last_mut().unwrap() = byte;
                let until = NOW.saturating_add(std::time::Duration::from_secs(99));
                assert!(store.put_if_absent(record, value, until).await.unwrap());
            }
            let found = get(&kept, key, LONGEST).await;
            assert!(matches!(found, Found::Nothing), "{lost} {with:?}");
        }
    }
}
