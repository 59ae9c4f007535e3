//! Where the replicas of a custom resource are, and what may stand there.

use crate::schema::go;
use crate::validation::Errors;
use serde_json::{Map, Value};
use smol_str::SmolStr;

/// No more replicas than Go's `int32` counts.
const REPLICAS_MAX: i64 = i32::MAX as i64;

/// Where the replicas of an object are, as names from its root.
#[derive(Clone, Debug)]
pub struct Scale {
    /// How many there shall be.
    pub replicas: Vec<SmolStr>,
    /// How many there are.
    pub status: Vec<SmolStr>,
    /// The selector of their pods, as text.
    pub selector: Option<Vec<SmolStr>>,
}

impl Scale {
    /// The value at a path.
    #[must_use]
    pub fn read<'v>(path: &[SmolStr], object: &'v Value) -> &'v Value {
        path.iter().fold(object, |value, name| &value[name.as_str()])
    }

    /// Writes a value at a path.
    pub fn write(path: &[SmolStr], object: &mut Value, value: Value) {
        let Some((last, way)) = path.split_last() else { return };
        let holder = way.iter().fold(object, |place, name| {
            let fields = tinyplane_wire::meta::map_mut(place);
            fields.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()))
        });
        tinyplane_wire::meta::map_mut(holder).insert(last.to_string(), value);
    }

    /// Checks the replicas that are wished for.
    pub(in crate::registry) fn check_spec(&self, object: &Value, errors: &mut Errors) {
        check_replicas(&self.replicas, object, errors);
    }

    /// Checks the replicas that are there, and the selector of their pods.
    pub(in crate::registry) fn check_status(&self, object: &Value, errors: &mut Errors) {
        check_replicas(&self.status, object, errors);
        let Some(path) = &self.selector else { return };
        match found(path, object) {
            Ok(None | Some(Value::String(_))) => {}
            Ok(Some(other)) => errors.invalid_text(dotted(path), "", &accessor(path, other, "string")),
            Err(why) => errors.invalid_text(dotted(path), "", &why),
        }
    }
}

fn check_replicas(path: &[SmolStr], object: &Value, errors: &mut Errors) {
    let count = match found(path, object) {
        Ok(None) => return,
        Ok(Some(count)) => count,
        Err(why) => return errors.invalid(dotted(path), &0.into(), &why),
    };
    match count.as_i64() {
        Some(below) if below < 0 => errors.invalid(dotted(path), count, "should be a non-negative integer"),
        Some(above) if above > REPLICAS_MAX => {
            errors.invalid(dotted(path), count, &format!("should be less than or equal to {REPLICAS_MAX}"));
        }
        Some(_) => {}
        None => errors.invalid(dotted(path), &0.into(), &accessor(path, count, "int64")),
    }
}

/// The value at a path, or why the path leads through what is no map.
fn found<'v>(path: &[SmolStr], object: &'v Value) -> Result<Option<&'v Value>, String> {
    let mut value = object;
    for (at, name) in path.iter().enumerate() {
        value = match value {
            Value::Null => return Ok(None),
            Value::Object(fields) => match fields.get(name.as_str()) {
                Some(below) => below,
                None => return Ok(None),
            },
            other => return Err(accessor(&path[..=at], other, "map[string]interface{}")),
        };
    }
    Ok(Some(value))
}

/// `.spec.replicas`, as the definition has it.
fn dotted(path: &[SmolStr]) -> String {
    path.iter().fold(String::new(), |text, name| text + "." + name)
}

/// What Go's helpers say of a value of another type.
fn accessor(path: &[SmolStr], found: &Value, wanted: &str) -> String {
    let kind = go::type_name(found);
    format!("{} accessor error: {} is of the type {kind}, expected {wanted}", dotted(path), go::text(found))
}
