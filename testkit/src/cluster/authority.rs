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

/// Makes what a new cluster needs and writes it into its folder.
///
/// # Errors
/// When a certificate or a file can't be made.
pub(crate) fn establish(plan: &Plan, folder: &Folder, now: SystemTime) -> Result<(), AuthorityError> {
    let authority = Authority::create("kubernetes", now)?;
    folder.write("pki/ca.crt", authority.certificate_pem().as_bytes())?;
    folder.write("pki/ca.key", authority.key_pem().as_bytes())?;
    let (private, public) = signing_key()?;
    folder.write("pki/service-account.key", private.as_bytes())?;
    folder.write("pki/service-account.pub", public.as_bytes())?;
    let server = format!("https://{}", plan.apiserver());
    for identity in identities(plan) {
        let issued = authority.issue(&identity.leaf, now)?;
        match &identity.user {
            None => {
                folder.write(&format!("pki/{}.crt", identity.file), issued.certificate_pem.as_bytes())?;
                folder.write(&format!("pki/{}.key", identity.file), issued.key_pem.as_bytes())?;
            }
            Some(user) => {
                let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
                let text = kubeconfig::write("tinyplane", user, &server, authority.certificate_pem(), &pair)?;
                folder.write(&format!("kubeconfig/{}", identity.file), text.as_bytes())?;
            }
        }
    }
    if plan.has_ssh() {
        establish_ssh(plan, folder)?;
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
    for Identity { file, user, .. } in identities(plan) {
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
fn identities(plan: &Plan) -> Vec<Identity> {
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
    let addresses: [IpAddr; 3] =
        [plan.address(Member::Apiserver).into(), plan.kubernetes_service().into(), [127, 0, 0, 1].into()];
    let mut all = vec![
        pair("apiserver", Leaf::server("kube-apiserver", &names, &addresses)),
        pair("apiserver-kubelet-client", Leaf::client("kube-apiserver-kubelet-client", Some("system:masters"))),
        user("admin", "kubernetes-admin", Some("system:masters")),
    ];
    if plan.controllers {
        all.push(user("controllers", "system:kube-controller-manager", None));
        all.push(user("scheduler", "system:kube-scheduler", None));
    }
    if !plan.nodes.is_empty() {
        all.push(user("kube-proxy", "system:kube-proxy", None));
    }
    for node in &plan.nodes {
        let name = format!("system:node:{}", node.name);
        all.push(user(&node.name, &name, Some("system:nodes")));
        let serving = Leaf::server(&name, &[&node.name], &[node.address.into()]);
        all.push(pair(&format!("kubelet-{}", node.name), serving));
    }
    if plan.has_konnectivity() {
        let servers = (1..=plan.konnectivity_servers).map(|number| plan.address(Member::KonnectivityServer(number)));
        let addresses: Vec<IpAddr> = servers.chain([plan.agents_dial()]).map(IpAddr::from).collect();
        let serving = Leaf::server("konnectivity-server", &["konnectivity-server"], &addresses);
        all.push(pair("konnectivity-server", serving));
        all.push(pair("konnectivity-agent", Leaf::client("system:konnectivity-agent", None)));
    }
    all
}
