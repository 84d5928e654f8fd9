//! Identifiers that clients give their payments: each stands for one credential while answers are
//! kept.

use super::{KeptAnswers, key::AnswerKey};
use crate::{
    clock::Timestamp,
    replay::{StoreError, StoreErrorKind},
    server::address::ClientKey,
};

/// What an identifier stands for that a client gave its payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Identified {
    Nothing,
    /// This credential.
    This,
    Another,
}

impl KeptAnswers {
    /// Returns what an identifier stands for now.
    ///
    /// # Errors
    ///
    /// If the records fail.
    pub(in crate::server) async fn identified(
        &self,
        key: AnswerKey,
        credential: &[u8; 32],
    ) -> Result<Identified, StoreError> {
        let Some(record) = key.record(0) else {
            return Ok(Identified::Nothing);
        };
        Ok(match self.records.get(record).await? {
            None => Identified::Nothing,
            Some(known) if known == credential => Identified::This,
            Some(_) => Identified::Another,
        })
    }

    /// Notes that an identifier stands for a credential, whose use was granted, unless it stands
    /// for a credential already. Returns what it stands for then. `Nothing` if there is no room for
    /// another one.
    ///
    /// # Errors
    ///
    /// If the records fail.
    pub(in crate::server) async fn identify(
        &self,
        key: AnswerKey,
        credential: &[u8; 32],
        client: ClientKey,
        now: Timestamp,
    ) -> Result<Identified, StoreError> {
        let until = now.saturating_add(self.time);
        let room = &self.bounds.identifiers;
        let (Some(record), Some(taken)) = (key.record(0), room.take(client, 1, until, now)) else {
            return Ok(Identified::Nothing);
        };
        let value = credential.to_vec();
        let put = self.records.put_if_absent(record, value, until).await;
        if !matches!(put, Ok(true)) {
            room.give_back(taken);
        }
        match put {
            Ok(true) => Ok(Identified::This),
            Ok(false) => self.identified(key, credential).await,
            Err(error) if error.kind() == StoreErrorKind::Full => Ok(Identified::Nothing),
            Err(error) => Err(error),
        }
    }
}
