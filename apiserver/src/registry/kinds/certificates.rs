//! Certificate signing requests: who asks is written by the server, and each subresource changes its own part.

use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, Generation, Grammar, Judged, NAME, Scene, column};
use crate::registry::cells::{age, items, name};
use serde_json::{Value, json};
use tinyplane_wire::meta::map_mut;

pub(super) static REQUEST: Behaviour = Behaviour {
    name: Grammar::PathSegment,
    metadata_judged: Judged::NameLast,
    main_resets: &[&["spec"]],
    status_resets: &[&["status", "conditions"]],
    fields: &[FieldLabel::Path("spec.signerName")],
    generation: Generation::None,
    prepare,
    columns: &[
        NAME,
        AGE,
        column("SignerName", "Who is asked to sign."),
        column("Requestor", "Who asks."),
        column("RequestedDuration", "For how long the certificate should be good."),
        column("Condition", "What became of the request."),
    ],
    cells: |request, now| {
        let spec = &request["spec"];
        let lasts = spec["expirationSeconds"].as_u64().map(std::time::Duration::from_secs);
        vec![
            name(request),
            age(request, now),
            spec["signerName"].clone(),
            spec["username"].clone(),
            json!(lasts.map_or_else(|| "<none>".to_owned(), crate::registry::cells::duration)),
            json!(condition(request)),
        ]
    },
    ..Behaviour::WITH_STATUS
};

fn condition(request: &Value) -> String {
    let has = |kind: &str| items(&request["status"]["conditions"]).any(|one| one["type"] == kind);
    let mut words = Vec::new();
    if has("Denied") {
        words.push("Denied");
    } else if has("Approved") {
        words.push("Approved");
    } else {
        words.push("Pending");
    }
    if has("Failed") {
        words.push("Failed");
    }
    if !request["status"]["certificate"].as_str().unwrap_or_default().is_empty() {
        words.push("Issued");
    }
    words.join(",")
}

/// Puts the old conditions of a kind into the places of the new ones, where there are as many.
fn keep(conditions: &mut Value, old: &Value, kind: &str) {
    let before: Vec<Value> = items(old).filter(|one| one["type"] == kind).cloned().collect();
    let now = conditions.as_array_mut().into_iter().flatten().filter(|one| one["type"] == kind);
    let places: Vec<&mut Value> = now.collect();
    if places.len() == before.len() {
        places.into_iter().zip(before).for_each(|(place, condition)| *place = condition);
    }
}

fn prepare(request: &mut Value, old: Option<&Value>, scene: &Scene<'_>) {
    match (old, scene.subresource) {
        (None, _) => {
            let spec = &mut request["spec"];
            spec["username"] = json!(scene.caller.name.as_str());
            let told = scene.caller.user_info();
            for (field, value) in [("uid", &told["uid"]), ("groups", &told["groups"]), ("extra", &told["extra"])] {
                match (value.is_null(), spec.as_object_mut()) {
                    (true, Some(spec)) => drop(spec.remove(field)),
                    (false, Some(spec)) => drop(spec.insert(field.into(), value.clone())),
                    (_, None) => {}
                }
            }
        }
        (Some(old), "approval") => {
            let conditions = request["status"]["conditions"].take();
            request["status"] = old["status"].clone();
            let status = map_mut(&mut request["status"]);
            // What is taken back here is refused later on.
            match conditions.as_array().is_none_or(Vec::is_empty) {
                true => drop(status.remove("conditions")),
                false => drop(status.insert("conditions".into(), stamped(conditions, scene.now))),
            }
            request["spec"] = old["spec"].clone();
        }
        (Some(old), "status") => {
            // What comes or goes of the verdicts here is refused later on; those that are there stay as they are.
            let mut conditions = request["status"]["conditions"].clone();
            for kind in ["Approved", "Denied"] {
                keep(&mut conditions, &old["status"]["conditions"], kind);
            }
            let status = map_mut(&mut request["status"]);
            match conditions.as_array().is_none_or(Vec::is_empty) {
                true => drop(status.remove("conditions")),
                false => drop(status.insert("conditions".into(), stamped(conditions, scene.now))),
            }
            request["spec"] = old["spec"].clone();
        }
        (Some(old), _) => request["spec"] = old["spec"].clone(),
    }
}

/// Conditions with the times that their author left out.
fn stamped(mut conditions: Value, now: &str) -> Value {
    for condition in conditions.as_array_mut().into_iter().flatten() {
        for field in ["lastUpdateTime", "lastTransitionTime"] {
            if condition[field].is_null() {
                condition[field] = json!(now);
            }
        }
    }
    conditions
}
