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

    #[tokio::test]
    async fn the_cluster_is_reached_as_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let (file, socket) = (folder.path().join("egress.yaml"), folder.path().join("konnectivity.socket"));
        for protocol in ["GRPC", "HTTPConnect"] {
            let text = format!(
                "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n\
                 - name: cluster\n  connection:\n    proxyProtocol: {protocol}\n    transport:\n      uds:\n        \
                 udsName: {}\n",
                socket.display()
            );
            std::fs::write(&file, text).unwrap();
            let egress = Egress::load(&file, TcpDial::from(None), &Arc::default()).unwrap();
            let told = egress.cluster.dial("127.84.20.1", 10250).await.err().unwrap().to_string();
            assert!(told.contains("konnectivity.socket"), "{protocol}: {told}");
        }
        let missing =
            Egress::load(&folder.path().join("none"), TcpDial::from(None), &Arc::default()).unwrap_err().to_string();
        assert!(missing.starts_with("unable to read egress selector configuration"), "{missing}");
    }
}
