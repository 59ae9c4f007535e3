//! Plugins against a registry in memory: what they change, and what they refuse in which words.

use super::{Choice, Means, Plugins};
use crate::authn::{Caller, GROUP_MASTERS};
use crate::authz::Authorizers;
use crate::registry::admit::Intent;
use crate::registry::delete::Options;
use crate::registry::tests::World;
use crate::request::Warnings;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::identity::pki::Authority;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status;

/// A registry whose writes are admitted.
pub(super) struct Place {
    pub(super) world: World,
    plugins: Plugins,
    pub(super) caller: Caller,
    pub(super) warnings: Warnings,
}

impl Place {
    /// With these plugins on beside the default ones.
    pub(super) async fn with(enabled: &[&str]) -> Self {
        let choice = Choice::new(enabled.iter().map(|name| (*name).to_owned()), []).unwrap();
        // Nobody but the masters may approve or sign.
        let authorizer = Arc::new(Authorizers { node: None, rbac: None, always_allow: false });
        let plugins =
            Plugins::new(Means { cluster_net: ClusterNet::default(), authorizer, choice, metrics: Arc::default() });
        let caller = Caller::new("admin", [GROUP_MASTERS]);
        let place = Self { world: World::new().await, plugins, caller, warnings: Warnings::default() };
        place.make("", "serviceaccounts", json!({"metadata": {"name": "default"}})).await.unwrap();
        place
    }

    pub(super) fn intent(&self) -> Intent<'_> {
        Intent {
            caller: &self.caller,
            manager: None,
            warnings: &self.warnings,
            dry_run: false,
            admission: &self.plugins,
        }
    }

    pub(super) async fn make(&self, group: &str, plural: &str, mut object: Value) -> status::Result<Value> {
        let row = self.world.registry.builtin(group, plural);
        let namespace = if row.namespaced { "default" } else { "" };
        if row.namespaced {
            object["metadata"]["namespace"] = json!(namespace);
        }
        self.world.registry.create(&row, namespace, object, &self.intent()).await?.value()
    }

    pub(super) async fn change(
        &self,
        id: (&str, &str, &str),
        subresource: &str,
        change: impl FnMut(&mut Value) + Send,
    ) -> status::Result<Value> {
        self.world.change_by(&self.intent(), id, subresource, change).await
    }

    pub(super) async fn delete(&self, group: &str, plural: &str, name: &str) -> status::Result<()> {
        let row = self.world.registry.builtin(group, plural);
        let namespace = if row.namespaced { "default" } else { "" };
        self.world.registry.delete(&row, namespace, name, &Options::default(), &self.intent()).await.map(drop)
    }
}

pub(super) fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}})
}

#[tokio::test]
async fn defaults_of_the_cluster_are_filled_in() {
    let place = Place::with(&[]).await;
    let class = |name: &str, note: &str| json!({"metadata": {"name": name, "annotations": {note: "true"}}});
    let mut storage = class("fast", "storageclass.kubernetes.io/is-default-class");
    storage["provisioner"] = json!("a/b");
    place.make("storage.k8s.io", "storageclasses", storage).await.unwrap();
    let mut ingresses = class("web", "ingressclass.kubernetes.io/is-default-class");
    ingresses["spec"] = json!({"controller": "a/b"});
    place.make("networking.k8s.io", "ingressclasses", ingresses).await.unwrap();
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let claim = json!({"metadata": {"name": "c"}, "spec": spec});
    let claim = place.make("", "persistentvolumeclaims", claim).await.unwrap();
    assert_eq!(claim["spec"]["storageClassName"], "fast");
    assert_eq!(Meta::of(&claim).finalizers().collect::<Vec<_>>(), ["kubernetes.io/pvc-protection"]);
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    let ingress = json!({"metadata": {"name": "i"}, "spec": {"defaultBackend": backend}});
    let ingress = place.make("networking.k8s.io", "ingresses", ingress).await.unwrap();
    assert_eq!(ingress["spec"]["ingressClassName"], "web");
    let id = ("", "persistentvolumeclaims", "c");
    place.change(id, "status", |claim| claim["status"]["phase"] = json!("Bound")).await.unwrap();
    let grown = place.change(id, "", |claim| claim["spec"]["resources"]["requests"]["storage"] = json!("2Gi"));
    let refused = grown.await.unwrap_err();
    assert!(refused.message.contains("the storageclass that provisions the pvc must support resize"), "{refused}");
}

