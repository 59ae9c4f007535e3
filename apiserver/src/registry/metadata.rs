//! The metadata that the server itself writes: names made up, ids, times, generations.

use super::behaviour::{Behaviour, Generation};
use crate::schema::{self, TypeId, amounts, default};
use rand::Rng;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::meta::{Meta, metadata_mut};

/// How many letters a made-up name ends with.
const SUFFIX_LETTERS: usize = 5;
/// Most bytes of a made-up name: it may become a label.
const MADE_UP_BYTES_MAX: usize = 63;
/// What the letters are drawn from: no vowels, so that no words come up, and nothing that looks like something else.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Random letters for the end of a name.
#[must_use]
pub fn suffix() -> String {
    let mut random = rand::rng();
    (0..SUFFIX_LETTERS).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// A name that begins with `base`.
#[must_use]
pub fn made_up_name(base: &str) -> String {
    let room = MADE_UP_BYTES_MAX - SUFFIX_LETTERS;
    format!("{}{}", &base[..base.floor_char_boundary(room)], suffix())
}

/// Takes out of a new object what its author can't say: before anybody comes to own it.
pub(super) fn wipe(object: &mut Value) {
    let metadata = metadata_mut(object);
    for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        metadata.remove(field);
    }
}

/// What the server writes into every new object, whatever its author wrote there.
pub(super) fn begin(object: &mut Value, namespace: &str, clock: &Clock) {
    let metadata = metadata_mut(object);
    if !namespace.is_empty() {
        metadata.insert("namespace".into(), namespace.into());
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), clock.timestamp().into());
}

/// Takes owners out that stand there twice, word by word. The uids of those.
pub(super) fn single_owners(object: &mut Value) -> Vec<String> {
    let Some(owners) = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) else {
        return Vec::new();
    };
    if owners.len() < 2 {
        return Vec::new();
    }
    let (mut seen, mut double) = (HashSet::with_capacity(owners.len()), Vec::new());
    owners.retain(|owner| {
        // Told apart by their texts, for each would have to be held against all others.
        let is_new = seen.insert(owner.to_string());
        if !is_new {
            double.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        }
        is_new
    });
    double.sort();
    double.dedup();
    double
}

/// Takes over from the old object what an author may leave out, and never decides.
pub(super) fn carry_over(new: &mut Value, old: &Value) {
    let before = &old["metadata"];
    let metadata = metadata_mut(new);
    set_or_remove(metadata, "creationTimestamp", &before["creationTimestamp"]);
    set_or_remove(metadata, "generation", &before["generation"]);
    for field in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if metadata.get(field).is_none_or(|value| value.is_null() || value == "") {
            set_or_remove(metadata, field, &before[field]);
        }
    }
}

fn set_or_remove(metadata: &mut Map<String, Value>, field: &str, value: &Value) {
    if value.is_null() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), value.clone());
    }
}

/// The first generation, or the next one where something that counts has changed. Metadata counts for some kinds, but not
/// where a status is written.
pub(super) fn count(
    (behaviour, stored): (&Behaviour, Option<TypeId>),
    new: &mut Value,
    old: Option<&Value>,
    counts_metadata: bool,
) {
    let counts_status = match behaviour.generation {
        Generation::None => return,
        Generation::First | Generation::Spec => false,
        Generation::Everything | Generation::Held | Generation::Changes => true,
    };
    let Some(old) = old else {
        if behaviour.generation == Generation::Changes {
            return;
        }
        metadata_mut(new).insert("generation".into(), json!(1));
        return;
    };
    let differs = |new: &Value, old: &Value| {
        counted(new, counts_status).any(|(name, value)| old[name.as_str()] != *value)
            || counted(old, counts_status).any(|(name, value)| !value.is_null() && new.get(name).is_none())
            || (counts_metadata
                && behaviour.counted_metadata.iter().any(|field| new["metadata"][*field] != old["metadata"][*field]))
    };
    // Another text of the same amount is no change; few objects come so far that hold any.
    // Nor is a list or map with nothing in it.
    let meant = |id, object: &Value| {
        let mut meant = amounts::counted(schema::model(), id, object);
        if behaviour.generation != Generation::Held {
            default::leave_out(schema::model(), id, &mut meant);
            default::forget_empty(schema::model(), id, &mut meant);
        }
        meant
    };
    let means_more = |id| differs(&meant(id, new), &meant(id, old));
    if behaviour.generation != Generation::First && differs(new, old) && stored.is_none_or(means_more) {
        let next = Meta::of(old).generation() + 1;
        metadata_mut(new).insert("generation".into(), json!(next));
    }
}

