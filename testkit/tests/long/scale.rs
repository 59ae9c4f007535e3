//! As many nodes as a block of addresses holds, and thousands of pods on them.

use crate::scene::{end, wishes};
use serde_json::json;
use std::time::Duration;
use tinyplane_wire::gvr::Gvr;

/// What a /16 is sized for.
const NODES: usize = 1_000;
const PODS: usize = 5_000;
/// Longest that starting and running all of it may take, debug build and 2 cores included.
const LONGEST: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_nodes_run_five_thousand_pods_and_are_rid_of_them() {
    let cluster = wishes().nodes(NODES).patience(LONGEST).start().await.expect("it starts");
    let admin = cluster.admin();
    let labels = json!({"app": "many"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"},
        "spec": {
            "replicas": PODS, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "pause"}]}},
        },
    });
    admin.create(deployment).await.expect("it is created");
    admin.wait_for("deployment/many", "condition=Available", LONGEST).await.expect("its pods become available");
    let pods = Gvr::new("", "v1", "pods");
    let running = async || {
        let listed = admin.client().list(&pods, Some("default"), "fieldSelector=status.phase%3DRunning").await;
        listed.expect("a list")["items"].as_array().map_or(0, Vec::len)
    };
    tokio::time::timeout(LONGEST, async {
        let mut last = 0;
        while last < PODS {
            let now = running().await;
            assert!(now >= last, "{last} pods ran, and now {now}");
            last = now;
        }
    })
    .await
    .expect("all of them run");
    let listed = admin.client().list(&pods, Some("default"), "").await.expect("a list");
    let items = listed["items"].as_array().expect("items");
    let mut addresses: Vec<&str> = items.iter().filter_map(|p| p["status"]["podIP"].as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), PODS, "every pod has an address of its own");
    admin.delete("deployment/many").await.expect("it is deleted");
    tokio::time::timeout(LONGEST, async {
        while !admin.client().list(&pods, Some("default"), "limit=1").await.expect("a list")["items"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {}
    })
    .await
    .expect("its pods go with it");
    end(cluster).await;
}
