//! The Service addresses: really listened on, once for all nodes of the process, and forwarded to ready endpoints.
//!
//! `plan` says, purely, what should listen; `listener` listens and forwards. A port without a ready endpoint does not
//! listen, so that it refuses as upstream's does. UDP and `externalName` Services are not served.

pub(crate) mod dns;
mod listener;
mod plan;

use crate::cluster::{Cluster, service_of};
use crate::node::{EventType, Recorder, Regarding};
use crate::tasks::Tasks;
use listener::{Forwarder, Way};
use serde_json::Value;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tinyplane_wire::client::WorkQueue;
use tinyplane_wire::ledger::Entry;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::net::TcpDial;

/// Keeps the listeners of all Services in step with the API.
pub(crate) struct ServiceProxy {
    cluster: Arc<Cluster>,
    /// Where `NodePort`s listen.
    nodes: Vec<IpAddr>,
    dial: TcpDial,
    recorder: Recorder,
    tasks: Tasks,
    /// By Service, then by address.
    listening: HashMap<String, HashMap<SocketAddr, Forwarder>>,
}

impl ServiceProxy {
    /// Starts to serve; connections to endpoints come from `source`.
    pub(crate) fn start(cluster: Arc<Cluster>, nodes: Vec<IpAddr>, source: IpAddr, recorder: Recorder, tasks: &Tasks) {
        let dial = TcpDial::from(Some(source)).in_cluster(cluster.net.clone());
        let queue = Arc::new(WorkQueue::new());
        let of_services = Arc::clone(&queue);
        cluster.services.on_change(move |change| of_services.add(Meta::of(change.object()).key()));
        let of_slices = Arc::clone(&queue);
        cluster.slices.on_change(move |change| {
            let slice = change.object();
            if let Some(service) = service_of(slice) {
                of_slices.add(format!("{}/{service}", Meta::of(slice).namespace()));
            }
        });
        let mut proxy = Self { cluster, nodes, dial, recorder, tasks: tasks.clone(), listening: HashMap::new() };
        tasks.spawn(async move {
            loop {
                let key = queue.next().await;
                if proxy.reconcile(&key) { queue.done(&key) } else { queue.failed(&key) }
            }
        });
    }

    /// Brings one Service's listeners in step. False: something could not be listened on, and may be later.
    fn reconcile(&mut self, key: &str) -> bool {
        let service = self.cluster.services.get(key);
        let wanted =
            service.as_ref().map(|service| plan::ports(service, &self.cluster, &self.nodes)).unwrap_or_default();
        let listening = self.listening.entry(key.to_owned()).or_default();
        listening.retain(|at, _| wanted.iter().any(|port| port.at == *at));
        let mut failed = None;
        for port in wanted {
            if let Some(forwarder) = listening.get(&port.at) {
                forwarder.lead_to(port.backends, port.affinity);
                continue;
            }
            let at = port.at;
            match self.cluster.listen(at, Entry::default()) {
                Ok(bound) => {
                    let way = Way { dial: self.dial.clone(), ledger: self.cluster.ledger.clone() };
                    let forwarder = Forwarder::listen(port, bound, way, &self.tasks);
                    if let Some(real) = forwarder.moved() {
                        failed =
                            Some(format!("{at} is taken by somebody else; the Service is served on port {real} of it"));
                    }
                    listening.insert(at, forwarder);
                }
                Err(error) => {
                    tracing::warn!(service = key, %at, %error, "a Service can't be listened on");
                    return false;
                }
            }
        }
        if listening.is_empty() {
            self.listening.remove(key);
        }
        if let (Some(message), Some(service)) = (failed, &service) {
            self.tell(service, message);
        }
        true
    }

    fn tell(&self, service: &Value, message: String) {
        let regarding = Regarding::object("v1", "Service", service, "");
        self.recorder.tell(&regarding, EventType::Warning, "PortAlias", message);
    }
}
