//! The walks, on built-in types.

use super::*;
use crate::schema::model;
use serde_json::{Value, json};

fn place(group: &str, version: &str, kind: &str) -> Place<'static> {
    Place::root(model(), model().kind(group, version, kind))
}

fn pod() -> Place<'static> {
    place("", "v1", "Pod")
}

fn wire(set: &Set) -> Value {
    set.to_value()
}

fn set(value: Value) -> Set {
    let set = Set::from_value(&value).unwrap();
    drop(value);
    set
}

#[test]
fn an_applier_owns_leaves_items_and_entries_but_no_structs() {
    let object = json!({
        "metadata": {"labels": {"a": "b"}, "finalizers": ["x"]},
        "spec": {
            "containers": [{"name": "c", "ports": [{"containerPort": 80}], "resources": {}, "command": ["a", "b"]}],
            "nodeSelector": {"k": "v"}, "hostNetwork": null,
        },
    });
    assert_eq!(
        wire(&collect(pod(), &object)),
        json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"x\"": {}}},
            "f:spec": {
                "f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {}, "f:resources": {}, "f:command": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                }},
                "f:nodeSelector": {}, "f:hostNetwork": {},
            },
        })
    );
}

/// What `born` says, and what the walk says that knows of an old object as well.
fn both_ways(place: Place<'_>, zero: &Value, object: &Value, without: &Set, ownerless: &Set) -> [Option<String>; 2] {
    let change = compare(place.as_written(), zero, object);
    let set = change.added.union(change.modified).without(without).difference(ownerless);
    [born(place, zero, object, without, ownerless), (!set.is_empty()).then(|| set.to_text())]
}

#[test]
fn a_new_object_is_told_at_once_as_it_is_compared() {
    let without = Set::of(&[&["status"], &["spec", "volumes"]]);
    let ownerless = Set::of(&[&["kind"], &["metadata"], &["metadata", "name"], &["spec", "containers"]]);
    let container = json!({
        "name": "c<\"&", "env": [{"name": "A", "value": ""}, {"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
        "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}], "resources": {}, "command": [],
    });
    let pod_ = json!({
        "kind": "Pod", "metadata": {"name": "n", "labels": {"a\"b": "c", "d": ""}, "annotations": {}, "finalizers": ["x", "y", "x"]},
        "spec": {"containers": [container, {"name": "b"}], "volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"k": "v"},
            "securityContext": {}, "tolerations": [{"key": "a"}], "hostNetwork": null},
        "status": {"phase": "Pending"},
    });
    for object in [
        pod_,
        json!({}),
        json!({"spec": {}}),
        json!({"kind": "Pod", "metadata": {"name": "n"}, "spec": {"volumes": []}}),
    ] {
        for (without, ownerless) in [(&Set::EMPTY, &Set::EMPTY), (&without, &ownerless)] {
            let [told, compared] = both_ways(pod(), &zero(pod()), &object, without, ownerless);
            assert_eq!(told, compared, "{object}");
        }
    }
    let definition = place("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let schema = json!({"openAPIV3Schema": {"default": [1], "items": {"a": 1}, "enum": [{}, 1], "properties": {"p": {"type": "x"}}}});
    let object = json!({"spec": {"versions": [{"name": "v1", "schema": schema}, {"name": "v1"}], "conversion": null}, "status": {}});
    let free = Place::root(model(), None);
    for place in [definition, free] {
        let [told, compared] = both_ways(place, &zero(place), &object, &without, &ownerless);
        assert_eq!(told, compared);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_new_is_told_at_once_as_it_is_compared(old in any_json(), new in any_json()) {
        let without = Set::of(&[&["a", "b"], &["c"]]);
        let ownerless = Set::of(&[&["a"], &["b", "a"]]);
        let free = Place::root(model(), None);
        let object = |value: Value| if value.is_object() { value } else { json!({"a": value}) };
        let [told, compared] = both_ways(free, &object(old), &object(new), &without, &ownerless);
        proptest::prop_assert_eq!(told, compared);
    }
}

proptest::proptest! {
    #[test]
    fn the_text_of_a_set_is_changed_as_the_set_is(set in any_set(), gone in any_set(), taken in any_set()) {
        let changed = set.clone().difference(&gone).union(taken.clone());
        proptest::prop_assert_eq!(edit(&set.to_text(), &gone, &taken), Some(changed.to_text()));
    }

    #[test]
    fn no_text_breaks_the_reader(text in r#"[{}":,.fk\\é]{0,24}"#, taken in any_set()) {
        if let Some(edited) = edit(&text, &Set::EMPTY, &taken) {
            proptest::prop_assert!(Set::from_text(&edited).is_ok(), "{}", edited);
        }
    }
}

fn any_set() -> impl proptest::strategy::Strategy<Value = Set> {
    use proptest::prelude::*;
    let step = prop_oneof![
        3 => "[ab]|x\"y".prop_map(|name| Element::Field(name.into())),
        1 => "[ab<]".prop_map(|name| Element::Key([("n".into(), Value::from(name))].into())),
        1 => (0_u8..2).prop_map(|number| Element::Value(number.into())),
        1 => (0_i64..2).prop_map(Element::Index),
    ];
    let paths = proptest::collection::vec(proptest::collection::vec(step, 1..4), 0..5);
    paths.prop_map(|paths| {
        let mut set = Set::default();
        paths.iter().for_each(|path| set.insert(path));
        set
    })
}

fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[ab]?".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array);
        let map = proptest::collection::btree_map("[abc]", inner, 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()));
        prop_oneof![list, map]
    })
}

