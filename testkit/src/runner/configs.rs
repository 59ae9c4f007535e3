//! The settings of members that run in this process, by the plan: what `arguments` says, as values.

use super::{EGRESS_FILE, Spec};
use crate::cluster::authority::{SSH_KEY, SSH_KNOWN_HOSTS, SSH_USER, ssh_host_key};
use crate::cluster::plan::{Egress, Member, Mode, NodePlan, Storage};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tinyplane_apiserver::config::{self, AuthorizationMode};
use tinyplane_apiserver::egress::{ComponentAddresses, NodeConfig, SshConfig};
use tinyplane_konnectivity::{Overflow, TlsFiles, agent, server};
use tinyplane_kubelet_stub as kubelet;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::tls::TlsLimits;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// Starts a member with the settings that its plan means.
pub(super) async fn start(spec: &Spec, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    match spec.member {
        Member::Apiserver => tinyplane_apiserver::start(apiserver(spec), clock, shutdown).await,
        Member::Controllers => tinyplane_controllers::start(controllers(spec), clock, shutdown).await,
        Member::Kubelet => kubelet::start(nodes(spec), clock, shutdown).await,
        Member::KonnectivityServer(_) => server::start(konnectivity_server(spec), clock, shutdown).await,
        Member::KonnectivityAgent(_) => agent::start(konnectivity_agent(spec), clock, shutdown).await,
    }
}

fn controllers(spec: &Spec) -> tinyplane_controllers::Config {
    tinyplane_controllers::Config {
        scheduler_kubeconfig: Some(spec.folder.kubeconfig("scheduler")),
        use_service_account_credentials: true,
        cluster_signing_files: Some((spec.folder.pki("ca.crt"), spec.folder.pki("ca.key"))),
        root_ca_file: Some(spec.folder.pki("ca.crt")),
        node_monitor_grace_period: spec.node_monitor_grace_period,
        bind_address: spec.controller_manager().ip(),
        secure_port: Some(spec.controller_manager().port()),
        scheduler_secure_port: Some(spec.scheduler().port()),
        source_address: Some(spec.plan.address(Member::Controllers).into()),
        cluster_net: spec.plan.division().cluster_net(),
        ledger_file: spec.ledger_file(),
        ..tinyplane_controllers::Config::new(spec.folder.kubeconfig("controllers"))
    }
}

fn nodes(spec: &Spec) -> kubelet::Config {
    let (plan, folder) = (&spec.plan, &spec.folder);
    let node = |node: &NodePlan| kubelet::NodeConfig {
        name: node.name.clone(),
        address: node.address.into(),
        port: 10_250,
        pod_range: node.pod_range.into(),
        kubeconfig: folder.kubeconfig(&node.name),
        tls_cert_file: folder.pki(&format!("kubelet-{}.crt", node.name)),
        tls_private_key_file: folder.pki(&format!("kubelet-{}.key", node.name)),
        ssh_host_key_file: plan.has_ssh().then(|| folder.pki(&ssh_host_key(&node.name))),
        ssh_port: 22,
        labels: std::collections::BTreeMap::new(),
        taints: Vec::new(),
    };
    let mut config = kubelet::Config::new(plan.nodes.iter().map(node).collect(), spec.cluster_net_by_relay());
    config.isolated = plan.isolated();
    config.ssh_authorized_keys_file = plan.has_ssh().then(|| folder.pki(&format!("{SSH_KEY}.pub")));
    config.client_ca_file = Some(folder.pki("ca.crt"));
    config.cluster_dns = vec![plan.dns_service().into()];
    config.ledger_file = spec.ledger_file();
    config.proxy_kubeconfig = Some(folder.kubeconfig("kube-proxy"));
    config
}

/// How often a silent peer of the tunnel is asked whether it is there: upstream's default.
const KEEPALIVE: Duration = Duration::from_secs(3_600);

