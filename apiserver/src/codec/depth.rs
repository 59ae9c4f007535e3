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

/// Demands that an object can be read again once it is stored. One that is `bounded` by its type is as deep as that says, and
/// so are the sets of its managers, but for those that a client sent: see [`demand_set`].
///
/// # Errors
/// 400 in the words of upstream's decoder, which ends at 10,000 levels.
pub fn demand(object: &Value, bounded: bool) -> status::Result<()> {
    let managers = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut sets = managers.filter_map(|entry| entry["fieldsV1"].as_str());
    let fits = bounded || (fits(object, LEVELS_MAX) && sets.all(|set| text_fits(set, LEVELS_MAX - ABOVE_SETS)));
    if fits { Ok(()) } else { Err(too_deep()) }
}

/// Demands the same of a set of fields that a client sent.
///
/// # Errors
/// As [`demand`].
pub fn demand_set(set: &Value) -> status::Result<()> {
    if fits(set, LEVELS_MAX - ABOVE_SETS) { Ok(()) } else { Err(too_deep()) }
}

fn too_deep() -> Box<Status> {
    Status::bad_request(TOO_DEEP)
}

/// What is said of what is too deep.
pub const TOO_DEEP: &str = "exceeded max depth";

/// Most levels that Go's decoder reads, of whatever, unknown fields among it.
const GO_LEVELS_MAX: usize = 10_000;

/// The bracket at which Go's decoder gives up, where a text goes that deep.
#[must_use]
pub fn beyond_go(json: &[u8]) -> Option<char> {
    // Each level has a letter of its own.
    if json.len() <= GO_LEVELS_MAX {
        return None;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > GO_LEVELS_MAX {
                    return Some(char::from(*byte));
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Levels above the set of a manager: the object, its metadata, the list of managers, and an entry.
const ABOVE_SETS: usize = 4;

/// The same of a value that is the text of one.
#[must_use]
pub fn text_fits(text: &str, levels: usize) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        if depth > levels {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn go_reads_ten_thousand_levels() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(beyond_go(nested(10_000).as_bytes()), None);
        assert_eq!(beyond_go(nested(10_001).as_bytes()), Some('['));
        assert_eq!(beyond_go(format!("{{\"a\":\"{}\"}}", "[".repeat(20_000)).as_bytes()), None);
    }

    #[test]
    fn levels_are_counted() {
        assert!(fits(&json!(1), 0) && fits(&json!({}), 1) && !fits(&json!([]), 0));
        assert!(fits(&json!({"a": [1, {"b": 2}]}), 3) && !fits(&json!({"a": [1, {"b": 2}]}), 2));
        let nested = (0..LEVELS_MAX).fold(json!(1), |inner, _| json!([inner]));
        assert!(demand(&nested, false).is_ok() && demand(&json!([nested]), false).is_err());
        let set =
            |depth: usize| (1..depth).fold("{}".to_owned(), |inner, _| format!(r#"{{"k:{{\"a\":\"[\"}}":{inner}}}"#));
        let object = |depth: usize| json!({"metadata": {"managedFields": [{"fieldsV1": set(depth)}]}});
        assert!(
            demand(&object(LEVELS_MAX - ABOVE_SETS), false).is_ok()
                && demand(&object(LEVELS_MAX - ABOVE_SETS + 1), false).is_err()
        );
    }
}
