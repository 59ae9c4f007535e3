//! Claims on devices, and offers of them.

use super::{create, told, update};
use crate::validation::update_part;
use serde_json::{Value, json};

const GROUP: &str = "resource.k8s.io";
const NOTHING: [&str; 0] = [];

fn request(exactly: &Value) -> Value {
    json!({"name": "r", "exactly": exactly})
}

fn claim(devices: &Value) -> Value {
    json!({"metadata": {"name": "c", "namespace": "n"}, "spec": {"devices": devices}})
}

fn exactly() -> Value {
    json!({"deviceClassName": "x.io", "allocationMode": "ExactCount", "count": 1})
}

#[test]
fn a_request_is_for_one_thing_or_for_alternatives() {
    let of = |requests: Value| told(&create(GROUP, "ResourceClaim", &claim(&json!({"requests": requests})), None));
    assert_eq!(of(json!([request(&exactly())])), NOTHING);
    assert_eq!(
        of(json!([{"name": "r"}, {"name": "r", "exactly": exactly(), "firstAvailable": [exactly()]}])),
        [
            "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
            "spec.devices.requests[1]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
            "spec.devices.requests[1]: Duplicate value: \"r\""
        ]
    );
    let odd = json!({
        "allocationMode": "All", "count": 1, "selectors": [{}],
        "tolerations": [{"operator": "Exists", "value": "v", "effect": "No"}],
    });
    assert_eq!(
        of(json!([request(&odd)])),
        [
            "spec.devices.requests[0].exactly.deviceClassName: Required value",
            "spec.devices.requests[0].exactly.selectors[0].cel: Required value",
            "spec.devices.requests[0].exactly.count: Invalid value: 1: must not be specified when allocationMode is 'All'",
            "spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`",
            "spec.devices.requests[0].exactly.tolerations[0].effect: Unsupported value: \"No\": supported values: \"NoExecute\", \"NoSchedule\", \"None\""
        ]
    );
    let requests: Vec<Value> = (0..33).map(|_| request(&exactly())).collect();
    assert_eq!(of(json!(requests)), ["spec.devices.requests: Too many: 33: must have at most 32 items"]);
}

#[test]
fn settings_and_constraints_are_of_requests_of_the_claim() {
    let devices = json!({
        "requests": [{"name": "r", "firstAvailable": [{"name": "a", "deviceClassName": "x.io", "allocationMode": "All"}]}],
        "constraints": [{"requests": ["r/a", "r/b"], "matchAttribute": "x.io/y"}, {"matchAttribute": "y"}],
        "config": [{"requests": ["r", "r"], "opaque": {"driver": "x.io", "parameters": "[]"}}, {}],
    });
    let reference =
        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    assert_eq!(
        told(&create(GROUP, "ResourceClaim", &claim(&devices), None)),
        [
            format!("spec.devices.constraints[0].requests[1]: Invalid value: \"r/b\": {reference}"),
            "spec.devices.constraints[1].matchAttribute: Invalid value: \"y\": a fully qualified name must be a domain and a name separated by a slash".into(),
            "spec.devices.config[0].requests[1]: Duplicate value: \"r\"".into(),
            "spec.devices.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object".into(),
            "spec.devices.config[1].opaque: Required value".into(),
        ]
    );
}

#[test]
fn what_was_asked_for_stays_and_is_shown_as_go_shows_it() {
    let old = claim(&json!({"requests": [request(&exactly())]}));
    let new = claim(&json!({}));
    assert_eq!(
        told(&update(GROUP, "ResourceClaim", &new, &old, None)),
        [
            "spec: Invalid value: {\"Devices\":{\"Requests\":null,\"Constraints\":null,\"Config\":null}}: field is immutable"
        ]
    );
}

