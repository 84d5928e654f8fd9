use std::pin::pin;

use bytes::Buf as _;
use http_body::Body;
use http_body_util::BodyExt as _;

/// The longest accepted body, in bytes. Real settlement requests are far shorter.
const MAX_BODY: usize = 64 * 1024;

/// The reason why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Broken,
    TooLong,
}

/// Reads the whole body into one buffer.
pub(super) async fn read<B: Body>(body: B) -> Result<Vec<u8>, Unread> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Unread::TooLong);
    }
    let (mut body, mut whole) = (pin!(body), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        if whole.len() + data.remaining() > MAX_BODY {
            return Err(Unread::TooLong);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            whole.extend_from_slice(chunk);
            let read = chunk.len();
            data.advance(read);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible};

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// Reads a body without an announced length: `frames` frames of 16 KiB, then one of `bytes`
    /// bytes. Counts in `taken` how many frames were read.
    async fn streamed(frames: usize, bytes: usize, taken: &Cell<usize>) -> Result<Vec<u8>, Unread> {
        let lengths = std::iter::repeat_n(16 * 1024, frames).chain([bytes]);
        let frames = lengths.map(|length| {
            taken.set(taken.get() + 1);
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; length])))
        });
        read(StreamBody::new(futures_util::stream::iter(frames))).await
    }

    #[tokio::test]
    async fn a_body_of_no_announced_length_is_read_up_to_64_kib_and_no_further() {
        for (frames, bytes, expected, most) in [
            (4, 0, Ok(MAX_BODY), 5),
            (3, 16 * 1024 - 1, Ok(MAX_BODY - 1), 4),
            (4, 1, Err(Unread::TooLong), 5),
            (0, MAX_BODY + 1, Err(Unread::TooLong), 1),
            (1_000, 0, Err(Unread::TooLong), 5),
        ] {
            let taken = Cell::new(0);
            let read = streamed(frames, bytes, &taken).await.map(|body| body.len());
            assert_eq!(
                (read, taken.get()),
                (expected, most),
                "{frames} frames and {bytes} bytes"
            );
        }
    }
}