#[tokio::test]
async fn an_update_may_leave_a_priority_out_and_nobody_chooses_to_preempt() {
    let place = Place::with(&[]).await;
    place.make("", "pods", pod("a")).await.unwrap();
    let mut changed =
        place.change(("", "pods", "a"), "", |pod| drop(pod["spec"].as_object_mut().unwrap().remove("priority"))).await;
    assert_eq!(changed.as_mut().unwrap()["spec"]["priority"], json!(0));
    let mut wished = pod("b");
    wished["spec"]["preemptionPolicy"] = json!("Never");
    let refused = place.make("", "pods", wished).await.unwrap_err();
    assert!(refused.message.contains("the string value of PreemptionPolicy (Never) must not be provided"), "{refused}");
}

#[tokio::test]
async fn a_pod_follows_its_runtime_class() {
    let place = Place::with(&[]).await;
    let class = json!({
        "metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": {"cpu": "100m"}},
        "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
    });
    place.make("node.k8s.io", "runtimeclasses", class).await.unwrap();
    let mut wished = pod("a");
    wished["spec"]["runtimeClassName"] = json!("vm");
    let made = place.make("", "pods", wished.clone()).await.unwrap();
    assert_eq!(made["spec"]["overhead"], json!({"cpu": "100m"}));
    assert_eq!(made["spec"]["nodeSelector"], json!({"vm": "yes"}));
    let mut hollow = pod("hollow");
    hollow["spec"]["overhead"] = json!({});
    let refused = place.make("", "pods", hollow).await.unwrap_err();
    assert!(refused.message.contains("Pod Overhead set without corresponding RuntimeClass defined"), "{refused}");
    for (metadata, shown) in [(json!({"generateName": "g-"}), "g-"), (json!({}), "Unknown")] {
        let mut nameless = pod("");
        nameless["metadata"] = metadata;
        nameless["spec"]["runtimeClassName"] = json!("none");
        let refused = place.make("", "pods", nameless).await.unwrap_err();
        let why = "pod rejected: RuntimeClass \"none\" not found";
        assert_eq!(refused.message, format!("pods \"{shown}\" is forbidden: {why}"));
    }
    wished["metadata"]["name"] = json!("b");
    wished["spec"]["nodeSelector"] = json!({"vm": "no"});
    let refused = place.make("", "pods", wished).await.unwrap_err();
    assert_eq!(
        refused.message,
        "pods \"b\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no"
    );
    let mut unknown = pod("c");
    unknown["spec"]["runtimeClassName"] = json!("none");
    let refused = place.make("", "pods", unknown).await.unwrap_err();
    assert_eq!(refused.message, "pods \"c\" is forbidden: pod rejected: RuntimeClass \"none\" not found");
}

#[tokio::test]
async fn only_who_holds_the_signer_approves_and_signs() {
    let mut place = Place::with(&[]).await;
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHTE1EOENBUUF3RERFS01BZ0dBMVVFQXd3QllUQXFNQVVHQXl0bGNBTWhBSHAxL2QyVVJRZFByVjZBd05XagpyaUFUbkdXR1lwS1ZWUlBhb1ZwZjlIZ3RvQUF3QlFZREsyVndBMEVBdUlMUnZHRGdhSTJyV0JBUEJya3ZucnBoClQ4VXBtd1pib01lMWtldUZHWlJnbGlITTJ6RHZCQjNHaUZBWEdQcVZQNVIrelh3MTQrNWRhKzNiRnhQeEJBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
    let spec = json!({"request": pem, "signerName": "example.com/x", "usages": ["client auth"]});
    place
        .make("certificates.k8s.io", "certificatesigningrequests", json!({"metadata": {"name": "r"}, "spec": spec}))
        .await
        .unwrap();
    place.caller = Caller::new("jane", []);
    let id = ("certificates.k8s.io", "certificatesigningrequests", "r");
    let verdict = json!([{"type": "Approved", "status": "True", "reason": "x", "message": "y"}]);
    let approved = place.change(id, "approval", |request| request["status"]["conditions"] = verdict.clone()).await;
    assert_eq!(
        approved.unwrap_err().message,
        "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to approve requests with signerName \"example.com/x\""
    );
    let authority = Authority::create("x", std::time::SystemTime::UNIX_EPOCH).unwrap();
    let certificate = STANDARD.encode(authority.certificate_pem());
    let signed = place.change(id, "status", |request| request["status"]["certificate"] = json!(certificate)).await;
    assert!(signed.unwrap_err().message.contains("user not permitted to sign requests with signerName"));
}

