//! What patches make of objects.

use super::*;
use crate::schema::model;
use serde_json::json;

fn patched(kind: (&str, &str, &str), current: Value, patch: Value) -> Result<Value, MergeError> {
    let model = model();
    merge(model, model.kind(kind.0, kind.1, kind.2).unwrap(), current, patch)
}

const POD: (&str, &str, &str) = ("", "v1", "Pod");
const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");

fn containers(list: &[(&str, &str)]) -> Value {
    let list: Vec<Value> = list.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
    json!({"spec": {"containers": list}})
}

#[test]
fn containers_merge_by_name_and_the_patched_ones_come_first() {
    let current = containers(&[("a", "1"), ("b", "1")]);
    let merged = patched(POD, current, containers(&[("b", "2"), ("c", "1")])).unwrap();
    assert_eq!(merged, containers(&[("a", "1"), ("b", "2"), ("c", "1")]));
    let merged = patched(POD, containers(&[("a", "1")]), containers(&[("c", "1")])).unwrap();
    assert_eq!(merged, containers(&[("c", "1"), ("a", "1")]), "a new item stands before those that were there");
}

#[test]
fn an_item_is_deleted_by_its_key_and_a_list_replaced_by_directive() {
    let current = containers(&[("a", "1"), ("b", "1")]);
    let patch = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}});
    assert_eq!(patched(POD, current.clone(), patch).unwrap(), containers(&[("b", "1")]));
    let patch = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c", "image": "1"}]}});
    assert_eq!(patched(POD, current, patch).unwrap(), containers(&[("c", "1")]));
}

#[test]
fn maps_are_merged_replaced_or_emptied() {
    let current = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
    let labels = |patch| patched(POD, current.clone(), json!({"metadata": {"labels": patch}})).unwrap();
    assert_eq!(labels(json!({"a": null, "c": "3"})), json!({"metadata": {"labels": {"b": "2", "c": "3"}}}));
    assert_eq!(labels(json!({"$patch": "replace", "c": "3"})), json!({"metadata": {"labels": {"c": "3"}}}));
    assert_eq!(labels(json!({"$patch": "delete"})), json!({"metadata": {"labels": {}}}));
    assert_eq!(labels(json!(null)), json!({"metadata": {}}));
}

#[test]
fn finalizers_are_a_set_that_can_be_taken_from() {
    let current = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let of =
        |patch| patched(POD, current.clone(), json!({"metadata": patch})).unwrap()["metadata"]["finalizers"].clone();
    assert_eq!(of(json!({"finalizers": ["b", "d"]})), json!(["a", "b", "d", "c"]));
    assert_eq!(of(json!({"$deleteFromPrimitiveList/finalizers": ["b", "x"]})), json!(["a", "c"]));
    assert_eq!(of(json!({"$setElementOrder/finalizers": ["c", "b", "a"]})), json!(["c", "b", "a"]));
}

#[test]
fn a_declared_order_is_kept_and_foreign_items_stay_where_they_were() {
    let current = containers(&[("a", "1"), ("b", "1"), ("c", "1")]);
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [{"name": "a", "image": "2"}],
    }});
    assert_eq!(patched(POD, current.clone(), patch).unwrap(), containers(&[("b", "1"), ("c", "1"), ("a", "2")]));
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "b", "image": "2"}],
    }});
    assert_eq!(
        patched(POD, current, patch).unwrap_err().to_string(),
        "The order in patch list:\n[map[image:2 name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"
    );
}

