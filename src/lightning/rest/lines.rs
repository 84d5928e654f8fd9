use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use zeroize::{Zeroize as _, Zeroizing};

use super::RestError;

/// The longest line of an answer, and the longest answer.
pub(super) const LONGEST: usize = 1024 * 1024;

/// An answer that comes line by line and may go on for ever.
pub(crate) struct Lines {
    body: Incoming,
    read: Zeroizing<Vec<u8>>,
    /// Whether the end of a line that is too long is still to come.
    skips: bool,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            read: Zeroizing::default(),
            skips: false,
        }
    }

    /// Returns the next line that is not empty, or `None` at the end. It can be dropped and called
    /// again. After [`RestError::TooLong`] it goes on with the line after the long one.
    pub(crate) async fn next(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, RestError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = Zeroizing::new(self.read[..end].to_vec());
                self.read.copy_within(end + 1.., 0);
                let left = self.read.len() - end - 1;
                self.read[left..].zeroize();
                self.read.truncate(left);
                let is_end_of_skipped = std::mem::take(&mut self.skips);
                if is_end_of_skipped || line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.skips {
                self.read.clear();
            } else if self.read.len() > LONGEST {
                self.skips = true;
                return Err(RestError::TooLong);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(RestError::Lost(error.to_string())),
                None if self.read.is_empty() => return Ok(None),
                None => self.read.push(b'\n'),
            }
        }
    }
}
