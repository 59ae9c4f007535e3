//! Where volumes lie, of pods and persistent ones: each kind of place, and what has to be said about it.

use super::field::{Errors, child, key, list, text};
use serde_json::Value;
use tinyplane_wire::meta::{dns_label, dns_subdomain};

/// The fields that the simple places need.
const NEEDED: [(&str, &[&str]); 11] = [
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("glusterfs", &["endpoints", "path"]),
    ("rbd", &["monitors", "image"]),
    ("cephfs", &["monitors"]),
    ("cinder", &["volumeID"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
];
/// How upstream bounds numbers of partitions, although it takes a zero, and numbers of units.
const PARTITIONS: &str = "must be between 1 and 255, inclusive";
const UNITS: &str = "must be between 0 and 255, inclusive";
/// Longest name of a driver, in bytes.
const DRIVER_BYTES_MAX: usize = 63;

/// Whose volume it is, and the volume's name.
#[derive(Clone, Copy)]
pub(super) enum Holder<'n> {
    /// A pod's, which has a path of its own.
    Pod(&'n str, &'n str),
    /// A persistent one, whose secrets say their namespaces.
    Cluster(&'n str),
}

impl Holder<'_> {
    fn is_pod(self) -> bool {
        matches!(self, Self::Pod(..))
    }
}

/// What is wrong with one place.
pub(super) fn check(source: &Value, kind: &str, holder: Holder<'_>, path: &str, errors: &mut Errors) {
    for field in NEEDED.iter().filter(|(simple, _)| *simple == kind).flat_map(|(_, fields)| *fields) {
        if text(&source[*field]).is_empty() && list(&source[*field]).is_empty() {
            errors.required(child(path, field), "");
        }
    }
    match kind {
        "hostPath" => check_host_path(source, path, errors),
        "local" => drop(check_place(source, path, errors)),
        "gcePersistentDisk" | "awsElasticBlockStore" => check_unit(source, "partition", PARTITIONS, path, errors),
        "glusterfs" if !holder.is_pod() => check_glusterfs(source, path, errors),
        "flocker" => check_flocker(source, path, errors),
        "nfs" => {
            errors.needed(child(path, "server"), &source["server"], "");
            errors.needed(child(path, "path"), &source["path"], "");
            if !text(&source["path"]).starts_with('/') {
                errors.invalid_text(child(path, "path"), text(&source["path"]), "must be an absolute path");
            }
        }
        "quobyte" => check_quobyte(source, path, errors),
        "iscsi" => check_iscsi(source, holder, path, errors),
        "cinder" => check_plain_secret(&source["secretRef"], holder, path, errors),
        "fc" => check_fibre_channel(source, path, errors),
        "flexVolume" => check_flex(source, path, errors),
        "azureFile" if source["secretNamespace"] == "" && !holder.is_pod() => {
            errors.required(child(path, "secretNamespace"), "");
        }
        "azureDisk" => check_azure_disk(source, path, errors),
        "storageos" => check_storageos(source, holder, path, errors),
        "csi" => check_csi(source, path, errors),
        _ => {}
    }
}

/// A path that is there and leads nowhere back; says whether it is there.
fn check_place(source: &Value, path: &str, errors: &mut Errors) -> bool {
    let (place, path) = (text(&source["path"]), child(path, "path"));
    if place.is_empty() {
        errors.required(path, "");
        return false;
    }
    if place.split('/').any(|part| part == "..") {
        errors.invalid_text(path, place, "must not contain '..'");
    }
    true
}

fn check_host_path(source: &Value, path: &str, errors: &mut Errors) {
    if check_place(source, path, errors) {
        errors.known(child(path, "type"), &source["type"], &super::volume::HOST_PATHS);
    }
}

fn check_unit(source: &Value, field: &str, told: &str, path: &str, errors: &mut Errors) {
    if source[field].as_i64().is_some_and(|unit| !(0..=255).contains(&unit)) {
        errors.invalid(child(path, field), &source[field], told);
    }
}

fn check_glusterfs(source: &Value, path: &str, errors: &mut Errors) {
    let path = child(path, "endpointsNamespace");
    match source["endpointsNamespace"].as_str() {
        None => {}
        Some("") => {
            let told = "if the endpointnamespace is set, it must be a valid namespace name";
            errors.invalid_text(path, "", told);
        }
        Some(namespace) => errors.grammar(&path, namespace, dns_label(namespace)),
    }
}

fn check_flocker(source: &Value, path: &str, errors: &mut Errors) {
    let (name, id) = (text(&source["datasetName"]), text(&source["datasetUUID"]));
    match (name.is_empty(), id.is_empty()) {
        (true, true) => errors.required(path, "one of datasetName and datasetUUID is required"),
        (false, false) => {
            let told = "datasetName and datasetUUID can not be specified simultaneously";
            errors.invalid_text(path, "resource", told);
        }
        _ => {}
    }
    if name.contains('/') {
        errors.invalid_text(child(path, "datasetName"), name, "must not contain '/'");
    }
}

fn check_quobyte(source: &Value, path: &str, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(&source["registry"]);
    if registry.is_empty() {
        errors.required(child(path, "registry"), PAIRS);
    } else if text(&source["tenant"]).len() >= 65 {
        errors.required(child(path, "tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
            errors.invalid_text(child(path, "registry"), registry, PAIRS);
        }
    }
    errors.needed(child(path, "volume"), &source["volume"], "");
}

/// `host:port`, where a host with colons stands in brackets.
fn is_host_and_port(pair: &str) -> bool {
    match pair.strip_prefix('[') {
        Some(rest) => {
            rest.split_once("]:").is_some_and(|(host, port)| !host.contains('[') && !port.contains([':', '[', ']']))
        }
        None => pair.matches(':').count() == 1 && !pair.contains(['[', ']']),
    }
}

fn check_iscsi(source: &Value, holder: Holder<'_>, path: &str, errors: &mut Errors) {
    const TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
    let (portal, initiator) = (text(&source["targetPortal"]), source["initiatorName"].as_str());
    let is_long = |name: &str| initiator.is_some() && name.len() + portal.len() + 1 > 64;
    errors.needed(child(path, "targetPortal"), &source["targetPortal"], "");
    if let Holder::Cluster(name) = holder
        && is_long(name)
    {
        errors.invalid_text(child(path, "targetportal"), portal, TOO_LONG);
    }
    match text(&source["iqn"]) {
        "" => errors.required(child(path, "iqn"), ""),
        name => check_initiator(name, "iqn", holder, path, errors),
    }
    check_unit(source, "lun", UNITS, path, errors);
    let asked = source["chapAuthDiscovery"] == true || source["chapAuthSession"] == true;
    if asked && !source["secretRef"].is_object() {
        errors.required(child(path, "secretRef"), "");
    }
    if source["secretRef"].is_object() && !holder.is_pod() {
        errors.needed(child(path, "secretRef.name"), &source["secretRef"]["name"], "");
    }
    if let Some(name) = initiator {
        check_initiator(name, "initiatorname", holder, path, errors);
    }
    if let Holder::Pod(name, around) = holder
        && is_long(name)
    {
        errors.invalid_text(child(around, "name"), name, TOO_LONG);
    }
}

fn check_initiator(name: &str, field: &str, holder: Holder<'_>, path: &str, errors: &mut Errors) {
    let begins = ["iqn", "eui", "naa"].iter().any(|kind| name.starts_with(kind));
    if !begins && holder.is_pod() {
        errors.invalid_text(child(path, field), name, "must be valid format starting with iqn, eui, or naa");
    } else if !is_initiator(name) {
        errors.invalid_text(child(path, field), name, "must be valid format");
    }
}

/// `iqn.2026-01.com.example:storage`, or a number after `eui.` or `naa.`.
fn is_initiator(name: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str, count: usize| {
        let mut after = text.chars();
        after.next().is_some() && after.as_str().len() == count && after.all(|c| c.is_ascii_alphanumeric())
    };
    if let Some(rest) = name.strip_prefix("eui") {
        return number(rest, 16);
    }
    if let Some(rest) = name.strip_prefix("naa") {
        return number(rest, 32);
    }
    let Some((date, rest)) = name.strip_prefix("iqn.").and_then(|rest| rest.split_once('.')) else { return false };
    let dated = date.split_once('-').is_some_and(|(year, month)| digits(year, 4) && digits(month, 2));
    let Some((authority, part)) = rest.split_once(':') else { return false };
    let spoken =
        !authority.is_empty() && authority.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    dated && spoken && !part.is_empty() && !part.contains(|c: char| ",;*&$|".contains(c) || c.is_whitespace())
}

fn check_fibre_channel(source: &Value, path: &str, errors: &mut Errors) {
    let (targets, path_targets) = (list(&source["targetWWNs"]), child(path, "targetWWNs"));
    let names = list(&source["wwids"]);
    if targets.is_empty() && names.is_empty() {
        errors.required(&path_targets, "must specify either targetWWNs or wwids, but not both");
    }
    if !targets.is_empty() && !names.is_empty() {
        let told = "targetWWNs and wwids can not be specified simultaneously";
        errors.invalid(&path_targets, &source["targetWWNs"], told);
    }
    if !targets.is_empty() {
        match source["lun"] {
            Value::Null => errors.required(child(path, "lun"), "lun is required if targetWWNs is specified"),
            _ => check_unit(source, "lun", UNITS, path, errors),
        }
    }
}

fn check_flex(source: &Value, path: &str, errors: &mut Errors) {
    errors.needed(child(path, "driver"), &source["driver"], "");
    for name in source["options"].as_object().into_iter().flat_map(|options| options.keys()) {
        let domain = format!(".{}", name.split_once('/').map_or(name.as_str(), |(domain, _)| domain).to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let told = "kubernetes.io and k8s.io namespaces are reserved";
            errors.invalid_text(key(&child(path, "options"), name), name, told);
        }
    }
}

fn check_azure_disk(source: &Value, path: &str, errors: &mut Errors) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    let place = text(&source["diskURI"]);
    errors.needed(child(path, "diskName"), &source["diskName"], "");
    errors.needed(child(path, "diskURI"), &source["diskURI"], "");
    errors.known(child(path, "cachingMode"), &source["cachingMode"], &["None", "ReadOnly", "ReadWrite"]);
    errors.known(child(path, "kind"), &source["kind"], &["Dedicated", "Managed", "Shared"]);
    match source["kind"].as_str() {
        Some("Managed") if !place.starts_with("/subscriptions/") => {
            errors.unsupported(child(path, "diskURI"), place, &[MANAGED]);
        }
        Some(kind) if kind != "Managed" && !place.starts_with("https://") => {
            errors.unsupported(child(path, "diskURI"), place, &[BLOB]);
        }
        _ => {}
    }
}

fn check_storageos(source: &Value, holder: Holder<'_>, path: &str, errors: &mut Errors) {
    let (name, namespace) = (text(&source["volumeName"]), text(&source["volumeNamespace"]));
    if name.is_empty() {
        errors.required(child(path, "volumeName"), "");
    } else {
        errors.grammar(child(path, "volumeName"), name, dns_label(name));
    }
    if !namespace.is_empty() {
        errors.grammar(child(path, "volumeNamespace"), namespace, dns_label(namespace));
    }
    check_plain_secret(&source["secretRef"], holder, path, errors);
}

fn check_plain_secret(secret: &Value, holder: Holder<'_>, path: &str, errors: &mut Errors) {
    let fields: &[&str] = if holder.is_pod() { &["name"] } else { &["name", "namespace"] };
    for field in fields.iter().filter(|_| secret.is_object()) {
        errors.needed(child(&child(path, "secretRef"), field), &secret[field], "");
    }
}

fn check_csi(source: &Value, path: &str, errors: &mut Errors) {
    check_driver(text(&source["driver"]), &child(path, "driver"), errors);
    errors.needed(child(path, "volumeHandle"), &source["volumeHandle"], "");
    let secrets =
        ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"];
    for secret in secrets.into_iter().filter(|secret| source[*secret].is_object()) {
        let (secret, path) = (&source[secret], child(path, secret));
        check_name(&secret["name"], &child(&path, "name"), dns_subdomain, errors);
        check_name(&secret["namespace"], &child(&path, "namespace"), dns_label, errors);
    }
}

fn check_name(value: &Value, path: &str, grammar: fn(&str) -> Vec<String>, errors: &mut Errors) {
    match text(value) {
        "" => errors.required(path, ""),
        name => errors.grammar(path, name, grammar(name)),
    }
}

/// What is wrong with the name of a CSI driver.
pub(super) fn check_driver(name: &str, path: &str, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(path, "");
    }
    if name.len() > DRIVER_BYTES_MAX {
        errors.too_long(path, DRIVER_BYTES_MAX);
    }
    errors.grammar(path, name, dns_subdomain(&name.to_lowercase()));
}
