//! The frames of a watch, as they come.

use super::ClientError;
use crate::watch::Frame;
use bytes::{Buf, BytesMut};

/// Largest frame that is read: an object and some air.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// A watch that is open.
#[derive(Debug)]
pub struct WatchStream {
    answer: reqwest::Response,
    buffer: BytesMut,
}

impl WatchStream {
    pub(super) fn new(answer: reqwest::Response) -> Self {
        Self { answer, buffer: BytesMut::new() }
    }

    /// The next frame, or nothing when the server ended the watch.
    ///
    /// # Errors
    /// When the connection breaks or a frame can't be read.
    pub async fn next(&mut self) -> Result<Option<Frame>, ClientError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(searched + end);
                self.buffer.advance(1);
                searched = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            searched = self.buffer.len();
            if searched > FRAME_BYTES_MAX {
                return Err(ClientError::FrameTooLarge(FRAME_BYTES_MAX));
            }
            match self.answer.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(serde_json::from_slice(&self.buffer.split())?)),
            }
        }
    }
}
