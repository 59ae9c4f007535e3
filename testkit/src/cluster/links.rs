//! The relays of a cluster, one on each link, so that links can be hurt while it runs; and what stands before several
//! Konnectivity servers in any case.
//!
//! A relay takes the address that clients know, and whoever is relayed listens on another address of the block. It dials
//! on from the very address that a connection came from: allow lists and ledgers see who it is. Nodes, pods and Services
//! listen on addresses of their own, which come and go: to them, members are told to dial by way of a relay.

use super::ClusterError;
use super::handle::Ingredients;
use super::plan::{Member, Plan};
use super::ports::Whereabouts;
use crate::fault::{Board, Fault, Injected};
use crate::relay::{Front, Kind, Link, Onward, Opened, Place};
use crate::runner::Spec;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tinyplane_wire::process::{MemberError, Shutdown, told};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The relays of one cluster, on a thread of their own: a test that blocks its own does not block them.
#[derive(Debug)]
pub(super) struct Links {
    board: Arc<Board>,
    shutdown: Shutdown,
    serving: Mutex<JoinSet<()>>,
    /// Taken when it ends.
    runtime: Option<Runtime>,
}

impl Links {
    /// Starts what relays are wished. Nothing where there is none.
    pub(super) fn start(
        with: &Ingredients,
        spec: &Spec,
        whereabouts: &Arc<Whereabouts>,
    ) -> Result<Option<Self>, ClusterError> {
        let several_servers = with.plan.has_konnectivity() && with.plan.konnectivity_servers > 1;
        if !with.links && !several_servers {
            return Ok(None);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("relays")
            .enable_all()
            .build()
            .map_err(|e| MemberError::because("there is no thread for relays", e))?;
        let mut opening = Opening { plan: &with.plan, spec, whereabouts, opened: Vec::new() };
        {
            let _entered = runtime.enter();
            opening.open(with.links).map_err(|e| MemberError::because("a link can't be relayed", e))?;
        }
        let at = |kind: Kind| opening.opened.iter().find(|(one, _)| *one == kind).and_then(|(_, o)| o.address());
        if let Some(at) = at(Kind::AgentToKonnectivity) {
            whereabouts.agents_dial(at.port())?;
        }
        if let Some(at) = at(Kind::ClientToApiserver) {
            whereabouts.clients_dial(at.port())?;
        }
        if let Some(at) = at(Kind::ApiserverToKubelet) {
            whereabouts.detour_by(at);
        }
        let (board, shutdown) = (Board::new(), Shutdown::new());
        let mut serving = JoinSet::new();
        for (_, opened) in opening.opened {
            serving.spawn_on(opened.serve(Arc::clone(&board), shutdown.clone()), runtime.handle());
        }
        Ok(Some(Self { board, shutdown, serving: Mutex::new(serving), runtime: Some(runtime) }))
    }

    /// The faults of these links.
    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Places a fault. All connections that there are have met it when this returns.
    pub(super) async fn inject(&self, plan: &Plan, link: Link<'_>, fault: Fault) -> Result<Injected, ClusterError> {
        let place = link.place();
        admits(plan, &place, &fault).map_err(ClusterError::Wish)?;
        let id = self.board.place(place, fault).map_err(|error| ClusterError::Wish(told(&error)))?;
        let injected = Injected::new(Arc::clone(&self.board), id);
        self.board.noticed().await;
        Ok(injected)
    }

    /// Ends all relays; nothing listens any more when this returns.
    pub(super) async fn stop(&self) {
        self.shutdown.cancel();
        let mut serving = std::mem::take(&mut *self.serving.lock().unwrap_or_else(PoisonError::into_inner));
        while serving.join_next().await.is_some() {}
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why a fault has no place on a link: the cluster has none such, or nobody speaks TLS on it with whom a man in the middle could.
pub(super) fn admits(plan: &Plan, place: &Place, fault: &Fault) -> Result<(), String> {
    there_is(plan, place)?;
    fault.fits(place, true).map_err(|error| error.to_string())
}

/// Why a cluster has no such link.
fn there_is(plan: &Plan, place: &Place) -> Result<(), String> {
    let nodes = || plan.nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
    let members = |is: fn(&Member) -> bool| -> Vec<String> {
        plan.members().iter().filter(|member| is(member)).map(ToString::to_string).collect()
    };
    let names = match place.kind {
        Kind::ClientToApiserver => return Ok(()),
        Kind::ControllersToApiserver => members(|member| *member == Member::Controllers),
        Kind::ApiserverToKonnectivity => members(|member| matches!(member, Member::KonnectivityServer(_))),
        Kind::AgentToKonnectivity => members(|member| matches!(member, Member::KonnectivityAgent(_))),
        Kind::NodeToApiserver | Kind::NodeToNode => nodes(),
        Kind::AgentToNode if plan.has_konnectivity() => nodes(),
        Kind::ApiserverToKubelet if !plan.isolated() => nodes(),
        Kind::ApiserverToSsh if plan.has_ssh() => nodes(),
        Kind::AgentToNode | Kind::ApiserverToKubelet | Kind::ApiserverToSsh => Vec::new(),
    };
    match names.as_slice() {
        [] => Err(format!("with the egress {} this cluster has no link {place}", plan.egress)),
        names if place.name == Link::EVERY || names.contains(&place.name) => Ok(()),
        names => Err(format!("{place} is no link of this cluster: its ends are {}", names.join(", "))),
    }
}

/// Relays that are being opened.
struct Opening<'a> {
    plan: &'a Arc<Plan>,
    spec: &'a Spec,
    whereabouts: &'a Arc<Whereabouts>,
    opened: Vec<(Kind, Opened)>,
}

impl Opening<'_> {
    fn open(&mut self, all: bool) -> io::Result<()> {
        if self.plan.has_konnectivity() {
            self.open_agents()?;
        }
        if !all {
            return Ok(());
        }
        self.open_clients()?;
        self.open_detour()?;
        if self.plan.has_konnectivity() { self.open_frontends() } else { Ok(()) }
    }

    /// Before the Konnectivity servers' ports for agents: of several, one address before them all.
    fn open_agents(&mut self) -> io::Result<()> {
        let at = SocketAddr::from((self.plan.agents_dial(), self.whereabouts.now().agents));
        let (plan, whereabouts) = (Arc::clone(self.plan), Arc::clone(self.whereabouts));
        let who = move |peer| (Kind::AgentToKonnectivity, agent(&plan, peer));
        let onward = Onward::Addresses(Arc::new(move || whereabouts.servers()));
        let opened = Opened::open(&Front::Tcp(at), onward, Arc::new(who), true)?;
        self.opened.push((Kind::AgentToKonnectivity, opened));
        Ok(())
    }

    /// Before the API server.
    fn open_clients(&mut self) -> io::Result<()> {
        let at = SocketAddr::from((self.plan.address(Member::Apiserver), self.whereabouts.now().apiserver));
        let (plan, whereabouts) = (Arc::clone(self.plan), Arc::clone(self.whereabouts));
        let onward = Onward::Addresses(Arc::new(move || whereabouts.apiserver().into_iter().collect()));
        let opened = Opened::open(&Front::Tcp(at), onward, Arc::new(move |peer| caller(&plan, peer)), true)?;
        self.opened.push((Kind::ClientToApiserver, opened));
        Ok(())
    }

    /// Before nodes, pods and Services, for the API server, the agents and the nodes themselves.
    fn open_detour(&mut self) -> io::Result<()> {
        let plan = Arc::clone(self.plan);
        let onward = Onward::AsAsked(Arc::new(move |peer, to| dialled(&plan, peer, to)));
        let at = Front::Tcp(SocketAddr::from((self.plan.relay(), 0)));
        let opened = Opened::open(&at, onward, Arc::new(|_| (Kind::ApiserverToKubelet, String::new())), true)?;
        self.opened.push((Kind::ApiserverToKubelet, opened));
        Ok(())
    }

    /// Before the sockets on which Konnectivity servers take the API server's requests.
    fn open_frontends(&mut self) -> io::Result<()> {
        for number in 1..=self.plan.konnectivity_servers {
            let name = Member::KonnectivityServer(number).to_string();
            let who = Arc::new(move |_| (Kind::ApiserverToKonnectivity, name.clone()));
            let front = Front::Unix(self.spec.tunnel_front(number));
            let opened = Opened::open(&front, Onward::Unix(self.spec.tunnel_socket(number)), who, false)?;
            self.opened.push((Kind::ApiserverToKonnectivity, opened));
        }
        Ok(())
    }
}

/// The node that an address belongs to: its own, or one of its pods'.
fn node(plan: &Plan, address: IpAddr) -> Option<&str> {
    let IpAddr::V4(address) = address else { return None };
    let found = plan.nodes.iter().find(|node| node.address == address || node.pod_range.contains(&address));
    found.map(|node| node.name.as_str())
}

fn agent(plan: &Plan, address: Option<IpAddr>) -> String {
    let is = |member: &Member| Some(IpAddr::from(plan.address(*member))) == address;
    let agents = plan.members().into_iter().filter(|member| matches!(member, Member::KonnectivityAgent(_)));
    agents.into_iter().find(is).map(|member| member.to_string()).unwrap_or_default()
}

/// Who calls the API server.
fn caller(plan: &Plan, address: Option<IpAddr>) -> (Kind, String) {
    let every = || Link::EVERY.to_owned();
    match address {
        Some(address) if address == IpAddr::from(plan.address(Member::Controllers)) => {
            (Kind::ControllersToApiserver, Member::Controllers.to_string())
        }
        Some(address) => match node(plan, address) {
            Some(node) => (Kind::NodeToApiserver, node.to_owned()),
            None => (Kind::ClientToApiserver, every()),
        },
        None => (Kind::ClientToApiserver, every()),
    }
}

/// Who dials a node or its pods. A Service is no node's.
fn dialled(plan: &Plan, from: IpAddr, to: SocketAddr) -> (Kind, String) {
    let ssh = [Some(SSH), tinyplane_wire::net::port_alias(SSH)].contains(&Some(to.port()));
    let kind = match from == IpAddr::from(plan.address(Member::Apiserver)) {
        true if ssh => Kind::ApiserverToSsh,
        true => Kind::ApiserverToKubelet,
        false if !agent(plan, Some(from)).is_empty() => Kind::AgentToNode,
        false => Kind::NodeToNode,
    };
    (kind, node(plan, to.ip()).unwrap_or("service").to_owned())
}

/// The port of a node's SSH server.
const SSH: u16 = 22;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Egress, Mode, NodePlan, Security, Storage};

    fn plan(egress: Egress) -> Plan {
        let block = "127.9.16.0/20".parse().unwrap();
        let division = crate::address::Division::of(block);
        let node = |n| NodePlan {
            name: format!("node-{n}"),
            address: division.node_address(n),
            pod_range: division.pod_range(n, 2),
        };
        Plan {
            block,
            nodes: vec![node(1), node(2)],
            egress,
            konnectivity_servers: 1,
            agents: 2,
            storage: Storage::Memory,
            controllers: true,
            security: Security::strict(),
        }
    }

    #[test]
    fn a_connection_is_known_by_its_addresses() {
        let plan = plan(Egress::Konnectivity(Mode::Grpc));
        let node = &plan.nodes[1];
        let pod = IpAddr::from(node.pod_range.hosts().next().unwrap());
        for (from, kind, name) in [
            (node.address.into(), Kind::NodeToApiserver, "node-2"),
            (pod, Kind::NodeToApiserver, "node-2"),
            (plan.address(Member::Controllers).into(), Kind::ControllersToApiserver, "controllers"),
            ("127.0.0.1".parse().unwrap(), Kind::ClientToApiserver, "*"),
        ] {
            assert_eq!(caller(&plan, Some(from)), (kind, name.into()));
        }
        let (server, second) = (plan.address(Member::Apiserver).into(), plan.address(Member::KonnectivityAgent(2)));
        assert_eq!(agent(&plan, Some(second.into())), "konnectivity-agent-2");
        for (from, to, kind) in [
            (server, (pod, 80), Kind::ApiserverToKubelet),
            (server, (node.address.into(), 22), Kind::ApiserverToSsh),
            (second.into(), (node.address.into(), 10_250), Kind::AgentToNode),
            (plan.nodes[0].address.into(), (pod, 80), Kind::NodeToNode),
        ] {
            assert_eq!(dialled(&plan, from, to.into()), (kind, "node-2".into()));
        }
    }

    #[test]
    fn a_link_that_a_cluster_has_not_is_told() {
        let (tunnel, direct) = (plan(Egress::Konnectivity(Mode::Grpc)), plan(Egress::Direct));
        let is = |plan: &Plan, link: Link<'_>| there_is(plan, &link.place());
        assert!(is(&tunnel, Link::AgentToNode("node-1")).is_ok() && is(&direct, Link::AgentToNode("node-1")).is_err());
        assert!(is(&tunnel, Link::AgentToKonnectivity("konnectivity-agent-2")).is_ok());
        assert!(is(&direct, Link::ApiserverToKubelet(Link::EVERY)).is_ok());
        assert!(is(&tunnel, Link::ApiserverToKubelet(Link::EVERY)).unwrap_err().contains("konnectivity-grpc"));
        assert!(is(&direct, Link::NodeToApiserver("node-9")).unwrap_err().contains("node-1, node-2"));
    }

    #[test]
    fn there_is_no_man_in_the_middle_where_nobody_speaks_tls() {
        let (tunnel, ssh) = (plan(Egress::Konnectivity(Mode::Grpc)), plan(Egress::Ssh));
        let is = |link: Link<'_>, fault| admits(&tunnel, &link.place(), &fault);
        let told = is(Link::ApiserverToKonnectivity(Link::EVERY), Fault::man_in_the_middle()).unwrap_err();
        assert!(told.contains("apiserver-to-konnectivity, which carries plain HTTP over a Unix socket"), "{told}");
        assert!(is(Link::ApiserverToKonnectivity(Link::EVERY), Fault::reset()).is_ok());
        let link = Link::ApiserverToSsh("node-1").place();
        let told = admits(&ssh, &link, &Fault::man_in_the_middle()).unwrap_err();
        assert!(told.contains("apiserver-to-ssh/node-1, which carries SSH and no TLS"), "{told}");
        assert!(is(Link::AgentToKonnectivity(Link::EVERY), Fault::man_in_the_middle()).is_ok());
    }
}
