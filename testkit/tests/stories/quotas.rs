//! Quotas of custom resources, and of built-in ones by their number.

use crate::scene::{Kubectl, end, wishes};
use serde_json::json;
use std::sync::Arc;

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.shop.example.com}
spec:
  group: shop.example.com
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
const QUOTA: &str = "
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {count/gadgets.shop.example.com: 5, count/deployments.apps: 1, count/leases.coordination.k8s.io: 2}}
";
const DEPLOYMENT: &str = "create deployment --image=x --replicas=0";

fn defined(kubectl: &Kubectl) {
    kubectl.create(DEFINITION);
    kubectl.run("wait --for=condition=Established crd/gadgets.shop.example.com");
}

/// Waits until the quota tells that so many gadgets are used.
fn used(kubectl: &Kubectl, gadgets: &str) {
    let told = r"get quota few -o jsonpath={.status.used.count/gadgets\.shop\.example\.com}";
    kubectl.until(told, |used| used == gadgets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_counts_custom_resources_exactly_and_gives_back_what_goes() {
    let cluster = wishes().nodes(0).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    // A quota may speak of what is defined after it.
    kubectl.create(QUOTA);
    defined(&kubectl);
    used(&kubectl, "0");
    let admin = Arc::new(cluster.admin().clone());
    let writers = (0..20).map(|at| {
        let admin = Arc::clone(&admin);
        tokio::spawn(
            async move { admin.create(json!({"kind": "Gadget", "metadata": {"name": format!("g{at}")}})).await },
        )
    });
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.expect("it ends") {
            Ok(gadget) => made.push(gadget["metadata"]["name"].as_str().expect("it has a name").to_owned()),
            Err(error) => refused.push(error.to_string()),
        }
    }
    assert_eq!((made.len(), refused.len()), (5, 15), "{refused:?}");
    let told = "exceeded quota: few, requested: count/gadgets.shop.example.com=1, used: count/gadgets.shop.example.com=5, limited: count/gadgets.shop.example.com=5";
    assert!(refused.iter().all(|refusal| refusal.contains(told)), "{refused:?}");
    used(&kubectl, "5");
    kubectl.run(&format!("delete gadget {} {}", made[0], made[1]));
    used(&kubectl, "3");
    kubectl.run("delete crd gadgets.shop.example.com");
    used(&kubectl, "0");
    defined(&kubectl);
    admin.create(json!({"kind": "Gadget", "metadata": {"name": "again"}})).await.expect("there is room");
    used(&kubectl, "1");
    kubectl.run("delete gadget again");
    used(&kubectl, "0");
    kubectl.run(&format!("{DEPLOYMENT} one"));
    let second = kubectl.fails(&format!("{DEPLOYMENT} two"));
    assert!(second.contains("exceeded quota: few, requested: count/deployments.apps=1"), "{second}");
    kubectl.run("delete deployment one");
    kubectl.until(r"get quota few -o jsonpath={.status.used.count/deployments\.apps}", |used| used == "0");
    kubectl.run(&format!("{DEPLOYMENT} two"));
    end(cluster).await;
}
