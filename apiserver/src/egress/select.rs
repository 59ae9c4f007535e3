//! Which way leads to the cluster: as the egress selector's configuration says, else directly.

use super::config::{ConfigError, Configuration, Protocol};
use super::konnectivity;
use super::ssh::Tunnels;
use crate::metrics::EgressDials;
use std::path::Path;
use std::sync::Arc;
use tinyplane_wire::net::{Dial, TcpDial};

/// The ways out of the API server.
#[derive(Clone, Debug)]
pub struct Egress {
    /// To nodes, pods and Services: kubelets, the proxy subresources.
    pub cluster: Arc<dyn Dial>,
    /// What that way is called: `direct`, `konnectivity-grpc`, `konnectivity-http-connect`, `ssh`.
    pub word: &'static str,
}

impl Egress {
    /// Everything directly.
    #[must_use]
    pub fn direct(direct: TcpDial) -> Self {
        Self { cluster: Arc::new(direct), word: "direct" }
    }

    /// Everything through SSH tunnels.
    #[must_use]
    pub fn tunnels(tunnels: Arc<Tunnels>) -> Self {
        Self { cluster: tunnels, word: "ssh" }
    }

    /// As a configuration file says; what it does not name is direct. Dials through a proxy are counted in `dials`.
    ///
    /// # Errors
    /// When the file can't be read, makes no sense, or names certificates that can't be used.
    pub fn load(path: &Path, direct: TcpDial, dials: &Arc<EgressDials>) -> Result<Self, ConfigError> {
        let configuration = Configuration::read(path)?;
        let cluster = configuration.egress_selections.iter().find(|selection| selection.name == "cluster");
        match cluster {
            Some(selection) => {
                let word = match selection.connection.proxy_protocol {
                    Protocol::Direct | Protocol::Unknown => return Ok(Self::direct(direct)),
                    Protocol::Grpc => "konnectivity-grpc",
                    Protocol::HttpConnect => "konnectivity-http-connect",
                };
                let connection = &selection.connection;
                Ok(Self { cluster: konnectivity::dial(&selection.name, connection, &direct, dials)?, word })
            }
            None => Ok(Self::direct(direct)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Source, Text};
    use tinyplane_wire::net::bind_unix;
    use tokio::io::AsyncReadExt;

    fn configured(protocol: &str, socket: &Path) -> String {
        format!(
            "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n\
             - name: cluster\n  connection:\n    proxyProtocol: {protocol}\n    transport:\n      uds:\n        \
             udsName: {}\n",
            socket.display()
        )
    }

    #[tokio::test]
    async fn the_cluster_is_reached_as_the_file_says_and_its_tunnels_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("egress.yaml"), folder.path().join("konnectivity.socket"));
        for protocol in ["GRPC", "HTTPConnect"] {
            std::fs::write(&file, configured(protocol, &socket)).unwrap();
            let egress = Egress::load(&file, TcpDial::from(None), &Arc::default()).unwrap();
            let told = egress.cluster.dial("127.84.20.1", 10250).await.err().unwrap().to_string();
            assert!(told.contains("konnectivity.socket"), "{protocol}: {told}");
        }
        let dials = Arc::<EgressDials>::default();
        std::fs::write(&file, configured("GRPC", &socket)).unwrap();
        let egress = Egress::load(&file, TcpDial::from(None), &dials).unwrap();
        let listener = bind_unix(&socket, true).unwrap();
        let asked = async {
            let (mut stream, mut heard) = (listener.accept().await, Vec::new());
            while !String::from_utf8_lossy(&heard).contains("127.84.20.1:10250") {
                assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
            }
        };
        tokio::select! {
            _ = egress.cluster.dial("127.84.20.1", 10250) => panic!("nobody answers"),
            () = asked => {}
        }
        let mut text = Text::default();
        dials.tell(&mut text);
        let text = text.finish();
        for line in [
            "# HELP konnectivity_network_proxy_client_client_connections Number of open client connections, by status (Example: dialing)",
            "# TYPE konnectivity_network_proxy_client_client_connections gauge",
            "konnectivity_network_proxy_client_client_connections{status=\"dialing\"} 0",
            "# HELP konnectivity_network_proxy_client_dial_failure_total Number of dial failures observed, by reason (example: remote endpoint error)",
            "# TYPE konnectivity_network_proxy_client_dial_failure_total counter",
            "konnectivity_network_proxy_client_dial_failure_total{reason=\"context\"} 1",
            "# HELP konnectivity_network_proxy_client_stream_packets_total Count of packets processed, by segment and packet type (example: from_client, DIAL_REQ)",
            "konnectivity_network_proxy_client_stream_packets_total{packet_type=\"DIAL_REQ\",segment=\"from_client\"} 1",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in {text}");
        }
        assert!(!text.contains("stream_errors_total"), "{text}");
        let missing =
            Egress::load(&folder.path().join("none"), TcpDial::from(None), &Arc::default()).unwrap_err().to_string();
        assert!(missing.starts_with("unable to read egress selector configuration"), "{missing}");
    }
}