/// The fields of an object that count: what it says of its version does not.
fn counted(object: &Value, counts_status: bool) -> impl Iterator<Item = (&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(move |(name, _)| match name.as_str() {
        "kind" | "apiVersion" | "metadata" => false,
        name => counts_status || name != "status",
    })
}

/// Longest grace that is counted: 1,000 years. What is told of it is what was asked.
const GRACE_SECONDS_MAX: u64 = 1_000 * 365 * 86_400;

/// The time that a grace stands for.
pub(super) fn grace(seconds: i64) -> std::time::Duration {
    std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default().min(GRACE_SECONDS_MAX))
}

/// Marks an object as being deleted, from now on with this much time left.
pub(super) fn mark_deleting(object: &mut Value, clock: &Clock, grace_seconds: i64) {
    let at = clock.now() + grace(grace_seconds);
    let generation = Meta::of(object).generation();
    let metadata = metadata_mut(object);
    metadata.insert("deletionTimestamp".into(), tinyplane_wire::clock::format_seconds(at).into());
    metadata.insert("deletionGracePeriodSeconds".into(), grace_seconds.into());
    if generation > 0 {
        metadata.insert("generation".into(), (generation + 1).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_fit_into_labels() {
        let name = made_up_name(&"a".repeat(300));
        assert_eq!(name.len(), 63);
        let name = made_up_name("web-");
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert_ne!(made_up_name("a"), made_up_name("a"));
    }

    #[test]
    fn an_owner_that_stands_there_twice_is_one() {
        let (one, other) = (json!({"uid": "a", "name": "x"}), json!({"uid": "a", "name": "y"}));
        let mut object = json!({"metadata": {"ownerReferences": [one, other, one]}});
        assert_eq!(single_owners(&mut object), ["a"]);
        assert_eq!(object, json!({"metadata": {"ownerReferences": [one, other]}}));
        assert_eq!(single_owners(&mut object), [""; 0]);
    }

    #[test]
    fn the_generation_counts_changes_of_the_spec() {
        let old = json!({"metadata": {"generation": 3}, "spec": {"a": 1}, "status": {"b": 1}});
        let next = |change: fn(&mut Value)| {
            let mut new = old.clone();
            change(&mut new);
            count((&Behaviour::WITH_STATUS, None), &mut new, Some(&old), true);
            Meta::of(&new).generation()
        };
        assert_eq!(next(|new| new["status"]["b"] = json!(2)), 3);
        assert_eq!(next(|new| new["spec"]["a"] = json!(2)), 4);
        assert_eq!(next(|new| drop(new.as_object_mut().unwrap().remove("spec"))), 4);
        assert_eq!(next(|new| new["apiVersion"] = json!("g/v2")), 3, "it is stored in another version now");
        let noted = Behaviour { counted_metadata: &["annotations"], ..Behaviour::WITH_STATUS };
        for (counts, expected) in [(true, 4), (false, 3)] {
            let mut new = json!({"metadata": {"generation": 3, "annotations": {"a": "b"}}, "spec": {"a": 1}});
            count((&noted, None), &mut new, Some(&old), counts);
            assert_eq!(Meta::of(&new).generation(), expected);
        }
    }

    #[test]
    fn the_generation_counts_no_other_text_of_the_same_amount() {
        let job = |memory: &str, image: &str| {
            let container = json!({"name": "c", "image": image, "resources": {"limits": {"memory": memory}}});
            json!({"metadata": {"generation": 1}, "spec": {"template": {"spec": {"containers": [container]}}}})
        };
        let kind = (&Behaviour::WITH_STATUS, schema::model().kind("batch", "v1", "Job"));
        let next = |mut new: Value| {
            count(kind, &mut new, Some(&job("1Gi", "a")), true);
            Meta::of(&new).generation()
        };
        assert_eq!(next(job("1073741824", "a")), 1);
        assert_eq!((next(job("1073741825", "a")), next(job("1024Mi", "b"))), (2, 2));
    }
}
