//! Writes answers to the records, and reads them.

use bytes::Bytes;
use http::{HeaderMap, Response};
use sha2::{Digest as _, Sha256};

use super::{KeptAnswers, answer::decode, bounds::OVERHEAD, key::AnswerKey};
use crate::{clock::Timestamp, replay::StoreError, server::address::ClientKey};

/// What became of an identifier that a client gave its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Identified {
    /// It stands for this credential, and was noted now.
    Noted,
    /// It stood for this credential already, or for none.
    Known,
    /// It stands for another credential.
    OfAnother,
    /// There is no room for another one.
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
    ) -> Result<bool, StoreError> {
        let until = now.saturating_add(self.time);
        let mut whole = Vec::with_capacity(START + answer.len());
        whole.extend((answer.len() as u64).to_be_bytes());
        whole.extend(Sha256::digest(&answer));
        whole.extend(answer);
        let bytes = whole.len() + OVERHEAD * whole.len().div_ceil(PART);
        if !self.bounds.take(client, bytes, until, now) {
            return Ok(false);
        }
        for (part, value) in whole.chunks(PART).enumerate().rev() {
            let Some(record) = u16::try_from(part).ok().and_then(|part| key.record(part)) else {
                return Ok(false);
            };
            let put = self.records.put_if_absent(record, value.to_vec(), until);
            if !put.await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the answer that is kept for a request with these headers, if there is one and it was
    /// not given too often.
    ///
    /// # Errors
    ///
    /// If the records fail.
    pub(in crate::server) async fn get(
        &self,
        key: AnswerKey,
        asked: &HeaderMap,
    ) -> Result<Option<Response<Bytes>>, StoreError> {
        let Some(whole) = self.read(key).await? else {
            return Ok(None);
        };
        let answer = decode(&whole, asked);
        Ok(answer.filter(|_| self.bounds.give(key)))
    }

    async fn read(&self, key: AnswerKey) -> Result<Option<Bytes>, StoreError> {
        let mut whole = Vec::new();
        let mut length = START;
        for part in 0.. {
            let Some(record) = key.record(part) else {
                return Ok(None);
            };
            let Some(value) = self.records.get(record).await? else {
                return Ok(None);
            };
            whole.extend(value);
            if part == 0 {
                let Some(told) = whole.first_chunk().copied().map(u64::from_be_bytes) else {
                    return Ok(None);
                };
                length = usize::try_from(told)
                    .unwrap_or(usize::MAX)
                    .saturating_add(START);
            }
            // Every part but the last is full.
            if whole.len() >= length || whole.len() % PART != 0 {
                break;
            }
        }
        if whole.len() != length || length < START {
            return Ok(None);
        }
        let whole = Bytes::from(whole);
        let answer = whole.slice(START..);
        let is_whole = Sha256::digest(&answer)[..] == whole[8..START];
        Ok(is_whole.then_some(answer))
    }

    /// Notes that an identifier stands for a credential, unless it stands for another one. If
    /// `only_looks`, nothing is noted: the credential buys nothing now.
    ///
    /// # Errors
    ///
    /// If the records fail.
    pub(in crate::server) async fn identify(
        &self,
        key: AnswerKey,
        credential: &[u8; 32],
        only_looks: bool,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<Identified, StoreError> {
        let until = now.saturating_add(self.time);
        let Some(record) = key.record(0) else {
            return Ok(Identified::Full);
        };
        // A record may expire between the two calls.
        for _ in 0..2 {
            if let Some(known) = self.records.get(record.clone()).await? {
                return Ok(match known == credential {
                    true => Identified::Known,
                    false => Identified::OfAnother,
                });
            }
            if only_looks {
                return Ok(Identified::Known);
            }
            if !self.bounds.take(client, OVERHEAD, until, now) {
                return Ok(Identified::Full);
            }
            let put = self
                .records
                .put_if_absent(record.clone(), credential.to_vec(), until);
            if put.await? {
                return Ok(Identified::Noted);
            }
        }
        Ok(Identified::Full)
    }

    /// Forgets an identifier that was noted for a payment that bought nothing.
    pub(in crate::server) async fn forget_identifier(
        &self,
        key: AnswerKey,
    ) -> Result<(), StoreError> {
        match key.record(0) {
            Some(record) => self.records.delete(record).await,
            None => Ok(()),
        }
    }
}

/// Before the answer: its length and its hash.
const START: usize = 8 + 32;
/// The most bytes in one record: a record holds 64 KiB.
const PART: usize = 60 << 10;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{super::answer::encode, *};
    use crate::replay::{MemoryStore, RecordKey, Records as _};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn encoded(body: &[u8]) -> Vec<u8> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert("x-a", HeaderValue::from_static("b"));
        encode(&response.into_parts().0, body, &HeaderMap::new()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_of_any_length_is_read_as_it_was_kept() {
        let store = std::sync::Arc::new(MemoryStore::new().unwrap());
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
            assert!(put.await.unwrap(), "{length}");
            let answer = kept.get(key, &HeaderMap::new()).await.unwrap().unwrap();
            assert_eq!(
                (answer.body().len(), &answer.headers()["x-a"]),
                (length, &HeaderValue::from_static("b"))
            );
            let again = kept.put(key, ClientKey::Unknown, encoded(b"other"), NOW);
            assert!(!again.await.unwrap(), "a key is written once");
            let answer = kept.get(key, &HeaderMap::new()).await.unwrap().unwrap();
            assert_eq!(answer.body().len(), length);
        }
    }

    #[tokio::test]
    async fn an_answer_of_which_a_part_is_missing_or_changed_is_none() {
        let store = std::sync::Arc::new(MemoryStore::new().unwrap());
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
            assert!(put.await.unwrap());
            let record: RecordKey = key.record(lost).unwrap();
            let mut value = store.get(record.clone()).await.unwrap().unwrap();
            store.delete(record.clone()).await.unwrap();
            if let Some(byte) = with {
                *value.last_mut().unwrap() = byte;
                let until = NOW.saturating_add(std::time::Duration::from_secs(99));
                assert!(store.put_if_absent(record, value, until).await.unwrap());
            }
            assert!(
                kept.get(key, &HeaderMap::new()).await.unwrap().is_none(),
                "{lost} {with:?}"
            );
        }
    }
}
