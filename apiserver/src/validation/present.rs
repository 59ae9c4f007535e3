//! An object, with a note of which fields it has.

use serde_json::Value;
use std::ops::{Deref, Index};

static ABSENT: Value = Value::Null;

/// An object that is asked for many more fields than it has, as a pod's spec is: of nearly all that are not there a bit tells so, and
/// no name is compared. Everything else is as with the value itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present<'a> {
    object: &'a Value,
    /// The bits of all names.
    there: u64,
}

impl<'a> Present<'a> {
    /// Of any value; one that is no object has no fields.
    pub(crate) fn of(object: &'a Value) -> Self {
        let names = object.as_object().into_iter().flat_map(serde_json::Map::keys);
        Self { object, there: names.fold(0, |there, name| there | bit(name)) }
    }

    /// A field, or null where there is none.
    #[inline]
    pub(crate) fn get(&self, name: &str) -> &'a Value {
        if self.there & bit(name) == 0 { &ABSENT } else { &self.object[name] }
    }
}

impl Deref for Present<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.object
    }
}

impl Index<&str> for Present<'_> {
    type Output = Value;

    #[inline]
    fn index(&self, name: &str) -> &Value {
        self.get(name)
    }
}

/// One of 64 bits for a name, by its length, a letter of its middle and its last: that sets apart most of a container's fields
/// and of a pod's. Where the name is written out, the compiler works it out.
#[inline(always)]
const fn bit(name: &str) -> u64 {
    let letters = name.as_bytes();
    if letters.is_empty() {
        return 1;
    }
    let (middle, last) = (letters[letters.len() / 2] as usize, letters[letters.len() - 1] as usize);
    1 << ((letters.len() * 4 + middle * 5 + last * 4) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_found_and_others_are_null() {
        let value = json!({"name": "a", "": 1, "mane": null, "é": {"b": 2}});
        let present = Present::of(&value);
        for name in ["name", "", "mane", "é", "eman", "image", "x", "ports"] {
            assert_eq!(present[name], value[name], "{name}");
        }
        assert_eq!(present.as_object().map(serde_json::Map::len), Some(4));
        for other in [json!(null), json!([1]), json!("name")] {
            assert!(Present::of(&other)["name"].is_null());
        }
    }

    #[test]
    fn the_fields_of_pods_have_bits_of_their_own_mostly() {
        let spec =
            ["containers", "volumes", "restartPolicy", "dnsPolicy", "serviceAccountName", "nodeName", "tolerations"];
        let asked =
            ["hostname", "subdomain", "hostNetwork", "hostPID", "overhead", "affinity", "priorityClassName", "os"];
        let there = spec.iter().fold(0, |there, name| there | bit(name));
        assert!(asked.iter().filter(|name| there & bit(name) != 0).count() <= 2);
    }
}
