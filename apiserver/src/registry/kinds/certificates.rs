//! Certificate signing requests: who asks is written by the server, and each subresource changes its own part.

use crate::registry::behaviour::{AGE, Behaviour, FieldLabel, Generation, NAME, Scene, column};
use crate::registry::cells::{age, items, name};
use serde_json::{Value, json};
use tinyplane_wire::meta::map_mut;

pub(super) static REQUEST: Behaviour = Behaviour {
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

/// Conditions that only the approval subresource writes.
fn is_verdict(condition: &Value) -> bool {
    condition["type"] == "Approved" || condition["type"] == "Denied"
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
            if conditions.is_array() {
                request["status"]["conditions"] = stamped(conditions, scene.now);
            }
            request["spec"] = old["spec"].clone();
        }
        (Some(old), "status") => {
            let own = items(&request["status"]["conditions"]).filter(|one| !is_verdict(one)).cloned();
            let verdicts = items(&old["status"]["conditions"]).filter(|one| is_verdict(one)).cloned();
            let all: Vec<Value> = verdicts.chain(own).collect();
            let status = map_mut(&mut request["status"]);
            match all.is_empty() {
                true => drop(status.remove("conditions")),
                false => drop(status.insert("conditions".into(), stamped(all.into(), scene.now))),
            }
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
