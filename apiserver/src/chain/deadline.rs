//! How long a call may take: what the server allows, or less where its `timeout` says so.

use crate::request::Call;
use std::time::Duration;
use tinyplane_wire::clock::parse_duration;
use tinyplane_wire::status::{self, Status};

/// The time that a call gets.
///
/// # Errors
/// 400 for a `timeout` that is no duration, in upstream's words.
pub(super) fn of(call: &Call, allowed: Duration) -> status::Result<Duration> {
    let text = call.query.text("timeout");
    if text.is_empty() || call.is_long_running() {
        return Ok(allowed);
    }
    let wrong = |why: String| Status::bad_request(format!("invalid timeout specified in the request URL - {why}"));
    // What is less than nothing is as good as nothing said. A duration has one sign at most.
    let unsigned = text.strip_prefix('-').filter(|rest| !rest.starts_with('+'));
    match parse_duration(unsigned.unwrap_or(text)) {
        Some(asked) if asked.is_zero() || text.starts_with('-') => Ok(allowed),
        Some(asked) => Ok(asked.min(allowed)),
        None => Err(wrong(format!("time: invalid duration {text:?}"))),
    }
}
