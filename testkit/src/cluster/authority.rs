//! The cluster's authority, and the certificates, keys and kubeconfigs that its members need.

use super::folder::{Folder, FolderError};
use super::plan::{Member, Plan};
use std::net::IpAddr;
use std::time::SystemTime;
use tinyplane_apiserver::egress::ssh::{self, KeyText};
use tinyplane_wire::identity::kubeconfig::{self, KubeconfigError};
use tinyplane_wire::identity::pki::{Authority, Leaf, PkiError, public_key, signing_key};
use tinyplane_wire::identity::tls::{self, ClientAuth, KeyPairPem};
use tinyplane_wire::process::told;

/// Whom nodes' SSH servers know the API server as.
pub(crate) const SSH_USER: &str = "tinyplane";
/// The API server's key for the nodes' SSH servers; the public half, of the same name with `.pub`, is installed on them.
pub(crate) const SSH_KEY: &str = "apiserver-ssh.key";
/// The keys of the nodes' SSH servers, as the API server knows them.
pub(crate) const SSH_KNOWN_HOSTS: &str = "ssh-known-hosts";

/// The key by which a node's SSH server proves itself.
pub(crate) fn ssh_host_key(node: &str) -> String {
    format!("ssh-host-{node}.key")
}

/// Why the identities could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate can't be made.
    #[error("a certificate can't be made")]
    Pki(#[from] PkiError),
    /// A key of SSH can't be made.
    #[error("a key of SSH can't be made")]
    Ssh(#[from] ssh::KeyError),
    /// A file can't be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A kubeconfig can't be written.
    #[error("a kubeconfig can't be written")]
    Kubeconfig(#[from] KubeconfigError),
}

/// Whom a cluster consists of, as far as certificates tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parties {
    /// Addresses at which the API server is found.
    pub(crate) apiserver: Vec<IpAddr>,
    /// Addresses at which agents find Konnectivity servers. None: there is no tunnel.
    pub(crate) tunnel: Vec<IpAddr>,
    /// Whether the API server shows a certificate to Konnectivity servers, as it has to over TCP.
    pub(crate) tunnel_client: bool,
    /// Whether the controllers run.
    pub(crate) controllers: bool,
    /// The nodes, by their names.
    pub(crate) nodes: Vec<(String, IpAddr)>,
}

impl From<&Plan> for Parties {
    fn from(plan: &Plan) -> Self {
        let servers = (1..=plan.konnectivity_servers).map(|number| plan.address(Member::KonnectivityServer(number)));
        let tunnel = servers.chain([plan.agents_dial()]).map(IpAddr::from);
        Self {
            apiserver: vec![plan.address(Member::Apiserver).into(), plan.kubernetes_service().into()],
            tunnel: if plan.has_konnectivity() { tunnel.collect() } else { Vec::new() },
            tunnel_client: false,
            controllers: plan.controllers,
            nodes: plan.nodes.iter().map(|node| (node.name.clone(), node.address.into())).collect(),
        }
    }
}

/// Makes what a new cluster needs and writes it into its folder.
///
/// # Errors
/// When a certificate or a file can't be made.
pub(crate) fn establish(plan: &Plan, folder: &Folder, now: SystemTime) -> Result<(), AuthorityError> {
    let server = format!("https://{}", plan.apiserver());
    issue(&plan.into(), |_| server.clone(), now, |name, content| folder.write(name, content))?;
    if plan.has_ssh() {
        establish_ssh(plan, folder)?;
    }
    Ok(())
}

/// Makes an authority and all that it signs, and hands each file to `write`; `server` is where a user finds the API
/// server.
///
/// # Errors
/// When a certificate can't be made, or with the error of `write`.
pub(crate) fn issue(
    parties: &Parties,
    server: impl Fn(&str) -> String,
    now: SystemTime,
    mut write: impl FnMut(&str, &[u8]) -> Result<(), FolderError>,
) -> Result<(), AuthorityError> {
    let authority = Authority::create("kubernetes", now)?;
    write("pki/ca.crt", authority.certificate_pem().as_bytes())?;
    write("pki/ca.key", authority.key_pem().as_bytes())?;
    let (private, public) = signing_key()?;
    write("pki/service-account.key", private.as_bytes())?;
    write("pki/service-account.pub", public.as_bytes())?;
    for identity in identities(parties) {
        let issued = authority.issue(&identity.leaf, now)?;
        match &identity.user {
            None => {
                write(&format!("pki/{}.crt", identity.file), issued.certificate_pem.as_bytes())?;
                write(&format!("pki/{}.key", identity.file), issued.key_pem.as_bytes())?;
            }
            Some(user) => {
                let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
                let server = server(&identity.file);
                let text = kubeconfig::write("tinyplane", user, &server, authority.certificate_pem(), &pair)?;
                write(&format!("kubeconfig/{}", identity.file), text.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// Keys of SSH: the API server's, one of each node, and what each side has to know of the other.
fn establish_ssh(plan: &Plan, folder: &Folder) -> Result<(), AuthorityError> {
    let ours = KeyText::generate("kube-apiserver")?;
    folder.write(&format!("pki/{SSH_KEY}"), ours.private.as_bytes())?;
    folder.write(&format!("pki/{SSH_KEY}.pub"), ours.public.as_bytes())?;
    let mut known = String::new();
    for node in &plan.nodes {
        let host = KeyText::generate(&node.name)?;
        folder.write(&format!("pki/{}", ssh_host_key(&node.name)), host.private.as_bytes())?;
        known.push_str(&format!("{} {}", node.address, host.public));
    }
    Ok(folder.write(&format!("pki/{SSH_KNOWN_HOSTS}"), known.as_bytes())?)
}

/// Makes sure that all that was established is there, and can be read.
///
/// # Errors
/// With the first file that is missing or damaged.
pub(crate) fn check(plan: &Plan, folder: &Folder) -> Result<(), FolderError> {
    let read = |name: &str| folder.read_needed(&folder.pki(name));
    let damaged = |name: &str, why: String| folder.damaged(&folder.pki(name), why);
    let certificate = |name: &str| {
        let pem = read(name)?;
        tls::chain(&pem).map_err(|e| damaged(name, told(&e)))?;
        Ok::<_, FolderError>(pem)
    };
    Authority::load(&certificate("ca.crt")?, &read("ca.key")?).map_err(|e| damaged("ca.key", told(&e)))?;
    let public = public_key(&read("service-account.key")?).map_err(|e| damaged("service-account.key", told(&e)))?;
    if public.trim() != read("service-account.pub")?.trim() {
        return Err(damaged("service-account.pub", "it does not belong to the private key".into()));
    }
    if plan.has_ssh() {
        let hosts = plan.nodes.iter().map(|node| ssh_host_key(&node.name));
        for file in hosts.chain([SSH_KEY.to_owned()]) {
            read(&file)?;
            ssh::load(&folder.pki(&file)).map_err(|e| damaged(&file, told(&e)))?;
        }
        read(&format!("{SSH_KEY}.pub"))?;
        read(SSH_KNOWN_HOSTS)?;
    }
    for Identity { file, user, .. } in identities(&plan.into()) {
        if user.is_some() {
            let path = folder.kubeconfig(&file);
            folder.read_needed(&path)?;
            kubeconfig::load(&path).map_err(|e| folder.damaged(&path, told(&e)))?;
        } else {
            let key = format!("{file}.key");
            let pair = KeyPairPem { certificate: certificate(&format!("{file}.crt"))?, key: read(&key)? };
            tls::server(&pair, &ClientAuth::None, &[]).map_err(|e| damaged(&key, told(&e)))?;
        }
    }
    Ok(())
}

/// One certificate with its key: a pair of files, or, of a user, a kubeconfig.
struct Identity {
    file: String,
    user: Option<String>,
    leaf: Leaf,
}

/// All identities of a cluster, its authority aside.
fn identities(parties: &Parties) -> Vec<Identity> {
    let pair = |file: &str, leaf: Leaf| Identity { file: file.into(), user: None, leaf };
    let user = |file: &str, user: &str, group: Option<&str>| Identity {
        file: file.into(),
        user: Some(user.into()),
        leaf: Leaf::client(user, group),
    };
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let mut addresses = parties.apiserver.clone();
    addresses.push([127, 0, 0, 1].into());
    let mut all = vec![
        pair("apiserver", Leaf::server("kube-apiserver", &names, &addresses)),
        pair("apiserver-kubelet-client", Leaf::client("kube-apiserver-kubelet-client", Some("system:masters"))),
        user("admin", "kubernetes-admin", Some("system:masters")),
    ];
    if parties.controllers {
        all.push(user("controllers", "system:kube-controller-manager", None));
        all.push(user("scheduler", "system:kube-scheduler", None));
    }
    if !parties.nodes.is_empty() {
        all.push(user("kube-proxy", "system:kube-proxy", None));
    }
    for (node, address) in &parties.nodes {
        let name = format!("system:node:{node}");
        all.push(user(node, &name, Some("system:nodes")));
        all.push(pair(&format!("kubelet-{node}"), Leaf::server(&name, &[node], &[*address])));
    }
    if !parties.tunnel.is_empty() {
        let serving = Leaf::server("konnectivity-server", &["konnectivity-server"], &parties.tunnel);
        all.push(pair("konnectivity-server", serving));
        all.push(pair("konnectivity-agent", Leaf::client("system:konnectivity-agent", None)));
    }
    if parties.tunnel_client {
        all.push(pair("konnectivity-client", Leaf::client("system:konnectivity-client", None)));
    }
    all
}
