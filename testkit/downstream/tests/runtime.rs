//! kube's runtime against a cluster: a store that follows a watch, and a controller with a finalizer and what it owns.

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(60);
const FINALIZER: &str = "downstream.tinyplane.dev/copy";

async fn client(cluster: &tinyplane::Cluster) -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("admin"))?;
    Ok(Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?)
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some(BTreeMap::from([("copy".into(), "yes".into())])),
            ..Default::default()
        },
        data: Some(BTreeMap::from([("a".into(), value.into())])),
        ..Default::default()
    }
}

/// Keeps a Secret beside each ConfigMap, which lives for as long as its ConfigMap.
async fn reconcile(source: Arc<ConfigMap>, client: Arc<Client>) -> std::result::Result<Action, Failure> {
    let space = source.namespace().unwrap_or_default();
    let sources: Api<ConfigMap> = Api::namespaced((*client).clone(), &space);
    let secrets: Api<Secret> = Api::namespaced((*client).clone(), &space);
    let copied = finalizer(&sources, FINALIZER, source, |event| async move {
        match event {
            Event::Apply(source) => {
                let copy = Secret {
                    metadata: ObjectMeta {
                        name: source.metadata.name.clone(),
                        owner_references: Some(vec![source.controller_owner_ref(&()).expect("it has a uid")]),
                        ..Default::default()
                    },
                    string_data: source.data.clone(),
                    ..Default::default()
                };
                secrets.patch(&source.name_any(), &PatchParams::apply("copier"), &Patch::Apply(&copy)).await?;
            }
            Event::Cleanup(source) => drop(secrets.delete(&source.name_any(), &DeleteParams::default()).await?),
        }
        Ok::<_, kube::Error>(Action::await_change())
    });
    copied.await.map_err(|error| Failure(error.to_string()))
}

#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

#[tokio::test]
async fn a_controller_with_a_finalizer_keeps_what_it_owns() -> Result {
    let cluster = tinyplane::Cluster::builder().nodes(0).start().await?;
    let client = client(&cluster).await?;
    let sources: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let (copies, writer) = reflector::store();
    let mirror = reflector(writer, watcher(secrets.clone(), watcher::Config::default())).default_backoff();
    let mirror = tokio::spawn(mirror.for_each(|_| std::future::ready(())));
    let controller = Controller::new(sources.clone(), watcher::Config::default().labels("copy=yes"))
        .owns(secrets.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(20)), Arc::new(client.clone()));
    let controller = tokio::spawn(controller.for_each(|_| std::future::ready(())));

    sources.create(&PostParams::default(), &config_map("settings", "1")).await?;
    let copied = async |value: &str| {
        let wished = |copy: &Secret| {
            copy.name_any() == "settings" && copy.data.as_ref().is_some_and(|data| data["a"].0 == value.as_bytes())
        };
        // Each look waits for an answer, in which the controller and the store come to their turn.
        while copies.find(wished).is_none() {
            secrets.get_opt("settings").await?;
        }
        Ok::<_, kube::Error>(())
    };
    timeout(PATIENCE, copied("1")).await??;
    let newer = config_map("settings", "2");
    sources.patch("settings", &PatchParams::apply("user").force(), &Patch::Apply(&newer)).await?;
    timeout(PATIENCE, copied("2")).await??;
    secrets.delete("settings", &DeleteParams::default()).await?;
    timeout(PATIENCE, async {
        while secrets.get_opt("settings").await?.is_none() {}
        Ok::<_, kube::Error>(())
    })
    .await??;
    let found = sources.get("settings").await?;
    assert_eq!(found.finalizers(), [FINALIZER]);
    sources.delete("settings", &DeleteParams::default()).await?;
    timeout(PATIENCE, async {
        while sources.get_opt("settings").await?.is_some() {}
        Ok::<_, kube::Error>(())
    })
    .await??;
    assert!(secrets.get_opt("settings").await?.is_none(), "the copy went before its source");

    controller.abort();
    mirror.abort();
    assert!(cluster.stop().await.unexpected_errors().is_empty());
    Ok(())
}
