//! The downward API: what a pod may know of itself, and its containers of their resources.

use super::spec::{PodSpec, ResourceFieldRef};
use serde_json::Value;
use std::net::IpAddr;
use tinyplane_wire::meta::{Meta, pairs};

/// The pod and what is known of it only on its node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Downward<'a> {
    pub(crate) pod: &'a Value,
    pub(crate) spec: &'a PodSpec,
    pub(crate) host_ip: IpAddr,
    pub(crate) pod_ip: Option<IpAddr>,
}

impl Downward<'_> {
    /// One field; the error is upstream's sentence.
    pub(crate) fn field(&self, path: &str) -> Result<String, String> {
        let meta = Meta::of(self.pod);
        let pod_ip = || self.pod_ip.map(|ip| ip.to_string()).unwrap_or_default();
        Ok(match path {
            "metadata.name" => meta.name().into(),
            "metadata.namespace" => meta.namespace().into(),
            "metadata.uid" => meta.uid().into(),
            "metadata.labels" => lines(&self.pod["metadata"]["labels"]),
            "metadata.annotations" => lines(&self.pod["metadata"]["annotations"]),
            "spec.nodeName" => self.pod["spec"]["nodeName"].as_str().unwrap_or_default().into(),
            "spec.serviceAccountName" => self.spec.service_account_name.clone(),
            "status.hostIP" | "status.hostIPs" => self.host_ip.to_string(),
            "status.podIP" | "status.podIPs" => pod_ip(),
            _ => match subscript(path) {
                Some(("metadata.labels", key)) => meta.label(key).unwrap_or_default().into(),
                Some(("metadata.annotations", key)) => meta.annotation(key).unwrap_or_default().into(),
                _ => return Err(format!("unsupported fieldPath: {path}")),
            },
        })
    }

    /// One resource of a container, divided and rounded up; what is not limited is the node's.
    pub(crate) fn resource(&self, reference: &ResourceFieldRef, default_container: &str) -> Result<String, String> {
        let name = if reference.container_name.is_empty() { default_container } else { &reference.container_name };
        let all = self.spec.all();
        let container = all.into_iter().find(|c| c.name == name).ok_or(format!("container {name} not found"))?;
        let (section, resource) = reference
            .resource
            .split_once('.')
            .ok_or(format!("unsupported container resource : {}", reference.resource))?;
        let given = container.resources[section][resource].as_str();
        let text = match (section, given, resource) {
            (_, Some(given), _) => given,
            ("limits", None, "cpu") => crate::CAPACITY_CPU,
            ("limits", None, "memory") => crate::CAPACITY_MEMORY,
            ("limits", None, "ephemeral-storage") => crate::CAPACITY_STORAGE,
            ("requests", None, _) => "0",
            _ => return Err(format!("unsupported container resource : {}", reference.resource)),
        };
        let wrong = |text: &str| format!("quantity {text:?} can't be read");
        let amount = thousandths(text).ok_or_else(|| wrong(text))?;
        let divisor = match reference.divisor.as_deref() {
            None | Some("0" | "") => 1000,
            Some(text) => thousandths(text).filter(|d| *d > 0).ok_or_else(|| wrong(text))?,
        };
        Ok(((amount + divisor - 1) / divisor).to_string())
    }
}

/// `metadata.labels['app']` as its parts.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (field, rest) = path.split_once("['")?;
    Some((field, rest.strip_suffix("']")?))
}

/// A map as `key="value"` lines, in the order of its keys.
fn lines(map: &Value) -> String {
    let mut lines: Vec<String> = pairs(map).map(|(k, v)| format!("{k}={v:?}")).collect();
    lines.sort();
    lines.join("\n")
}

/// A quantity in thousandths; rounded up, as small as it may be.
fn thousandths(text: &str) -> Option<i128> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (number, suffix) = match suffix.strip_prefix(['e', 'E']).and_then(|e| e.parse::<u32>().ok()) {
        Some(exponent) => (number, 10_i128.checked_pow(exponent)? * 1000),
        None => (number, scale(suffix)?),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divide = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = digits.checked_mul(suffix)?;
    Some(product.div_euclid(divide) + i128::from(product.rem_euclid(divide) > 0))
}

fn scale(suffix: &str) -> Option<i128> {
    Some(match suffix {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_i128.pow(2),
        "G" => 1000 * 1000_i128.pow(3),
        "T" => 1000 * 1000_i128.pow(4),
        "P" => 1000 * 1000_i128.pow(5),
        "E" => 1000 * 1000_i128.pow(6),
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000_i128 << 40,
        "Pi" => 1000_i128 << 50,
        "Ei" => 1000_i128 << 60,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_knows_itself() {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "default", "labels": {"b": "2", "a": "1\n"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"limits": {"cpu": "250m", "memory": "1.5Gi"}}}]},
        });
        let spec = PodSpec::of(&pod).unwrap();
        let ip: IpAddr = "127.1.2.3".parse().unwrap();
        let downward = Downward { pod: &pod, spec: &spec, host_ip: ip, pod_ip: Some(ip) };
        assert_eq!(downward.field("metadata.labels").unwrap(), "a=\"1\\n\"\nb=\"2\"");
        assert_eq!(downward.field("metadata.labels['b']").unwrap(), "2");
        assert_eq!(downward.field("status.podIP").unwrap(), "127.1.2.3");
        assert!(downward.field("spec.volumes").is_err());
        let resource = |resource: &str, divisor: Option<&str>| {
            let divisor = divisor.map(str::to_owned);
            downward
                .resource(&ResourceFieldRef { container_name: String::new(), resource: resource.into(), divisor }, "c")
        };
        assert_eq!(resource("limits.cpu", None).unwrap(), "1");
        assert_eq!(resource("limits.cpu", Some("1m")).unwrap(), "250");
        assert_eq!(resource("limits.memory", Some("1Mi")).unwrap(), "1536");
        assert_eq!(resource("requests.cpu", None).unwrap(), "0");
        assert_eq!(resource("limits.ephemeral-storage", Some("1Gi")).unwrap(), "100");
    }
}
