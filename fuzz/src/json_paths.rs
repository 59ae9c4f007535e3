//! The `JSONPath`s of columns: a path in a line of its own, and the object in which it leads somewhere.

use serde_json::Value;
use tinyplane_apiserver::registry::custom::JsonPath;

/// A path is read or refused, and walked within bounds; one of names alone leads where its names lead.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, object) = text.split_once('\n').unwrap_or((text, "{}"));
    let Ok(object) = serde_json::from_str::<Value>(object) else { return };
    let Some(read) = JsonPath::parse(path) else { return };
    let found = read.find(&object);
    assert_eq!(read.find(&object), found, "{path}");
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let names = || path.strip_prefix('.').into_iter().flat_map(|path| path.split('.'));
    if names().next().is_some() && names().all(is_name) {
        let led = names().try_fold(&object, |value, name| value.as_object()?.get(name));
        assert_eq!(found, Ok(led.into_iter().collect()), "{path}");
    }
}