#[test]
fn retained_keys_drop_the_others() {
    let current = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(
        patched(DEPLOYMENT, current.clone(), patch).unwrap(),
        json!({"spec": {"strategy": {"type": "Recreate"}}})
    );
    let patch = json!({"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}});
    assert_eq!(patched(DEPLOYMENT, current, patch), Err(MergeError::RetainKeys));
}

#[test]
fn lists_without_a_strategy_are_replaced() {
    let current = json!({"spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a", "args": ["1", "2"]}]}});
    let patch = json!({"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}});
    let expected = json!({"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["3"]}]}});
    assert_eq!(patched(POD, current, patch).unwrap(), expected);
}

#[test]
fn embedded_structs_and_nested_lists_merge_by_their_own_keys() {
    let current = json!({"spec": {"template": {"spec": {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "web"}]}],
    }}}});
    let patch = json!({"spec": {"template": {"spec": {
        "volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}],
        "containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "UDP"}]}],
    }}}});
    let expected = json!({"spec": {"template": {"spec": {
        "volumes": [{"name": "v", "hostPath": {"path": "/x"}}],
        "containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "web", "protocol": "UDP"}]}],
    }}}});
    assert_eq!(patched(DEPLOYMENT, current, patch).unwrap(), expected);
}

#[test]
fn a_bad_patch_is_refused_in_the_words_of_go() {
    let current = containers(&[("a", "1")]);
    for (patch, message) in [
        (
            json!({"spec": {"containers": [{"image": "2"}]}}),
            "map: map[image:2] does not contain declared merge key: name",
        ),
        (json!({"spec": {"$patch": "x"}}), "unknown patch type: x in map: map[$patch:x]"),
        (json!({"spec": {"$patch": 1}}), "unknown patch type: %!s(int64=1) in map: map[$patch:1]"),
        (json!({"spec": {"$patch": null}}), "unknown patch type: %!s(<nil>) in map: map[$patch:<nil>]"),
        (
            json!({"spec": {"$setElementOrder/containers": null}}),
            "expected a []interface {}, but received a %!s(<nil>)",
        ),
        (json!({"spec": {"containers": ["a"]}}), "list element types are not identical: [[map[image:1 name:a]] [a]]"),
        (json!({"spec": {"$deleteFromPrimitiveList": ["a"]}}), "invalid patch format of primitive list"),
        (json!({"spec": {"$setElementOrder/containers": 1}}), "expected a []interface {}, but received a int64"),
        (
            json!({"spec": {"$setElementOrder/nothing": []}}),
            "unable to find api field in struct PodSpec for the json field \"nothing\"",
        ),
        (json!([]), "json: cannot unmarshal [] into Go value of type map[string]interface {}"),
    ] {
        let found = patched(POD, current.clone(), patch).unwrap_err().to_string();
        if message.starts_with("json:") {
            assert!(found.starts_with("json: cannot unmarshal"), "{found}");
        } else {
            assert_eq!(found, message);
        }
    }
}

#[test]
fn what_is_no_object_has_no_place_in_a_list_of_them() {
    let refused = |spec: Value| {
        let current = containers(&[("a", "1"), ("b", "1")]);
        patched(POD, current, json!({"spec": spec})).unwrap_err().to_string()
    };
    let order = "$setElementOrder/containers";
    let item = json!([{"name": "a", "image": "2"}]);
    for (one, told) in [(json!("a"), "string"), (json!(1), "int64"), (json!(["a"]), "[]interface {}")] {
        let told = format!("expected a map[string]interface {{}}, but received a {told}");
        assert_eq!(refused(json!({order: [one], "containers": item})), told);
    }
    assert_eq!(refused(json!({order: [{"name": "b"}, "a"]})), "value for key 1 is not a map");
    assert_eq!(refused(json!({order: [null]})), "value for key 0 is not a map");
    assert_eq!(refused(json!({"$setElementOrder/nodeSelector": []})), "expected slice or array type, but got: struct");
    let none = json!({"$setElementOrder/tolerations": [], "tolerations": []});
    assert_eq!(refused(none), "no elements in any of the given slices");
    let found = json!({"spec": {order: [{"name": "b"}, {"name": "a"}, "c"]}});
    let current = containers(&[("a", "1"), ("b", "1")]);
    assert!(patched(POD, current, found).is_err(), "an order is sorted by as a whole");
}
