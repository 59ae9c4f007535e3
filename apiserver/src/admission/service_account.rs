//! `ServiceAccount`: gives a pod its account, and the token, root certificate and namespace that go with it.

use super::{Plugin, forbidden, is_new_pod};
use crate::registry::admit::Question;
use async_trait::async_trait;
use rand::Rng;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::meta::map_mut;
use tinyplane_wire::status;

/// Where containers find token, certificate and namespace.
const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Seconds for which a token is asked: an hour, and seven seconds by which upstream tells it from others.
const TOKEN_SECONDS: u32 = 3_607;
/// How often, and with which pause, a new namespace is given the chance to get its default account.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// Characters of generated names, as upstream's.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(super) struct ServiceAccount;

#[async_trait]
impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn concerns(&self, question: &Question<'_>) -> bool {
        is_new_pod(question)
    }

    async fn mutate(&self, question: &Question<'_>, pod: &mut Value) -> status::Result<()> {
        let name = match pod["spec"]["serviceAccountName"].as_str() {
            None | Some("") => "default".to_owned(),
            Some(name) => name.to_owned(),
        };
        pod["spec"]["serviceAccountName"] = name.as_str().into();
        pod["spec"]["serviceAccount"] = name.as_str().into();
        let account = account(question, &name).await?;
        let no_secrets = pod["spec"]["imagePullSecrets"].as_array().is_none_or(Vec::is_empty);
        if no_secrets && account["imagePullSecrets"].is_array() {
            pod["spec"]["imagePullSecrets"] = account["imagePullSecrets"].clone();
        }
        let wished = pod["spec"]["automountServiceAccountToken"].as_bool();
        if wished.or(account["automountServiceAccountToken"].as_bool()).unwrap_or(true) {
            mount(pod);
        }
        Ok(())
    }
}

/// The account of a pod. That of a namespace just made is on its way.
async fn account(question: &Question<'_>, name: &str) -> status::Result<Arc<Value>> {
    for look in 0..LOOKS {
        if let Some(account) = question.registry.find("", "serviceaccounts", question.namespace, name)? {
            return Ok(account);
        }
        if name != "default" || look + 1 == LOOKS {
            break;
        }
        question.registry.clock().sleep(PAUSE).await;
    }
    let why =
        format!("error looking up service account {}/{name}: serviceaccount \"{name}\" not found", question.namespace);
    Err(forbidden(question, &why))
}

/// Mounts the projected volume into every container that has nothing at its place.
fn mount(pod: &mut Value) {
    let names = pod["spec"]["volumes"].as_array().into_iter().flatten().filter_map(|volume| volume["name"].as_str());
    let there = names.into_iter().find(|name| name.starts_with("kube-api-access-")).map(str::to_owned);
    let is_there = there.is_some();
    let name = there.unwrap_or_else(made_up_name);
    let mut used = false;
    for field in ["/spec/initContainers", "/spec/containers"] {
        for container in pod.pointer_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let mounts = map_mut(container).entry("volumeMounts").or_insert_with(|| json!([]));
            let taken = mounts.as_array().into_iter().flatten().any(|mount| mount["mountPath"] == PLACE);
            if let (false, Some(mounts)) = (taken, mounts.as_array_mut()) {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": PLACE}));
                used = true;
            }
        }
    }
    if used && !is_there {
        let volume = json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]}});
        match &mut pod["spec"]["volumes"] {
            Value::Array(volumes) => volumes.push(volume),
            none => *none = json!([volume]),
        }
    }
}

fn made_up_name() -> String {
    let mut random = rand::rng();
    let letter = |_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]);
    format!("kube-api-access-{}", (0..5).map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_gets_the_token_unless_something_is_in_its_place() {
        let mut pod = json!({"spec": {
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "own", "mountPath": PLACE}]}],
        }});
        mount(&mut pod);
        let volume = &pod["spec"]["volumes"][0]["name"];
        assert_eq!(&pod["spec"]["initContainers"][0]["volumeMounts"][0]["name"], volume);
        assert_eq!(&pod["spec"]["containers"][0]["volumeMounts"][0]["name"], volume);
        assert_eq!(pod["spec"]["containers"][1]["volumeMounts"].as_array().map(Vec::len), Some(1));
        let once = pod.clone();
        mount(&mut pod);
        assert_eq!(pod, once);
    }
}
