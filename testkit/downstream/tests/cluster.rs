//! What a user of the crate writes.

use k8s_openapi::api::core::v1::Node;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

#[tokio::test]
async fn a_kube_client_sees_the_nodes() -> Result<(), Box<dyn std::error::Error>> {
    // Two providers are linked into this test, so kube asks which is meant. Tinyplane never asks, and never decides.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = tinyplane::Cluster::builder().nodes(1).start().await?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("admin"))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let nodes = Api::<Node>::all(Client::try_from(config)?).list(&Default::default()).await?;
    assert_eq!(nodes.items[0].metadata.name.as_deref(), Some("node-1"));
    assert!(cluster.stop().await.unexpected_errors().is_empty());
    Ok(())
}
