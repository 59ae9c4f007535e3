//! The command lines of members, by the plan: flags named as upstream's where upstream has them.

use super::Spec;
use crate::cluster::authority::{SSH_KEY, SSH_KNOWN_HOSTS, SSH_USER, ssh_host_key};
use crate::cluster::plan::{Egress, Member, Mode, Storage};
use serde_json::json;
use std::path::Path;

/// The arguments behind the subcommand.
pub(super) fn of(spec: &Spec) -> Vec<String> {
    let mut line = Line(Vec::new());
    if spec.verbosity > 0 {
        line.flag("v", spec.verbosity);
    }
    if let Some(file) = spec.ledger_file() {
        line.file("ledger-file", &file);
    }
    match spec.member {
        Member::Apiserver => apiserver(spec, &mut line),
        Member::Controllers => controllers(spec, &mut line),
        Member::Kubelet => kubelet(spec, &mut line),
        Member::KonnectivityServer(_) => konnectivity_server(spec, &mut line),
        Member::KonnectivityAgent(_) => konnectivity_agent(spec, &mut line),
    }
    line.0
}

/// Who issues service account tokens.
pub(super) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

struct Line(Vec<String>);

impl Line {
    fn flag(&mut self, name: &str, value: impl std::fmt::Display) {
        let dashes = if name.len() == 1 { "-" } else { "--" };
        self.0.push(format!("{dashes}{name}={value}"));
    }

    fn file(&mut self, name: &str, path: &Path) {
        self.flag(name, path.display());
    }

    fn switch(&mut self, name: &str) {
        self.0.push(format!("--{name}"));
    }
}

fn apiserver(spec: &Spec, line: &mut Line) {
    let (plan, folder) = (&spec.plan, &spec.folder);
    let address = plan.address(Member::Apiserver);
    line.flag("bind-address", spec.listens_at());
    line.flag("advertise-address", address);
    line.flag("source-address", address);
    line.flag("secure-port", spec.ports.apiserver);
    line.file("tls-cert-file", &folder.pki("apiserver.crt"));
    line.file("tls-private-key-file", &folder.pki("apiserver.key"));
    line.file("client-ca-file", &folder.pki("ca.crt"));
    line.file("service-account-key-file", &folder.pki("service-account.pub"));
    line.file("service-account-signing-key-file", &folder.pki("service-account.key"));
    line.flag("service-account-issuer", ISSUER);
    line.flag("service-cluster-ip-range", plan.division().services);
    line.file("kubelet-client-certificate", &folder.pki("apiserver-kubelet-client.crt"));
    line.file("kubelet-client-key", &folder.pki("apiserver-kubelet-client.key"));
    if plan.security.kubelet_certificate_checked {
        line.file("kubelet-certificate-authority", &folder.pki("ca.crt"));
    }
    line.flag("anonymous-auth", plan.security.anonymous);
    line.flag("authorization-mode", "Node,RBAC");
    line.flag("enable-admission-plugins", tinyplane_apiserver::admission::OWN_ENABLED);
    line.flag("disable-admission-plugins", tinyplane_apiserver::admission::OWN_DISABLED);
    line.flag("controller-manager-address", spec.controller_manager());
    line.flag("scheduler-address", spec.scheduler());
    line.flag("cluster-net", spec.cluster_net_by_relay());
    line.flag("store", plan.storage);
    if plan.storage == Storage::Sled {
        line.file("store-dir", &folder.store());
    }
    line.flag("etcd-compaction-interval", format_args!("{}ms", spec.compaction_interval.as_millis()));
    if plan.has_ssh() {
        line.flag("ssh-user", SSH_USER);
        line.file("ssh-keyfile", &folder.pki(SSH_KEY));
        if plan.security.kubelet_certificate_checked {
            line.file("ssh-known-hosts-file", &folder.pki(SSH_KNOWN_HOSTS));
        }
    }
    if plan.has_konnectivity() {
        line.file("egress-selector-config-file", &folder.file(EGRESS_FILE));
    }
}

/// Name of the egress configuration in a cluster's folder.
pub(crate) const EGRESS_FILE: &str = "egress-selector.yaml";

/// The `EgressSelectorConfiguration` of a cluster whose nodes are behind Konnectivity.
pub(crate) fn egress_configuration(spec: &Spec) -> Option<Vec<u8>> {
    let protocol = match spec.plan.egress {
        Egress::Direct | Egress::Ssh => return None,
        Egress::Konnectivity(Mode::Grpc) => "GRPC",
        Egress::Konnectivity(Mode::HttpConnect) => "HTTPConnect",
    };
    let sockets = (1..=spec.plan.konnectivity_servers).map(|number| spec.tunnel_front(number).display().to_string());
    let sockets: Vec<_> = sockets.collect();
    let configuration = json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{
            "name": "cluster",
            "connection": {
                "proxyProtocol": protocol,
                "transport": {"uds": {"udsName": sockets.join(",")}},
            },
        }],
    });
    serde_json::to_vec_pretty(&configuration).ok()
}

