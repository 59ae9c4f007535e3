//! What the API server itself sees to: the first namespaces, priorities, flow schemas, and the Service that leads to it.

mod api_services;
mod authors;
pub(crate) mod flow_control;
pub mod own_identity;
mod own_service;
mod roles;

use super::Registry;
use super::catalog::Resource;
use super::{encoding, failure};
use crate::authz::defaults;
use crate::store::contract::{CommitError, Write};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use tinyplane_wire::meta::{Meta, metadata_mut};
use tinyplane_wire::status;

/// What bootstrap must be told beside the registry's settings.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Where the API server can be reached: what the `kubernetes` Service leads to.
    pub endpoint: SocketAddr,
}

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl Registry {
    /// Writes what is missing. Doing it again changes nothing.
    ///
    /// # Errors
    /// The store refuses a write.
    pub async fn bootstrap(&self, own: &Own) -> status::Result<()> {
        let writes = NAMESPACES.map(|name| {
            self.ensure(
                "",
                "namespaces",
                json!({
                    "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                    "spec": {"finalizers": ["kubernetes"]},
                    "status": {"phase": "Active"},
                }),
            )
        });
        futures_util::future::try_join_all(writes).await?;
        let roles = defaults::objects().into_iter().map(|(plural, object)| roles::ensure(self, plural, object));
        let roles = futures_util::future::try_join_all(roles);
        let now = self.clock().timestamp();
        let objects = priorities().into_iter().chain(flow_control::objects(&now)).chain(api_services::objects(&now));
        let writes = objects.map(|(group, plural, object)| self.ensure(group, plural, object));
        let all = futures_util::future::try_join_all(writes);
        let (written, roles, own) = tokio::join!(all, roles, own_service::ensure(self, own.endpoint));
        written?;
        roles?;
        own?;
        self.give_back_addresses().await
    }

    /// Creates an object that is complete but for its uid and time, unless there is one of its name.
    async fn ensure(&self, group: &str, plural: &str, mut object: Value) -> status::Result<()> {
        let resource = self.builtin(group, plural);
        let (namespace, name) = (Meta::of(&object).namespace().to_owned(), Meta::of(&object).name().to_owned());
        let key = resource.key(&namespace, &name);
        if self.store().snapshot().get(&key).is_some() {
            return Ok(());
        }
        complete(self, &mut object);
        authors::note(self, &resource, &mut object);
        match self.store().commit(Write::create(key, encoding::body(&resource, &object))).await {
            Ok(_) | Err(CommitError::Exists { .. }) => Ok(()),
            Err(error) => Err(failure::commit(&resource, &name, &error)),
        }
    }

    /// Creates an object, or changes its fields to these; its other fields stay.
    async fn ensure_fields(&self, group: &str, plural: &str, wanted: Value) -> status::Result<()> {
        let resource = self.builtin(group, plural);
        let (namespace, name) = (Meta::of(&wanted).namespace().to_owned(), Meta::of(&wanted).name().to_owned());
        let key = resource.key(&namespace, &name);
        loop {
            let Some(entry) = self.store().snapshot().get(&key).cloned() else {
                return self.ensure(group, plural, wanted).await;
            };
            let mut object = encoding::parse(&entry)?;
            for (field, value) in wanted.as_object().into_iter().flatten().filter(|(name, _)| *name != "metadata") {
                object[field.as_str()] = value.clone();
            }
            let body = encoding::body(&resource, &object);
            if entry.holds(&body) {
                return Ok(());
            }
            match self.store().commit(Write::update(key.clone(), entry.modified, body)).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Stale { .. } | CommitError::Missing { .. }) => {}
                Err(error) => return Err(failure::commit(&resource, &name, &error)),
            }
        }
    }

    /// Deletes the objects that stand for addresses of Services that never came to be: a crash came between.
    async fn give_back_addresses(&self) -> status::Result<()> {
        let resource = self.builtin("networking.k8s.io", "ipaddresses");
        let services = self.builtin("", "services");
        for address in self.find_all("networking.k8s.io", "ipaddresses", "")? {
            let parent = &address["spec"]["parentRef"];
            let text = |field: &str| parent[field].as_str().unwrap_or_default().to_owned();
            let of_service = parent["resource"] == "services";
            let key = services.key(&text("namespace"), &text("name"));
            let managed = Meta::of(&address).label("ipaddress.kubernetes.io/managed-by") == Some("ipallocator.k8s.io");
            let parent = self.store().snapshot().get(&key).cloned();
            let name = Meta::of(&address).name();
            let taken = parent.is_some_and(|service| {
                encoding::parse(&service).is_ok_and(|service| service["spec"]["clusterIP"] == name)
            });
            if of_service && managed && !taken {
                give_back(self, &resource, name).await?;
            }
        }
        Ok(())
    }
}

async fn give_back(registry: &Registry, resource: &Resource, name: &str) -> status::Result<()> {
    let write = Write::delete(resource.key("", name), crate::store::contract::Expect::Any);
    match registry.store().commit(write).await {
        Ok(_) | Err(CommitError::Missing { .. }) => Ok(()),
        Err(error) => Err(failure::commit(resource, name, &error)),
    }
}

/// Uid and time of a new object.
fn complete(registry: &Registry, object: &mut Value) {
    let now = registry.clock().timestamp();
    let metadata = metadata_mut(object);
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), now.into());
}

/// The first address of the range, which the `kubernetes` Service gets.
#[must_use]
pub fn first_service_address(range: ipnet::IpNet) -> IpAddr {
    super::services::nth(range.network(), 1)
}

/// The priority classes that every cluster has.
fn priorities() -> Vec<(&'static str, &'static str, Value)> {
    let classes = [
        ("system-cluster-critical", 2_000_000_000, "For pods of the system that the cluster needs, on whichever node."),
        ("system-node-critical", 2_000_001_000, "For pods of the system that their node needs."),
    ];
    let class = |(name, value, description): (&str, i64, &str)| {
        let object = json!({
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": description,
            "preemptionPolicy": "PreemptLowerPriority",
        });
        ("scheduling.k8s.io", "priorityclasses", object)
    };
    classes.map(class).into()
}
