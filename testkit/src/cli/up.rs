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
use tinyplane_wire::process::{Lifeline, until_told_to_end};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let progress = Progress::new();
    let told = until_told_to_end(Lifeline::None);
    tokio::pin!(told);
    let starting = start(arguments.options.builder()?, &progress);
    let cluster = tokio::select! {
        cluster = starting => cluster?,
        _ = &mut told => return Ok(ExitCode::SUCCESS),
    };
    let kubeconfig = arguments.options.place_kubeconfig(&cluster)?;
    progress.done();
    greet(&cluster, &kubeconfig);
    let cluster = Arc::new(cluster);
    let control = Control::serve(&cluster).map_err(|e| Failure::later(format!("no control socket: {e}")))?;
    let why = told.await.map_err(|e| Failure::later(format!("no signals: {e}")))?;
    drop(control);
    say(&format!("{why}: stopping"));
    stop(cluster).await;
    Ok(ExitCode::SUCCESS)
}

/// Starts a cluster, showing how it comes along.
pub(super) async fn start(builder: Builder, progress: &Progress) -> Result<Cluster, Failure> {
    let seen = progress.clone();
    Ok(builder.observer(move |event| seen.observe(event)).start().await?)
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
    say(&format!("everything is ready, {} nodes among it, after {:.0} ms", cluster.plan().nodes.len(), seconds * 1e3));
    say("");
    say(&format!("  export KUBECONFIG={}", kubeconfig.display()));
    say("  kubectl get nodes");
    say("  kubectl create deployment web --image=nginx --replicas=3");
    say("  kubectl get pods --watch");
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
