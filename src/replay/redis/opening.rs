//! Making a store on its servers, or finding it there.

use std::{sync::Arc, time::Duration};

use redis::Value;
use tokio::time::sleep;

use super::{
    buckets::{Layout, ask_each},
    engine::{Servers, decimal, seconds},
    fault::{corrupt, unavailable},
    reply::{bytes, items, number, text},
    scripts::{self, Script},
};
use crate::{
    clock::{Clock, Timestamp},
    replay::{StoreError, StoreId, created_at::created_at},
};

/// Opens the store, and makes it if there is none. Returns its id, when it was made, and its layout.
pub(super) async fn open(
    servers: &Arc<Servers>,
    clock: &dyn Clock,
) -> Result<(StoreId, Timestamp, Layout), StoreError> {
    let mut given_up = Vec::new();
    for _ in 0..ATTEMPTS {
        let new = *StoreId::random()?.as_bytes();
        let found = claim(servers, new, clock, &given_up).await?;
        let made = found.created_at.unwrap_or(Timestamp::MAX);
        if found.is_ready {
            check(servers, &found).await?;
            return Ok((StoreId::from_bytes(found.id), made, found.layout));
        }
        if found.id == new {
            if !begin(servers, &found).await? {
                // A later attempt is known to the store, or the store has forgotten it.
                if claim(servers, new, clock, &[]).await?.id == new {
                    return Err(left_behind());
                }
                continue;
            }
            let done = servers.run(&scripts::READY, None, &[new.to_vec()]).await?;
            if number(&done) == Some(1) {
                return Ok((StoreId::from_bytes(new), made, found.layout));
            }
        } else {
            // Another process makes it. If that process died, this one begins again: with a new id,
            // because a server that forgot may look the same.
            given_up = wait(servers, found, clock).await?;
        }
    }
    Err(unavailable(
        "other processes are making this store: try again",
    ))
}

struct Found {
    is_ready: bool,
    id: [u8; 16],
    created_at: Option<Timestamp>,
    /// How often somebody began to make it.
    attempt: u64,
    layout: Layout,
}

async fn claim(
    servers: &Servers,
    new: [u8; 16],
    clock: &dyn Clock,
    given_up: &[u8],
) -> Result<Found, StoreError> {
    let now = created_at(clock.now()).map(seconds).unwrap_or_default();
    let answer = servers
        .run(
            &scripts::CLAIM,
            None,
            &[
                new.to_vec(),
                now,
                given_up.to_vec(),
                decimal((servers.layout() == Layout::Together).into()),
            ],
        )
        .await?;
    let mut parts = items(answer).into_iter();
    let is_ready = parts.next().as_ref().and_then(number) == Some(1);
    let id = parts
        .next()
        .and_then(bytes)
        .and_then(|id| id.try_into().ok());
    let made = parts.next().map(text).unwrap_or_default();
    let created_at = made.parse().ok().map(Timestamp::from_unix_seconds);
    let id = id.ok_or_else(|| corrupt("the id of the store was expected"))?;
    let attempt = parts.next().as_ref().and_then(number).unwrap_or(0);
    let layout = match parts.next().as_ref().and_then(number) {
        Some(0) => Layout::Spread,
        Some(1) => Layout::Together,
        _ => return Err(corrupt("the layout of the store was expected")),
    };
    Ok(Found {
        is_ready,
        id,
        created_at,
        attempt,
        layout,
    })
}

/// Waits until another process has made the store. Returns the id to give up if it takes too long.
async fn wait(servers: &Servers, found: Found, clock: &dyn Clock) -> Result<Vec<u8>, StoreError> {
    for _ in 0..POLLS {
        sleep(POLL).await;
        let now = claim(servers, found.id, clock, &[]).await?;
        if now.is_ready || now.id != found.id {
            return Ok(Vec::new());
        }
    }
    Ok(found.id.to_vec())
}

/// Makes all buckets. Returns false if one belongs to a later attempt: this process was given up.
async fn begin(servers: &Arc<Servers>, new: &Found) -> Result<bool, StoreError> {
    let mut is_given_up = false;
    let arguments = vec![new.id.to_vec(), decimal(new.attempt)];
    let made = on_each(servers, new.layout, &scripts::BEGIN, arguments, |answer| {
        is_given_up = number(&answer) == Some(GIVEN_UP);
        if number(&answer) == Some(MADE) {
            Ok(())
        } else {
            Err(left_behind())
        }
    });
    match made.await {
        Err(_) if is_given_up => Ok(false),
        made => made.map(|()| true),
    }
}

fn left_behind() -> StoreError {
    corrupt(
        "a part of an older store of this name is there, and the rest is lost: choose another `name` in the URL",
    )
}

/// Checks that all buckets are there.
async fn check(servers: &Arc<Servers>, found: &Found) -> Result<(), StoreError> {
    let id = vec![found.id.to_vec()];
    on_each(servers, found.layout, &scripts::CHECK, id, |answer| {
        let mut parts = items(answer).into_iter();
        let is_here = parts.next().and_then(bytes).as_deref() == Some(&found.id);
        let has_lost = parts.next().as_ref().and_then(number) != Some(0);
        if is_here && !has_lost {
            return Ok(());
        }
        Err(corrupt(
            "the server has forgotten a part of the store: choose another `name` in the URL",
        ))
    })
    .await
}

async fn on_each(
    servers: &Arc<Servers>,
    layout: Layout,
    script: &'static Script,
    arguments: Vec<Vec<u8>>,
    judge: impl FnMut(Value) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let ask = |bucket| {
        let (servers, arguments) = (servers.clone(), arguments.clone());
        async move { servers.run(script, Some(bucket), &arguments).await }
    };
    ask_each(layout.buckets(), ask, judge).await
}

const MADE: u64 = 1;
const GIVEN_UP: u64 = 2;
const ATTEMPTS: usize = 8;
const POLLS: usize = 40;
const POLL: Duration = Duration::from_millis(50);
