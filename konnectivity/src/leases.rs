//! The leases by which servers tell that they are there, and by which agents count them.

use serde_json::Value;
use std::fmt::Write;
use std::time::{Duration, SystemTime};
use tinyplane_wire::client::ClientError;
use tinyplane_wire::clock;
use tinyplane_wire::gvr::Gvr;

/// The label that servers' leases have, unless told another.
#[cfg(feature = "cli")]
pub(crate) const LABEL: &str = "k8s-app=konnectivity-server";

/// Where they are, unless told otherwise.
#[cfg(feature = "cli")]
pub(crate) const NAMESPACE: &str = "kube-system";

/// The resource.
pub(crate) fn leases() -> Gvr {
    Gvr::new("coordination.k8s.io", "v1", "leases")
}

/// `labelSelector=…`, as it stands in a query.
pub(crate) fn query(selector: &str) -> String {
    let mut query = "labelSelector=".to_owned();
    for part in percent_encoding::utf8_percent_encode(selector, percent_encoding::NON_ALPHANUMERIC) {
        query.write_str(part).expect("writing to a string never fails");
    }
    query
}

/// Until when a lease holds; one that tells of no time never does.
pub(crate) fn ends(lease: &Value) -> Option<SystemTime> {
    let spec = &lease["spec"];
    let time = |field: &str| spec[field].as_str().and_then(clock::parse);
    let seconds = spec["leaseDurationSeconds"].as_u64()?;
    Some(time("renewTime").or_else(|| time("acquireTime"))? + Duration::from_secs(seconds))
}

/// How a call went, as metrics label it: the HTTP code, and the reason of a failure.
pub(crate) fn labels(code: &str, outcome: Result<(), &ClientError>) -> String {
    match outcome {
        Ok(()) => format!("{code}=\"200\",reason=\"\""),
        Err(ClientError::Status(status)) => {
            let reason = serde_json::to_value(status.reason).unwrap_or_default();
            format!("{code}=\"{}\",reason=\"{}\"", status.code, reason.as_str().unwrap_or_default())
        }
        Err(_) => format!("{code}=\"0\",reason=\"Unreachable\""),
    }
}

/// A lease is deleted only as it was seen: one that was renewed meanwhile stays.
pub(crate) fn only_as_seen(lease: &Value) -> Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"resourceVersion": lease["metadata"]["resourceVersion"]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lease_holds_from_its_renewal_for_its_duration() {
        let at = clock::parse("2026-11-22T10:00:30Z");
        let renewed = json!({"spec": {"renewTime": "2026-11-22T10:00:00.000000Z", "leaseDurationSeconds": 30}});
        assert_eq!(ends(&renewed), at);
        let acquired = json!({"spec": {"acquireTime": "2026-11-22T10:00:00.000000Z", "leaseDurationSeconds": 30}});
        assert_eq!(ends(&acquired), at);
        assert_eq!(ends(&json!({"spec": {"leaseDurationSeconds": 30}})), None);
        assert_eq!(ends(&json!({"spec": {"renewTime": "2026-11-22T10:00:00Z"}})), None);
    }

    #[test]
    fn selectors_stand_in_queries() {
        assert_eq!(query("k8s-app=konnectivity-server"), "labelSelector=k8s%2Dapp%3Dkonnectivity%2Dserver");
    }
}
