//! Families of addresses: which a Service has, by what it says of them and of its addresses, in a cluster that has one.

use crate::validation::{Errors, index, related_addresses};
use serde_json::{Value, json};
use std::net::IpAddr;

const POLICY: &str = "spec.ipFamilyPolicy";

/// Fills in the families of a Service, and how many it wants; tells what can't be. `own` is the family of the cluster.
pub(super) fn settle(service: &mut Value, old: Option<&Value>, own: &str) -> Errors {
    let mut errors = Errors::default();
    let before = old.map(|old| &old["spec"]);
    let spec = &mut service["spec"];
    if spec["type"] == "ExternalName" || before.is_some_and(|before| keeps_preference(spec, before)) {
        return errors;
    }
    let free = spec["clusterIP"] == "None" && spec["selector"].as_object().is_none_or(serde_json::Map::is_empty);
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = match before.map(|before| &before["ipFamilyPolicy"]) {
            Some(Value::String(policy)) => json!(policy),
            _ if free => json!("RequireDualStack"),
            _ => json!("SingleStack"),
        };
    }
    related_addresses(spec, &mut errors);
    if !errors.is_empty() {
        return errors;
    }
    let single = spec["ipFamilyPolicy"] == "SingleStack";
    if let Some(before) = before {
        follow_policy(spec, before, single, &mut errors);
    }
    for (field, many) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if single && length(spec, field) == 2 {
            let told = format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {many} are specified");
            errors.invalid(POLICY, &spec["ipFamilyPolicy"], &told);
        }
    }
    infer(spec, own, &mut errors);
    if !errors.is_empty() {
        return errors;
    }
    if free {
        let families = families(spec, own);
        let other = if families[0] == "IPv4" { json!("IPv6") } else { json!("IPv4") };
        let both = !single && families.len() < 2;
        spec["ipFamilies"] = if both { json!([families[0], other]) } else { json!(families) };
        return errors;
    }
    if spec["ipFamilyPolicy"] == "RequireDualStack" {
        let told = "this cluster is not configured for dual-stack services";
        errors.invalid(POLICY, &spec["ipFamilyPolicy"], told);
    }
    for (at, family) in spec["ipFamilies"].as_array().into_iter().flatten().enumerate() {
        if family != own {
            errors.invalid(index("spec.ipFamilies", at), family, "not configured on this cluster");
        }
    }
    if errors.is_empty() {
        spec["ipFamilies"] = json!(families(spec, own));
    }
    errors
}

fn length(spec: &Value, field: &str) -> usize {
    spec[field].as_array().map_or(0, Vec::len)
}

/// The families that are said, or else the cluster's.
fn families(spec: &Value, own: &str) -> Vec<Value> {
    spec["ipFamilies"].as_array().filter(|all| !all.is_empty()).cloned().unwrap_or_else(|| vec![json!(own)])
}

/// Whether a Service that takes two families where there are two changed nothing of what it takes.
fn keeps_preference(spec: &Value, before: &Value) -> bool {
    let prefers = |policy: &Value| policy == "PreferDualStack";
    let same = |field: &str| {
        let all = |spec: &Value| spec[field].as_array().cloned().unwrap_or_default();
        all(spec) == all(before)
    };
    spec["type"] == before["type"]
        && prefers(&spec["ipFamilyPolicy"])
        && (before["ipFamilyPolicy"].is_null() || prefers(&before["ipFamilyPolicy"]))
        && same("clusterIPs")
        && same("ipFamilies")
}

/// Gives up the second address and family of a Service that shall have one, or misses them where it shall have two.
fn follow_policy(spec: &mut Value, before: &Value, single: bool, errors: &mut Errors) {
    for (field, one) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let (now, was) = (length(spec, field), length(before, field));
        if single && spec[field] == before[field] && now > 1 {
            spec[field] = json!([spec[field][0]]);
        } else if !single && now > 0 && now < was {
            let told = format!("must be 'SingleStack' to release the secondary {one}");
            errors.invalid(POLICY, &spec["ipFamilyPolicy"], &told);
        }
    }
}

/// Takes from addresses the families that are not said.
fn infer(spec: &mut Value, own: &str, errors: &mut Errors) {
    let addresses = spec["clusterIPs"].as_array().cloned().unwrap_or_default();
    let mut families = spec["ipFamilies"].as_array().cloned().unwrap_or_default();
    for (at, address) in addresses.iter().enumerate() {
        let Some(address) = address.as_str().filter(|address| *address != "None") else { break };
        if at < families.len() {
            continue;
        }
        match family_of(address) {
            Some(family) if family == own => families.push(json!(family)),
            family => {
                let told = format!("{} is not configured on this cluster", family.unwrap_or("unknown"));
                errors.invalid(index("spec.clusterIPs", at), &spec["clusterIPs"], &told);
            }
        }
    }
    if !families.is_empty() {
        spec["ipFamilies"] = json!(families);
    }
}

fn family_of(address: &str) -> Option<&'static str> {
    let address: IpAddr = address.parse().ok()?;
    Some(if address.is_ipv4() { "IPv4" } else { "IPv6" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(spec: &Value, old: Option<&Value>) -> (Value, Vec<String>) {
        let mut service = json!({"spec": spec});
        let old = old.map(|old| json!({"spec": old}));
        let causes = settle(&mut service, old.as_ref(), "IPv4").into_causes();
        let told = causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        (json!([service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]]), told)
    }

    #[test]
    fn families_follow_from_what_is_said_of_addresses() {
        let is = |spec: Value| settled(&spec, None);
        let nothing = Vec::<String>::new();
        assert_eq!(is(json!({"type": "ClusterIP"})), (json!(["SingleStack", ["IPv4"]]), nothing.clone()));
        let headless = json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]});
        assert_eq!(is(headless.clone()), (json!(["RequireDualStack", ["IPv4", "IPv6"]]), nothing.clone()));
        let mut selects = headless;
        selects["selector"] = json!({"a": "b"});
        assert_eq!(is(selects), (json!(["SingleStack", ["IPv4"]]), nothing.clone()));
        let prefers = json!({"type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack"});
        assert_eq!(is(prefers), (json!(["PreferDualStack", ["IPv4"]]), nothing));
        assert_eq!(is(json!({"type": "ExternalName"})), (json!([null, null]), Vec::new()));
    }

    #[test]
    fn what_a_cluster_of_one_family_lacks_is_told() {
        let told = |spec: Value| settled(&spec, None).1;
        assert_eq!(
            told(json!({"type": "ClusterIP", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]})),
            [
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
                "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster",
            ]
        );
        assert_eq!(
            told(json!({"type": "ClusterIP", "clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]})),
            ["spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"]
        );
        assert_eq!(
            told(json!({"type": "ClusterIP", "ipFamilies": ["IPv4", "IPv6"]})),
            [
                "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
            ]
        );
        let old = json!({"type": "ClusterIP", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]});
        let new = json!({"type": "ClusterIP", "ipFamilies": ["IPv4"]});
        assert_eq!(
            settled(&new, Some(&old)).1,
            [
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary IP family"
            ]
        );
    }
}
