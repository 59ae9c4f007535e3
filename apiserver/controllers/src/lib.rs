//! The scheduler and the control loops: a client of the API over its secure port like anyone else.

mod cluster_roles;
mod context;
mod control_loop;
mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod duration;
mod endpoints;
mod expectations;
#[cfg(feature = "cli")]
pub mod flags;
mod garbage;
mod hash;
mod identity;
mod job;
mod kinds;
mod namespace;
mod node_lifecycle;
mod ownership;
mod pod_control;
mod pod_garbage;
mod pods;
mod quantity;
mod quota;
mod recorder;
mod replica_set;
mod revisions;
mod scheduler;
mod service_account;
mod serving;
mod signing;
mod stateful_set;
mod ttl_after_finished;

use context::{Context, Pulse, Shared};
use identity::Identities;
use serving::{Checks, Endpoints, Ports};
use signing::Signers;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Client, ClientError};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::Authority;
use tinyplane_wire::ledger::Ledger;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::checks::Passes;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// What the controllers need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kubeconfig: where the API server is, and who the controllers are there.
    pub kubeconfig: PathBuf,
    /// The kubeconfig of the scheduler, where it is another user.
    pub scheduler_kubeconfig: Option<PathBuf>,
    /// Whether each loop acts as an account of `kube-system` (`--use-service-account-credentials`).
    pub use_service_account_credentials: bool,
    /// The public root certificate that every namespace gets as ConfigMap `kube-root-ca.crt` (`--root-ca-file`).
    pub root_ca_file: Option<PathBuf>,
    /// The authority that signs certificates, and its key (`--cluster-signing-cert-file`, `--cluster-signing-key-file`);
    /// without them none are signed.
    pub cluster_signing_files: Option<(PathBuf, PathBuf)>,
    /// Longest life of a certificate that is signed (`--cluster-signing-duration`).
    pub cluster_signing_duration: Duration,
    /// How many pods that have ended are kept; 0 for all (`--terminated-pod-gc-threshold`).
    pub terminated_pod_gc_threshold: usize,
    /// Where both the control loops and the scheduler are asked how they are (`--bind-address`).
    pub bind_address: IpAddr,
    /// The control loops' port there (`--secure-port`); `None` for none.
    pub secure_port: Option<u16>,
    /// The scheduler's port there; `None` for none.
    pub scheduler_secure_port: Option<u16>,
    /// Address to dial from.
    pub source_address: Option<IpAddr>,
    /// Where the hops are written down that begin here (`--ledger-file`); `None` for nowhere.
    pub ledger_file: Option<PathBuf>,
    /// Addresses of the cluster.
    pub cluster_net: ClusterNet,
    /// How often nodes are looked at (`--node-monitor-period`).
    pub node_monitor_period: Duration,
    /// How long a node may be silent before it counts as unreachable (`--node-monitor-grace-period`).
    pub node_monitor_grace_period: Duration,
}

impl Config {
    /// Upstream's defaults, with this kubeconfig.
    #[must_use]
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            scheduler_kubeconfig: None,
            use_service_account_credentials: false,
            root_ca_file: None,
            cluster_signing_files: None,
            cluster_signing_duration: Duration::from_secs(365 * 24 * 3600),
            terminated_pod_gc_threshold: 12_500,
            bind_address: Ipv4Addr::UNSPECIFIED.into(),
            secure_port: Some(serving::MANAGER_PORT),
            scheduler_secure_port: Some(serving::SCHEDULER_PORT),
            source_address: None,
            ledger_file: None,
            cluster_net: ClusterNet::default(),
            node_monitor_period: Duration::from_secs(5),
            node_monitor_grace_period: Duration::from_secs(50),
        }
    }
}

/// Starts the scheduler and all control loops. They wait for the API server and begin when it answers.
///
/// # Errors
/// When the kubeconfig or the root certificate can't be read, or an address can't be bound.
#[expect(clippy::unused_async, reason = "every member starts by the same signature")]
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    let ledger = Ledger::wished(config.ledger_file.as_deref(), "controllers", &clock)?;
    let open = |path: &Path, agent: &str| {
        let opened = Client::from_kubeconfig(path, config.source_address, agent).map_err(|e| unusable(path, e))?;
        Ok::<_, MemberError>(opened.recording(ledger.as_ref()))
    };
    let own = open(&config.kubeconfig, MANAGER_AGENT)?;
    let scheduler = match &config.scheduler_kubeconfig {
        Some(path) => open(path, SCHEDULER_AGENT)?,
        None => own.clone(),
    };
    let nobody = match config.use_service_account_credentials {
        true => Some(
            Client::nobody(&config.kubeconfig, config.source_address, MANAGER_AGENT)
                .map_err(|e| unusable(&config.kubeconfig, e))?
                .recording(ledger.as_ref()),
        ),
        false => None,
    };
    let root_ca = config.root_ca_file.as_deref().map(read).transpose()?;
    let (signers, ports) = (signers(&config)?, Ports::bind(&config)?);
    let shared = Shared::new(own.clone(), Identities::new(own.clone(), nobody, clock.clone()));
    let context = Context::new(own, &shared, clock.clone(), shutdown.clone());
    let scheduler = start_scheduler(&Context::new(scheduler, &shared, clock.clone(), shutdown.clone()));
    let manager = Endpoints::of_manager(start_loops(&context, &config, root_ca, signers));
    let served = ports.serve(manager, scheduler, &clock, &shutdown);
    if served.is_err() {
        // What was begun before the failure ends with it.
        shutdown.cancel();
    }
    let addresses = served?;
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        if let Some(ledger) = ledger {
            ledger.flush();
        }
        Ok(())
    });
    Ok(Running { addresses, task })
}

