//! The options of a cluster, as `up` and `run` share them.

use super::Failure;
use crate::cluster::TUNNEL_ENDS_MAX;
use crate::{Builder, Cluster, Egress, RunnerChoice, Storage};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tinyplane_wire::clock::duration_flag;

/// What kind of cluster to start.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// How many nodes [default: 2]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    nodes: Option<usize>,
    /// How the API server reaches nodes: direct, konnectivity-grpc, konnectivity-http-connect or ssh [default: konnectivity-grpc]
    #[arg(long, value_name = "WAY")]
    egress: Option<Egress>,
    /// How many Konnectivity servers, with one address before them [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(TUNNEL_ENDS_MAX)))]
    konnectivity_servers: Option<u8>,
    /// How many Konnectivity agents [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(TUNNEL_ENDS_MAX)))]
    agents: Option<u8>,
    /// Where objects are kept: memory or sled [default: sled]
    #[arg(long, value_name = "STORE")]
    store: Option<Storage>,
    /// How far back changes can be watched from; 0 for as far as memory allows [default: 5m0s]
    #[arg(long, value_name = "DURATION", value_parser = duration_flag)]
    etcd_compaction_interval: Option<Duration>,
    /// Put a relay on every link, for `tinyplane fault`
    #[arg(long)]
    links: bool,
    /// Run no controllers; with `--nodes 0` there is the API server alone
    #[arg(long)]
    no_controllers: bool,
    /// Leave a member that ended as it is, instead of starting it again
    #[arg(long)]
    no_restart: bool,
    /// Keep the cluster in this folder: the same comes back at the next start [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write the kubeconfig into this file as well
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Write down which path each request takes, for `tinyplane paths`
    #[arg(long)]
    ledger: bool,
    /// Verbosity of the members' logs
    #[arg(short, long = "verbosity", value_name = "N", default_value_t = 1)]
    v: u8,
}

impl Options {
    pub(super) fn builder(&self) -> Result<Builder, Failure> {
        let this =
            std::env::current_exe().map_err(|e| Failure::later(format!("this program does not find itself: {e}")))?;
        let mut builder = Cluster::builder()
            .runner(RunnerChoice::ProcessesOf(this))
            .restart(!self.no_restart)
            .verbosity(self.v)
            .links(self.links)
            .ledger(self.ledger);
        if let Some(nodes) = self.nodes {
            builder = builder.nodes(nodes);
        }
        if let Some(egress) = self.egress {
            builder = builder.egress(egress);
        }
        if let Some(servers) = self.konnectivity_servers {
            builder = builder.konnectivity_servers(servers);
        }
        if let Some(agents) = self.agents {
            builder = builder.agents(agents);
        }
        if let Some(interval) = self.etcd_compaction_interval {
            builder = builder.compaction_interval(interval);
        }
        if self.no_controllers {
            builder = builder.controllers(false);
        }
        builder = match (&self.data_dir, self.store) {
            // A kept cluster says itself where its objects are; only a new one takes the default.
            (Some(folder), None) if folder.join("tinyplane.json").exists() => builder,
            (_, store) => builder.storage(store.unwrap_or(Storage::Sled)),
        };
        if let Some(folder) = &self.data_dir {
            builder = builder.data_dir(folder);
        }
        if let Some(file) = &self.kubeconfig {
            check_replaceable(file)?;
            builder = builder.kubeconfig_copy(file);
        }
        Ok(builder)
    }

    /// The kubeconfig to use: the wished copy, if there is one.
    pub(super) fn kubeconfig_of(&self, cluster: &Cluster) -> PathBuf {
        match &self.kubeconfig {
            Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            None => cluster.kubeconfig("admin"),
        }
    }
}

/// A kubeconfig of somebody else is not replaced, and what can't be written is told before anything is started.
fn check_replaceable(file: &Path) -> Result<(), Failure> {
    let refused = |e: io::Error| Failure::usage(format!("{} can't be used: {e}", file.display()));
    match std::fs::read_to_string(file) {
        Ok(text) if text.contains("\"current-context\": \"tinyplane\"") || text.trim().is_empty() => {}
        Ok(_) => {
            return Err(Failure::usage(format!(
                "{} is a kubeconfig of another cluster and stays as it is: name a new file",
                file.display()
            )));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(refused(e)),
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(drop).map_err(refused)
}
