//! Apply patches: YAML, read leniently, with what a strict reader would have said of it.

use super::Ask;
use crate::codec::body::Validation;
use crate::codec::doubles;
use serde_json::{Map, Value};
use tinyplane_wire::status::{self, Status};

/// What is applied, as its author sent it.
pub(in crate::handlers) struct Config {
    /// The object. Of a key that stands there twice, the last one counts.
    pub(in crate::handlers) object: Value,
    /// What a strict reader says.
    strict: Option<String>,
}

/// How all begins that a strict reader of YAML says.
const STRICT: &str = "error converting YAML to JSON: yaml: unmarshal errors:\n";

/// Reads what is applied.
pub(super) fn read(bytes: &[u8]) -> status::Result<Config> {
    let (mut object, strict) = doubles::yaml(bytes).map_err(|error| {
        let told = format!("error decoding YAML: error converting YAML to JSON: {error}");
        Status::bad_request(told)
    })?;
    // Nothing is an object of which nothing is said.
    if object.is_null() {
        object = Value::Object(Map::new());
    }
    if object.is_object() {
        return Ok(Config { object, strict });
    }
    let what = crate::schema::go::json_word(&object);
    Err(Status::bad_request(format!(
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    )))
}

impl Config {
    /// Deals with what a strict reader says as the caller wishes.
    pub(in crate::handlers) fn judge(&self, ask: &Ask<'_>) -> status::Result<()> {
        match (&self.strict, ask.options.validation) {
            (Some(told), Validation::Strict) => Err(Status::bad_request(format!("error strict decoding YAML: {told}"))),
            (Some(told), Validation::Warn) => {
                // Line by line, without the words before them.
                let lines = told.strip_prefix(STRICT).unwrap_or(told);
                lines.split('\n').for_each(|line| ask.call.warnings.add(line.trim().to_owned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
