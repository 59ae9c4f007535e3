//! Leader election over kube: one of two candidates leads, and the other follows when the first one leaves.

use k8s_openapi::api::coordination::v1::Lease;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use kube_lease_manager::{LeaseCreateMode, LeaseManager, LeaseManagerBuilder};
use std::time::Duration;
use tokio::time::timeout;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(60);
const LEASE: &str = "captain";

async fn candidate(client: &Client, name: &str) -> Result<LeaseManager> {
    let builder = LeaseManagerBuilder::new(client.clone(), LEASE)
        .with_create_mode(LeaseCreateMode::AutoCreate)
        .with_identity(name)
        .with_field_manager(name)
        .with_duration(3)
        .with_grace(1);
    Ok(builder.build().await?)
}

#[tokio::test]
async fn the_second_candidate_leads_when_the_first_one_leaves() -> Result {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = tinyplane::Cluster::builder().nodes(0).controllers(false).start().await?;
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("admin"))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    let holder = async || {
        let spec = leases.get(LEASE).await?.spec.unwrap_or_default();
        Ok::<_, kube::Error>(spec.holder_identity.unwrap_or_default())
    };

    let (mut first, first_task) = candidate(&client, "first").await?.watch().await;
    timeout(PATIENCE, first.wait_for(|leads| *leads)).await??;
    assert_eq!(holder().await?, "first");
    let (mut second, second_task) = candidate(&client, "second").await?.watch().await;
    assert!(!*second.borrow(), "two lead at once");

    // Who hears no more of the lock gives it back.
    drop(first);
    timeout(PATIENCE, second.wait_for(|leads| *leads)).await??;
    assert_eq!(holder().await?, "second");
    timeout(PATIENCE, first_task).await???;

    drop(second);
    timeout(PATIENCE, second_task).await???;
    assert_eq!(holder().await?, "", "the lock is free again");
    assert!(cluster.stop().await.unexpected_errors().is_empty());
    Ok(())
}
