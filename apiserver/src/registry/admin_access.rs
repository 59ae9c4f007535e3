//! Access of an administrator to devices: for claims in namespaces that a label lets have it.

use super::Registry;
use super::catalog::Resource;
use crate::validation::Errors;
use serde_json::Value;
use tinyplane_wire::status;

const LABEL: &str = "resource.kubernetes.io/admin-access";

impl Registry {
    /// Refuses such access to a claim that is written, or to those of a template, where the namespace has no such label. What an
    /// old claim has been granted is not asked for again.
    pub(super) fn check_admin_access(
        &self,
        resource: &Resource,
        (new, old): (&Value, Option<&Value>),
        errors: &mut Errors,
    ) -> status::Result<()> {
        if resource.stored.group != "resource.k8s.io" {
            return Ok(());
        }
        let Some(path) = asked(&resource.stored.kind, new, old) else { return Ok(()) };
        let namespace = new["metadata"]["namespace"].as_str().unwrap_or_default();
        let found = self.find("", "namespaces", "", namespace)?;
        if found.is_none_or(|namespace| namespace["metadata"]["labels"][LABEL] != "true") {
            let why = format!("admin access to devices requires the `{LABEL}: true` label on the containing namespace");
            errors.forbidden(path, &why);
        }
        Ok(())
    }
}

/// Where such access is asked for: by the spec of what is new, by the status of what is there.
fn asked(kind: &str, new: &Value, old: Option<&Value>) -> Option<String> {
    let first = |list: &Value, field: fn(&Value) -> &Value| list.as_array()?.iter().position(|one| *field(one) == true);
    if let Some(old) = old {
        let results = |claim: &Value| {
            first(&claim["status"]["allocation"]["devices"]["results"], |result| &result["adminAccess"])
        };
        let at = results(new).filter(|_| kind == "ResourceClaim" && results(old).is_none())?;
        return Some(format!("status.allocation.devices.results[{at}].adminAccess"));
    }
    let spec = match kind {
        "ResourceClaim" => &new["spec"],
        "ResourceClaimTemplate" => &new["spec"]["spec"],
        _ => return None,
    };
    let at = first(&spec["devices"]["requests"], |request| &request["exactly"]["adminAccess"])?;
    Some(format!("spec.devices.requests[{at}].adminAccess"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn access_is_asked_for_by_new_specs_and_new_results() {
        let request = json!([{"name": "a"}, {"exactly": {"adminAccess": true}}]);
        let claim = json!({"spec": {"devices": {"requests": request}}});
        let path = Some("spec.devices.requests[1].adminAccess".to_owned());
        assert_eq!(asked("ResourceClaim", &claim, None), path);
        assert_eq!(asked("ResourceClaimTemplate", &json!({"spec": claim}), None), path);
        assert_eq!((asked("ResourceSlice", &claim, None), asked("ResourceClaim", &json!({}), None)), (None, None));
        let granted = json!({"status": {"allocation": {"devices": {"results": [{"adminAccess": true}]}}}});
        let path = Some("status.allocation.devices.results[0].adminAccess".to_owned());
        assert_eq!(asked("ResourceClaim", &granted, Some(&claim)), path);
        assert_eq!(asked("ResourceClaim", &granted, Some(&granted)), None);
    }
}
