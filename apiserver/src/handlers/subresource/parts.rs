//! Parts that are sent as the whole object and of which only some fields are taken: `finalize`, `approval`,
//! `ephemeralcontainers`, `resize`.

use serde_json::Value;

/// The old object with what the subresource may change taken from the new one.
pub(super) fn taken(subresource: &str, old: &Value, new: &Value) -> Value {
    let mut object = old.clone();
    if matches!(subresource, "finalize" | "approval") {
        object["metadata"] = new["metadata"].clone();
    }
    match subresource {
        "finalize" => put(&mut object["spec"], "finalizers", &new["spec"]["finalizers"]),
        "approval" => put(&mut object["status"], "conditions", &new["status"]["conditions"]),
        "ephemeralcontainers" => put(&mut object["spec"], "ephemeralContainers", &new["spec"]["ephemeralContainers"]),
        "resize" => {
            for field in ["containers", "initContainers"] {
                let sent = new["spec"][field].as_array().cloned().unwrap_or_default();
                // Other containers than there are make a pod that is refused.
                let names = |containers: &[Value]| containers.iter().map(|one| one["name"].clone()).collect::<Vec<_>>();
                if names(&sent) != names(object["spec"][field].as_array().map(Vec::as_slice).unwrap_or_default()) {
                    put(&mut object["spec"], field, &new["spec"][field]);
                    continue;
                }
                for (container, sent) in
                    object["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().zip(sent)
                {
                    put(container, "resources", &sent["resources"]);
                    put(container, "resizePolicy", &sent["resizePolicy"]);
                }
            }
        }
        _ => {}
    }
    object
}

fn put(into: &mut Value, field: &str, value: &Value) {
    let fields = tinyplane_wire::meta::map_mut(into);
    match value {
        Value::Null => drop(fields.remove(field)),
        value => drop(fields.insert(field.to_owned(), value.clone())),
    }
}
