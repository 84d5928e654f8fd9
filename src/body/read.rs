//! Reading a body to its end, within bounds of length and time.

use std::{error::Error, pin::pin, time::Duration};

use bytes::Buf as _;
use http::HeaderMap;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError};

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It broke off.
    Broken,
    /// A layer further out limits it to fewer bytes.
    CutOff,
    /// There is no memory for it.
    NoRoom,
    /// It has more bytes than it may have.
    TooLong,
    /// It was not there in time.
    TooSlow,
}

/// Reads a body of at most `limit` bytes to its end, within `time`, and shows its data to `take`
/// piece by piece. Returns the trailers, if there are any. `fault` names what an error of the body
/// stands for.
///
/// A body that announces more than the limit is not read at all, and a piece that crosses the limit
/// is not shown.
pub(crate) async fn read_to_end<B: Body>(
    body: B,
    limit: usize,
    time: Duration,
    fault: impl Fn(B::Error) -> ReadError,
    mut take: impl FnMut(&[u8]) -> Result<(), ReadError>,
) -> Result<Option<HeaderMap>, ReadError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLong);
    }
    let reading = async {
        let (mut body, mut seen, mut trailers) = (pin!(body), 0_usize, None);
        while let Some(frame) = body.frame().await {
            match frame.map_err(&fault)?.into_data() {
                Ok(mut data) => {
                    seen = seen.saturating_add(data.remaining());
                    if seen > limit {
                        return Err(ReadError::TooLong);
                    }
                    while data.has_remaining() {
                        let piece = data.chunk();
                        take(piece)?;
                        let taken = piece.len();
                        if taken == data.remaining() {
                            break;
                        }
                        data.advance(taken);
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok(trailers)
    };
    tokio::time::timeout(time, reading)
        .await
        .map_err(|_| ReadError::TooSlow)?
}

/// Tells a limit of another layer (`LengthLimitError`) from all other faults of a body.
pub(crate) fn fault(error: &(dyn Error + 'static)) -> ReadError {
    let causes = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| {
        (*error).source()
    });
    match causes.take(16).any(|error| error.is::<LengthLimitError>()) {
        true => ReadError::CutOff,
        false => ReadError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible};

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    const LIMIT: usize = 64 * 1024;

    /// Reads a body that announces no length: so many frames of 16 KiB and then so many bytes.
    /// Counts the frames that were taken.
    async fn streamed(
        frames: usize,
        bytes: usize,
        taken: &Cell<usize>,
    ) -> Result<Vec<u8>, ReadError> {
        let lengths = std::iter::repeat_n(16 * 1024, frames).chain([bytes]);
        let frames = lengths.map(|length| {
            taken.set(taken.get() + 1);
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; length])))
        });
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let mut whole = Vec::new();
        let take = |piece: &[u8]| {
            whole.extend_from_slice(piece);
            Ok(())
        };
        read_to_end(body, LIMIT, Duration::MAX, |_| ReadError::Broken, take).await?;
        Ok(whole)
    }

    #[tokio::test]
    async fn a_body_of_no_announced_length_is_read_up_to_its_limit_and_no_further() {
        for (frames, bytes, expected, most) in [
            (4, 0, Ok(LIMIT), 5),
            (3, 16 * 1024 - 1, Ok(LIMIT - 1), 4),
            (4, 1, Err(ReadError::TooLong), 5),
            (0, LIMIT + 1, Err(ReadError::TooLong), 1),
            (1_000, 0, Err(ReadError::TooLong), 5),
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
