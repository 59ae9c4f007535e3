//! The ports on which members find each other: upstream's own, unless somebody listens on them on every address.

use super::ClusterError;
use super::folder::{Folder, FolderError};
use super::plan::{Member, Plan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tinyplane_wire::net::{Sources, bind};
use tinyplane_wire::process::MemberError;
use tokio::sync::watch;

/// Upstream's port for the agents of the Konnectivity server.
const AGENTS: u16 = 8091;
/// Upstream's ports of kube-controller-manager and kube-scheduler.
const CONTROLLER_MANAGER: u16 = 10_257;
const SCHEDULER: u16 = 10_259;
/// Where the ports are kept in a cluster's folder.
const FILE: &str = "ports.json";

/// Ports that are told to others. They stay the same for as long as they can be had, restarts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// Of the API server.
    pub(crate) apiserver: u16,
    /// Of the Konnectivity server, for agents.
    pub(crate) agents: u16,
    /// Of the control loops, for whoever asks how they are.
    #[serde(default = "controller_manager")]
    pub(crate) controller_manager: u16,
    /// Of the scheduler, for the same.
    #[serde(default = "scheduler")]
    pub(crate) scheduler: u16,
}

/// Of a cluster that an older version has made.
const fn controller_manager() -> u16 {
    CONTROLLER_MANAGER
}

const fn scheduler() -> u16 {
    SCHEDULER
}

impl Ports {
    /// Those that the cluster had before, if it ran before.
    pub(crate) fn kept(folder: &Folder) -> Result<Option<Self>, FolderError> {
        let file = folder.file(FILE);
        match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| folder.damaged(&file, error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(folder.damaged(&file, error.to_string())),
        }
    }

    /// The ports that the cluster had before, as far as they can be had; else upstream's, as far as those can.
    fn choose(plan: &Plan, folder: &Folder) -> Result<Self, ClusterError> {
        let wished = Self::kept(folder)?.unwrap_or(Self {
            apiserver: plan.apiserver().port(),
            agents: AGENTS,
            controller_manager: CONTROLLER_MANAGER,
            scheduler: SCHEDULER,
        });
        let at = |member, port| free(SocketAddr::from((plan.address(member), port)));
        let no_port = |e| MemberError::because("no port is free on the cluster's own addresses", e);
        Ok(Self {
            apiserver: at(Member::Apiserver, wished.apiserver).map_err(no_port)?,
            agents: free(SocketAddr::from((plan.agents_dial(), wished.agents))).map_err(no_port)?,
            controller_manager: at(Member::Controllers, wished.controller_manager).map_err(no_port)?,
            scheduler: at(Member::Controllers, wished.scheduler).map_err(no_port)?,
        })
    }
}

/// The port that a listener on this address would get now. A wildcard listener may still come before the member does.
fn free(wished: SocketAddr) -> io::Result<u16> {
    Ok(bind(wished, Sources::any())?.address.port())
}

/// The ports as they are, for all who start members. They are chosen before anybody listens, so that members can start
/// at the same time, and corrected by what members say: somebody may have taken a port in between.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    plan: Arc<Plan>,
    folder: Arc<Folder>,
    ports: watch::Sender<Ports>,
    /// Whether relays have the addresses that others are told.
    relayed: bool,
    /// Where the API server and the Konnectivity servers were seen.
    seen: Mutex<BTreeMap<Member, SocketAddr>>,
    /// The relay before nodes, once it listens.
    detour: OnceLock<SocketAddr>,
}

impl Whereabouts {
    /// Chooses the ports, and writes them where members and users look.
    pub(crate) fn choose(plan: &Arc<Plan>, folder: &Arc<Folder>, relayed: bool) -> Result<Arc<Self>, ClusterError> {
        let chosen = Ports::choose(plan, folder)?;
        let here = Self {
            plan: Arc::clone(plan),
            folder: Arc::clone(folder),
            ports: watch::Sender::new(chosen),
            relayed,
            seen: Mutex::default(),
            detour: OnceLock::new(),
        };
        here.tell(chosen)?;
        Ok(Arc::new(here))
    }

    /// The ports of the moment.
    pub(crate) fn now(&self) -> Ports {
        *self.ports.borrow()
    }

