//! Which container of a pod is meant.

use serde_json::Value;
use tinyplane_wire::status::{self, Status};

/// The container asked for, or the only one.
///
/// # Errors
/// 400 when there is no such container, or several and none was named.
pub(super) fn choose<'a>(pod: &'a Value, asked: &'a str) -> status::Result<&'a str> {
    let spec = &pod["spec"];
    let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let all: Vec<&str> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .filter_map(|list| spec[*list].as_array())
        .flatten()
        .filter_map(|container| container["name"].as_str())
        .collect();
    if !asked.is_empty() {
        return if all.contains(&asked) {
            Ok(asked)
        } else {
            Err(Status::bad_request(format!("container {asked} is not valid for pod {pod_name}")))
        };
    }
    match spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default() {
        [only] => Ok(only["name"].as_str().unwrap_or_default()),
        [] => Err(Status::bad_request(format!("a container name must be specified for pod {pod_name}"))),
        _ => {
            let all = all.join(" ");
            let told = format!("a container name must be specified for pod {pod_name}, choose one of: [{all}]");
            Err(Status::bad_request(told))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_container_is_meant_and_of_several_one_is_named() {
        let one = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a"}]}});
        assert_eq!(choose(&one, "").unwrap(), "a");
        assert_eq!(choose(&one, "x").unwrap_err().message, "container x is not valid for pod web");
        let two = json!({"metadata": {"name": "web"}, "spec": {
            "initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]}});
        let told = choose(&two, "").unwrap_err();
        assert_eq!(told.message, "a container name must be specified for pod web, choose one of: [i a b]");
        assert_eq!((told.code, choose(&two, "i").unwrap()), (400, "i"));
    }
}