#[test]
fn a_claim_is_used_once_it_is_allocated() {
    let old = claim(&json!({"requests": [request(&exactly())]}));
    let with = |status: Value| {
        let mut new = old.clone();
        new["status"] = status;
        new
    };
    let of = |new: &Value, old: &Value| told(&update_part(GROUP, "ResourceClaim", "status", new, old));
    let user = json!({"resource": "pods", "name": "p", "uid": "1"});
    assert_eq!(
        of(&with(json!({"reservedFor": [user]})), &old),
        ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"]
    );
    let result = json!({"request": "r", "driver": "x.io", "pool": "p", "device": "d"});
    let given = with(json!({"allocation": {"devices": {"results": [result]}}}));
    assert_eq!(of(&given, &old), NOTHING);
    let taken =
        with(json!({"allocation": {"devices": {}}, "devices": [{"driver": "x.io", "pool": "p", "device": "e"}]}));
    assert_eq!(
        of(&taken, &given),
        [
            "status.devices[0]: Invalid value: {\"Driver\":\"x.io\",\"Pool\":\"p\",\"Device\":\"e\",\"ShareID\":\"\"}: must be an allocated device in the claim",
            "status.allocation: Invalid value: {\"Devices\":{\"Results\":null,\"Config\":null},\"NodeSelector\":null,\"AllocationTimestamp\":null}: field is immutable"
        ]
    );
}

fn slice(fields: &Value) -> Value {
    let pool = json!({"name": "p", "generation": 1, "resourceSliceCount": 1});
    let mut slice = json!({"metadata": {"name": "s"}, "spec": {"driver": "x.io", "nodeName": "n", "pool": pool}});
    for (field, value) in fields.as_object().into_iter().flatten() {
        slice["spec"][field] = value.clone();
    }
    slice
}

#[test]
fn a_slice_says_in_one_way_which_nodes_have_its_devices() {
    let of = |fields: Value| told(&create(GROUP, "ResourceSlice", &slice(&fields), None));
    assert_eq!(of(json!({"devices": [{"name": "d"}]})), NOTHING);
    assert_eq!(
        of(json!({"nodeName": null})),
        [
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        ]
    );
    assert_eq!(
        of(json!({"allNodes": true, "perDeviceNodeSelection": false})),
        [
            "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true",
            "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set"
        ]
    );
    let each = json!({"nodeName": null, "perDeviceNodeSelection": true, "devices": [{"name": "d"}]});
    assert_eq!(
        of(each),
        [
            "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        ]
    );
    let old = slice(&json!({}));
    assert_eq!(
        told(&update(GROUP, "ResourceSlice", &slice(&json!({"nodeName": "m"})), &old, None)),
        ["spec.nodeName: Invalid value: \"m\": field is immutable"]
    );
}

#[test]
fn a_device_has_properties_taints_and_policies() {
    let of = |device: Value| {
        let told = told(&create(GROUP, "ResourceSlice", &slice(&json!({"devices": [device]})), None));
        told.into_iter().map(|one| one.replace("spec.devices[0]", "d")).collect::<Vec<_>>()
    };
    let right = json!({"name": "d", "attributes": {"x.io/a": {"version": "1.2.3-a.1+b"}, "b": {"int": 1}}});
    assert_eq!(of(right), NOTHING);
    assert_eq!(
        of(json!({"name": "d", "attributes": {"a": {"version": "1.02.3"}, "b": {}, "c": {"int": 1, "bool": true}}})),
        [
            "d.attributes[a].version: Invalid value: \"1.02.3\": must be a string compatible with semver.org spec 2.0.0",
            "d.attributes[b]: Invalid value: \"\": exactly one value must be specified",
            "d.attributes[c]: Invalid value: {\"IntValue\":1,\"BoolValue\":true,\"StringValue\":null,\"VersionValue\":null,\"IntValues\":null,\"BoolValues\":null,\"StringValues\":null,\"VersionValues\":null}: exactly one value must be specified"
        ]
    );
    let bounds = json!({"default": "1", "validRange": {"min": "2", "max": "20", "step": "3"}});
    assert_eq!(
        of(
            json!({"name": "d", "allowMultipleAllocations": true, "capacity": {"a": {"value": "10", "requestPolicy": bounds}}})
        ),
        [
            "d.capacity[a].requestPolicy.validRange.min: Invalid value: \"1\": default is less than min: 2",
            "d.capacity[a].requestPolicy.validRange.max: Invalid value: \"20\": max is larger than capacity value: 10",
            "d.capacity[a].requestPolicy.validRange.step: Invalid value: \"1\": value is not a multiple of a given step (3) from (2)"
        ]
    );
    assert_eq!(
        of(json!({"name": "d", "taints": [{"key": "a", "effect": "No"}], "bindingConditions": ["a", "a"]})),
        [
            "d.taints[0].effect: Unsupported value: \"No\": supported values: \"NoExecute\", \"NoSchedule\", \"None\"",
            "d.bindingConditions[1]: Duplicate value: \"a\"",
            "d.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions"
        ]
    );
}
