//! Pods and pod templates.

use super::container::{self, Around};
use super::field::{Errors, Path, list, text};
use super::present::Present;
use super::{affinity, environment, internal, pod_annotations, pod_profiles, resources, security, volume, windows};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain, label_value, pairs, qualified_name};

const DNS_SERVERS_MAX: usize = 3;
const DNS_SEARCHES_MAX: usize = 32;
const DNS_NAME_BYTES_MAX: usize = 253;
const DNS_SEARCH_BYTES_MAX: usize = 2_048;
const HOSTNAME_BYTES_MAX: usize = 64;

pub(super) fn check(pod: &Value, errors: &mut Errors) {
    let path = Path::root("spec");
    pod_annotations::check(pod, errors);
    check_spec(&pod["spec"], Some(Meta::of(pod).name()), &path, errors);
    if text(&pod["spec"]["serviceAccountName"]).is_empty() {
        check_tokens(&pod["spec"]["volumes"], &path, errors);
    }
    for field in ["containers", "initContainers"] {
        for (at, container) in list(&pod["spec"][field]).iter().enumerate() {
            container::check_image(container, &path.item(field, at), errors);
        }
    }
}

/// Tokens of an account, of which there is none.
fn check_tokens(volumes: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (at, volume) in list(volumes).iter().enumerate() {
        for (nth, source) in list(&volume["projected"]["sources"]).iter().enumerate() {
            if source["serviceAccountToken"].is_object() {
                errors.forbidden(
                    path.item("volumes", at).child("projected").item("sources", nth).child("serviceAccountToken"),
                    "must not be specified when serviceAccountName is not set",
                );
            }
        }
    }
}

