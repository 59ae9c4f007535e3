//! Gives every namespace its `default` ServiceAccount and the ConfigMap `kube-root-ca.crt`.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::{Cache, Client, ClientError, WorkQueue};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;

/// The ConfigMap's name.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Starts the loop; accounts and ConfigMaps are written by an account each.
pub(crate) fn start(context: &Arc<Context>, publisher: &Context, root_ca: Option<String>) {
    let queue = Arc::new(WorkQueue::new());
    let namespaces = context.cache(&kinds::namespaces());
    let accounts = context.cache(&kinds::service_accounts());
    let maps = context.cache(&kinds::config_maps());
    enqueue_changes(&namespaces, &queue);
    for (cache, watched) in [(&accounts, "default"), (&maps, ROOT_CA)] {
        let queue = Arc::clone(&queue);
        cache.on_change(move |change| {
            let meta = Meta::of(change.object());
            if meta.name() == watched {
                queue.add(meta.namespace());
            }
        });
    }
    let reads = vec![Arc::clone(&namespaces), Arc::clone(&accounts), Arc::clone(&maps)];
    let (client, publisher) = (context.client.clone(), publisher.client.clone());
    run(context, &queue, reads, Furnish { client, publisher, namespaces, accounts, maps, root_ca });
}

struct Furnish {
    client: Client,
    publisher: Client,
    namespaces: Arc<Cache>,
    accounts: Arc<Cache>,
    maps: Arc<Cache>,
    root_ca: Option<String>,
}

impl Reconcile for Furnish {
    const NAME: &'static str = "serviceaccount";

    async fn reconcile(&self, namespace: &str) -> Result<After, ClientError> {
        let alive = self.namespaces.get(namespace).is_some_and(|n| n["status"]["phase"] != "Terminating");
        if !alive {
            return Ok(After::Rest);
        }
        if self.accounts.get(&format!("{namespace}/default")).is_none() {
            make(
                &self.client,
                &kinds::service_accounts(),
                namespace,
                &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
            )
            .await?;
        }
        let Some(root_ca) = &self.root_ca else { return Ok(After::Rest) };
        match self.maps.get(&format!("{namespace}/{ROOT_CA}")) {
            None => make(&self.publisher, &kinds::config_maps(), namespace, &root_ca_map(root_ca)).await?,
            Some(map) if map["data"]["ca.crt"] != root_ca.as_str() => {
                let mut map = Value::clone(&map);
                map["data"] = json!({"ca.crt": root_ca});
                self.publisher.update(&kinds::config_maps(), None, &map).await?;
            }
            Some(_) => {}
        }
        Ok(After::Rest)
    }
}

async fn make(client: &Client, gvr: &Gvr, namespace: &str, object: &Value) -> Result<(), ClientError> {
    match client.create(gvr, Some(namespace), object).await {
        Err(error) if !error.is_already_exists() => Err(error),
        _ => Ok(()),
    }
}

fn root_ca_map(root_ca: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": ROOT_CA,
            "annotations": {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."},
        },
        "data": {"ca.crt": root_ca},
    })
}
