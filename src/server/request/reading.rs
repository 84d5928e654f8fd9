//! Reads the body of a request: only through the hash, or into memory that is taken as bytes arrive.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use sha2::{Digest as _, Sha256};

use super::answers;
use crate::{
    body::{Held, ReadError, Share, fault, read_to_end},
    boxed::BoxError,
    trace,
};

/// Returns the answer to a request whose body could not be read.
pub(super) fn refusal(error: ReadError, limit: usize) -> Response<Bytes> {
    match error {
        ReadError::Broken => answers::bad_request("the body broke off"),
        ReadError::CutOff => answers::body_cut_off(),
        ReadError::TooLong => answers::body_too_large(limit),
        ReadError::NoRoom => {
            trace::error(format_args!(
                "no memory left for another body: raise .body_pool(..)"
            ));
            answers::unavailable("the server reads too many bodies at the moment")
        }
        ReadError::TooSlow => answers::body_too_slow(),
    }
}

/// Reads a body and hashes it. It is held if there is `room` for it, which is asked once something
/// came.
pub(super) async fn read<B>(
    body: B,
    room: impl FnOnce() -> Option<Share>,
    limit: usize,
    time: Duration,
) -> Result<(Held, [u8; 32]), ReadError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let announced = body.size_hint().exact().map_or(0, |bytes| {
        usize::try_from(bytes).unwrap_or(limit).min(limit)
    });
    let (mut room, mut share) = (Some(room), None);
    // `hashed` bytes of `kept` are in the hash already.
    let (mut kept, mut hashed, mut hash) = (Vec::new(), 0, Sha256::new());
    // While `kept` stays shorter than this, a piece only has to be kept.
    let mut full = 0;
    let trailers = read_to_end(
        body,
        limit,
        time,
        |error| fault(&*error.into()),
        |piece| {
            if kept.len() + piece.len() < full {
                match piece {
                    // The shorter a piece, the more of them.
                    [byte] => kept.push(*byte),
                    _ => kept.extend_from_slice(piece),
                }
                return Ok(());
            }
            if let Some(room) = room.take() {
                share = room();
            }
            if let Some(share) = &mut share {
                let seen = kept.len() + piece.len();
                if kept.capacity() < seen {
                    let capacity = capacity(kept.capacity(), seen, announced, limit);
                    if !share.grow_to(capacity) {
                        return Err(ReadError::NoRoom);
                    }
                    kept.reserve_exact(capacity - kept.len());
                }
            } else if piece.len() >= PIECE {
                hash.update(&kept);
                hash.update(piece);
                kept.clear();
                full = 0;
                return Ok(());
            }
            kept.extend_from_slice(piece);
            if kept.len() - hashed >= PIECE {
                hash.update(&kept[hashed..]);
                if share.is_none() {
                    kept.clear();
                }
                hashed = kept.len();
            }
            full = kept.capacity().min(hashed + PIECE);
            Ok(())
        },
    )
    .await?;
    hash.update(&kept[hashed..]);
    if share.is_none() {
        kept = Vec::new();
    }
    Ok((
        Held::new(kept.into(), trailers, share),
        hash.finalize().into(),
    ))
}

/// Returns how many bytes to take of the pool for a body of which `seen` bytes came: never more than
/// twice that, or [`FIRST`], and never more than was announced.
fn capacity(held: usize, seen: usize, announced: usize, limit: usize) -> usize {
    let most = if seen <= announced { announced } else { limit };
    seen.max(held * 2).max(FIRST).min(most)
}

/// The least that is taken for a body, in bytes.
const FIRST: usize = 1024;

/// Shorter pieces are hashed together, as soon as they are so many bytes.
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
            let cut: Vec<_> = frames
                .into_iter()
                .map(|length| Ok::<_, Infallible>(Frame::data(rest.split_to(length))))
                .collect();
            let body = StreamBody::new(stream::iter(cut));
            let room = || is_held.then(|| Share::of([const { None }; 5]));
            let read = read(body, room, whole.len(), Duration::MAX).now_or_never();
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
