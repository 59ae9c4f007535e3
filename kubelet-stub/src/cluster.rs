//! What all nodes of the process share: the cluster's addresses, its Services, and its names.

use serde_json::Value;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyplane_wire::client::{Cache, Client, Selection, reflect};
use tinyplane_wire::ledger::{Entry, Ledger};
use tinyplane_wire::net::{self, Bound, ClusterNet, Sources};
use tinyplane_wire::process::Shutdown;

/// The label by which an EndpointSlice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Longest wait for the first list of Services.
const SYNC_SECONDS_MAX: u64 = 10;

/// The cluster as this process knows it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) net: ClusterNet,
    /// Listeners of nodes, pods and Services accept only sources of their own zone.
    pub(crate) isolated: bool,
    pub(crate) dns: Vec<IpAddr>,
    pub(crate) domain: String,
    pub(crate) services: Arc<Cache>,
    pub(crate) slices: Arc<Cache>,
    /// Ports that are served elsewhere, since somebody holds them on every address: who dials from here goes there.
    moved: Mutex<HashMap<SocketAddr, SocketAddr>>,
    /// Which hops begin and end here, where that is to be written down.
    pub(crate) ledger: Option<Ledger>,
}

/// Where a Service leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) hostname: String,
}

impl Cluster {
    /// Begins to watch Services and EndpointSlices, once for all nodes.
    pub(crate) fn watch(client: &Client, config: &crate::Config, ledger: Option<Ledger>, shutdown: &Shutdown) -> Self {
        Self {
            net: config.cluster_net.clone(),
            isolated: config.isolated,
            dns: config.cluster_dns.clone(),
            domain: config.cluster_domain.clone(),
            services: reflect(client, Selection::all(crate::resources::services()), shutdown),
            slices: reflect(client, Selection::all(crate::resources::endpoint_slices()), shutdown),
            moved: Mutex::default(),
            ledger,
        }
    }

    /// Listens on an address of a node, a pod or a Service; `known` is what the ledger says of all who come there.
    ///
    /// # Errors
    /// When it can't be listened on, not even at another port.
    pub(crate) fn listen(&self, at: SocketAddr, known: Entry) -> io::Result<Bound> {
        self.listen_to(self.sources(), at, known)
    }

    /// Listens for SSH on a node's address: the one port that takes the control plane's connections where nodes are
    /// isolated.
    ///
    /// # Errors
    /// When it can't be listened on, not even at another port.
    pub(crate) fn listen_for_ssh(&self, at: SocketAddr, known: Entry) -> io::Result<Bound> {
        let everybody = [self.net.control_plane, self.net.nodes, self.net.pods, self.net.services];
        let sources = match self.isolated {
            true => Sources::only(everybody.into_iter().flatten().collect()),
            false => Sources::any(),
        };
        self.listen_to(sources, at, known)
    }

    fn listen_to(&self, sources: Sources, at: SocketAddr, known: Entry) -> io::Result<Bound> {
        let Bound { listener, address } = net::bind(at, sources)?;
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if address == at {
            moved.remove(&at)
        } else {
            moved.insert(at, address)
        };
        drop(moved);
        Ok(Bound { listener: listener.recording(self.ledger.as_ref(), known), address })
    }

    /// Where an address is really served. Behind a port that was taken stands somebody who is no part of the cluster.
    pub(crate) fn real(&self, to: SocketAddr) -> SocketAddr {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.get(&to).copied().unwrap_or(to)
    }

    /// Whom a listener of a node, a pod or a Service serves.
    fn sources(&self) -> Sources {
        if self.isolated {
            Sources::only([self.net.nodes, self.net.pods, self.net.services].into_iter().flatten().collect())
        } else {
            Sources::any()
        }
    }

    /// The Services that a container's environment tells of: those of its namespace if it wants them, and always
    /// the API server's.
    pub(crate) async fn services_for(&self, namespace: &str, of_namespace: bool) -> Vec<Arc<Value>> {
        let synced = tokio::time::timeout(Duration::from_secs(SYNC_SECONDS_MAX), self.services.synced());
        if synced.await.is_err() {
            tracing::warn!("Services could not be listed; containers start without their variables");
        }
        let mut found = if of_namespace { self.services.in_namespace(namespace) } else { Vec::new() };
        if !(of_namespace && namespace == "default") {
            found.extend(self.services.get("default/kubernetes"));
        }
        found
    }

    /// The ready endpoints of a Service's port. Where none is ready, those that still serve while they end.
    pub(crate) fn backends(&self, namespace: &str, service: &str, port_name: &str) -> Vec<Backend> {
        let ready = |c: &Value| c["ready"].as_bool().unwrap_or(true);
        let serving = |c: &Value| c["serving"].as_bool() == Some(true) && c["terminating"].as_bool() == Some(true);
        let found = self.endpoints(namespace, service, Some(port_name), ready);
        if found.is_empty() { self.endpoints(namespace, service, Some(port_name), serving) } else { found }
    }

    /// The addresses that a headless Service's name stands for.
    pub(crate) fn headless(&self, namespace: &str, service: &str, also_unready: bool) -> Vec<Backend> {
        self.endpoints(namespace, service, None, |c| also_unready || c["ready"].as_bool().unwrap_or(true))
    }

    fn endpoints(
        &self,
        namespace: &str,
        service: &str,
        port_name: Option<&str>,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Backend> {
        let mut found = Vec::new();
        for slice in self.slices.in_namespace(namespace) {
            if slice["metadata"]["labels"][SERVICE_NAME] != service {
                continue;
            }
            let port = match port_name {
                None => Some(0),
                Some(name) => list(&slice["ports"])
                    .find(|p| p["name"].as_str().unwrap_or_default() == name)
                    .and_then(|p| u16::try_from(p["port"].as_u64()?).ok()),
            };
            let Some(port) = port else { continue };
            for endpoint in list(&slice["endpoints"]).filter(|e| wanted(&e["conditions"])) {
                let addresses = list(&endpoint["addresses"]).filter_map(|a| a.as_str()?.parse::<IpAddr>().ok());
                found.extend(addresses.map(|ip| Backend {
                    address: SocketAddr::new(ip, port),
                    hostname: endpoint["hostname"].as_str().unwrap_or_default().into(),
                }));
            }
        }
        found
    }
}

/// The items of a JSON array; nothing when it is none.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The name of the Service that an EndpointSlice belongs to.
pub(crate) fn service_of(slice: &Value) -> Option<&str> {
    slice["metadata"]["labels"][SERVICE_NAME].as_str()
}
