//! Who manages what the API server makes itself. Upstream has loops of its own for some parts of it, each with a name.

use crate::registry::Registry;
use crate::registry::catalog::Resource;
use crate::registry::flow_schemas::CONSUMER;
use crate::registry::managers::SERVER;
use serde_json::{Map, Value, json};
use tinyplane_wire::meta::{map_mut, metadata_mut};

/// Writes into a new object who manages its fields.
pub(super) fn note(registry: &Registry, resource: &Resource, object: &mut Value) {
    let (author, of_conditions) = match (resource.gvk.group.as_str(), resource.plural.as_str()) {
        ("flowcontrol.apiserver.k8s.io", plural) => {
            ("api-priority-and-fairness-config-producer-v1", (plural == "flowschemas").then_some(CONSUMER))
        }
        ("networking.k8s.io", "servicecidrs") => (SERVER, Some("kubernetes-service-cidr-controller")),
        _ => (SERVER, None),
    };
    let whole = object.get("spec").cloned();
    // Nobody owns what every namespace is given, nor what a Service's address brings along.
    match resource.gvk.kind.as_str() {
        "Namespace" => drop(map_mut(object).remove("spec")),
        "Service" => ["clusterIPs", "ipFamilies"].iter().for_each(|field| {
            drop(map_mut(&mut object["spec"]).remove(*field));
        }),
        _ => {}
    }
    registry.manage_new(resource, Some(author), object);
    if let Some(spec) = whole {
        map_mut(object).insert("spec".into(), spec);
    }
    if let Some(author) = of_conditions {
        let entry = applied(author, resource, object);
        if let Some(managers) = metadata_mut(object).get_mut("managedFields").and_then(Value::as_array_mut) {
            managers.insert(0, entry);
        }
    }
}

/// The entry of one who applied the conditions of an object.
fn applied(author: &str, resource: &Resource, object: &Value) -> Value {
    let mut conditions = Map::new();
    for condition in object["status"]["conditions"].as_array().into_iter().flatten() {
        let told = condition.as_object().into_iter().flatten().filter(|(_, value)| *value != "");
        let mut owned: Map<String, Value> = told.map(|(field, _)| (format!("f:{field}"), json!({}))).collect();
        owned.insert(".".into(), json!({}));
        conditions.insert(format!("k:{}", json!({"type": condition["type"]})), owned.into());
    }
    let set = json!({"f:status": {"f:conditions": conditions}});
    json!({
        "manager": author, "operation": "Apply", "subresource": "status",
        "apiVersion": resource.gvk.api_version(), "time": object["metadata"]["creationTimestamp"],
        "fieldsType": "FieldsV1", "fieldsV1": set.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::World;

    #[tokio::test]
    async fn nobody_owns_what_the_address_of_the_own_service_brings_along() {
        let world = World::new().await;
        let service = world.registry.find("", "services", "default", "kubernetes").unwrap().unwrap();
        let owned = &service["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
        assert!(owned["f:clusterIP"].is_object() && owned["f:clusterIPs"].is_null() && owned["f:ipFamilies"].is_null());
        assert_eq!(service["spec"]["clusterIPs"], json!(["10.0.0.1"]));
    }
}
