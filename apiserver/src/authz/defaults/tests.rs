//! The default policy against that of a real cluster.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Everything that an object gives, in words that do not depend on how its rules are grouped.
fn given(object: &Value) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for rule in Rule::read_all(object) {
        let names = if rule.names.is_empty() { vec![SmolStr::default()] } else { rule.names.clone() };
        for verb in &rule.verbs {
            given.extend(rule.paths.iter().map(|path| format!("{verb} {path}")));
            for group in &rule.groups {
                for resource in &rule.resources {
                    given.extend(names.iter().map(|name| format!("{verb} {group}/{resource} {name}")));
                }
            }
        }
    }
    for subject in object["subjects"].as_array().into_iter().flatten() {
        given.insert(format!("{} {} {}", subject["kind"], subject["namespace"], subject["name"]));
    }
    given.insert(format!("{} {}", object["roleRef"]["kind"], object["roleRef"]["name"]));
    given.insert(format!("aggregates {}", object["aggregationRule"]));
    given.insert(format!("labels {}", object["metadata"]["labels"]));
    given.insert(format!("annotations {}", object["metadata"]["annotations"]));
    given
}

fn by_name(objects: impl Iterator<Item = Value>) -> BTreeMap<String, BTreeSet<String>> {
    let key = |o: &Value| format!("{}/{}", o["metadata"]["namespace"].as_str().unwrap_or("-"), o["metadata"]["name"]);
    objects.map(|object| (key(&object), given(&object))).collect()
}

#[test]
fn the_default_policy_is_that_of_a_real_cluster() {
    let shared = std::env::var_os("TINYPLANE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("kubernetes-1.36/fresh-cluster");
    if !folder.is_dir() {
        eprintln!("PASSED OVER: {} is not there, so the default policy is compared with nothing", folder.display());
        return;
    }
    let mut differences = Vec::new();
    for (_, resource) in <crate::authz::RbacObject as crate::authz::Kept>::RESOURCES {
        let text = std::fs::read_to_string(folder.join(format!("{resource}.json"))).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        let theirs = by_name(list["items"].as_array().unwrap().iter().cloned());
        let ours = by_name(objects().into_iter().filter(|(plural, _)| *plural == *resource).map(|(_, object)| object));
        for name in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            let (theirs, ours) = (theirs.get(name), ours.get(name));
            let empty = BTreeSet::new();
            let (theirs, ours) = (theirs.unwrap_or(&empty), ours.unwrap_or(&empty));
            let lacking: Vec<_> = theirs.difference(ours).collect();
            let extra: Vec<_> = ours.difference(theirs).collect();
            if !lacking.is_empty() || !extra.is_empty() {
                differences.push(format!("{resource} {name}: lacks {lacking:?}, has {extra:?} too"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_words_of_a_rule_stand_in_their_order() {
    let rule = rule("read,create core pods/log,pods");
    assert_eq!(
        (rule.verbs.join(","), rule.resources.join(",")),
        ("create,get,list,watch".into(), "pods,pods/log".into())
    );
}

#[test]
fn every_line_reads_as_a_rule() {
    for (_, object) in objects() {
        for rule in Rule::read_all(&object) {
            assert!(!rule.verbs.is_empty(), "{object}");
            assert!(!rule.paths.is_empty() || (!rule.groups.is_empty() && !rule.resources.is_empty()), "{object}");
        }
    }
    assert!(!cluster_role_rules("system:node").is_empty());
}
