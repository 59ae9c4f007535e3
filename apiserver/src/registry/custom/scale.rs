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
        let found = Self::read(path, object);
        if !found.is_null() && !found.is_string() {
            errors.invalid_text(dotted(path), "", &accessor(path, found, "string"));
        }
    }
}

fn check_replicas(path: &[SmolStr], object: &Value, errors: &mut Errors) {
    let found = Scale::read(path, object);
    match found.as_i64() {
        Some(count) if count < 0 => errors.invalid(dotted(path), found, "should be a non-negative integer"),
        Some(count) if count > REPLICAS_MAX => {
            errors.invalid(dotted(path), found, &format!("should be less than or equal to {REPLICAS_MAX}"));
        }
        None if !found.is_null() => errors.invalid(dotted(path), &0.into(), &accessor(path, found, "int64")),
        _ => {}
    }
}

/// `.spec.replicas`, as the definition has it.
fn dotted(path: &[SmolStr]) -> String {
    path.iter().fold(String::new(), |text, name| text + "." + name)
}

/// What Go's helpers say of a value of another type.
fn accessor(path: &[SmolStr], found: &Value, wanted: &str) -> String {
    let kind = go::type_name(found);
    let whole = found.as_f64().filter(|number| found.is_f64() && number.fract() == 0.0 && number.abs() < 1e21);
    let shown = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    let shown = whole.map_or(shown, |number| format!("{number:.0}"));
    format!("{} accessor error: {shown} is of the type {kind}, expected {wanted}", dotted(path))
}
