//! The few defaults that are more than a value and a condition.

use crate::schema::annotated;
use crate::schema::quantity::Quantity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A rule in code: completes an object of the type that it is declared for.
pub(in crate::schema) type Special = fn(&mut Map<String, Value>);

/// The rule of a name in `defaults.txt`.
pub(in crate::schema) fn named(name: &str) -> Option<Special> {
    Some(match name {
        "claim_templates" => claim_templates,
        "empty_dir" => empty_dir,
        "grace_period" => grace_period,
        "host_ports" => host_ports,
        "image_pull_policy" => |container| pull_policy(container, "image", "imagePullPolicy"),
        "limit_range" => limit_range,
        "load_balancer_ip_mode" => load_balancer_ip_mode,
        "namespace_label" => namespace_label,
        "pod_addresses" => pod_addresses,
        "pod_level_resources" => pod_level_resources,
        "pod_ranges" => pod_ranges,
        "resource_lists" => resource_lists,
        "reference_pull_policy" => |volume| pull_policy(volume, "reference", "pullPolicy"),
        "requests_from_limits" => requests_from_limits,
        "resource_names" => resource_names,
        "scaling_behavior" => scaling_behavior,
        "string_data" => string_data,
        "template_generation" => template_generation,
        _ => return None,
    })
}

fn text<'v>(object: &'v Map<String, Value>, name: &str) -> &'v str {
    object.get(name).and_then(Value::as_str).unwrap_or("")
}

fn object<'v>(of: &'v mut Map<String, Value>, name: &str) -> Option<&'v mut Map<String, Value>> {
    of.get_mut(name)?.as_object_mut()
}

fn objects<'v>(of: &'v mut Map<String, Value>, name: &str) -> impl Iterator<Item = &'v mut Map<String, Value>> {
    of.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The object of this name, made where there is none.
fn entry<'v>(of: &'v mut Map<String, Value>, name: &str) -> Option<&'v mut Map<String, Value>> {
    let value = of.entry(name).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}

/// Sets a value where there is none.
fn unsaid(object: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    if object.get(name).is_none_or(|value| value.is_null() || value.as_str() == Some("")) {
        object.insert(name.to_owned(), value.into());
    }
}

/// Copies the entries of one map that another lacks.
fn lacking(into: &mut Map<String, Value>, from: Option<&Value>) {
    for (name, value) in from.and_then(Value::as_object).into_iter().flatten() {
        if !into.contains_key(name) {
            into.insert(name.clone(), value.clone());
        }
    }
}

/// `Always` for an image without a tag and digest, or with the tag `latest`; what is no image's name has no tag.
fn pull_policy(holder: &mut Map<String, Value>, image: &str, policy: &str) {
    let name = text(holder, image);
    let (named, digest) = name.split_once('@').map_or((name, false), |(named, _)| (named, true));
    let tag = named.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match named[tag..].find(':') {
        Some(colon) => (&named[..tag + colon], Some(&named[tag + colon + 1..])),
        None => (named, None),
    };
    let latest = tag.map_or(!digest, |tag| tag == "latest") && is_repository(repository);
    unsaid(holder, policy, if latest { "Always" } else { "IfNotPresent" });
}

/// Longest name of a repository, its host included, in the default registry's reckoning.
const REPOSITORY_BYTES_MAX: usize = 255;

/// Whether a text without tag and digest names a repository: a host, then words in lower case.
fn is_repository(name: &str) -> bool {
    let (host, path) = name.split_once('/').unwrap_or(("", name));
    let is_host = host.contains(['.', ':']) || host == "localhost" || host.bytes().any(|b| b.is_ascii_uppercase());
    let path = if is_host { path } else { name };
    let is_word = |word: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        edge(word.bytes().next()) && edge(word.bytes().last()) && word.bytes().all(inner)
    };
    // Such a name would be taken for an image's id.
    let is_id = name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    name.len() <= REPOSITORY_BYTES_MAX && !is_id && path.split('/').all(is_word)
}

/// A volume without a source is an empty directory.
fn empty_dir(volume: &mut Map<String, Value>) {
    if volume.iter().all(|(name, value)| name == "name" || value.is_null()) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
}

