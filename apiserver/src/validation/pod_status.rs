//! What a kubelet tells of a pod: conditions, addresses, containers that ended, devices.

use super::field::{Errors, child, index, list, text};
use super::{internal, ip};
use serde_json::Value;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use tinyplane_wire::meta::{dns_label, dns_subdomain, qualified_name};

/// Conditions whose names are upstream's own, and are no labels.
const OWN_CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
const STATUSES: [&str; 3] = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
const NOT_NEGATIVE: &str = "must be a non-negative integer";
/// Longest message on the health of a device, and longest reference to an image, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;
const IMAGE_BYTES_MAX: usize = 256;

pub(super) fn check(new: &Value, old: &Value, errors: &mut Errors) {
    let (status, before, spec) = (&new["status"], &old["status"], &new["spec"]);
    for (at, condition) in list(&status["conditions"]).iter().enumerate() {
        check_condition(condition, at, errors);
    }
    let (node, node_before) = (text(&status["nominatedNodeName"]), text(&before["nominatedNodeName"]));
    if node != node_before && !node.is_empty() {
        errors.grammar("status.nominatedNodeName", node, dns_subdomain(node));
        if !text(&old["spec"]["nodeName"]).is_empty() {
            let told = "may not be set on pods that are already bound to a node";
            errors.forbidden("status.nominatedNodeName", told);
        }
    }
    if is_negative(&status["observedGeneration"]) {
        errors.invalid("status.observedGeneration", &status["observedGeneration"], NOT_NEGATIVE);
    }
    if text(&status["qosClass"]) != text(&before["qosClass"]) {
        errors.invalid_text("status.qosClass", text(&status["qosClass"]), "field is immutable");
    }
    check_ends(status, before, &old["spec"], errors);
    check_claims(&status["resourceClaimStatuses"], &spec["resourceClaims"], errors);
    check_extended(&status["extendedResourceClaimStatus"], spec, errors);
    check_addresses(&status["podIPs"], &before["podIPs"], "status.podIPs", errors);
    if let Some(first) = list(&status["hostIPs"]).first().filter(|first| text(&first["ip"]) != text(&status["hostIP"]))
    {
        errors.invalid("status.hostIPs[0].ip", &first["ip"], "must be equal to `hostIP`");
    }
    check_addresses(&status["hostIPs"], &before["hostIPs"], "status.hostIPs", errors);
    let system = spec["os"]["name"].as_str().unwrap_or("linux");
    for field in STATUSES {
        for (at, container) in list(&status[field]).iter().enumerate().filter(|(_, one)| one["user"].is_object()) {
            let path = child(&index(&child("status", field), at), "user.linux");
            check_user(&container["user"]["linux"], system, &path, errors);
        }
    }
    for (field, containers) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        let containers = LazyCell::new(|| by_name(&[&spec[containers]]));
        for (at, container) in list(&status[field]).iter().enumerate() {
            let given = list(&container["allocatedResourcesStatus"]);
            let of = containers.get(text(&container["name"])).copied();
            for (nth, resource) in given.iter().enumerate() {
                let path = child(&index(&child("status", field), at), "allocatedResourcesStatus");
                check_resource(resource, of, &index(&path, nth), errors);
            }
        }
    }
    for (at, container) in list(&status["ephemeralContainerStatuses"]).iter().enumerate() {
        if !list(&container["allocatedResourcesStatus"]).is_empty() {
            let path = format!("status.ephemeralContainerStatuses[{at}].allocatedResourcesStatus");
            errors.forbidden(path, "must not be specified in container status");
        }
    }
    check_images(status, errors);
}

/// Containers by their names; of two of a name the first.
fn by_name<'v>(lists: &[&'v Value]) -> BTreeMap<&'v str, &'v Value> {
    let all = lists.iter().rev().flat_map(|containers| list(containers).iter().rev());
    all.map(|container| (text(&container["name"]), container)).collect()
}

fn is_negative(number: &Value) -> bool {
    number.as_i64().is_some_and(|number| number < 0)
}

fn check_condition(condition: &Value, at: usize, errors: &mut Errors) {
    let (path, kind) = (|| index("status.conditions", at), text(&condition["type"]));
    if is_negative(&condition["observedGeneration"]) {
        let shown = &condition["observedGeneration"];
        errors.invalid(child(&path(), "observedGeneration"), shown, NOT_NEGATIVE);
    }
    if !OWN_CONDITIONS.contains(&kind) {
        let complaints = qualified_name(kind);
        if !complaints.is_empty() {
            errors.grammar(child(&path(), "Type"), kind, complaints);
        }
    }
}

