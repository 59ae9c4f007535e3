//! A container's environment: what its pod says, and the Services around it.

use super::expand::expand;
use super::field::Downward;
use super::sources::{Kind, SourceError, Sources};
use super::spec::{Container, EnvSource, KeyRef};
use crate::cluster::list;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;

/// Variables in the order in which they were set; a later value replaces an earlier one in its place.
#[derive(Debug, Default)]
struct Variables {
    order: Vec<(String, String)>,
    place: HashMap<String, usize>,
}

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        match self.place.get(name) {
            Some(place) => self.order[*place].1 = value,
            None => {
                self.place.insert(name.into(), self.order.len());
                self.order.push((name.into(), value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        self.place.get(name).map(|place| self.order[*place].1.clone())
    }
}

/// Makes the environment; the error is the message of `CreateContainerConfigError`.
pub(crate) async fn environment(
    container: &Container,
    downward: &Downward<'_>,
    services: &[Arc<Value>],
    sources: &Sources,
) -> Result<Vec<(String, String)>, String> {
    let namespace = Meta::of(downward.pod).namespace();
    let of_services = service_variables(services);
    let mut all = Variables::default();
    for from in &container.env_from {
        let both = [(Kind::ConfigMap, &from.config_map_ref), (Kind::Secret, &from.secret_ref)];
        for (kind, reference) in both {
            let Some(reference) = reference else { continue };
            match sources.get(kind, namespace, &reference.name).await {
                Ok(object) => {
                    for (key, value) in texts(kind, &object) {
                        all.set(&format!("{}{key}", from.prefix), value);
                    }
                }
                Err(SourceError::NotFound) if reference.optional => {}
                Err(error) => return Err(error.told(kind, &reference.name)),
            }
        }
    }
    for variable in &container.env {
        let value = match &variable.value_from {
            None => {
                let lookup = |name: &str| all.get(name).or_else(|| of_services.get(name));
                Some(expand(variable.value.as_deref().unwrap_or_default(), lookup))
            }
            Some(from) => value_from(from, container, downward, sources).await?,
        };
        if let Some(value) = value {
            all.set(&variable.name, value);
        }
    }
    for (name, value) in of_services.order {
        if !all.place.contains_key(&name) {
            all.set(&name, value);
        }
    }
    Ok(all.order)
}

async fn value_from(
    from: &EnvSource,
    container: &Container,
    downward: &Downward<'_>,
    sources: &Sources,
) -> Result<Option<String>, String> {
    if let Some(field) = &from.field_ref {
        return downward.field(&field.field_path).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return downward.resource(resource, &container.name).map(Some);
    }
    if let Some(key) = &from.config_map_key_ref {
        return value_of_key(Kind::ConfigMap, key, downward, sources).await;
    }
    if let Some(key) = &from.secret_key_ref {
        return value_of_key(Kind::Secret, key, downward, sources).await;
    }
    Ok(None)
}

async fn value_of_key(
    kind: Kind,
    wanted: &KeyRef,
    downward: &Downward<'_>,
    sources: &Sources,
) -> Result<Option<String>, String> {
    let namespace = Meta::of(downward.pod).namespace();
    let object = match sources.get(kind, namespace, &wanted.name).await {
        Ok(object) => object,
        Err(SourceError::NotFound) if wanted.optional => return Ok(None),
        Err(error) => return Err(error.told(kind, &wanted.name)),
    };
    match texts(kind, &object).find(|(key, _)| *key == wanted.key) {
        Some((_, value)) => Ok(Some(value)),
        None if wanted.optional => Ok(None),
        None => Err(format!("couldn't find key {} in {} {namespace}/{}", wanted.key, kind.name(), wanted.name)),
    }
}

/// The entries of a ConfigMap or Secret as text.
fn texts(kind: Kind, object: &Value) -> impl Iterator<Item = (&str, String)> {
    object["data"].as_object().into_iter().flatten().filter_map(move |(key, value)| {
        let text = value.as_str()?;
        let value = match kind {
            Kind::ConfigMap => text.to_owned(),
            Kind::Secret => String::from_utf8_lossy(&STANDARD.decode(text).ok()?).into_owned(),
        };
        Some((key.as_str(), value))
    })
}

/// The variables by which old-style programs find Services.
fn service_variables(services: &[Arc<Value>]) -> Variables {
    let mut all = Variables::default();
    for service in services {
        let ip = service["spec"]["clusterIP"].as_str().unwrap_or_default();
        if ip.is_empty() || ip == "None" {
            continue;
        }
        let name = Meta::of(service).name().to_ascii_uppercase().replace('-', "_");
        all.set(&format!("{name}_SERVICE_HOST"), ip.into());
        for (place, port) in list(&service["spec"]["ports"]).enumerate() {
            let number = port["port"].as_u64().unwrap_or_default();
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let url = format!("{}://{ip}:{number}", protocol.to_ascii_lowercase());
            if place == 0 {
                all.set(&format!("{name}_SERVICE_PORT"), number.to_string());
                all.set(&format!("{name}_PORT"), url.clone());
            }
            if let Some(port_name) = port["name"].as_str().filter(|n| !n.is_empty()) {
                let port_name = port_name.to_ascii_uppercase().replace('-', "_");
                all.set(&format!("{name}_SERVICE_PORT_{port_name}"), number.to_string());
            }
            let prefix = format!("{name}_PORT_{number}_{}", protocol.to_ascii_uppercase());
            all.set(&prefix, url);
            all.set(&format!("{prefix}_PROTO"), protocol.to_ascii_lowercase());
            all.set(&format!("{prefix}_PORT"), number.to_string());
            all.set(&format!("{prefix}_ADDR"), ip.into());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::spec::PodSpec;
    use super::*;
    use serde_json::json;

    async fn made(container: Value, objects: Vec<(Kind, Value)>) -> Result<Vec<(String, String)>, String> {
        let pod = json!({"metadata": {"name": "web", "namespace": "d"}, "spec": {"containers": [container]}});
        let spec = PodSpec::of(&pod).unwrap();
        let downward = Downward { pod: &pod, spec: &spec, host_ip: "127.1.0.1".parse().unwrap(), pod_ip: None };
        let service = json!({
            "metadata": {"name": "my-db"},
            "spec": {"clusterIP": "127.2.0.5", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]},
        });
        environment(&spec.containers[0], &downward, &[Arc::new(service)], &Sources::fixed(objects)).await
    }

    fn value<'a>(all: &'a [(String, String)], name: &str) -> Option<&'a str> {
        all.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    #[tokio::test]
    async fn later_values_see_earlier_ones_and_services() {
        let map = json!({"metadata": {"name": "m", "namespace": "d"}, "data": {"k": "v"}});
        let secret = json!({"metadata": {"name": "s", "namespace": "d"}, "data": {"p": "cGFzcw=="}});
        let env = json!([
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)-$(MY_DB_SERVICE_HOST)-$(NONE)-$(X_k)"},
            {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
            {"name": "MY_DB_PORT", "value": "mine"},
            {"name": "NOT", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "k", "optional": true}}},
        ]);
        let container = json!({"name": "c", "env": env, "envFrom": [{"prefix": "X_", "configMapRef": {"name": "m"}}]});
        let all = made(container, vec![(Kind::ConfigMap, map), (Kind::Secret, secret)]).await.unwrap();
        assert_eq!(value(&all, "B"), Some("1-127.2.0.5-$(NONE)-v"));
        assert_eq!((value(&all, "ME"), value(&all, "P")), (Some("web"), Some("pass")));
        assert_eq!((value(&all, "MY_DB_PORT"), value(&all, "NOT")), (Some("mine"), None));
        assert_eq!(value(&all, "MY_DB_SERVICE_PORT_SQL"), Some("5432"));
        assert_eq!(value(&all, "MY_DB_PORT_5432_TCP"), Some("tcp://127.2.0.5:5432"));
    }

    #[tokio::test]
    async fn what_is_missing_is_told_as_upstream_tells_it() {
        let from = |from: Value| json!({"name": "c", "env": [{"name": "A", "valueFrom": from}]});
        let missing = made(from(json!({"configMapKeyRef": {"name": "gone", "key": "k"}})), vec![]).await;
        assert_eq!(missing.unwrap_err(), "configmap \"gone\" not found");
        let secret = json!({"metadata": {"name": "s", "namespace": "d"}, "data": {}});
        let missing =
            made(from(json!({"secretKeyRef": {"name": "s", "key": "k"}})), vec![(Kind::Secret, secret)]).await;
        assert_eq!(missing.unwrap_err(), "couldn't find key k in Secret d/s");
    }
}