    /// Where the Konnectivity servers take agents.
    pub(crate) fn servers(&self) -> Vec<SocketAddr> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = seen.iter().filter(|(member, _)| matches!(member, Member::KonnectivityServer(_)));
        servers.map(|(_, at)| *at).collect()
    }

    /// Where the API server really listens, once it does.
    pub(crate) fn apiserver(&self) -> Option<SocketAddr> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&Member::Apiserver).copied()
    }

    /// Takes up where the relay before the API server listens, before anybody was told of it.
    pub(crate) fn clients_dial(&self, port: u16) -> Result<(), FolderError> {
        self.ports.send_modify(|ports| ports.apiserver = port);
        self.tell(self.now())
    }

    /// Takes up where the relay before nodes listens, before any member is started.
    pub(crate) fn detour_by(&self, relay: SocketAddr) {
        self.detour.get_or_init(|| relay);
    }

    /// The relay before nodes, where there is one.
    pub(crate) fn detour(&self) -> Option<SocketAddr> {
        self.detour.get().copied()
    }

    /// Takes up where the one address for several servers really is, before anybody was told of it.
    pub(crate) fn agents_dial(&self, port: u16) -> Result<(), FolderError> {
        self.ports.send_modify(|ports| ports.agents = port);
        self.tell(self.now())
    }

    /// Takes up where a member really listens. Whoever reads kubeconfigs finds it there; the agent has to be started
    /// anew, for which its keeper waits in [`Whereabouts::agents_moved_from`]. An API server whose store is in memory can't be:
    /// it is told where the controllers are when it starts the next time.
    pub(crate) fn learn(&self, member: Member, addresses: &BTreeMap<String, SocketAddr>) -> Result<(), FolderError> {
        let listens = match member {
            Member::Apiserver => addresses.get("https"),
            Member::KonnectivityServer(_) => addresses.get("agent"),
            Member::Controllers | Member::Kubelet | Member::KonnectivityAgent(_) => None,
        };
        if let Some(at) = listens {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(member, *at);
        }
        let said = |port: &mut u16, name: &str| *port = addresses.get(name).map_or(*port, SocketAddr::port);
        let correct = |ports: &mut Ports| match member {
            Member::Controllers => {
                said(&mut ports.controller_manager, "controller-manager");
                said(&mut ports.scheduler, "scheduler");
            }
            // Others know the relays' addresses, which stay.
            _ if self.relayed => {}
            Member::Apiserver => said(&mut ports.apiserver, "https"),
            // Of several servers, agents know the one address before them.
            Member::KonnectivityServer(_) if self.plan.konnectivity_servers > 1 => {}
            Member::KonnectivityServer(_) => said(&mut ports.agents, "agent"),
            Member::Kubelet | Member::KonnectivityAgent(_) => {}
        };
        let before = self.now();
        let mut now = before;
        correct(&mut now);
        if now == before {
            return Ok(());
        }
        tracing::info!(%member, ?before, ?now, "a port was taken before the member was there");
        self.tell(now)?;
        self.ports.send_modify(correct);
        Ok(())
    }

    /// Waits until agents have to dial another port than this one.
    pub(crate) async fn agents_moved_from(&self, port: u16) {
        if self.ports.subscribe().wait_for(|ports| ports.agents != port).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn tell(&self, ports: Ports) -> Result<(), FolderError> {
        self.folder.write(FILE, &serde_json::to_vec(&ports).unwrap_or_default())?;
        self.folder.point_kubeconfigs_at(SocketAddr::from((self.plan.address(Member::Apiserver), ports.apiserver)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Lease;
    use crate::cluster::{Egress, Mode, NodePlan, Security, Storage};

    fn plan(lease: &Lease) -> Arc<Plan> {
        let block = lease.block();
        let address = crate::address::Division::of(block).node_address(1);
        Arc::new(Plan {
            block,
            nodes: vec![NodePlan { name: "node-1".into(), address, pod_range: block }],
            egress: Egress::Konnectivity(Mode::Grpc),
            konnectivity_servers: 1,
            agents: 1,
            storage: Storage::Memory,
            controllers: true,
            security: Security::strict(),
        })
    }

    #[tokio::test]
    async fn what_a_member_says_goes_before_what_was_chosen() {
        let lease = Lease::any(1).unwrap();
        let (plan, folder) = (plan(&lease), Arc::new(Folder::temporary().unwrap()));
        let server = |port: u16| format!("\"server\": \"https://{}:{port}\"", plan.apiserver().ip());
        folder.write("kubeconfig/admin", server(6443).as_bytes()).unwrap();
        let here = Whereabouts::choose(&plan, &folder, false).unwrap();
        let chosen = here.now();
        let told = || std::fs::read_to_string(folder.kubeconfig("admin")).unwrap();
        assert_eq!(told(), server(chosen.apiserver));

        let said = |name: &str, port| BTreeMap::from([(name.to_owned(), SocketAddr::new(plan.apiserver().ip(), port))]);
        here.learn(Member::Apiserver, &said("https", 40_443)).unwrap();
        assert_eq!((here.now().apiserver, here.now().agents), (40_443, chosen.agents));
        assert_eq!(told(), server(40_443));

        // Nothing has moved for an agent yet; then it has, and one that was started since is told nothing more.
        assert!(futures_util::FutureExt::now_or_never(here.agents_moved_from(chosen.agents)).is_none());
        here.learn(Member::KonnectivityServer(1), &said("agent", 40_091)).unwrap();
        here.agents_moved_from(chosen.agents).await;
        here.learn(Member::Controllers, &said("scheduler", 40_259)).unwrap();
        assert!(futures_util::FutureExt::now_or_never(here.agents_moved_from(40_091)).is_none());
        let kept: Ports = serde_json::from_slice(&std::fs::read(folder.file(FILE)).unwrap()).unwrap();
        assert_eq!(kept, Ports { apiserver: 40_443, agents: 40_091, scheduler: 40_259, ..chosen });
    }

    #[test]
    fn ports_of_an_older_version_read_as_upstreams() {
        let kept: Ports = serde_json::from_str(r#"{"apiserver": 6443, "agents": 8091}"#).unwrap();
        assert_eq!((kept.controller_manager, kept.scheduler), (10_257, 10_259));
    }
}
