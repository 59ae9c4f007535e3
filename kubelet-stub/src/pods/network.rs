//! The network of a node's pods: their addresses, their listeners, and what they dial.

use crate::node::{EventType, Node, Regarding};
use crate::runtime::{Duplex, OpenPort, PodNetwork, PortListener, SandboxSpec};
use async_trait::async_trait;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::ledger::{Entry, Recorded};
use tinyplane_wire::net::{Listener, TcpDial, port_alias};
use tokio::net::TcpStream;

/// Annotation that tells where a taken port is served instead, with the port at its end.
const PORT_ALIAS: &str = "tinyplane.dev/port-alias.";

/// The pod addresses of a node.
#[derive(Debug)]
pub(crate) struct Pool {
    range: IpNet,
    state: Mutex<(u32, HashSet<IpAddr>)>,
}

/// A pod's address, which goes back to its pool when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) address: IpAddr,
    pool: Arc<Pool>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.state.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.address);
    }
}

impl Pool {
    pub(crate) fn new(range: IpNet) -> Arc<Self> {
        Arc::new(Self { range, state: Mutex::new((0, HashSet::new())) })
    }

    /// An address: the one that the pod had before, if it is free; else the next in turn, so that one that was given
    /// back is not met again at once. `None`: all are taken.
    pub(crate) fn lease(self: &Arc<Self>, before: Option<IpAddr>) -> Option<Lease> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, taken) = &mut *state;
        let before = before.filter(|ip| self.range.contains(ip) && !taken.contains(ip));
        let address = before.or_else(|| {
            let hosts = self.hosts();
            (0..hosts).find_map(|_| {
                let ip = self.host(*turn % hosts)?;
                *turn = (*turn + 1) % hosts;
                (!taken.contains(&ip)).then_some(ip)
            })
        })?;
        taken.insert(address);
        Some(Lease { address, pool: Arc::clone(self) })
    }

    /// The addresses without the first two (the network's and its gateway's) and the last (broadcast).
    fn hosts(&self) -> u32 {
        let bits = u32::from(self.range.max_prefix_len() - self.range.prefix_len()).min(20);
        (1_u32 << bits).saturating_sub(3).max(1)
    }

    fn host(&self, place: u32) -> Option<IpAddr> {
        match self.range {
            IpNet::V4(range) => Some(IpAddr::V4((u32::from(range.network()).checked_add(place + 2)?).into())),
            IpNet::V6(range) => {
                Some(IpAddr::V6((u128::from(range.network()).checked_add(u128::from(place) + 2)?).into()))
            }
        }
    }
}

/// Implements the network that a runtime sees.
#[derive(Debug)]
pub(crate) struct Network {
    node: Arc<Node>,
    /// Ports that are served elsewhere, by the pod's uid.
    aliases: Mutex<HashMap<String, HashMap<u16, u16>>>,
}

impl Network {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, aliases: Mutex::default() }
    }

    /// The annotations that tell of a pod's ports that are served elsewhere.
    pub(crate) fn annotations(&self, uid: &str) -> Map<String, Value> {
        let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        let ports = aliases.get(uid).into_iter().flatten();
        ports.map(|(port, alias)| (format!("{PORT_ALIAS}{port}"), json!(alias.to_string()))).collect()
    }

    /// A pod is gone, and its ports with it.
    pub(crate) fn forget(&self, uid: &str) {
        self.aliases.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Connects from the node itself, as probes do.
    pub(crate) async fn dial_from_node(
        &self,
        uid: &str,
        to: SocketAddr,
        timeout: Duration,
    ) -> io::Result<Recorded<TcpStream>> {
        let cluster = &self.node.cluster;
        let dial = TcpDial::from(Some(self.node.address())).with_timeout(timeout).in_cluster(cluster.net.clone());
        dial.connect_recorded(cluster.real(self.real(uid, to)), cluster.ledger.as_ref(), self.here()).await
    }

    /// What the ledger says of hops that begin or end on this node.
    fn here(&self) -> Entry {
        Entry { node: Some(self.node.config.name.clone()), ..Entry::default() }
    }

    /// Where a pod's port really is.
    fn real(&self, uid: &str, to: SocketAddr) -> SocketAddr {
        let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        let alias = aliases.get(uid).and_then(|ports| ports.get(&to.port()));
        alias.map_or(to, |alias| SocketAddr::new(to.ip(), *alias))
    }

    fn note(&self, pod: &SandboxSpec, port: u16, real: u16) {
        {
            let mut aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
            let ports = aliases.entry(pod.uid.clone()).or_default();
            if port == real {
                ports.remove(&port);
                return;
            }
            ports.insert(port, real);
        }
        // A low port at its documented alias is no surprise; any other is.
        let kind = if port_alias(port) == Some(real) { EventType::Normal } else { EventType::Warning };
        let about = json!({"metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}});
        let message = format!("Port {port} can't be bound on {}; it is served on port {real} instead", pod.pod_ip);
        self.node.recorder.tell(&Regarding::object("v1", "Pod", &about, ""), kind, "PortAlias", message);
    }
}

#[async_trait]
impl PodNetwork for Network {
    async fn listen(&self, pod: &SandboxSpec, port: u16) -> io::Result<OpenPort> {
        let bound = self.node.cluster.listen(SocketAddr::new(pod.pod_ip, port), self.here())?;
        self.note(pod, port, bound.address.port());
        Ok(OpenPort { address: bound.address, listener: Box::new(Accepting(bound.listener)) })
    }

    async fn dial(&self, pod: &SandboxSpec, to: SocketAddr) -> io::Result<Box<dyn Duplex>> {
        let dial = TcpDial::from(Some(pod.pod_ip)).in_cluster(self.node.cluster.net.clone());
        let to = if to.ip() == pod.pod_ip || to.ip().is_unspecified() { self.real(&pod.uid, to) } else { to };
        let cluster = &self.node.cluster;
        Ok(Box::new(dial.connect_recorded(cluster.real(to), cluster.ledger.as_ref(), self.here()).await?))
    }

    async fn resolve(&self, pod: &SandboxSpec, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(crate::service_proxy::dns::resolve(&self.node.cluster, &pod.dns.searches, name))
    }
}

struct Accepting(Listener);

#[async_trait]
impl PortListener for Accepting {
    async fn accept(&mut self) -> io::Result<(Box<dyn Duplex>, SocketAddr)> {
        let accepted = self.0.accept().await;
        let peer = accepted.peer;
        Ok((Box::new(accepted.recorded()), peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_round_and_come_back() {
        let pool = Pool::new("127.3.4.0/29".parse().unwrap());
        let leases: Vec<Lease> = (0..5).map(|_| pool.lease(None).unwrap()).collect();
        let all: Vec<String> = leases.iter().map(|lease| lease.address.to_string()).collect();
        assert_eq!(all, ["127.3.4.2", "127.3.4.3", "127.3.4.4", "127.3.4.5", "127.3.4.6"]);
        assert!(pool.lease(None).is_none());
        drop(leases);
        let kept = pool.lease("127.3.4.5".parse().ok()).unwrap();
        assert_eq!(kept.address.to_string(), "127.3.4.5");
        assert_eq!(pool.lease(kept.address.into()).unwrap().address.to_string(), "127.3.4.2");
        assert_eq!(pool.lease("127.9.9.9".parse().ok()).unwrap().address.to_string(), "127.3.4.3");
    }
}