#[tokio::test]
async fn limits_of_a_namespace_bind_its_pods() {
    let place = Place::with(&[]).await;
    let limit = json!({"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "500m"}});
    place.make("", "limitranges", json!({"metadata": {"name": "l"}, "spec": {"limits": [limit]}})).await.unwrap();
    let made = place.make("", "pods", pod("a")).await.unwrap();
    assert_eq!(made["spec"]["containers"][0]["resources"]["limits"]["cpu"], "500m");
    let mut greedy = pod("b");
    greedy["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "2"}});
    assert_eq!(
        place.make("", "pods", greedy).await.unwrap_err().message,
        "pods \"b\" is forbidden: maximum cpu usage per Container is 1, but limit is 2"
    );
}

#[tokio::test]
async fn plugins_that_are_off_by_default_do_their_work_when_they_are_on() {
    let place = Place::with(&["AlwaysPullImages", "DenyServiceExternalIPs"]).await;
    let made = place.make("", "pods", pod("a")).await.unwrap();
    assert_eq!(made["spec"]["containers"][0]["imagePullPolicy"], "Always");
    let spec = json!({"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]});
    let service = place.make("", "services", json!({"metadata": {"name": "s"}, "spec": spec})).await;
    assert!(service.unwrap_err().message.contains("Use of external IPs is denied by admission control"));
    place.delete("", "pods", "a").await.unwrap();
}

#[tokio::test]
async fn a_pod_carries_the_zone_of_its_node() {
    let place = Place::with(&[]).await;
    let labels = json!({"topology.kubernetes.io/zone": "z", "other": "o"});
    place.make("", "nodes", json!({"metadata": {"name": "n", "labels": labels}})).await.unwrap();
    let mut claims = pod("a");
    claims["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "claimed"});
    place.make("", "pods", claims).await.unwrap();
    let bound = place.change(("", "pods", "a"), "binding", |pod| pod["spec"]["nodeName"] = json!("n")).await.unwrap();
    assert_eq!(bound["metadata"]["labels"], json!({"topology.kubernetes.io/zone": "z"}));
}

#[tokio::test]
async fn a_kubelet_touches_its_own_node_and_pods_alone() {
    let mut place = Place::with(&["NodeRestriction"]).await;
    place.make("", "nodes", json!({"metadata": {"name": "other"}})).await.unwrap();
    let mut bound = pod("p");
    bound["spec"]["nodeName"] = json!("other");
    place.make("", "pods", bound).await.unwrap();
    place.caller = Caller::new("system:node:n", ["system:nodes"]);
    let labels = json!({"kubernetes.io/hostname": "n", "node-role.kubernetes.io/master": ""});
    let refused = place.make("", "nodes", json!({"metadata": {"name": "n", "labels": labels}})).await.unwrap_err();
    assert_eq!(
        refused.message,
        "nodes \"n\" is forbidden: node \"n\" is not allowed to set the following labels: node-role.kubernetes.io/master"
    );
    place.make("", "nodes", json!({"metadata": {"name": "n"}})).await.unwrap();
    let mine = ("", "nodes", "n");
    place.change(mine, "status", |node| node["status"]["phase"] = json!("Running")).await.unwrap();
    let tainted = place.change(mine, "", |node| node["spec"]["taints"] = json!([])).await.unwrap_err();
    assert_eq!(tainted.message, "nodes \"n\" is forbidden: node \"n\" is not allowed to modify taints");
    let other = place.change(("", "nodes", "other"), "status", |_| {}).await.unwrap_err();
    assert_eq!(other.message, "nodes \"other\" is forbidden: node \"n\" is not allowed to modify node \"other\"");
    let refused = place.delete("", "pods", "p").await.unwrap_err();
    assert_eq!(
        refused.message,
        "pods \"p\" is forbidden: node \"n\" can only delete pods with spec.nodeName set to itself"
    );
    let refused = place.change(("", "pods", "p"), "status", |_| {}).await.unwrap_err();
    assert!(refused.message.contains("can only update pod status for pods with spec.nodeName set to itself"));
    let refused = place.make("", "pods", pod("own")).await.unwrap_err();
    assert!(refused.message.contains("can only create mirror pods"), "{refused}");
    let lease = place.make("coordination.k8s.io", "leases", json!({"metadata": {"name": "n"}})).await.unwrap_err();
    assert!(lease.message.contains("can only access leases in the \"kube-node-lease\" system namespace"));
}
