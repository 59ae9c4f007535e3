//! The handle of a running cluster.

use super::builder::Builder;
use super::folder::Folder;
use super::links::{self, Links};
use super::plan::{Member, Plan, Security};
use super::ports::Whereabouts;
use super::report::Report;
use super::{ClusterError, RuntimeFolder};
use crate::address::Lease;
use crate::client::Admin;
use crate::fault::{Fault, Injected};
#[cfg(feature = "cli")]
use crate::fault::{Order, Outcome};
use crate::ledger::Ledger;
use crate::relay::Link;
use crate::runner::{
    EGRESS_FILE, Event, Kept, LEDGERS, NODES_FILE, Observer, Runner, Spec, Start, egress_configuration, nodes_file,
};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tinyplane_wire::process::{MemberError, Shutdown};

/// Longest wait for a member that was asked to end, before it is killed.
const STOP_MILLIS_MAX: u64 = 800;

/// What a cluster is started from.
pub(super) struct Ingredients {
    pub(super) plan: Arc<Plan>,
    pub(super) folder: Arc<Folder>,
    pub(super) lease: Lease,
    pub(super) runtime: RuntimeFolder,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) restart: bool,
    pub(super) verbosity: u8,
    pub(super) ledger: bool,
    pub(super) links: bool,
    pub(super) compaction_interval: Duration,
    pub(super) node_monitor_grace_period: Duration,
    pub(super) give_up: Shutdown,
    pub(super) observer: Observer,
}

/// A member as it is now.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Which.
    pub member: Member,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// Where it listens, by what.
    pub addresses: BTreeMap<String, SocketAddr>,
}

/// A running cluster. Dropping it ends its members; [`Cluster::stop`] also says how they were.
#[derive(Debug)]
pub struct Cluster {
    plan: Arc<Plan>,
    members: BTreeMap<Member, Kept>,
    admin: Admin,
    ready_in: Duration,
    ends: Arc<Mutex<Vec<String>>>,
    /// Ends what members are being started.
    give_up: Shutdown,
    runtime: RuntimeFolder,
    folder: Arc<Folder>,
    /// Relays before its members, where there are any.
    relays: Option<Links>,
    /// Whether every link is relayed.
    links: bool,
    keeps_ledger: bool,
    _lease: Lease,
}

impl Cluster {
    /// Wishes for a new cluster.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) async fn start(with: Ingredients, patience: Duration) -> Result<Self, ClusterError> {
        let began = Instant::now();
        let ends = Arc::new(Mutex::new(Vec::new()));
        let (members, relays) = start_members(&with, &ends).await?;
        let admin = Admin::open(&with.folder.kubeconfig("admin"))?;
        let cluster = Self {
            plan: with.plan,
            members,
            admin,
            ready_in: Duration::ZERO,
            ends,
            give_up: with.give_up,
            runtime: with.runtime,
            folder: with.folder,
            relays,
            links: with.links,
            keeps_ledger: with.ledger,
            _lease: with.lease,
        };
        let ready = tokio::select! {
            ready = cluster.admin.nodes_ready(cluster.plan.nodes.len(), patience) => ready,
            () = cluster.give_up.cancelled() => Err(MemberError::new("the start was given up").into()),
        };
        match ready {
            Ok(()) => Ok(Self { ready_in: began.elapsed(), ..cluster }),
            Err(error) => {
                cluster.stop().await;
                Err(error)
            }
        }
    }

    /// The plan that this cluster follows.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// `https://host:port` of the API server.
    #[must_use]
    pub fn server(&self) -> String {
        self.admin.server()
    }

    /// The kubeconfig of a user: `admin`, `controllers`, or a node's name.
    #[must_use]
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.kubeconfig(user)
    }

    /// The folder of the cluster.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.folder.root()
    }

    /// The short private folder of its Unix sockets.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        self.runtime.path()
    }

    /// The log of a member: what it says from level info on.
    #[must_use]
    pub fn log(&self, member: Member) -> PathBuf {
        self.folder.log(&member.to_string())
    }

    /// What all members have written down of the hops that requests took. Needs [`Builder::ledger`].
    ///
    /// # Errors
    /// When no ledger was wished.
    pub fn ledger(&self) -> Result<Ledger, ClusterError> {
        match self.keeps_ledger {
            true => Ok(Ledger::of(self.folder.file(LEDGERS))),
            false => Err(ClusterError::Wish("this cluster keeps no ledger: wish for one before it starts".into())),
        }
    }

    /// How long it took until all was ready.
    #[must_use]
    pub fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// A client with all rights.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The members as they are now.
    #[must_use]
    pub fn members(&self) -> Vec<MemberView> {
        let view = |(member, kept): (&Member, &Kept)| {
            let ready = kept.ready();
            MemberView {
                member: *member,
                pid: ready.as_ref().map(|r| r.pid),
                addresses: ready.map(|r| r.addresses).unwrap_or_default(),
            }
        };
        self.members.iter().map(view).collect()
    }

    /// Kills a member as kill -9 does. It stays dead unless restarts were wished.
    ///
    /// # Errors
    /// When the cluster has no such member.
    pub async fn kill(&self, member: Member) -> Result<(), ClusterError> {
        self.member(member)?.kill().await;
        Ok(())
    }

    /// Starts a member anew: same address, same certificates, same store. Waits until it serves.
    ///
    /// # Errors
    /// When the cluster has no such member, or it does not start.
    pub async fn restart(&self, member: Member) -> Result<(), ClusterError> {
        Ok(self.member(member)?.restart().await?)
    }

    /// Changes what is checked on the way to a node, from now on and until the cluster ends. The API server is started
    /// anew with other flags: same address, same certificates, same store.
    ///
    /// # Errors
    /// When the API server does not start.
    pub async fn secure(&self, security: Security) -> Result<(), ClusterError> {
        let plan = Plan { security, ..Plan::clone(&self.plan) };
        Ok(self.member(Member::Apiserver)?.restart_by(Arc::new(plan)).await?)
    }

    fn member(&self, member: Member) -> Result<&Kept, ClusterError> {
        self.members.get(&member).ok_or(ClusterError::NoMember(member))
    }

    /// Hurts a link from now on, until the guard is healed or dropped: connections that are there as well as those that come. Needs
    /// [`Builder::links`].
    ///
    /// # Errors
    /// When no links were wished, the cluster has no such link, or the fault can't be had.
    pub async fn inject(&self, link: Link<'_>, fault: Fault) -> Result<Injected, ClusterError> {
        self.relays()?.inject(&self.plan, link, fault).await
    }

    /// Does what a word about faults says.
    #[cfg(feature = "cli")]
    pub(crate) async fn obey(&self, order: Order) -> Result<Vec<Outcome>, ClusterError> {
        let done = order.obey(self.relays()?.board(), |place, fault| links::admits(&self.plan, place, fault));
        done.await.map_err(ClusterError::Wish)
    }

    fn relays(&self) -> Result<&Links, ClusterError> {
        let none =
            "the links of this cluster have no relays: wish for them when it starts, by `Builder::links` or --links";
        self.relays.as_ref().filter(|_| self.links).ok_or_else(|| ClusterError::Wish(none.into()))
    }

    /// Ends all members, at the same time and in under a second, and says how they were.
    pub async fn stop(self) -> Report {
        self.give_up.cancel();
        stop_members(&self.members).await;
        if let Some(relays) = &self.relays {
            relays.stop().await;
        }
        let ends = self.ends.lock().map(|ends| ends.clone()).unwrap_or_default();
        Report::new(ends, &self.plan, &self.folder)
    }
}