fn konnectivity_server(spec: &Spec) -> server::Config {
    let address: IpAddr = spec.plan.address(spec.member).into();
    server::Config {
        mode: match spec.plan.egress {
            Egress::Konnectivity(Mode::HttpConnect) => server::Mode::HttpConnect,
            Egress::Konnectivity(Mode::Grpc) | Egress::Direct | Egress::Ssh => server::Mode::Grpc,
        },
        frontend: server::Frontend::Unix { path: spec.tunnel_socket(spec.member.number()), delete_existing: true },
        agents: SocketAddr::from((spec.listens_at(), spec.ports.agents)),
        agent_tls: tls_files(spec, "konnectivity-server"),
        agent_tokens: None,
        tls_limits: TlsLimits::default(),
        strategies: vec![server::Strategy::Default],
        leases: None,
        kubeconfig: None,
        source: Some(address),
        health: SocketAddr::new(address, 8092),
        admin: SocketAddr::new(address, 8095),
        server_id: spec.member.to_string(),
        server_count: spec.plan.konnectivity_servers.into(),
        keepalive: KEEPALIVE,
        frontend_keepalive: KEEPALIVE,
        backend_dial_timeout: None,
        graceful_shutdown: Duration::ZERO,
        overflow: Overflow::default(),
        plain: false,
        ledger_file: spec.ledger_file(),
    }
}

fn konnectivity_agent(spec: &Spec) -> agent::Config {
    let address: IpAddr = spec.plan.address(spec.member).into();
    agent::Config {
        server_host: spec.plan.agents_dial().to_string(),
        server_port: spec.ports.agents,
        tls: tls_files(spec, "konnectivity-agent"),
        token_file: None,
        alpn: Vec::new(),
        agent_id: spec.member.to_string(),
        agent_identifiers: String::new(),
        sync_interval: Duration::from_secs(1),
        sync_interval_cap: Duration::from_secs(1),
        sync_forever: false,
        leases: None,
        count_source: agent::CountSource::Single,
        keepalive: KEEPALIVE,
        health: SocketAddr::new(address, 8093),
        admin: SocketAddr::new(address, 8094),
        source: Some(address),
        cluster_net: spec.cluster_net_by_relay(),
        overflow: Overflow::default(),
        plain: false,
        ledger_file: spec.ledger_file(),
    }
}

fn tls_files(spec: &Spec, member: &str) -> TlsFiles {
    let file = |extension: &str| spec.folder.pki(&format!("{member}.{extension}"));
    TlsFiles::mutual(file("crt"), file("key"), spec.folder.pki("ca.crt"))
}

fn apiserver(spec: &Spec) -> tinyplane_apiserver::Config {
    let (plan, folder) = (&spec.plan, &spec.folder);
    let address: IpAddr = plan.address(Member::Apiserver).into();
    tinyplane_apiserver::Config {
        bind: SocketAddr::from((spec.listens_at(), spec.ports.apiserver)),
        advertise: Some(address),
        certificate_file: folder.pki("apiserver.crt"),
        key_file: folder.pki("apiserver.key"),
        client_authority_file: Some(folder.pki("ca.crt")),
        token_file: None,
        anonymous: plan.security.anonymous,
        authorization: vec![AuthorizationMode::Node, AuthorizationMode::Rbac],
        account_key_files: vec![folder.pki("service-account.pub")],
        account_signing_key_file: Some(folder.pki("service-account.key")),
        account_issuer: super::arguments::ISSUER.into(),
        audiences: Vec::new(),
        service_range: plan.division().services.into(),
        node_ports: 30_000..=32_767,
        kubelets: NodeConfig {
            certificate_file: Some(folder.pki("apiserver-kubelet-client.crt")),
            key_file: Some(folder.pki("apiserver-kubelet-client.key")),
            authority_file: plan.security.kubelet_certificate_checked.then(|| folder.pki("ca.crt")),
            preferred_address_types: Vec::new(),
        },
        admission: tinyplane_apiserver::admission::Choice::own(),
        egress_file: plan.has_konnectivity().then(|| folder.file(EGRESS_FILE)),
        ssh: plan.has_ssh().then(|| SshConfig {
            user: SSH_USER.into(),
            key_file: folder.pki(SSH_KEY),
            known_hosts_file: plan.security.kubelet_certificate_checked.then(|| folder.pki(SSH_KNOWN_HOSTS)),
        }),
        components: ComponentAddresses { controller_manager: spec.controller_manager(), scheduler: spec.scheduler() },
        storage: match plan.storage {
            Storage::Memory => config::Storage::Memory,
            Storage::Sled => config::Storage::Sled(folder.store()),
        },
        compaction_interval: spec.compaction_interval,
        cluster_net: spec.cluster_net_by_relay(),
        source_address: Some(address),
        ledger_file: spec.ledger_file(),
        audit: None,
        request_limits: Default::default(),
        request_timeout: Duration::from_secs(60),
    }
}