#[test]
fn a_new_object_is_compared_with_what_go_would_hold() {
    let place = place("apps", "v1", "Deployment");
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
        },
        "status": {},
    });
    let change = compare(place, &zero(place), &object);
    assert!(change.removed.is_empty(), "{:?}", wire(&change.removed));
    assert_eq!(
        wire(&change.added.union(change.modified)),
        json!({
            "f:apiVersion": {}, "f:kind": {},
            "f:metadata": {"f:name": {}, "f:labels": {".": {}, "f:a": {}}},
            "f:spec": {
                "f:replicas": {}, "f:selector": {},
                "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {}}}},
                },
            },
        })
    );
}

#[test]
fn a_change_is_told_by_what_was_added_modified_and_removed() {
    let old =
        json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "tolerations": [{"key": "x"}]}});
    let new =
        json!({"spec": {"containers": [{"name": "c"}, {"name": "a", "image": "2"}], "tolerations": [{"key": "y"}]}});
    let change = compare(pod(), &old, &new);
    let item =
        |name: &str, below: Value| json!({"f:spec": {"f:containers": {format!("k:{{\"name\":\"{name}\"}}"): below}}});
    assert_eq!(wire(&change.added), item("c", json!({".": {}, "f:name": {}})));
    assert_eq!(wire(&change.removed), item("b", json!({".": {}, "f:name": {}})));
    let mut modified = item("a", json!({"f:image": {}}));
    modified["f:spec"]["f:tolerations"] = json!({});
    assert_eq!(wire(&change.modified), modified);
    assert_eq!(compare(pod(), &old, &old), Difference::default());
}

#[test]
fn what_go_leaves_out_is_owned_by_nobody_and_no_change() {
    let pod_ = |term: Value| {
        let terms = json!({"nodeSelectorTerms": [term]});
        json!({
            "metadata": {"name": "n"},
            "spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}},
        })
    };
    let expressions = json!([{"key": "a", "operator": "Exists"}]);
    let plain = pod_(json!({"matchExpressions": expressions}));
    let mut hollow = plain.clone();
    hollow["metadata"]["labels"] = json!({});
    hollow["spec"]["overhead"] = json!({});
    assert_eq!(compare(pod().as_written(), &plain, &hollow), Difference::default());
    assert_ne!(compare(pod(), &plain, &hollow), Difference::default());
    let whole = pod_(json!({"matchExpressions": expressions, "matchFields": []}));
    assert_ne!(compare(pod().as_written(), &plain, &whole), Difference::default(), "as a real server finds it");
    let [told, compared] = both_ways(pod(), &zero(pod()), &hollow, &Set::EMPTY, &Set::EMPTY);
    let [plainly, _] = both_ways(pod(), &zero(pod()), &plain, &Set::EMPTY, &Set::EMPTY);
    assert_eq!((&told, &compared), (&plainly, &plainly));
}

