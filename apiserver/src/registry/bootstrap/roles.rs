//! Brings the default roles and bindings up to date at start: what is missing is added, what is extra stays.

use super::complete;
use crate::authz::Rule;
use crate::authz::escalation::simple_rules;
use crate::registry::{Registry, encoding, failure};
use crate::store::contract::{CommitError, Write};
use serde_json::{Value, json};
use tinyplane_wire::meta::{Meta, map_mut, metadata_mut};
use tinyplane_wire::status;

const GROUP: &str = "rbac.authorization.k8s.io";
/// Annotation by which a person keeps a default object as it is.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Creates a default role or binding, or adds to it what it lacks.
pub(super) async fn ensure(registry: &Registry, plural: &str, wanted: Value) -> status::Result<()> {
    let resource = registry.builtin(GROUP, plural);
    let (namespace, name) = (Meta::of(&wanted).namespace().to_owned(), Meta::of(&wanted).name().to_owned());
    let key = resource.key(&namespace, &name);
    loop {
        let Some(entry) = registry.store().snapshot().get(&key).cloned() else {
            return registry.ensure(GROUP, plural, wanted).await;
        };
        let there = encoding::parse(&entry)?;
        let Some(mut mended) = mended(&there, &wanted) else { return Ok(()) };
        if mended["roleRef"] != there["roleRef"] {
            // A binding to another role is another binding.
            complete(registry, &mut mended);
        }
        match registry
            .store()
            .commit(Write::update(key.clone(), entry.modified, encoding::body(&resource, &mended)))
            .await
        {
            Ok(_) => return Ok(()),
            Err(CommitError::Stale { .. } | CommitError::Missing { .. }) => {}
            Err(error) => return Err(failure::commit(&resource, &name, &error)),
        }
    }
}

/// The object with what it lacks; `None` where it lacks nothing, or is to stay as it is.
fn mended(there: &Value, wanted: &Value) -> Option<Value> {
    if Meta::of(there).annotation(AUTOUPDATE) == Some("false") {
        return None;
    }
    let mut mended = there.clone();
    for field in ["labels", "annotations"] {
        let map = map_mut(metadata_mut(&mut mended).entry(field).or_insert_with(|| json!({})));
        for (key, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
            map.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if map.is_empty() {
            metadata_mut(&mut mended).remove(field);
        }
    }
    match wanted.get("roleRef") {
        Some(role) if there["roleRef"] != *role => {
            mended["roleRef"] = role.clone();
            mended["subjects"] = wanted["subjects"].clone();
        }
        Some(_) => add_missing(&mut mended, "subjects", list(&wanted["subjects"])),
        None => {
            let held: Vec<Rule> = Rule::read_all(there).collect();
            let wanted_rules: Vec<Rule> = Rule::read_all(wanted).flat_map(|rule| simple_rules(&rule)).collect();
            let missing = wanted_rules.into_iter().filter(|rule| !held.iter().any(|own| own.covers(rule)));
            add_missing(&mut mended, "rules", missing.map(|rule| rule.to_value()).collect());
            let selectors = list(&wanted["aggregationRule"]["clusterRoleSelectors"]);
            if !selectors.is_empty() {
                let aggregation = map_mut(&mut mended).entry("aggregationRule").or_insert_with(|| json!({}));
                add_missing(aggregation, "clusterRoleSelectors", selectors);
            }
        }
    }
    (mended != *there).then_some(mended)
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn add_missing(object: &mut Value, field: &str, wanted: Vec<Value>) {
    let mut all = list(&object[field]);
    let before = all.len();
    for one in wanted {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.len() > before {
        map_mut(object).insert(field.into(), all.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rules: &Value) -> Value {
        json!({"kind": "ClusterRole", "metadata": {"name": "r", "annotations": {AUTOUPDATE: "true"}}, "rules": rules})
    }

    #[test]
    fn missing_rules_are_added_and_extra_ones_stay() {
        let pods = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]});
        let own = json!({"verbs": ["delete"], "apiGroups": [""], "resources": ["nodes"]});
        let get = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        let mended = mended(&role(&json!([own, get])), &role(&json!([pods]))).unwrap();
        let list = json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]});
        assert_eq!(mended["rules"], json!([own, get, list]));
        assert_eq!(super::mended(&mended, &role(&json!([pods]))), None, "a second time changes nothing");
    }

    #[test]
    fn what_a_person_keeps_is_left_alone() {
        let mut kept = role(&json!([]));
        kept["metadata"]["annotations"][AUTOUPDATE] = "false".into();
        assert_eq!(mended(&kept, &role(&json!([{"verbs": ["get"], "nonResourceURLs": ["/x"]}]))), None);
    }

    #[test]
    fn bindings_get_their_subjects_back() {
        let binding = |subjects: Value, role: &str| json!({"metadata": {"name": "b"}, "roleRef": {"name": role}, "subjects": subjects});
        let wanted = binding(json!([{"name": "a"}]), "r");
        let added = mended(&binding(json!([{"name": "b"}]), "r"), &wanted).unwrap();
        assert_eq!(added["subjects"], json!([{"name": "b"}, {"name": "a"}]));
        let other = mended(&binding(json!([{"name": "b"}]), "s"), &wanted).unwrap();
        assert_eq!((&other["roleRef"]["name"], &other["subjects"]), (&json!("r"), &json!([{"name": "a"}])));
    }
}
