//! Which names a definition gets, and what its conditions say of that.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use tinyplane_wire::meta::map_mut;

/// Words that other definitions of the group have.
#[derive(Default)]
struct Taken {
    resources: HashSet<String>,
    kinds: HashSet<String>,
}

fn words(names: &Value, fields: &[&str]) -> Vec<String> {
    let one = |field: &&str| match &names[*field] {
        Value::String(word) => vec![word.clone()],
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    fields.iter().flat_map(one).filter(|word| !word.is_empty()).collect()
}

const RESOURCES: [&str; 3] = ["plural", "singular", "shortNames"];
const KINDS: [&str; 2] = ["kind", "listKind"];

/// The status of a definition beside the others, as it shall be.
pub(super) fn judged(definition: &Value, others: &[Value], now: &str) -> Value {
    let same_group = |other: &&Value| {
        other["spec"]["group"] == definition["spec"]["group"]
            && other["metadata"]["name"] != definition["metadata"]["name"]
    };
    let mut taken = Taken::default();
    for other in others.iter().filter(same_group) {
        taken.resources.extend(words(&other["status"]["acceptedNames"], &RESOURCES));
        taken.kinds.extend(words(&other["status"]["acceptedNames"], &KINDS));
    }
    let (wished, mut accepted) = (&definition["spec"]["names"], definition["status"]["acceptedNames"].clone());
    let mut conflict = None;
    for (field, reason) in [
        ("plural", "PluralConflict"),
        ("singular", "SingularConflict"),
        ("shortNames", "ShortNamesConflict"),
        ("kind", "KindConflict"),
        ("listKind", "ListKindConflict"),
    ] {
        let known = if RESOURCES.contains(&field) { &taken.resources } else { &taken.kinds };
        let wrong: Vec<_> = words(wished, &[field]).into_iter().filter(|word| known.contains(word)).collect();
        if wrong.is_empty() {
            put(&mut accepted, field, &wished[field]);
        } else {
            let told: Vec<_> = wrong.iter().map(|word| format!("{word:?} is already in use")).collect();
            let told = if told.len() == 1 { told.concat() } else { format!("[{}]", told.join(", ")) };
            // Of several, the last is told.
            conflict = Some((reason, told));
        }
    }
    put(&mut accepted, "categories", &wished["categories"]);
    let mut status = definition["status"].clone();
    map_mut(&mut status).insert("acceptedNames".into(), accepted);
    let fine = conflict.is_none();
    match conflict {
        None => set(&mut status, "NamesAccepted", true, "NoConflicts", "no conflicts found", now),
        Some((reason, told)) => set(&mut status, "NamesAccepted", false, reason, &told, now),
    }
    if fine {
        set(&mut status, "Established", true, "InitialNamesAccepted", "the initial names have been accepted", now);
    } else if !is(&status, "Established") {
        set(&mut status, "Established", false, "NotAccepted", "not all names are accepted", now);
    }
    status
}

fn put(accepted: &mut Value, field: &str, value: &Value) {
    match value {
        Value::Null => drop(map_mut(accepted).remove(field)),
        value => drop(map_mut(accepted).insert(field.to_owned(), value.clone())),
    }
}

/// Whether a condition of a status is true.
pub(super) fn is(status: &Value, kind: &str) -> bool {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Sets a condition; the time stays where its status does.
pub(super) fn set(status: &mut Value, kind: &str, is: bool, reason: &str, message: &str, now: &str) {
    let word = if is { "True" } else { "False" };
    let mut condition = json!({
        "type": kind, "status": word, "lastTransitionTime": now, "reason": reason, "message": message,
    });
    let conditions = map_mut(status).entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    match conditions.iter_mut().find(|known| known["type"] == kind) {
        Some(known) => {
            if known["status"] == word {
                condition["lastTransitionTime"] = known["lastTransitionTime"].clone();
            }
            let fields: &mut Map<String, Value> = map_mut(known);
            fields.extend(map_mut(&mut condition).clone());
        }
        None => conditions.push(condition),
    }
}