#[test]
fn duplicates_are_compared_as_a_whole() {
    let port = |name: &str| json!({"containerPort": 80, "name": name});
    let with = |ports: Vec<Value>| json!({"spec": {"containers": [{"name": "c", "ports": ports}]}});
    let below = |change: Value| change["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:ports"].clone();
    let (one, two) = (with(vec![port("a")]), with(vec![port("a"), port("b")]));
    let more = compare(pod(), &one, &two);
    let key = "k:{\"containerPort\":80,\"protocol\":\"TCP\"}";
    assert_eq!(below(wire(&more.added)), json!({key: {}}));
    assert_eq!(below(wire(&more.removed)), json!({key: {".": {}, "f:containerPort": {}, "f:name": {}}}));
    let less = compare(pod(), &two, &one);
    assert_eq!(below(wire(&less.removed)), json!({key: {}}));
    let other = compare(pod(), &two, &with(vec![port("b"), port("a")]));
    assert_eq!(below(wire(&other.modified)), json!({key: {}}));
    assert_eq!(
        wire(&collect(pod(), &two))["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:ports"],
        json!({key: {}})
    );
}

#[test]
fn what_is_applied_is_laid_over_and_orders_the_lists() {
    let list = |names: &[&str]| {
        let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"containers": items}})
    };
    let names = |object: &Value| {
        let items = object["spec"]["containers"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("")
    };
    for (live, applied, merged) in [
        (&["a", "b", "c"][..], &["c", "a"][..], "bca"),
        (&["a", "b"], &["b"], "ab"),
        (&["a", "b", "c"], &["x", "b"], "axbc"),
        (&[], &["x"], "x"),
        (&["a"], &[], "a"),
        (&["a", "b", "c", "d"], &["d", "b"], "acdb"),
    ] {
        assert_eq!(names(&merge(pod(), list(live), list(applied))), merged, "{live:?} {applied:?}");
    }
    let live =
        json!({"metadata": {"labels": {"a": "1", "b": "1"}}, "spec": {"tolerations": [{"key": "x"}], "priority": 1}});
    let applied = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"tolerations": [], "nodeSelector": null}});
    assert_eq!(
        merge(pod(), live, applied),
        json!({
            "metadata": {"labels": {"a": "1", "b": "2"}},
            "spec": {"tolerations": [], "priority": 1, "nodeSelector": null},
        })
    );
}

#[test]
fn fields_and_items_are_taken_out() {
    let object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "a"}, {"name": "b", "image": "i"}]}});
    let gone = set(json!({
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {}, "k:{\"name\":\"b\"}": {"f:image": {}}}},
    }));
    let left = json!({"metadata": {"labels": {}}, "spec": {"containers": [{"name": "b"}]}});
    assert_eq!(remove(pod(), object, &gone), left);
}

#[test]
fn the_algebra_holds() {
    let one = set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}, "k:{\"n\":1}": {"f:x": {}}}));
    let two = set(json!({"f:a": {}, "f:d": {}, "k:{\"n\":1.0}": {"f:x": {}}}));
    assert_eq!(
        wire(&one.clone().union(two.clone())),
        json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}, "f:d": {}, "k:{\"n\":1}": {"f:x": {}}})
    );
    assert_eq!(wire(&one.intersection(&two)), json!({"f:a": {}, "k:{\"n\":1}": {"f:x": {}}}));
    assert_eq!(wire(&one.clone().difference(&two)), json!({"f:a": {"f:b": {}}, "f:c": {}}));
    assert_eq!(wire(&one.clone().without(&two)), json!({"f:c": {}}));
    assert!(one.clone().difference(&one).is_empty());
}

