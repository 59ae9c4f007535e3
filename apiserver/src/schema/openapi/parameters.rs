//! Parameters of v2: what many operations ask for stands in the document once, and they refer to it.

use super::Hasher;
use serde_json::{Map, Value, json};

/// Parameters that kubectl looks for where they are asked for.
const KEPT: [&str; 3] = ["name", "dryRun", "fieldValidation"];

/// The parameters that operations refer to.
#[derive(Debug, Default)]
pub(super) struct Shared(Map<String, Value>);

impl Shared {
    /// What stands in an operation for a parameter: a reference, or the parameter, where it is about its resource alone.
    pub(super) fn refer(&mut self, parameter: Value) -> Value {
        let name = parameter["name"].as_str().unwrap_or_default();
        let body = parameter["schema"]["$ref"].as_str().unwrap_or_default();
        let of_a_kind = parameter["in"] == "body" && !body.starts_with("#/definitions/io.k8s.apimachinery");
        if KEPT.contains(&name) || of_a_kind {
            return parameter;
        }
        let hash = Hasher::default().text(&parameter.to_string()).finish();
        let key = format!("{name}-{}", &hash[..8]);
        let reference = json!({"$ref": format!("#/parameters/{key}")});
        self.0.entry(key).or_insert(parameter);
        reference
    }

    /// All of them, by the names that references have.
    pub(super) fn into_definitions(self) -> Value {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_ask_for_stands_once() {
        let mut shared = Shared::default();
        let limit = || json!({"name": "limit", "in": "query", "type": "integer"});
        let one = shared.refer(limit());
        assert_eq!((one.get("name"), shared.refer(limit())), (None, one.clone()));
        let body = |of: &str| json!({"name": "body", "in": "body", "schema": {"$ref": format!("#/definitions/{of}")}});
        let kept = body("io.k8s.api.core.v1.Pod");
        assert_eq!(shared.refer(kept.clone()), kept);
        let options = shared.refer(body("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
        let definitions = shared.into_definitions();
        let referred = |one: &Value| one["$ref"].as_str().unwrap().strip_prefix("#/parameters/").unwrap().to_owned();
        assert_eq!((&definitions[referred(&one)], definitions[referred(&options)]["in"] == "body"), (&limit(), true));
    }
}
