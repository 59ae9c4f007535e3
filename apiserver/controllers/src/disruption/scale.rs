//! How many pods the owners of some pods ask for.

use crate::context::Context;
use crate::kinds;
use http::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tinyplane_wire::client::{Cache, Client, ClientError};
use tinyplane_wire::meta::Meta;

pub(super) struct Scales {
    client: Client,
    /// Kinds that own pods, with their caches.
    known: [(&'static str, Arc<Cache>); 4],
}

/// What the owners ask for together, and whether some pods have none.
pub(super) struct Found {
    pub(super) pods: i64,
    pub(super) unmanaged: bool,
}

impl Scales {
    pub(super) fn new(context: &Context) -> Self {
        let cache = |gvr| context.cache(&gvr);
        Self {
            client: context.client.clone(),
            known: [
                ("ReplicaSet", cache(kinds::replica_sets())),
                ("Deployment", cache(kinds::deployments())),
                ("StatefulSet", cache(kinds::stateful_sets())),
                ("ReplicationController", cache(kinds::replication_controllers())),
            ],
        }
    }

    pub(super) fn caches(&self) -> impl Iterator<Item = Arc<Cache>> {
        self.known.iter().map(|(_, cache)| Arc::clone(cache))
    }

    /// Asks each owner once.
    pub(super) async fn expected(&self, pods: &[Arc<Value>]) -> Result<Found, ClientError> {
        let (mut by_owner, mut unmanaged) = (BTreeMap::new(), false);
        for pod in pods {
            let Some(owner) = Meta::of(pod).controller() else {
                unmanaged = true;
                continue;
            };
            let uid = owner["uid"].as_str().unwrap_or_default();
            if by_owner.contains_key(uid) {
                continue;
            }
            match self.of_owner(Meta::of(pod).namespace(), owner).await? {
                Some((owner, replicas)) => {
                    by_owner.insert(uid.to_owned(), 0);
                    by_owner.insert(owner, replicas);
                }
                None => unmanaged = true,
            }
        }
        Ok(Found { pods: by_owner.values().sum(), unmanaged })
    }

    /// Uid and size of an owner; a ReplicaSet's size is that of its Deployment.
    async fn of_owner(&self, namespace: &str, owner: &Value) -> Result<Option<(String, i64)>, ClientError> {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let Some((_, cache)) = self.known.iter().find(|(kind, _)| owner["kind"] == *kind) else {
            let scale = self.scale_of(namespace, text("apiVersion"), text("kind"), text("name")).await?;
            return Ok(scale.map(|replicas| (text("uid").to_owned(), replicas)));
        };
        let found = cache.get(&format!("{namespace}/{}", text("name"))).filter(|o| Meta::of(o).uid() == text("uid"));
        let Some(found) = found else { return Ok(None) };
        match Meta::of(&found).controller() {
            Some(above) if owner["kind"] == "ReplicaSet" => Box::pin(self.of_owner(namespace, above)).await,
            _ => Ok(Some((text("uid").to_owned(), found["spec"]["replicas"].as_i64().unwrap_or(1)))),
        }
    }

    /// The size of an owner of any kind that has a `scale`.
    async fn scale_of(
        &self,
        namespace: &str,
        version: &str,
        kind: &str,
        name: &str,
    ) -> Result<Option<i64>, ClientError> {
        let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let ask = async |path: &str| match self.client.request(Method::GET, path, None).await {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        };
        let Some(served) = ask(&root).await? else { return Ok(None) };
        let names = || served["resources"].as_array().into_iter().flatten().filter(|r| r["name"].is_string());
        let plural = names().find(|r| r["kind"] == kind && !r["name"].as_str().unwrap_or_default().contains('/'));
        let Some(plural) = plural.and_then(|r| r["name"].as_str()) else { return Ok(None) };
        if !names().any(|r| r["name"] == format!("{plural}/scale")) {
            return Ok(None);
        }
        let scale = ask(&format!("{root}/namespaces/{namespace}/{plural}/{name}/scale")).await?;
        Ok(scale.map(|scale| scale["spec"]["replicas"].as_i64().unwrap_or_default()))
    }
}
