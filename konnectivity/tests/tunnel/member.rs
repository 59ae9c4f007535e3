//! A server or an agent that runs within a test.

use crate::rig::{eventually, within};
use std::net::SocketAddr;
use tinyplane_wire::net::TcpDial;
use tinyplane_wire::process::{Running, Shutdown};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A member that runs.
pub(crate) struct Member {
    pub(crate) running: Running,
    pub(crate) drain: Shutdown,
    pub(crate) shutdown: Shutdown,
}

impl Member {
    pub(crate) fn at(&self, what: &str) -> SocketAddr {
        self.running.addresses[what]
    }

    /// Ends it, as abruptly as a kill does for its peers.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        within(self.running.task).await.unwrap().unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let (code, answer) = self.head("health", path).await;
        (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// The code of an answer, and all of it, its head included.
    pub(crate) async fn head(&self, port: &str, path: &str) -> (u16, String) {
        let at = self.at(port);
        let mut stream = TcpDial::from(None).connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }

    /// A number of its metrics; none that it does not show.
    pub(crate) async fn number(&self, name: &str) -> i64 {
        let (_, page) = self.get("/metrics").await;
        let name = format!("konnectivity_network_proxy_{name} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a number is what it should be.
    pub(crate) async fn shows(&self, name: &str, wanted: i64) {
        eventually(name, async || self.number(name).await == wanted).await;
    }
}
