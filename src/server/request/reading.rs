//! Reads the body of a request: through the hash alone, or into memory that is taken as bytes come.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use super::answers;
use crate::{
    body::{Held, Share},
    server::config::BoxError,
    trace,
};

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum BodyError {
    Broken,
    Large,
    NoRoom,
    Slow,
}

impl BodyError {
    pub(super) fn answer(&self, limit: usize) -> Response<Bytes> {
        match self {
            Self::Broken => answers::bad_request("the body broke off"),
            Self::Large => answers::body_too_large(limit),
            Self::NoRoom => {
                trace::error(format_args!(
                    "no room for another body: .body_pool(..) allows more"
                ));
                answers::unavailable("too many bodies are being read")
            }
            Self::Slow => answers::body_too_slow(),
        }
    }
}

/// Reads a body to its end, within a limit in bytes and a time: its bytes if there is to be room for
/// them, and its SHA-256.
pub(super) async fn read<B>(
    body: B,
    room: impl FnOnce() -> Option<Share>,
    limit: usize,
    time: Duration,
) -> Result<(Held, [u8; 32]), BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::Large);
    }
    tokio::time::timeout(time, read_to_end(body, room, limit))
        .await
        .map_err(|_| BodyError::Slow)?
}

async fn read_to_end<B>(
    body: B,
    room: impl FnOnce() -> Option<Share>,
    limit: usize,
) -> Result<(Held, [u8; 32]), BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (mut room, mut share) = (Some(room), None);
    let announced = body.size_hint().exact().map_or(0, |bytes| {
        usize::try_from(bytes).unwrap_or(limit).min(limit)
    });
    let mut body = std::pin::pin!(body);
    let (mut hash, mut trailers) = (Sha256::new(), None::<HeaderMap>);
    // What is hashed of `kept`, and how much of a body that is not held is gone after its hash.
    let (mut kept, mut hashed, mut gone) = (Vec::new(), 0, 0_usize);
    // As long as `kept` is shorter than this, what comes needs nothing but to be kept.
    let mut full = 0;
    while let Some(frame) = body.as_mut().frame().await {
        let data = match frame.map_err(|_| BodyError::Broken)?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                continue;
            }
        };
        if kept.len() + data.len() < full {
            match data[..] {
                // The shorter a frame, the more of them.
                [byte] => kept.push(byte),
                _ => kept.extend_from_slice(&data),
            }
            continue;
        }
        let seen = (gone + kept.len()).saturating_add(data.len());
        if seen > limit {
            return Err(BodyError::Large);
        }
        if let Some(room) = room.take() {
            share = room();
        }
        if let Some(share) = &mut share {
            if kept.capacity() < seen {
                let capacity = capacity(kept.capacity(), seen, announced, limit);
                if !share.grow_to(capacity) {
                    return Err(BodyError::NoRoom);
                }
                kept.reserve_exact(capacity - kept.len());
            }
        } else if data.len() >= PIECE {
            hash.update(&kept);
            hash.update(&data);
            kept.clear();
            (gone, full) = (seen, 0);
            continue;
        }
        kept.extend_from_slice(&data);
        if kept.len() - hashed >= PIECE {
            hash.update(&kept[hashed..]);
            if share.is_none() {
                kept.clear();
                gone = seen;
            }
            hashed = kept.len();
        }
        full = kept.capacity().min(limit - gone).min(hashed + PIECE);
    }
    hash.update(&kept[hashed..]);
    if share.is_none() {
        kept = Vec::new();
    }
    Ok((
        Held::new(kept.into(), trailers, share),
        hash.finalize().into(),
    ))
}

/// How much to take of the pool for a body of which `seen` bytes came: never more than twice that,
/// or [`FIRST`], and never more than was announced.
fn capacity(held: usize, seen: usize, announced: usize, limit: usize) -> usize {
    let most = if seen <= announced { announced } else { limit };
    seen.max(held * 2).max(FIRST).min(most)
}

/// The least that is taken for a body, in bytes.
const FIRST: usize = 1024;

/// Shorter frames are hashed together, so many bytes at once.
const PIECE: usize = 512;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_a_body_is_cut_it_has_one_hash_and_stays_whole(
            frames in proptest::collection::vec(prop_oneof![0..4_usize, 0..3 * PIECE], 0..40),
            is_held: bool,
        ) {
            let whole: Vec<u8> = (0..frames.iter().sum()).map(|at: usize| at as u8).collect();
            let mut rest = Bytes::from(whole.clone());
            let cut: Vec<_> = frames.into_iter().map(|length| Ok::<_, Infallible>(Frame::data(rest.split_to(length)))).collect();
            let body = StreamBody::new(stream::iter(cut));
            let room = || is_held.then(|| Share::of([const { None }; 5]));
            let read = read_to_end(body, room, whole.len()).now_or_never();
            let (held, hash) = read.expect("a body that never waits").expect("a good body");
            prop_assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(&whole)));
            let kept = if is_held { whole } else { Vec::new() };
            prop_assert_eq!(held.data(), kept);
        }
    }

    #[test]
    fn memory_is_taken_for_what_came_and_not_for_what_was_announced() {
        const LIMIT: usize = 2 << 20;
        for announced in [0, 1, 100, 5_000, 1 << 20, LIMIT] {
            let mut held = 0;
            for seen in 1..20_000 {
                if held < seen {
                    held = capacity(held, seen, announced, LIMIT);
                }
                assert!(
                    held >= seen && held <= (2 * seen).max(FIRST),
                    "{held} for {seen} of {announced}"
                );
                assert!(seen > announced || held <= announced);
            }
        }
        assert_eq!(
            capacity(1_000, 1_500, 0, 1_600),
            1_600,
            "never more than the limit"
        );
    }
}