#[test]
fn sets_are_read_as_they_are_written() {
    let value = json!({
        "f:a": {".": {}, "f:b": {}, "v:\"x<y\"": {}}, "i:3": {}, "k:{\"n\":1,\"p\":\"TCP\"}": {".": {}, "f:q": {}},
    });
    let written = wire(&set(value.clone()));
    assert_eq!(written["f:a"]["v:\"x\\u003cy\""], json!({}), "fit for HTML, as Go writes it");
    assert_eq!(set(written), set(value));
    assert_eq!(wire(&set(json!({"z:new": {}, "f:a": {}}))), json!({"f:a": {}}), "unknown steps are dropped");
    for bad in [json!({"fa": {}}), json!({"v:{": {}}), json!({"i:x": {}}), json!([])] {
        assert!(Set::from_value(&bad).is_err(), "{bad}");
    }
    let path = |set: &Set| {
        set.paths().iter().map(|path| path.iter().map(ToString::to_string).collect::<String>()).collect::<Vec<_>>()
    };
    let shown = set(json!({"f:a": {"k:{\"n\":1,\"p\":\"TCP\"}": {".": {}, "f:q": {}}, "v:true": {}, "i:3": {}}}));
    assert_eq!(path(&shown), [".a[n=1,p=\"TCP\"]", ".a[=true]", ".a[3]", ".a[n=1,p=\"TCP\"].q"]);
}

#[test]
fn what_does_not_fit_its_type_is_told_as_go_tells_it() {
    let told = |object: Value| check(pod(), &object).unwrap_or_default();
    assert_eq!(told(json!({"spec": {"containers": [{"name": "c", "image": "i"}]}})), "");
    assert_eq!(told(json!({"spec": {"foo": 1}})), ".spec.foo: field not declared in schema");
    assert_eq!(
        told(json!({"spec": {"priority": "x", "nodeName": 3}})),
        "errors:\n  .spec.nodeName: expected string, got &value.valueUnstructured{Value:3}\n  .spec.priority: expected numeric (int or float), got string"
    );
    assert_eq!(
        told(json!({"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": true}]}]}})),
        ".spec.containers[name=\"c\"].env[name=\"A\"].value: expected string, got &value.valueUnstructured{Value:true}"
    );
    assert_eq!(told(json!({"spec": {"containers": [{"image": "c"}]}})), "", "its name is empty");
    assert_eq!(
        told(json!({"spec": {"containers": [{"image": "c"}, {"image": "d"}]}})),
        ".spec.containers: duplicate entries for key [name=\"\"]"
    );
    assert_eq!(
        told(json!({"metadata": {"managedFields": [{}], "ownerReferences": [7]}})),
        ".metadata.ownerReferences: element 0: associative list with keys may not have non-map elements"
    );
    assert_eq!(
        told(json!({"metadata": {"finalizers": ["a", "a"]}})),
        ".metadata.finalizers: duplicate entries for key [=\"a\"]"
    );
    assert_eq!(told(json!({"spec": ["x"]})), ".spec: expected map, got &{[x]}");
    assert_eq!(told(json!({"metadata": {"labels": "x"}})), ".metadata.labels: expected map, got &{x}");
}

#[test]
fn a_set_follows_its_model() {
    // A selector is replaced as a whole: what was owned inside of it becomes the whole.
    let mut owned = set(json!({"f:spec": {"f:selector": {"f:matchLabels": {"f:a": {}}}, "f:replicas": {}}}));
    let place = place("apps", "v1", "Deployment");
    fit(place, &mut owned);
    assert_eq!(wire(&owned), json!({"f:spec": {"f:selector": {}, "f:replicas": {}}}));
    let named = with_named(place, &set(json!({"f:metadata": {"f:labels": {"f:a": {}}}})));
    assert_eq!(wire(&named), json!({"f:metadata": {".": {}, "f:labels": {".": {}, "f:a": {}}}}));
}

#[test]
fn an_object_of_an_unknown_type_is_what_it_looks_like() {
    let place = Place::root(model(), None);
    let object = json!({"spec": {"list": [{"name": "a"}], "map": {"x": 1}, "none": {}}});
    assert_eq!(
        wire(&collect(place, &object)),
        json!({"f:spec": {".": {}, "f:list": {}, "f:map": {".": {}, "f:x": {}}, "f:none": {}}})
    );
    let change = compare(place, &json!({"spec": {"a": 1, "b": [1]}}), &json!({"spec": {"a": {"b": 1}, "b": [1.0]}}));
    assert_eq!(wire(&change.modified), json!({"f:spec": {"f:a": {}}}));
    assert_eq!(wire(&change.added), json!({"f:spec": {"f:a": {"f:b": {}}}}));
}