/// Starts the scheduler, and gives upstream's checks of it. Of its liveness upstream's has no other than that it answers: there, a
/// panic would have ended the program.
fn start_scheduler(context: &Arc<Context>) -> Endpoints {
    let (reads, shutdown) = (scheduler::start(context), context.shutdown.clone());
    let readyz: Checks = vec![
        ("shutdown", Box::new(move || !shutdown.is_cancelled())),
        ("sched-handler-sync", Box::new(move || reads.iter().all(|cache| cache.is_synced()))),
    ];
    let ping = || vec![alive("ping", &context.pulse)];
    Endpoints::of_scheduler(ping(), ping(), readyz)
}

fn alive(name: &'static str, pulse: &Pulse) -> (&'static str, Passes) {
    let pulse = pulse.clone();
    (name, Box::new(move || pulse.beats()))
}

/// Starts every loop but the scheduler, each as the account that upstream gives it, and gives a check of each by upstream's name.
fn start_loops(context: &Context, config: &Config, root_ca: Option<String>, signers: Option<Signers>) -> Checks {
    let mut checks = Checks::new();
    let mut acting_as = |account, names: &[&'static str]| {
        let context = context.acting_as(account);
        checks.extend(names.iter().map(|name| alive(name, &context.pulse)));
        context
    };
    namespace::start(&acting_as("namespace-controller", &["namespace-controller"]));
    let furnishes = ["serviceaccount-controller", "root-ca-certificate-publisher-controller"];
    service_account::start(
        &acting_as("service-account-controller", &furnishes),
        &acting_as("root-ca-cert-publisher", &[]),
        root_ca,
    );
    endpoints::start(
        &acting_as("endpoint-controller", &["endpoints-controller", "endpointslice-controller"]),
        &acting_as("endpointslice-controller", &[]),
    );
    replica_set::start(&acting_as("replicaset-controller", &["replicaset-controller"]));
    replica_set::start_controllers(&acting_as("replication-controller", &["replicationcontroller-controller"]));
    daemon_set::start(&acting_as("daemon-set-controller", &["daemonset-controller"]));
    stateful_set::start(&acting_as("statefulset-controller", &["statefulset-controller"]));
    deployment::start(&acting_as("deployment-controller", &["deployment-controller"]));
    job::start(&acting_as("job-controller", &["job-controller"]));
    ttl_after_finished::start(&acting_as("ttl-after-finished-controller", &["ttl-after-finished-controller"]));
    node_lifecycle::start(&acting_as("node-controller", &["node-lifecycle-controller"]), config);
    cron_job::start(&acting_as("cronjob-controller", &["cronjob-controller"]));
    disruption::start(&acting_as("disruption-controller", &["disruption-controller"]));
    quota::start(&acting_as("resourcequota-controller", &["resourcequota-controller"]));
    let collects = ["pod-garbage-collector-controller"];
    pod_garbage::start(&acting_as("pod-garbage-collector", &collects), config.terminated_pod_gc_threshold);
    let aggregates = ["clusterrole-aggregation-controller"];
    cluster_roles::start(&acting_as("clusterrole-aggregation-controller", &aggregates));
    let names = ["certificatesigningrequest-approving-controller", "certificatesigningrequest-signing-controller"];
    let names = if signers.is_some() { &names[..] } else { &names[..1] };
    let certificates = acting_as("certificate-controller", names);
    signing::start_approving(&certificates);
    if let Some(signers) = signers {
        signing::start_signing(&certificates, signers);
    }
    garbage::start(&acting_as("generic-garbage-collector", &["garbage-collector-controller"]));
    checks
}

/// What fields that the loops write are marked with: upstream's name of the program.
const MANAGER_AGENT: &str = concat!("kube-controller-manager/tinyplane-", env!("CARGO_PKG_VERSION"));
const SCHEDULER_AGENT: &str = concat!("kube-scheduler/tinyplane-", env!("CARGO_PKG_VERSION"));

fn signers(config: &Config) -> Result<Option<Signers>, MemberError> {
    let Some((certificate, key)) = &config.cluster_signing_files else { return Ok(None) };
    let authority = Authority::load(&read(certificate)?, &read(key)?)
        .map_err(|e| MemberError::because(format!("{} and {} can't sign", certificate.display(), key.display()), e))?;
    Ok(Some(Signers { authority, lifetime: config.cluster_signing_duration }))
}

fn read(path: &Path) -> Result<String, MemberError> {
    std::fs::read_to_string(path).map_err(|e| MemberError::because(format!("{} can't be read", path.display()), e))
}

fn unusable(path: &Path, error: ClientError) -> MemberError {
    MemberError::because(format!("{} can't be used", path.display()), error)
}