/// A container that ended stays so, unless it is one that is started again.
fn check_ends(status: &Value, before: &Value, spec: &Value, errors: &mut Errors) {
    let mut all = ["containers", "initContainers"].into_iter().flat_map(|field| list(&spec[field]));
    let restarts_all = all.any(|container| {
        list(&container["restartPolicyRules"]).iter().any(|rule| rule["action"] == "RestartAllContainers")
    });
    let has_ended = |field: &str| list(&before[field]).iter().any(|then| then["state"]["terminated"].is_object());
    let may_go_on = |field: &str| restarts_all && field != "ephemeralContainerStatuses";
    for field in STATUSES.into_iter().filter(|field| has_ended(field) && !may_go_on(field)) {
        let goes_on = |now: &&Value| !now["state"]["terminated"].is_object();
        let going: BTreeSet<&str> = list(&status[field]).iter().filter(goes_on).map(|now| text(&now["name"])).collect();
        let containers = match field {
            "containerStatuses" => &spec["containers"],
            "initContainerStatuses" => &spec["initContainers"],
            _ => &Value::Null,
        };
        let containers = by_name(&[containers]);
        for (at, then) in list(&before[field]).iter().enumerate() {
            let (name, ended) = (text(&then["name"]), &then["state"]["terminated"]);
            if !ended.is_object() || !going.contains(name) {
                continue;
            }
            if !containers
                .get(name)
                .is_some_and(|one| starts_again(one, spec, ended["exitCode"].as_i64().unwrap_or_default()))
            {
                let path = child(&index(&child("status", field), at), "state");
                errors.forbidden(path, "may not be transitioned to non-terminated state");
            }
        }
    }
}

/// Whether a container is started again after it ended so.
fn starts_again(container: &Value, spec: &Value, code: i64) -> bool {
    let by = |policy: &Value| match text(policy) {
        "Always" => Some(true),
        "OnFailure" => Some(code != 0),
        "Never" => Some(false),
        _ => None,
    };
    let fits = |rule: &&Value| {
        let codes = &rule["exitCodes"];
        let holds = list(&codes["values"]).iter().any(|one| one.as_i64() == Some(code));
        holds == (codes["operator"] == "In")
    };
    let own = &container["restartPolicy"];
    let ruled = own.is_string() && list(&container["restartPolicyRules"]).iter().any(|rule| fits(&rule));
    ruled || by(own).or_else(|| by(&spec["restartPolicy"])).unwrap_or(true)
}

/// The claims that stand for those of the spec.
fn check_claims(claims: &Value, wished: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    let wished: BTreeSet<&str> = list(wished).iter().map(|claim| text(&claim["name"])).collect();
    for (at, claim) in list(claims).iter().enumerate() {
        let (path, name) = (index("status.resourceClaimStatuses", at), text(&claim["name"]));
        if !wished.contains(name) {
            let told = "must match the name of an entry in `spec.resourceClaims`";
            errors.invalid_text(child(&path, "name"), name, told);
        }
        if !seen.insert(name) {
            errors.duplicate(child(&path, "name"), &claim["name"]);
        }
        if let Some(made) = claim["resourceClaimName"].as_str() {
            errors.grammar(child(&path, "resourceClaimName"), made, dns_subdomain(made));
        }
    }
}

/// The claim that was made for resources of containers.
fn check_extended(claim: &Value, spec: &Value, errors: &mut Errors) {
    if !claim.is_object() {
        return;
    }
    let path = "status.extendedResourceClaimStatus";
    let mappings = child(path, "requestMappings");
    if list(&claim["requestMappings"]).is_empty() {
        errors.required(&mappings, "at least one request mapping is required");
    }
    let containers = by_name(&[&spec["containers"], &spec["initContainers"]]);
    let mut seen = BTreeSet::new();
    for (at, mapping) in list(&claim["requestMappings"]).iter().enumerate() {
        let at = index(&mappings, at);
        let [container, resource, request] =
            ["containerName", "resourceName", "requestName"].map(|field| text(&mapping[field]));
        match containers.get(container) {
            None => errors.invalid_text(
                child(&at, "containerName"),
                container,
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            ),
            Some(one) if one["resources"]["requests"][resource].is_null() => errors.invalid_text(
                child(&at, "resourceName"),
                resource,
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests",
            ),
            Some(_) => {}
        }
        errors.grammar(child(path, "requestName"), request, dns_label(request));
        if !seen.insert((container, resource, request)) {
            for field in ["containerName", "resourceName", "requestName"] {
                errors.duplicate(child(&at, field), &mapping[field]);
            }
        }
    }
    match text(&claim["resourceClaimName"]) {
        "" => errors.required(child(path, "resourceClaimName"), ""),
        name => errors.grammar(child(path, "resourceClaimName"), name, dns_subdomain(name)),
    }
}