fn controllers(spec: &Spec, line: &mut Line) {
    line.file("kubeconfig", &spec.folder.kubeconfig("controllers"));
    line.file("scheduler-kubeconfig", &spec.folder.kubeconfig("scheduler"));
    line.flag("use-service-account-credentials", true);
    line.file("cluster-signing-cert-file", &spec.folder.pki("ca.crt"));
    line.file("cluster-signing-key-file", &spec.folder.pki("ca.key"));
    line.file("root-ca-file", &spec.folder.pki("ca.crt"));
    line.flag("node-monitor-grace-period", format_args!("{}ms", spec.node_monitor_grace_period.as_millis()));
    line.flag("bind-address", spec.controller_manager().ip());
    line.flag("secure-port", spec.controller_manager().port());
    line.flag("scheduler-secure-port", spec.scheduler().port());
    line.flag("source-address", spec.plan.address(Member::Controllers));
    line.flag("cluster-net", spec.plan.division().cluster_net());
}

fn kubelet(spec: &Spec, line: &mut Line) {
    let (plan, folder) = (&spec.plan, &spec.folder);
    line.file("nodes-file", &folder.file(NODES_FILE));
    line.file("client-ca-file", &folder.pki("ca.crt"));
    line.flag("cluster-net", spec.cluster_net_by_relay());
    line.flag("cluster-dns", plan.dns_service());
    line.file("proxy-kubeconfig", &folder.kubeconfig("kube-proxy"));
    line.flag("authentication-token-webhook", true);
    line.flag("authorization-mode", "Webhook");
    if plan.isolated() {
        line.switch("isolated");
    }
    if plan.has_ssh() {
        line.file("ssh-authorized-keys-file", &folder.pki(&format!("{SSH_KEY}.pub")));
    }
}

/// Name of the list of nodes in a cluster's folder.
pub(crate) const NODES_FILE: &str = "nodes.json";

/// The list of nodes that the kubelet plays.
pub(crate) fn nodes_file(spec: &Spec) -> Vec<u8> {
    let folder = &spec.folder;
    let nodes: Vec<_> = spec
        .plan
        .nodes
        .iter()
        .map(|node| {
            let ssh_key = spec.plan.has_ssh().then(|| folder.pki(&ssh_host_key(&node.name)));
            json!({
                "name": node.name,
                "address": node.address,
                "podRange": node.pod_range,
                "kubeconfig": folder.kubeconfig(&node.name),
                "tlsCertFile": folder.pki(&format!("kubelet-{}.crt", node.name)),
                "tlsPrivateKeyFile": folder.pki(&format!("kubelet-{}.key", node.name)),
                "sshHostKeyFile": ssh_key,
            })
        })
        .collect();
    serde_json::to_vec_pretty(&nodes).unwrap_or_default()
}

fn konnectivity_server(spec: &Spec, line: &mut Line) {
    let (plan, folder) = (&spec.plan, &spec.folder);
    let address = plan.address(spec.member);
    let mode = match plan.egress {
        Egress::Konnectivity(Mode::HttpConnect) => "http-connect",
        Egress::Konnectivity(Mode::Grpc) | Egress::Direct | Egress::Ssh => "grpc",
    };
    line.flag("mode", mode);
    line.file("uds-name", &spec.tunnel_socket(spec.member.number()));
    line.flag("agent-bind-address", spec.listens_at());
    line.flag("agent-port", spec.ports.agents);
    line.flag("health-bind-address", address);
    line.flag("admin-bind-address", address);
    line.file("cluster-cert", &folder.pki("konnectivity-server.crt"));
    line.file("cluster-key", &folder.pki("konnectivity-server.key"));
    line.file("cluster-ca-cert", &folder.pki("ca.crt"));
    line.flag("server-id", spec.member);
    line.flag("server-count", plan.konnectivity_servers);
    line.flag("source-address", address);
}

fn konnectivity_agent(spec: &Spec, line: &mut Line) {
    let (plan, folder) = (&spec.plan, &spec.folder);
    let address = plan.address(spec.member);
    line.flag("proxy-server-host", plan.agents_dial());
    line.flag("proxy-server-port", spec.ports.agents);
    line.file("ca-cert", &folder.pki("ca.crt"));
    line.file("agent-cert", &folder.pki("konnectivity-agent.crt"));
    line.file("agent-key", &folder.pki("konnectivity-agent.key"));
    line.flag("agent-id", spec.member);
    line.flag("sync-interval-cap", "1s");
    line.flag("health-server-host", address);
    line.flag("admin-bind-address", address);
    line.flag("source-address", address);
    line.flag("cluster-net", spec.cluster_net_by_relay());
}
