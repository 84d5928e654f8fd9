use std::pin::pin;

use bytes::Buf as _;
use http_body::Body;
use http_body_util::BodyExt as _;

/// No settlement request comes near this.
const MAX_BODY: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Broken,
    TooLong,
}

/// The whole body, in one buffer.
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