/// Addresses, one of each family at most. What was there may stay.
fn check_addresses(addresses: &Value, before: &Value, path: &str, errors: &mut Errors) {
    let all = list(addresses);
    for (at, address) in all.iter().enumerate().filter(|(_, address)| !list(before).contains(address)) {
        ip::check_address(&index(path, at), text(&address["ip"]), errors);
    }
    if let [one, rest @ ..] = all
        && !rest.is_empty()
    {
        let family = |address: &Value| ip::read(text(&address["ip"])).map(|address| address.is_ipv4());
        if rest.len() > 1 || family(one) == family(&rest[0]) {
            let shown = internal::shown("[]PodIP", addresses);
            errors.invalid_as(path, &shown, "may specify no more than one IP for each IP family");
        }
    }
}

/// Whom a container runs as.
fn check_user(user: &Value, system: &str, path: &str, errors: &mut Errors) {
    if system == "windows" && user.is_object() {
        return errors.forbidden(path, "cannot be set for a windows pod");
    }
    let is_wrong = |id: &Value| id.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id));
    let told = "must be between 0 and 2147483647, inclusive";
    for field in ["uid", "gid"].into_iter().filter(|field| is_wrong(&user[*field])) {
        errors.invalid(child(path, field), &user[field], told);
    }
    for (at, group) in list(&user["supplementalGroups"]).iter().enumerate().filter(|(_, group)| is_wrong(group)) {
        errors.invalid(index(&child(path, "supplementalGroups"), at), group, told);
    }
}

/// What a container was given of a resource or by a claim, and how that is.
fn check_resource(resource: &Value, container: Option<&Value>, path: &str, errors: &mut Errors) {
    let name = text(&resource["name"]);
    let claim = name.strip_prefix("claim:");
    let is_known = |container: &Value| match claim {
        Some(claim) => list(&container["resources"]["claims"]).iter().any(|one| match text(&one["request"]) {
            "" => text(&one["name"]) == claim,
            request => claim.split_once('/') == Some((text(&one["name"]), request)),
        }),
        None => !container["resources"]["requests"][name].is_null(),
    };
    if container.is_some_and(|container| !is_known(container)) {
        let told = match claim {
            Some(_) => {
                "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
            }
            None => "must match one of the container's resource requests",
        };
        errors.invalid_text(child(path, "name"), name, told);
    }
    let mut seen = BTreeSet::new();
    for (at, device) in list(&resource["resources"]).iter().enumerate() {
        let path = index(&child(path, "resources"), at);
        let known = ["Healthy", "Unhealthy", "Unknown"];
        if !known.contains(&text(&device["health"])) {
            errors.unsupported(child(&path, "health"), text(&device["health"]), &known);
        }
        match device["message"].as_str() {
            Some("") => errors.required(child(&path, "message"), "must be non-empty if specified"),
            Some(told) if told.len() > MESSAGE_BYTES_MAX => errors.too_long(child(&path, "message"), MESSAGE_BYTES_MAX),
            _ => {}
        }
        if !seen.insert(text(&device["resourceID"])) {
            errors.duplicate(child(&path, "resourceID"), &device["resourceID"]);
        }
    }
}

/// The images that are mounted.
fn check_images(status: &Value, errors: &mut Errors) {
    for field in STATUSES {
        for (at, container) in list(&status[field]).iter().enumerate() {
            for (nth, mount) in list(&container["volumeMounts"]).iter().enumerate() {
                let image = &mount["volumeStatus"]["image"];
                if !image.is_object() {
                    continue;
                }
                let path = index(&child(&index(&child("status", field), at), "volumeMounts"), nth);
                let path = child(&path, "volumeStatus.imageVolumeStatus.imageRef");
                match text(&image["imageRef"]) {
                    "" => errors.required(path, "imageRef must not be empty"),
                    reference if reference.len() > IMAGE_BYTES_MAX => errors.too_long(path, IMAGE_BYTES_MAX),
                    _ => {}
                }
            }
        }
    }
}
