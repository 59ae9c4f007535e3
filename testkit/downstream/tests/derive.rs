//! A custom resource that is derived from Rust types, from its definition to its scale, over kube.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, ValidationDirective};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::CustomResourceExt;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is wished of a fleet.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "downstream.tinyplane.dev", version = "v1", kind = "Fleet", namespaced, shortname = "fl")]
#[kube(status = "FleetStatus", selectable = ".spec.port")]
#[kube(scale(spec_replicas_path = ".spec.ships", status_replicas_path = ".status.ships"))]
#[kube(printcolumn(name = "Ships", type_ = "integer", json_path = ".spec.ships"))]
struct FleetSpec {
    /// How many ships.
    #[schemars(range(min = 1, max = 9))]
    ships: i32,
    #[serde(default = "port")]
    port: String,
    flag: Option<Flag>,
}

fn port() -> String {
    "Hamburg".into()
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
enum Flag {
    Plain,
    Striped,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct FleetStatus {
    ships: i32,
}

#[tokio::test]
async fn a_derived_custom_resource_is_defined_checked_scaled_and_applied() -> Result {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = tinyplane::Cluster::builder().nodes(0).controllers(false).start().await?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("admin"))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;

    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.patch(Fleet::crd_name(), &PatchParams::apply("downstream"), &Patch::Apply(Fleet::crd())).await?;
    timeout(PATIENCE, await_condition(definitions, Fleet::crd_name(), conditions::is_crd_established())).await??;

    let fleets: Api<Fleet> = Api::default_namespaced(client);
    let spec = |ships| FleetSpec { ships, port: port(), flag: Some(Flag::Striped) };
    let too_many = fleets.create(&PostParams::default(), &Fleet::new("north", spec(10))).await;
    let told = too_many.expect_err("a fleet has nine ships at most").to_string();
    assert!(told.contains("spec.ships in body should be less than or equal to 9"), "{told}");

    fleets.create(&PostParams::default(), &Fleet::new("north", spec(2))).await?;
    let five = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let scaled = fleets.patch_scale("north", &PatchParams::default(), &five).await?;
    assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(5));
    let status = Patch::Merge(json!({"status": {"ships": 4}}));
    fleets.patch_status("north", &PatchParams::default(), &status).await?;
    let found = fleets.get("north").await?;
    assert_eq!((found.spec.ships, found.status.map(|status| status.ships)), (5, Some(4)));
    assert_eq!(found.spec.flag, Some(Flag::Striped));

    let applied = json!({
        "apiVersion": "downstream.tinyplane.dev/v1", "kind": "Fleet", "metadata": {"name": "south"}, "spec": {"ships": 1},
    });
    let south = fleets.patch("south", &PatchParams::apply("downstream"), &Patch::Apply(applied)).await?;
    assert_eq!(south.spec.port, "Hamburg", "the schema's default");
    let unknown = Patch::Merge(json!({"spec": {"chips": 3}}));
    let strict = PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let told = fleets.patch("south", &strict, &unknown).await.expect_err("there are no chips").to_string();
    assert!(told.contains("unknown field \"spec.chips\""), "{told}");

    let listed = fleets.list(&ListParams::default().fields("spec.port=Hamburg").limit(1)).await?;
    assert_eq!(listed.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["north"]);
    assert!(listed.metadata.continue_.is_some_and(|token| !token.is_empty()));
    fleets.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    assert!(fleets.list(&ListParams::default()).await?.items.is_empty());
    assert!(cluster.stop().await.unexpected_errors().is_empty());
    Ok(())
}
