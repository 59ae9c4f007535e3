//! Empties a namespace that is being deleted, then lets it go.

use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Cache, Client, ClientError, WorkQueue};
use tinyplane_wire::gvr::Gvr;

/// The finalizer that this loop takes away.
const FINALIZER: &str = "kubernetes";
/// How soon to look again while something is left.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let namespaces = context.cache(&kinds::namespaces());
    enqueue_changes(&namespaces, &queue);
    let client = context.client.clone();
    run(context, &queue, vec![Arc::clone(&namespaces)], Empty { client, namespaces });
}

struct Empty {
    client: Client,
    namespaces: Arc<Cache>,
}

impl Reconcile for Empty {
    const NAME: &'static str = "namespace";

    async fn reconcile(&self, name: &str) -> Result<After, ClientError> {
        let Some(namespace) = self.namespaces.get(name) else { return Ok(After::Rest) };
        if namespace["status"]["phase"] != "Terminating" {
            return Ok(After::Rest);
        }
        let mut left = 0;
        for (gvr, verbs) in deletable(&self.client).await? {
            left += self.empty(&gvr, &verbs, name).await?;
        }
        if left > 0 {
            return Ok(After::Again(LOOK_AGAIN));
        }
        self.finalize(&namespace).await?;
        Ok(After::Rest)
    }
}

impl Empty {
    /// Deletes all of a resource in a namespace, and says how many are left.
    async fn empty(&self, gvr: &Gvr, verbs: &[String], namespace: &str) -> Result<usize, ClientError> {
        let listed = match self.client.list(gvr, Some(namespace), "").await {
            Err(error) if error.is_not_found() => return Ok(0),
            listed => listed?,
        };
        let items = listed["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return Ok(0);
        }
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        if verbs.iter().any(|v| v == "deletecollection") {
            self.client.request(Method::DELETE, &gvr.collection(Some(namespace)), Some(&options)).await?;
        } else {
            for item in items {
                let name = item["metadata"]["name"].as_str().unwrap_or_default();
                match self.client.delete(gvr, Some(namespace), name, &options).await {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(items.len())
    }

    async fn finalize(&self, namespace: &Value) -> Result<(), ClientError> {
        let mut wished = namespace.clone();
        if let Some(finalizers) = wished.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|f| f != FINALIZER);
        }
        match self.client.update(&kinds::namespaces(), Some("finalize"), &wished).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Every resource in namespaces that can be listed and deleted, by the server's own word.
pub(crate) async fn deletable(client: &Client) -> Result<Vec<(Gvr, Vec<String>)>, ClientError> {
    Ok(discover(client).await?.into_iter().filter(|d| d.namespaced).map(|d| (d.gvr, d.verbs)).collect())
}

/// A resource that can be listed, watched and deleted.
pub(crate) struct Discovered {
    pub(crate) gvr: Gvr,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
}

/// Asks the server what it serves, each resource in its preferred version.
pub(crate) async fn discover(client: &Client) -> Result<Vec<Discovered>, ClientError> {
    let roots = client.request(Method::GET, "/apis", None).await?;
    let mut versions = vec!["v1".to_owned()];
    // The preferred one is the first of each group; a resource may be served in a later one alone.
    let served = |group: &Value| group["versions"].as_array().cloned().unwrap_or_default();
    let groups = roots["groups"].as_array().into_iter().flatten().flat_map(served);
    versions.extend(groups.filter_map(|version| version["groupVersion"].as_str().map(str::to_owned)));
    let mut found: Vec<Discovered> = Vec::new();
    for version in versions {
        let path = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let listed = match client.request(Method::GET, &path, None).await {
            // Its last definition went in between.
            Err(error) if error.is_not_found() => continue,
            listed => listed?,
        };
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        for resource in listed["resources"].as_array().into_iter().flatten() {
            let verbs: Vec<String> =
                resource["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect();
            let name = resource["name"].as_str().unwrap_or_default();
            let can = |verb: &str| verbs.iter().any(|v| v == verb);
            // Events of events.k8s.io are the core group's, under another name.
            if name.contains('/') || group == "events.k8s.io" || !(can("list") && can("watch") && can("delete")) {
                continue;
            }
            if found.iter().any(|known| known.gvr.group == group && known.gvr.resource == name) {
                continue;
            }
            found.push(Discovered {
                gvr: Gvr::new(group, version, name),
                kind: resource["kind"].as_str().unwrap_or_default().into(),
                namespaced: resource["namespaced"].as_bool().unwrap_or_default(),
                verbs,
            });
        }
    }
    Ok(found)
}
