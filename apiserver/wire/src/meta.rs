//! Object metadata, and the grammar of names and labels.

use serde_json::{Map, Value, json};

/// Longest DNS label, in bytes (RFC 1123).
pub const LABEL_BYTES_MAX: usize = 63;
/// Longest DNS subdomain, in bytes (RFC 1123).
pub const SUBDOMAIN_BYTES_MAX: usize = 253;

/// Upstream's sentence for a name that is no DNS label.
pub const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
/// Upstream's sentence for a name that is no DNS subdomain.
pub const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/// Upstream's sentence for a label value.
pub const LABEL_VALUE_MESSAGE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// Upstream's sentence for the name part of a qualified name.
pub const QUALIFIED_NAME_MESSAGE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// The fields of metadata in upstream's order, in which they are written.
pub const METADATA_ORDER: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// What upstream says of hosts' names that are too long: of everything else it counts bytes.
fn too_many(most: usize) -> String {
    format!("must be no more than {most} characters")
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn edges_and_body(text: &str, edge: impl Fn(u8) -> bool, body: impl Fn(u8) -> bool) -> bool {
    match text.as_bytes() {
        [] => false,
        [one] => edge(*one),
        [first, middle @ .., last] => edge(*first) && edge(*last) && middle.iter().all(|b| body(*b)),
    }
}

fn lower_alphanumeric(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// What is wrong with a DNS label (RFC 1123), in upstream's words; empty when nothing is.
#[must_use]
pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_BYTES_MAX {
        wrong.push(too_many(LABEL_BYTES_MAX));
    }
    let part = |p: &str| edges_and_body(p, lower_alphanumeric, |b| lower_alphanumeric(b) || b == b'-');
    if !part(text) {
        // What is a subdomain but for its length has nothing wrong but its dots.
        wrong.push(if text.split('.').all(part) { "must not contain dots".into() } else { LABEL_MESSAGE.into() });
    }
    wrong
}

/// What is wrong with a DNS subdomain (RFC 1123), in upstream's words; empty when nothing is.
#[must_use]
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > SUBDOMAIN_BYTES_MAX {
        wrong.push(too_many(SUBDOMAIN_BYTES_MAX));
    }
    let part = |p: &str| edges_and_body(p, lower_alphanumeric, |b| lower_alphanumeric(b) || b == b'-');
    if !text.split('.').all(part) {
        wrong.push(SUBDOMAIN_MESSAGE.into());
    }
    wrong
}

/// What is wrong with a label or annotation key; empty when nothing is.
#[must_use]
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".into());
            } else {
                wrong.extend(dns_subdomain(prefix).into_iter().map(|w| format!("prefix part {w}")));
            }
            name
        }
        Some(_) => {
            return vec![
                "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')".into(),
            ];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else if name.len() > LABEL_BYTES_MAX {
        wrong.push(format!("name part {}", too_long(LABEL_BYTES_MAX)));
    }
    if !edges_and_body(name, |b| b.is_ascii_alphanumeric(), loose) {
        wrong.push(QUALIFIED_NAME_MESSAGE.into());
    }
    wrong
}

fn loose(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

/// What is wrong with a label's value; empty when nothing is.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_BYTES_MAX {
        wrong.push(too_long(LABEL_BYTES_MAX));
    }
    if !text.is_empty() && !edges_and_body(text, |b| b.is_ascii_alphanumeric(), loose) {
        wrong.push(LABEL_VALUE_MESSAGE.into());
    }
    wrong
}

/// What is wrong with a name that becomes one segment of a path; empty when nothing is.
#[must_use]
pub fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        _ => ["/", "%"].into_iter().filter(|c| text.contains(c)).map(|c| format!("may not contain '{c}'")).collect(),
    }
}

/// A borrowed view of an object's `metadata`, for objects that travel as JSON.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    object: &'a Value,
}

impl<'a> Meta<'a> {
    /// Looks at an object.
    #[must_use]
    pub fn of(object: &'a Value) -> Self {
        Self { object }
    }

    fn text(self, field: &str) -> &'a str {
        self.object["metadata"][field].as_str().unwrap_or_default()
    }

    /// `metadata.name`, or nothing.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.text("name")
    }

    /// `metadata.namespace`, or nothing.
    #[must_use]
    pub fn namespace(self) -> &'a str {
        self.text("namespace")
    }

    /// `metadata.uid`, or nothing.
    #[must_use]
    pub fn uid(self) -> &'a str {
        self.text("uid")
    }

    /// `metadata.resourceVersion`, or nothing.
    #[must_use]
    pub fn resource_version(self) -> &'a str {
        self.text("resourceVersion")
    }

    /// `metadata.generation`, or 0.
    #[must_use]
    pub fn generation(self) -> i64 {
        self.object["metadata"]["generation"].as_i64().unwrap_or_default()
    }

    /// True when deletion has begun.
    #[must_use]
    pub fn is_deleting(self) -> bool {
        !self.text("deletionTimestamp").is_empty()
    }

    /// One label's value.
    #[must_use]
    pub fn label(self, key: &str) -> Option<&'a str> {
        self.object["metadata"]["labels"][key].as_str()
    }

    /// One annotation's value.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.object["metadata"]["annotations"][key].as_str()
    }

    /// All labels.
    pub fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        pairs(&self.object["metadata"]["labels"])
    }

    /// The finalizers that still hold the object.
    pub fn finalizers(self) -> impl Iterator<Item = &'a str> {
        self.object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// The owner that controls the object (`controller: true`), if one does.
    #[must_use]
    pub fn controller(self) -> Option<&'a Value> {
        self.object["metadata"]["ownerReferences"]
            .as_array()?
            .iter()
            .find(|owner| owner["controller"].as_bool() == Some(true))
    }

    /// `namespace/name`, or `name` without a namespace.
    #[must_use]
    pub fn key(self) -> String {
        match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }
}

/// The string pairs of a JSON map, such as labels or a simple selector.
pub fn pairs(map: &Value) -> impl Iterator<Item = (&str, &str)> {
    map.as_object().into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}

/// An `ownerReference` to an object that controls another.
#[must_use]
pub fn controller_reference(owner: &Value) -> Value {
    let meta = Meta::of(owner);
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta.name(), "uid": meta.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The `metadata` map of an object, made if it is not there. A body that is no object is turned into one.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    map_mut(map_mut_at(object, "metadata"))
}

fn map_mut_at<'a>(object: &'a mut Value, field: &str) -> &'a mut Value {
    let fields = map_mut(object);
    // An entry would be asked for by a name of its own, and the field is there as a rule.
    if !fields.contains_key(field) {
        fields.insert(field.to_owned(), json!({}));
    }
    &mut fields[field]
}

/// A value as a map, replaced by an empty one when it is something else.
pub fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object just above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_grammar() {
        assert!(dns_subdomain("web-1.example.com").is_empty());
        assert_eq!(dns_subdomain("Web"), [SUBDOMAIN_MESSAGE]);
        assert_eq!(dns_label("A"), [LABEL_MESSAGE]);
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert!(qualified_name("example.com/My_Name.1").is_empty());
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert!(label_value("").is_empty());
        assert_eq!(label_value("-a"), [LABEL_VALUE_MESSAGE]);
        assert_eq!(path_segment("a/b"), ["may not contain '/'"]);
    }

    #[test]
    fn metadata_is_made_where_it_is_missing() {
        let mut object = json!({"kind": "Pod"});
        metadata_mut(&mut object).insert("name".into(), json!("web"));
        assert_eq!(Meta::of(&object).name(), "web");
        assert_eq!(Meta::of(&object).key(), "web");
    }
}
