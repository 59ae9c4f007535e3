//! Role bindings: whom they bind, by kind of subject.

use crate::registry::behaviour::{AGE, Behaviour, Grammar, NAME, column, wide};
use crate::registry::cells::{age, items, name};
use serde_json::{Value, json};

/// `RoleBinding`s and `ClusterRoleBinding`s.
pub(super) static ROLE_BINDING: Behaviour = Behaviour {
    name: Grammar::PathSegment,
    create_on_update: true,
    columns: &[
        NAME,
        column("Role", "The role that is bound."),
        AGE,
        wide("Users", "Users who have the role."),
        wide("Groups", "Groups whose members have the role."),
        wide("ServiceAccounts", "Service accounts that have the role."),
    ],
    cells: |object, now| {
        let role = |field: &str| object["roleRef"][field].as_str().unwrap_or_default();
        vec![
            name(object),
            json!(format!("{}/{}", role("kind"), role("name"))),
            age(object, now),
            subjects(object, "User"),
            subjects(object, "Group"),
            subjects(object, "ServiceAccount"),
        ]
    },
    ..Behaviour::PLAIN
};

fn subjects(binding: &Value, kind: &str) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = items(&binding["subjects"]).filter(|subject| subject["kind"] == kind).map(|subject| match kind {
        "ServiceAccount" => format!("{}/{}", text(&subject["namespace"]), text(&subject["name"])),
        _ => text(&subject["name"]),
    });
    json!(named.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn subjects_are_told_by_kind() {
        let object = json!({
            "metadata": {"name": "b"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"}, {"kind": "User", "name": "v"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
            ],
        });
        let shown = (ROLE_BINDING.cells)(&object, SystemTime::UNIX_EPOCH);
        assert_eq!(shown, ["b", "Role/r", "<unknown>", "u, v", "", "n/s"].map(|text| json!(text)));
    }
}
