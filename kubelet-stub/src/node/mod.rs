//! One node: who it is, how it talks to the API server, and what it tells about itself.

mod events;
mod lease;
mod register;
mod status;

pub(crate) use events::{EventType, Recorder, Regarding};

use crate::NodeConfig;
use crate::cluster::Cluster;
use crate::tasks::Tasks;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Backoff, Client};
use tinyplane_wire::clock::Clock;

/// Waits between tries to reach the API server: short at first, since it may be starting beside us.
const REACH: Backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_secs(5) };

/// What every part of a node needs to know.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: NodeConfig,
    /// The port that its server really listens on.
    pub(crate) kubelet_port: u16,
    /// The port that its SSH server really listens on, where it has one.
    pub(crate) ssh_port: Option<u16>,
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) tasks: Tasks,
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.config.address
    }
}

/// Registers the node and keeps it alive: Ready at once, then a lease every 10 s and a status every 5 min.
pub(crate) fn keep(node: &Arc<Node>) {
    let node = Arc::clone(node);
    node.tasks.clone().spawn(async move {
        let uid = register::register(&node).await;
        let reference = Regarding::node(node.name());
        node.recorder.tell(&reference, EventType::Normal, "Starting", "Starting kubelet.");
        let ready = format!("Node {} status is now: NodeReady", node.name());
        node.recorder.tell(&reference, EventType::Normal, "NodeReady", ready);
        tokio::join!(lease::renew(&node, &uid), status::report(&node));
    });
}