/// What was written as plain texts becomes data, before anybody asks who owns which field.
fn string_data(secret: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    for (key, text) in texts {
        if let Some(data) = entry(secret, "data") {
            data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
}

/// The count of a template's changes was a field once, and stands in an annotation since, whoever makes the set.
fn template_generation(set: &mut Map<String, Value>) {
    let Some(annotations) = entry(set, "metadata").and_then(|metadata| entry(metadata, "annotations")) else { return };
    unsaid(annotations, "deprecated.daemonset.template.generation", "0");
}

fn namespace_label(namespace: &mut Map<String, Value>) {
    let Some(metadata) = object(namespace, "metadata") else { return };
    let name = text(metadata, "name").to_owned();
    if name.is_empty() {
        return;
    }
    if let Some(labels) = entry(metadata, "labels") {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    }
}

fn load_balancer_ip_mode(service: &mut Map<String, Value>) {
    if object(service, "spec").is_none_or(|spec| text(spec, "type") != "LoadBalancer") {
        return;
    }
    let Some(status) = object(service, "status").and_then(|status| object(status, "loadBalancer")) else { return };
    for ingress in objects(status, "ingress") {
        if !text(ingress, "ip").is_empty() {
            unsaid(ingress, "ipMode", "VIP");
        }
    }
}

/// The fields that are lists of resources, whatever holds them.
const RESOURCE_LISTS: [&str; 13] = [
    "limits",
    "requests",
    "overhead",
    "capacity",
    "allocatable",
    "allocatedResources",
    "hard",
    "used",
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

/// Lists of resources are kept to the thousandth, unlike other quantities.
fn resource_lists(holder: &mut Map<String, Value>) {
    for list in RESOURCE_LISTS {
        for amount in object(holder, list).into_iter().flat_map(Map::values_mut) {
            if let Some(rounded) = amount.as_str().and_then(Quantity::in_thousandths) {
                *amount = rounded.into();
            }
        }
    }
}

/// A container's requests are its limits where they are not said.
fn requests_from_limits(pod: &mut Map<String, Value>) {
    let Some(spec) = object(pod, "spec") else { return };
    for list in ["containers", "initContainers"] {
        for container in objects(spec, list) {
            let Some(resources) = object(container, "resources") else { continue };
            let Some(limits) = resources.get("limits").filter(|limits| limits.is_object()).cloned() else { continue };
            if let Some(requests) = entry(resources, "requests") {
                lacking(requests, Some(&limits));
            }
        }
    }
}

/// On the host's network a container's ports are the host's.
fn host_ports(pod: &mut Map<String, Value>) {
    let Some(spec) = object(pod, "spec") else { return };
    if spec.get("hostNetwork") != Some(&Value::Bool(true)) {
        return;
    }
    for list in ["containers", "initContainers"] {
        for port in objects(spec, list).flat_map(|container| objects(container, "ports")) {
            if let Some(number) = port.get("containerPort").cloned() {
                unsaid(port, "hostPort", number);
            }
        }
    }
}

/// A pod's time to end in that is negative is one second. A template's stays what it is.
fn grace_period(pod: &mut Map<String, Value>) {
    let Some(spec) = object(pod, "spec") else { return };
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".to_owned(), json!(1));
    }
}

/// A pod's address is the first of its addresses: who says the one alone says the others as well.
fn pod_addresses(status: &mut Map<String, Value>) {
    first_of(status, "podIP", "podIPs", |address| json!({"ip": address}));
}

/// The range of a node's pods is the first of its ranges, in the same way.
fn pod_ranges(spec: &mut Map<String, Value>) {
    first_of(spec, "podCIDR", "podCIDRs", |range| json!(range));
}

/// A field and a list of which it is the first: where they differ, the field counts alone.
fn first_of(holder: &mut Map<String, Value>, field: &str, list: &str, element: fn(&str) -> Value) {
    let all = holder.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (one, first) = (text(holder, field), all.first());
    if one.is_empty() {
        if let Some(first) = first.map(|first| first.get("ip").unwrap_or(first).clone()) {
            holder.insert(field.to_owned(), first);
        }
    } else if first != Some(&element(one)) {
        let alone = json!([element(one)]);
        holder.insert(list.to_owned(), alone);
    }
}

/// Whether a pod as a whole may ask for this resource.
fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

/// Where a pod as a whole has limits, it asks for what its containers ask for, else for its limits.
fn pod_level_resources(pod: &mut Map<String, Value>) {
    let Some(spec) = object(pod, "spec") else { return };
    huge_limits(spec);
    let limits = spec.get("resources").and_then(|resources| resources.get("limits")).and_then(Value::as_object);
    let Some(limits) = limits.filter(|limits| !limits.is_empty()).cloned() else { return };
    let mut requests = Map::new();
    let sums = together(spec, "requests");
    for name in ["cpu", "memory"] {
        if let Some(sum) = sums.get(name) {
            requests.insert(name.to_owned(), sum.to_string().into());
        }
    }
    lacking(&mut requests, Some(&limits.into_iter().filter(|(name, _)| is_pod_level(name)).collect()));
    if let Some(said) = object(spec, "resources").and_then(|resources| entry(resources, "requests")) {
        lacking(said, Some(&Value::Object(requests)));
    }
}

/// Where a pod as a whole says anything, it may use the huge pages that its containers may use, unless it asks for some.
fn huge_limits(spec: &mut Map<String, Value>) {
    let said = |which: &str| spec.get("resources").and_then(|all| all.get(which)).and_then(Value::as_object);
    let (requests, limits) = (said("requests"), said("limits"));
    if [requests, limits].into_iter().flatten().all(Map::is_empty) {
        return;
    }
    let lacks = |all: Option<&Map<String, Value>>, name: &str| all.is_none_or(|all| !all.contains_key(name));
    let huge: Map<String, Value> = together(spec, "limits")
        .into_iter()
        .filter(|(name, _)| name.starts_with("hugepages-") && lacks(requests, name) && lacks(limits, name))
        .map(|(name, sum)| (name.to_owned(), sum.to_string().into()))
        .collect();
    if !huge.is_empty()
        && let Some(said) = object(spec, "resources").and_then(|resources| entry(resources, "limits"))
    {
        lacking(said, Some(&Value::Object(huge)));
    }
}

/// What the containers ask for, or may use, together: the greater of what runs at the end, and what runs during each
/// initialisation. All of it at once: a body may hold many containers, and many names.
pub(crate) fn together<'s>(spec: &'s Map<String, Value>, which: &str) -> BTreeMap<&'s str, Quantity> {
    let of = |container: &'s Value| {
        let amounts = container.get("resources").and_then(|all| all.get(which)).and_then(Value::as_object);
        amounts.into_iter().flatten().filter_map(|(name, amount)| {
            Some((name.as_str(), amount.as_str().and_then(|amount| Quantity::parse(amount).ok())?))
        })
    };
    let list = |name: &str| spec.get(name).and_then(Value::as_array).into_iter().flatten();
    let plus = |sum: Option<&Quantity>, amount: Quantity| sum.map_or(amount, |sum| sum.plus(amount));
    // What of the sidecars runs already is in the end no more than all of them.
    let (mut running, mut peak) = (BTreeMap::new(), BTreeMap::new());
    for container in list("initContainers") {
        let stays = container.get("restartPolicy").and_then(Value::as_str) == Some("Always");
        for (name, amount) in of(container) {
            let sum = plus(running.get(name), amount);
            if stays {
                running.insert(name, sum);
            }
            let most = peak.entry(name).or_insert(sum);
            *most = sum.max(*most);
        }
    }
    for (name, amount) in list("containers").flat_map(of) {
        running.insert(name, plus(running.get(name), amount));
    }
    for (name, sum) in running {
        let most = peak.entry(name).or_insert(sum);
        *most = sum.max(*most);
    }
    peak
}

