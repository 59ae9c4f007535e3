//! `tinyplane up`: a cluster in the foreground.

use super::control::Control;
use super::options::Options;
use super::progress::Progress;
use super::{Failure, answer, say};
use crate::{Builder, Cluster};
use clap::Args;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tinyplane_wire::process::{Lifeline, Orders, Shutdown};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let progress = Progress::new();
    let mut orders = orders()?;
    let Some(cluster) = start(arguments.options.builder()?, &progress, orders.next()).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let kubeconfig = arguments.options.kubeconfig_of(&cluster);
    progress.done();
    greet(&cluster, &kubeconfig);
    let cluster = Arc::new(cluster);
    let control = Control::serve(&cluster).map_err(|e| Failure::later(format!("no control socket: {e}")))?;
    let why = orders.next().await.word();
    drop(control);
    say(&format!("{why}: stopping"));
    stop(cluster).await;
    Ok(ExitCode::SUCCESS)
}

/// The words to end. They are heard from here on, before anything is begun that has to be ended.
pub(super) fn orders() -> Result<Orders, Failure> {
    Orders::listen(Lifeline::None).map_err(|e| Failure::later(format!("no signals: {e}")))
}

/// Starts a cluster, showing how it comes along. `None`: `told` came first, and nothing of the cluster is left.
pub(super) async fn start(
    builder: Builder,
    progress: &Progress,
    told: impl Future,
) -> Result<Option<Cluster>, Failure> {
    let (seen, give_up) = (progress.clone(), Shutdown::new());
    let starting = builder.observer(move |event| seen.observe(event)).given_up_at(give_up.clone()).start();
    tokio::pin!(starting);
    tokio::select! {
        cluster = &mut starting => Ok(Some(cluster?)),
        _ = told => {
            give_up.cancel();
            if let Ok(cluster) = starting.await {
                cluster.stop().await;
            }
            Ok(None)
        }
    }
}

/// Ends a cluster whose handle nobody else uses any more.
pub(super) async fn stop(cluster: Arc<Cluster>) {
    match Arc::try_unwrap(cluster) {
        Ok(cluster) => drop(cluster.stop().await),
        // A command of the control socket is at work: dropping the last handle ends the members as well.
        Err(shared) => drop(shared),
    }
}

fn greet(cluster: &Cluster, kubeconfig: &Path) {
    let seconds = cluster.ready_in().as_secs_f64();
    let (nodes, millis) = (cluster.plan().nodes.len(), seconds * 1e3);
    match nodes {
        0 => say(&format!("everything is ready after {millis:.0} ms")),
        nodes => say(&format!("everything is ready, {nodes} nodes among it, after {millis:.0} ms")),
    }
    say("");
    say(&format!("  export KUBECONFIG={}", kubeconfig.display()));
    let next = match nodes {
        0 => ["get namespaces", "create configmap first --from-literal=key=value", "get configmaps --all-namespaces"],
        _ => ["get nodes", "create deployment web --image=nginx --replicas=3", "get pods --watch"],
    };
    next.iter().for_each(|words| say(&format!("  kubectl {words}")));
    say("");
    let members: Vec<_> = cluster
        .members()
        .into_iter()
        .map(|view| json!({"name": view.member.to_string(), "pid": view.pid, "addresses": view.addresses}))
        .collect();
    answer(
        &json!({
            "server": cluster.server(),
            "kubeconfig": kubeconfig,
            "dataDir": cluster.data_dir(),
            "readySeconds": (seconds * 1e3).round() / 1e3,
            "members": members,
        })
        .to_string(),
    );
}