/// What a new pod may not say yet.
pub(super) fn check_create(pod: &Value, errors: &mut Errors) {
    let spec = &pod["spec"];
    if !list(&spec["ephemeralContainers"]).is_empty() {
        errors.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
    if !text(&spec["nodeName"]).is_empty() && !list(&spec["schedulingGates"]).is_empty() {
        errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared");
    }
    pod_profiles::check(pod, &Path::root("spec"), errors);
}

/// A template: its labels and annotations, which upstream tells of without `metadata`, and its spec.
pub(super) fn check_template(template: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_template_metadata(template, path, errors);
    if template["metadata"]["annotations"].is_object() {
        pod_annotations::check_at(template, &String::from(path.child("annotations")), errors);
    }
    check_spec(&template["spec"], None, &path.child("spec"), errors);
    pod_profiles::check(template, &path.child("spec"), errors);
    let ephemeral = &template["spec"]["ephemeralContainers"];
    if !list(ephemeral).is_empty() {
        errors.forbidden(path.child("spec.ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// The labels and annotations of a template.
pub(super) fn check_template_metadata(template: &Value, path: &Path<'_>, errors: &mut Errors) {
    check_labels(&template["metadata"]["labels"], &path.child("labels"), errors);
    for (name, _) in pairs(&template["metadata"]["annotations"]) {
        errors.grammar(path.child("annotations"), name, qualified_name(&name.to_ascii_lowercase()));
    }
}

/// Labels: keys and values by their grammar.
pub(super) fn check_labels(labels: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (name, value) in pairs(labels) {
        errors.grammar(path, name, qualified_name(name));
        errors.grammar(path, value, label_value(value));
    }
}

/// What is wrong with a spec. `pod` is the name of the pod whose it is; a template's has none.
fn check_spec(spec: &Value, pod: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    let spec = &Present::of(spec);
    let volumes = volume::check(&spec["volumes"], pod, &path.child("volumes"), errors);
    let claims: BTreeSet<&str> = list(&spec["resourceClaims"]).iter().map(|claim| text(&claim["name"])).collect();
    container::check_all(&Around { spec, volumes: &volumes, claims: &claims }, path, errors);
    if spec["resources"].is_object() {
        resources::check_of_pod(spec, &claims, &path.child("resources"), errors);
    }
    check_host_network(spec, pod.is_some(), path, errors);
    errors.one_of(path.child("restartPolicy"), &spec["restartPolicy"], &["Always", "OnFailure", "Never"]);
    errors.one_of(
        path.child("dnsPolicy"),
        &spec["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    check_labels(&spec["nodeSelector"], &path.child("nodeSelector"), errors);
    security::check_pod(spec, path, errors);
    affinity::check(&spec["affinity"], &path.child("affinity"), errors);
    check_dns(spec, &path.child("dnsConfig"), errors);
    for (at, gate) in list(&spec["readinessGates"]).iter().enumerate() {
        let name = text(&gate["conditionType"]);
        errors.grammar(path.item("readinessGates", at).child("conditionType"), name, qualified_name(name));
    }
    check_gates(&spec["schedulingGates"], &path.child("schedulingGates"), errors);
    check_claims(&spec["resourceClaims"], &path.child("resourceClaims"), errors);
    affinity::check_spread(&spec["topologySpreadConstraints"], &path.child("topologySpreadConstraints"), errors);
    windows::check_host_process(spec, path, errors);
    check_host_users(spec, path, errors);
    check_own_hostname(spec, path, errors);
    name(spec, "serviceAccountName", path, dns_subdomain, errors);
    name(spec, "nodeName", path, dns_subdomain, errors);
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64()
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let told = "must be between 1 and 2147483647, inclusive";
        errors.invalid(path.child("activeDeadlineSeconds"), &spec["activeDeadlineSeconds"], told);
    }
    name(spec, "hostname", path, dns_label, errors);
    name(spec, "subdomain", path, dns_label, errors);
    check_tolerations(&spec["tolerations"], &path.child("tolerations"), errors);
    for (at, alias) in list(&spec["hostAliases"]).iter().enumerate() {
        let path = path.item("hostAliases", at);
        errors.address(path.child("ip"), text(&alias["ip"]));
        for (nth, host) in list(&alias["hostnames"]).iter().enumerate() {
            errors.grammar(path.item("hostnames", nth), text(host), dns_subdomain(text(host)));
        }
    }
    name(spec, "priorityClassName", path, dns_subdomain, errors);
    if let Some(class) = spec["runtimeClassName"].as_str() {
        errors.grammar(path.child("runtimeClassName"), class, dns_subdomain(class));
    }
    if !spec["preemptionPolicy"].is_null() {
        let known = ["PreemptLowerPriority", "Never"];
        errors.one_of(path.child("preemptionPolicy"), &spec["preemptionPolicy"], &known);
    }
    if spec["overhead"].is_object() {
        resources::check(&json!({"limits": spec["overhead"]}), &path.child("overhead"), errors);
    }
    let system = text(&spec["os"]["name"]);
    if spec["os"].is_object() && !["linux", "windows"].contains(&system) {
        match system {
            "" => errors.required(path.child("os.name"), ""),
            other => errors.unsupported(path.child("os"), other, &["linux", "windows"]),
        }
    } else if spec["os"].is_object() {
        windows::check_system(spec, path, errors);
    }
    environment::check_file_volumes(spec, path, errors);
}

/// A name of the host that the pod gives itself.
fn check_own_hostname(spec: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    let Some(name) = spec["hostnameOverride"].as_str() else { return };
    let path = path.child("hostnameOverride");
    for field in ["setHostnameAsFQDN", "hostNetwork"].into_iter().filter(|field| spec[*field] == true) {
        errors.forbidden(path, &format!("may not be specified when {field} is true"));
    }
    if name.len() > HOSTNAME_BYTES_MAX {
        errors.too_long(path, HOSTNAME_BYTES_MAX);
    }
    errors.grammar(path, name, dns_subdomain(name));
}

fn check_dns(spec: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    let config = &spec["dnsConfig"];
    let (servers, searches) = (list(&config["nameservers"]), list(&config["searches"]));
    if spec["dnsPolicy"] == "None" {
        if !config.is_object() {
            return errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers.is_empty() {
            let told = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(path.child("nameservers"), told);
        }
    }
    if servers.len() > DNS_SERVERS_MAX {
        let told = format!("must not have more than {DNS_SERVERS_MAX} nameservers");
        errors.invalid(path.child("nameservers"), &config["nameservers"], &told);
    }
    for (at, server) in servers.iter().enumerate() {
        errors.address(path.item("nameservers", at), text(server));
    }
    if searches.len() > DNS_SEARCHES_MAX {
        let told = format!("must not have more than {DNS_SEARCHES_MAX} search paths");
        errors.invalid(path.child("searches"), &config["searches"], &told);
    }
    if searches.iter().map(|search| text(search).len() + 1).sum::<usize>() > DNS_SEARCH_BYTES_MAX + 1 {
        let told =
            format!("must not have more than {DNS_SEARCH_BYTES_MAX} characters (including spaces) in the search list");
        errors.invalid(path.child("searches"), &config["searches"], &told);
    }
    for (at, search) in searches.iter().enumerate() {
        // A dot alone is the root, and one at the end is none of a name's.
        let (search, path) = (text(search), path.item("searches", at));
        let name = if search == "." { search } else { search.strip_suffix('.').unwrap_or(search) };
        if name != "." {
            errors.grammar(path, name, relaxed_subdomain(name));
        }
    }
    for (at, option) in list(&config["options"]).iter().enumerate() {
        if text(&option["name"]).is_empty() {
            errors.required(path.item("options", at), "must not be empty");
        }
    }
}

/// What is wrong with a name of hosts in which words may have underscores.
fn relaxed_subdomain(name: &str) -> Vec<String> {
    const MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
    let mut wrong = Vec::new();
    if name.len() > DNS_NAME_BYTES_MAX {
        wrong.push(format!("must be no more than {DNS_NAME_BYTES_MAX} characters"));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_word = |word: &str| {
        let word = word.strip_prefix('_').unwrap_or(word).as_bytes();
        word.first().is_some_and(|b| plain(*b))
            && word.last().is_some_and(|b| plain(*b))
            && word.iter().all(|b| plain(*b) || b"-_".contains(b))
    };
    if !name.split('.').all(is_word) {
        wrong.push(MESSAGE.to_owned());
    }
    wrong
}

fn check_gates(gates: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, gate) in list(gates).iter().enumerate() {
        let name = text(&gate["name"]);
        errors.grammar(path.index(at), name, qualified_name(name));
        if !seen.insert(name) {
            errors.duplicate(path.index(at), &gate["name"]);
        }
    }
}

/// Claims of devices: each has a name, and is there already or made of a template.
fn check_claims(claims: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (at, claim) in list(claims).iter().enumerate() {
        let (path, name) = (path.index(at), text(&claim["name"]));
        if name.is_empty() {
            errors.required(path.child("name"), "");
        } else if seen.insert(name) {
            errors.grammar(path.child("name"), name, dns_label(name));
        } else {
            errors.duplicate(path.child("name"), &claim["name"]);
        }
        let (there, template) = (&claim["resourceClaimName"], &claim["resourceClaimTemplateName"]);
        let detail = match (there.is_string(), template.is_string()) {
            (true, true) => Some("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
            (false, false) => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            _ => None,
        };
        if let Some(detail) = detail {
            errors.invalid_as(path, &internal::shown("PodResourceClaim", claim), detail);
        }
        for (field, value) in [("resourceClaimName", there), ("resourceClaimTemplateName", template)] {
            if let Some(name) = value.as_str() {
                errors.grammar(path.child(field), name, dns_subdomain(name));
            }
        }
    }
}

/// Users of a pod's own don't go with the host's namespaces.
fn check_host_users(spec: &Present<'_>, path: &Path<'_>, errors: &mut Errors) {
    if spec["hostUsers"] != false {
        return;
    }
    for (field, told_as) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec[field] == true {
            errors.forbidden(path.child(told_as), "when `hostUsers` is false");
        }
    }
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for (at, container) in list(&spec[field]).iter().enumerate() {
            if !list(&container["volumeDevices"]).is_empty() {
                errors.forbidden(path.item(field, at).child("volumeDevices"), "when `hostUsers` is false");
            }
        }
    }
}

fn name(spec: &Present<'_>, field: &str, path: &Path<'_>, grammar: fn(&str) -> Vec<String>, errors: &mut Errors) {
    let value = text(&spec[field]);
    if !value.is_empty() {
        errors.grammar(path.child(field), value, grammar(value));
    }
}

/// With the host's network, a container's port is the host's port. A template may leave the host's port open.
fn check_host_network(spec: &Present<'_>, is_pod: bool, path: &Path<'_>, errors: &mut Errors) {
    if spec["hostNetwork"] != true {
        return;
    }
    for (at, container) in list(&spec["containers"]).iter().enumerate() {
        let container_path = path.item("containers", at);
        for (nth, port) in list(&container["ports"]).iter().enumerate() {
            let host = port["hostPort"].as_i64().unwrap_or_default();
            if (is_pod || host != 0) && Some(host) != port["containerPort"].as_i64() {
                let told = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(container_path.item("ports", nth).child("hostPort"), &Value::from(host), told);
            }
        }
    }
}

pub(super) fn check_tolerations(tolerations: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (at, toleration) in list(tolerations).iter().enumerate() {
        let path = path.index(at);
        let (name, operator, value) =
            (text(&toleration["key"]), text(&toleration["operator"]), text(&toleration["value"]));
        if !name.is_empty() {
            errors.grammar(path.child("key"), name, qualified_name(name));
        }
        if name.is_empty() && operator != "Exists" {
            let told = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid_text(path.child("operator"), operator, told);
        }
        if toleration["tolerationSeconds"].is_number() && toleration["effect"] != "NoExecute" {
            let told = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid_text(path.child("effect"), text(&toleration["effect"]), told);
        }
        match operator {
            "" | "Equal" => {
                let complaints = label_value(value);
                if !complaints.is_empty() {
                    errors.invalid_text(path.child("operator"), value, &complaints.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                let told = "value must be empty when `operator` is 'Exists'";
                errors.invalid_text(path.child("operator"), value, told);
            }
            "Exists" => {}
            // Known, and not to be had by default: upstream names them none the less.
            other @ ("Lt" | "Gt") => {
                errors.unsupported(path.child("operator"), other, &["Equal", "Exists", "Lt", "Gt"]);
            }
            other => errors.unsupported(path.child("operator"), other, &["Equal", "Exists"]),
        }
        let effect = text(&toleration["effect"]);
        if !effect.is_empty() && !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
            errors.unsupported(path.child("effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
    }
}