async fn start_members(
    with: &Ingredients,
    ends: &Arc<Mutex<Vec<String>>>,
) -> Result<(BTreeMap<Member, Kept>, Option<Links>), ClusterError> {
    let whereabouts = Whereabouts::choose(&with.plan, &with.folder, with.links)?;
    let spec = |member| Spec {
        member,
        plan: Arc::clone(&with.plan),
        folder: Arc::clone(&with.folder),
        runtime: with.runtime.path().to_owned(),
        ports: whereabouts.now(),
        verbosity: with.verbosity,
        ledger: with.ledger,
        links: with.links,
        detour: whereabouts.detour(),
        compaction_interval: with.compaction_interval,
        node_monitor_grace_period: with.node_monitor_grace_period,
        give_up: with.give_up.clone(),
    };
    let relays = Links::start(with, &spec(Member::Apiserver), &whereabouts)?;
    let any = spec(Member::Apiserver);
    if let Some(configuration) = egress_configuration(&any) {
        with.folder.write(EGRESS_FILE, &configuration)?;
    }
    with.folder.write(NODES_FILE, &nodes_file(&any))?;
    let observer = noting(with, ends);
    let start = async |member| {
        let start = Start { spec: spec(member), whereabouts: Arc::clone(&whereabouts), restart: with.restart };
        let kept = Kept::start(Arc::clone(&with.runner), start, Arc::clone(&observer)).await?;
        Ok::<_, ClusterError>((member, kept))
    };
    // All at once: a client of the API server tries again until it answers.
    let mut starts: FuturesUnordered<_> = with.plan.members().into_iter().map(start).collect();
    let (mut members, mut failed) = (BTreeMap::new(), None);
    while let Some(started) = starts.next().await {
        match started {
            Ok((member, kept)) => drop(members.insert(member, kept)),
            Err(error) => {
                // The first failure is the cause; the others are given up, and waited for.
                failed.get_or_insert(error);
                with.give_up.cancel();
            }
        }
    }
    match failed {
        None => Ok((members, relays)),
        Some(error) => {
            stop_members(&members).await;
            Err(error)
        }
    }
}

/// Ends members at the same time.
async fn stop_members(members: &BTreeMap<Member, Kept>) {
    let within = Duration::from_millis(STOP_MILLIS_MAX);
    join_all(members.values().map(|kept| kept.stop(within))).await;
}

/// Notes unexpected ends, and passes every event on.
fn noting(with: &Ingredients, ends: &Arc<Mutex<Vec<String>>>) -> Observer {
    let (observer, ends) = (Arc::clone(&with.observer), Arc::clone(ends));
    Arc::new(move |event: &Event| {
        if let (Event::Ended(member, how), Ok(mut ends)) = (event, ends.lock()) {
            ends.push(format!("{member}: {how}"));
        }
        observer(event);
    })
}
