//! How deep an object may be: what is stored is read again, here and by every client.

use serde_json::Value;
use tinyplane_wire::status::{self, Status};

/// Most levels of an object, its managers' fields among them. The readers of ours end at 128, and an event or a list puts
/// levels around an object.
pub const LEVELS_MAX: usize = 120;

/// Whether a value has no more than this many levels of objects and lists. Looks no deeper than that.
#[must_use]
pub fn fits(value: &Value, levels: usize) -> bool {
    let below = |item: &Value| levels > 0 && fits(item, levels - 1);
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(below),
        Value::Object(fields) => levels > 0 && fields.values().all(below),
        _ => true,
    }
}

/// Demands that an object can be read again once it is stored.
///
/// # Errors
/// 400 in the words of upstream's decoder, which ends at 10,000 levels.
pub fn demand(object: &Value) -> status::Result<()> {
    if fits(object, LEVELS_MAX) { Ok(()) } else { Err(Status::bad_request("exceeded max depth")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels_are_counted() {
        assert!(fits(&json!(1), 0) && fits(&json!({}), 1) && !fits(&json!([]), 0));
        assert!(fits(&json!({"a": [1, {"b": 2}]}), 3) && !fits(&json!({"a": [1, {"b": 2}]}), 2));
        let nested = (0..LEVELS_MAX).fold(json!(1), |inner, _| json!([inner]));
        assert!(demand(&nested).is_ok() && demand(&json!([nested])).is_err());
    }
}
