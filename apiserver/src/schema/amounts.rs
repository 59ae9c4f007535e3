//! Quantities that mean the same, written the same: for those who compare objects by what they mean.

use super::model::{Model, Scalar, Shape, TypeId};
use super::quantity::Quantity;
use serde_json::Value;

/// An object with each quantity as its number of billionths.
#[must_use]
pub fn counted(model: &Model, id: TypeId, object: &Value) -> Value {
    let mut counted = object.clone();
    count(model, &Shape::Object(id), &mut counted);
    counted
}

fn count(model: &Model, shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Scalar(Scalar::Quantity), value) => {
            if let Some(quantity) = value.as_str().and_then(|text| Quantity::parse(text).ok()) {
                *value = format!("{}n", quantity.nanos()).into();
            }
        }
        (Shape::Object(id), Value::Object(fields)) => {
            let one = model.get(*id);
            for (name, value) in fields.iter_mut() {
                if let Some(field) = one.field(name) {
                    count(model, &field.shape, value);
                }
            }
        }
        (Shape::List(item), Value::Array(items)) => items.iter_mut().for_each(|value| count(model, item, value)),
        (Shape::Map(item), Value::Object(entries)) => entries.values_mut().for_each(|value| count(model, item, value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    #[test]
    fn amounts_are_alike_whatever_their_texts() {
        let model = schema::model();
        let id = model.kind("", "v1", "Pod").unwrap();
        let pod = |cpu: &str, memory: &str| json!({"spec": {"containers": [{"args": [cpu], "resources": {"limits": {"cpu": cpu, "memory": memory}}}]}});
        let (one, other) = (counted(model, id, &pod("1.250", "1Gi")), counted(model, id, &pod("1250m", "1073741824")));
        let limits = "/spec/containers/0/resources";
        assert_eq!(one.pointer(limits), other.pointer(limits));
        assert_ne!(one, other, "arguments are texts");
    }
}
