//! The cluster's authority, and the certificates, keys and kubeconfigs that its members need.

use super::folder::{Folder, FolderError};
use super::plan::{Member, Plan};
use std::net::IpAddr;
use std::time::SystemTime;
use tinyplane_wire::identity::kubeconfig::{self, KubeconfigError};
use tinyplane_wire::identity::pki::{Authority, Issued, Leaf, PkiError, Usage, signing_key};
use tinyplane_wire::identity::tls::KeyPairPem;

/// Why the identities could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate can't be made.
    #[error("a certificate can't be made")]
    Pki(#[from] PkiError),
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
    let registrar = Registrar { plan, folder, authority, now };
    registrar.apiserver()?;
    registrar.user("admin", "kubernetes-admin", Some("system:masters"))?;
    if plan.controllers {
        registrar.user("controllers", "system:kube-controller-manager", None)?;
        registrar.user("scheduler", "system:kube-scheduler", None)?;
    }
    if !plan.nodes.is_empty() {
        registrar.user("kube-proxy", "system:kube-proxy", None)?;
    }
    for node in &plan.nodes {
        registrar.user(&node.name, &format!("system:node:{}", node.name), Some("system:nodes"))?;
        let serving = Leaf::server(&format!("system:node:{}", node.name), &[&node.name], &[node.address.into()]);
        registrar.pair(&format!("kubelet-{}", node.name), &serving)?;
    }
    if plan.isolated() {
        registrar.konnectivity()?;
    }
    Ok(())
}

struct Registrar<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    authority: Authority,
    now: SystemTime,
}

impl Registrar<'_> {
    fn pair(&self, name: &str, leaf: &Leaf) -> Result<Issued, AuthorityError> {
        let issued = self.authority.issue(leaf, self.now)?;
        self.folder.write(&format!("pki/{name}.crt"), issued.certificate_pem.as_bytes())?;
        self.folder.write(&format!("pki/{name}.key"), issued.key_pem.as_bytes())?;
        Ok(issued)
    }

    fn apiserver(&self) -> Result<(), AuthorityError> {
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        let addresses: [IpAddr; 3] =
            [self.plan.address(Member::Apiserver).into(), self.plan.kubernetes_service().into(), [127, 0, 0, 1].into()];
        self.pair("apiserver", &Leaf::server("kube-apiserver", &names, &addresses))?;
        self.pair("apiserver-kubelet-client", &Leaf::client("kube-apiserver-kubelet-client", Some("system:masters")))?;
        Ok(())
    }

    fn konnectivity(&self) -> Result<(), AuthorityError> {
        let server = self.plan.address(Member::KonnectivityServer);
        self.pair(
            "konnectivity-server",
            &Leaf::server("konnectivity-server", &["konnectivity-server"], &[server.into()]),
        )?;
        let agent = Leaf { usage: Usage::Client, ..Leaf::client("system:konnectivity-agent", None) };
        self.pair("konnectivity-agent", &agent)?;
        Ok(())
    }

    fn user(&self, file: &str, user: &str, group: Option<&str>) -> Result<(), AuthorityError> {
        let issued = self.authority.issue(&Leaf::client(user, group), self.now)?;
        let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
        let server = format!("https://{}", self.plan.apiserver());
        let text = kubeconfig::write("tinyplane", user, &server, self.authority.certificate_pem(), &pair)?;
        self.folder.write(&format!("kubeconfig/{file}"), text.as_bytes())?;
        Ok(())
    }
}
