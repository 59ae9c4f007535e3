//! The ticket of a request: the `Audit-ID` by which its caller, the logs and every later hop know it.

use http::HeaderValue;
use smol_str::SmolStr;
use std::fmt;

/// Longest id that is taken over from a caller, in bytes.
const ID_BYTES_MAX: usize = 64;

/// The id of one request. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(SmolStr);

impl Ticket {
    /// The ticket that the caller brought in `Audit-ID`, cut to 64 bytes, or a new one.
    #[must_use]
    pub fn new(brought: Option<&HeaderValue>) -> Self {
        let brought = brought.and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        Self(match brought {
            Some(text) => text[..text.len().min(ID_BYTES_MAX)].into(),
            None => uuid::Uuid::new_v4().to_string().into(),
        })
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