/// Limits for containers: the default is the maximum, the default request is the default, else the minimum.
fn limit_range(item: &mut Map<String, Value>) {
    if text(item, "type") != "Container" {
        return;
    }
    let (max, min) = (item.get("max").cloned(), item.get("min").cloned());
    let mut default = item.get("default").and_then(Value::as_object).cloned().unwrap_or_default();
    lacking(&mut default, max.as_ref());
    let mut request = item.get("defaultRequest").and_then(Value::as_object).cloned().unwrap_or_default();
    let default = Value::Object(default);
    lacking(&mut request, Some(&default));
    lacking(&mut request, min.as_ref());
    for (name, value) in [("default", default), ("defaultRequest", Value::Object(request))] {
        if value.as_object().is_some_and(|entries| !entries.is_empty()) {
            item.insert(name.to_owned(), value);
        }
    }
}

/// Claim templates name their kind.
fn claim_templates(set: &mut Map<String, Value>) {
    let Some(spec) = object(set, "spec") else { return };
    for claim in objects(spec, "volumeClaimTemplates") {
        claim.insert("apiVersion".to_owned(), "v1".into());
        claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
    }
}

/// A custom resource's singular and list kind follow from its kind; its stored version is the one that stores.
fn resource_names(definition: &mut Map<String, Value>) {
    let Some(spec) = object(definition, "spec") else { return };
    let stored = objects(spec, "versions").find(|version| version.get("storage") == Some(&Value::Bool(true)));
    let stored = stored.and_then(|version| version.get("name").cloned());
    if let Some(names) = object(spec, "names") {
        let kind = text(names, "kind").to_owned();
        if !kind.is_empty() {
            unsaid(names, "singular", kind.to_lowercase());
            unsaid(names, "listKind", format!("{kind}List"));
        }
    }
    if let (Some(stored), Some(status)) = (stored, entry(definition, "status")) {
        let none = status.get("storedVersions").and_then(Value::as_array).is_none_or(Vec::is_empty);
        if none {
            status.insert("storedVersions".to_owned(), json!([stored]));
        }
    }
}

/// Where scaling rules are given, what they leave open is completed, each direction by its own values. What the annotations
/// of the first version say has fields here, and is not heard.
pub(in crate::schema) fn scaling_behavior(autoscaler: &mut Map<String, Value>) {
    if let Some(metadata) = object(autoscaler, "metadata") {
        annotated::drop_annotations(metadata);
    }
    let Some(behavior) = object(autoscaler, "spec").and_then(|spec| object(spec, "behavior")) else { return };
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    for (direction, window, policies) in
        [("scaleUp", Some(0), json!([pods, percent.clone()])), ("scaleDown", None, json!([percent]))]
    {
        let Some(rules) = entry(behavior, direction) else { continue };
        if let Some(window) = window {
            unsaid(rules, "stabilizationWindowSeconds", window);
        }
        rules.entry("selectPolicy").or_insert_with(|| "Max".into());
        unsaid(rules, "policies", policies);
    }
}
