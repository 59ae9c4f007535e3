//! What the sandbox's containers are given: for each side its certificates, keys and kubeconfigs, and no others'.

use super::{Addresses, NODES, node_name};
use crate::cluster::AuthorityError;
use crate::cluster::authority::issue;
use crate::cluster::folder::{FolderError, write_whole};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where a container finds its folder.
const MOUNTED_AT: &str = "/cluster";
/// The file that says what the folder was made for. It is written last.
const MARKER: &str = "sandbox.json";
/// The folder of the control plane's members.
const CONTROL_PLANE: &str = "control-plane";

/// What a folder was made for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    block: ipnet::Ipv4Net,
    port: u16,
}

/// What came of a wish for files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// They were made; the kubeconfig for the host lies there.
    New(PathBuf),
    /// They were there, for the same addresses.
    Known(PathBuf),
    /// They are there for other addresses, and were left as they are.
    Others,
}

/// Writes the sandbox's files, for a host that finds the API server at `port` of its own. What is there already for the
/// same addresses stays, so that containers that run go on.
///
/// # Errors
/// When a certificate or a file can't be made.
pub(crate) fn write(root: &Path, addresses: Addresses, port: u16, now: SystemTime) -> Result<Written, AuthorityError> {
    let (wished, kubeconfig) = (Marker { block: addresses.0, port }, root.join("kubeconfig"));
    match std::fs::read(root.join(MARKER)) {
        Ok(text) if serde_json::from_slice(&text).is_ok_and(|found: Marker| found == wished) => {
            return Ok(Written::Known(kubeconfig));
        }
        Ok(_) => return Ok(Written::Others),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(FolderError::Io { path: root.join(MARKER), source }.into()),
    }
    let server = |user: &str| match user {
        "admin" => format!("https://127.0.0.1:{port}"),
        "controllers" | "scheduler" => format!("https://{}", addresses.inside()),
        _ => format!("https://{}", addresses.at_the_edge()),
    };
    issue(&addresses.parties(), server, now, |name, content| {
        places(name).iter().try_for_each(|place| write_whole(&root.join(place), content))
    })?;
    let keep =
        |name: String, content: &serde_json::Value| write_whole(&root.join(name), format!("{content:#}\n").as_bytes());
    keep(format!("{CONTROL_PLANE}/egress-selector.yaml"), &egress_configuration())?;
    for number in 1..=NODES {
        keep(format!("{}/nodes.json", node_name(number)), &node(addresses, number))?;
    }
    keep(MARKER.into(), &json!(wished))?;
    Ok(Written::New(kubeconfig))
}

/// Where a file goes: to those members who need it.
fn places(file: &str) -> Vec<String> {
    let nodes: Vec<String> = (1..=NODES).map(node_name).collect();
    let of_one = |name: &str| nodes.iter().find(|node| *node == name).cloned();
    let name = file.rsplit('/').next().unwrap_or_default();
    let stem = name.trim_end_matches(".crt").trim_end_matches(".key");
    let folders: Vec<String> = match (file, stem) {
        ("kubeconfig/admin", _) => return vec!["kubeconfig".into()],
        ("pki/ca.crt", _) => nodes.iter().cloned().chain([CONTROL_PLANE.into()]).collect(),
        (_, "kube-proxy" | "konnectivity-agent") => nodes,
        (_, stem) => match of_one(stem).or_else(|| of_one(stem.strip_prefix("kubelet-")?)) {
            Some(node) => vec![node],
            None => vec![CONTROL_PLANE.into()],
        },
    };
    folders.into_iter().map(|folder| format!("{folder}/{file}")).collect()
}

/// How the API server reaches nodes: by CONNECT over TLS, since containers share no Unix socket.
fn egress_configuration() -> serde_json::Value {
    json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{
            "name": "cluster",
            "connection": {
                "proxyProtocol": "HTTPConnect",
                "transport": {"tcp": {
                    "url": "https://konnectivity-server:8090",
                    "tlsConfig": {
                        "caBundle": format!("{MOUNTED_AT}/pki/ca.crt"),
                        "clientCert": format!("{MOUNTED_AT}/pki/konnectivity-client.crt"),
                        "clientKey": format!("{MOUNTED_AT}/pki/konnectivity-client.key"),
                    },
                }},
            },
        }],
    })
}

/// The one node that a container plays.
fn node(addresses: Addresses, number: u8) -> serde_json::Value {
    let name = node_name(number);
    json!([{
        "name": name,
        "address": addresses.node(number),
        "podRange": addresses.pods(number),
        "kubeconfig": format!("{MOUNTED_AT}/kubeconfig/{name}"),
        "tlsCertFile": format!("{MOUNTED_AT}/pki/kubelet-{name}.crt"),
        "tlsPrivateKeyFile": format!("{MOUNTED_AT}/pki/kubelet-{name}.key"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn files_below(folder: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                found.extend(files_below(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
            } else {
                found.insert(name);
            }
        }
        found
    }

    #[test]
    fn each_side_gets_what_it_needs_and_no_key_of_another() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("sandbox");
        let addresses = Addresses::of("10.111.0.0/16".parse().unwrap()).unwrap();
        let now = tinyplane_wire::clock::Clock::system().now();
        let kubeconfig = root.join("kubeconfig");
        assert_eq!(write(&root, addresses, 6443, now).unwrap(), Written::New(kubeconfig.clone()));
        let of_node: Vec<String> = files_below(&root.join("node-2")).into_iter().collect();
        let expected = [
            "kubeconfig/kube-proxy",
            "kubeconfig/node-2",
            "nodes.json",
            "pki/ca.crt",
            "pki/konnectivity-agent.crt",
            "pki/konnectivity-agent.key",
            "pki/kubelet-node-2.crt",
            "pki/kubelet-node-2.key",
        ];
        assert_eq!(of_node, expected);
        let of_control_plane = files_below(&root.join(CONTROL_PLANE));
        assert!(of_control_plane.contains("pki/ca.key") && of_control_plane.contains("kubeconfig/scheduler"));
        assert!(!of_control_plane.iter().any(|file| file.contains("node-") || file.contains("agent")));
        let (inside, host) = (root.join("control-plane/kubeconfig/controllers"), std::fs::read_to_string(&kubeconfig));
        assert!(std::fs::read_to_string(inside).unwrap().contains("https://10.111.0.1:6443"));
        assert!(host.unwrap().contains("https://127.0.0.1:6443"));
        // Once made, they stay.
        let before = std::fs::read(&kubeconfig).unwrap();
        assert_eq!(write(&root, addresses, 6443, now).unwrap(), Written::Known(kubeconfig.clone()));
        assert_eq!(write(&root, addresses, 7443, now).unwrap(), Written::Others);
        assert_eq!(std::fs::read(&kubeconfig).unwrap(), before);
    }
}
