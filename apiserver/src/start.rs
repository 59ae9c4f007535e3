//! Puts the rooms together: settings in, a serving API server out.

use crate::admission::{Means, Plugins};
use crate::audit::AuditLog;
use crate::authn::{Authenticator, Certificates, Impersonation, Live, ServiceAccounts, StaticTokens};
use crate::authz::{Authorizer, Authorizers, NodeAuthorizer, Rbac};
use crate::chain::Chain;
use crate::config::{AuthorizationMode, Config, Storage};
use crate::discovery::Discovery;
use crate::egress::{self, Components, Egress, Nodes, Tunnels};
use crate::endpoints::health::{Bootstrapped, Health};
use crate::endpoints::issuer::Issuer;
use crate::endpoints::pages::Pages;
use crate::endpoints::{Documents, Endpoints};
use crate::flow_control::FlowControl;
use crate::handlers::Handlers;
use crate::handlers::connect::ConnectContext;
use crate::live::{LiveNodes, LiveObjects, RegistryFeed};
use crate::metrics::{Metrics, Process, Source, StoredObjects};
use crate::registry::bootstrap::Own;
use crate::registry::bootstrap::own_identity::Identity;
use crate::registry::custom::Definitions;
use crate::registry::selection::{Descriptions, SharedCatalog};
use crate::registry::{Registry, Settings, builtin_catalog, flow_schemas};
use crate::reviews::{Reviews, TokenIssuer};
use crate::server::Server;
use crate::store::contract::Store;
use crate::store::entry::Describe;
use crate::store::limits::Limits;
use crate::store::measured::Measured;
use crate::store::memory::MemoryStore;
use crate::store::sled;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki;
use tinyplane_wire::identity::serving::ServingFiles;
use tinyplane_wire::identity::tls::{self, ClientAuth};
use tinyplane_wire::identity::token::{Signer, Verifier, public_jwk};
use tinyplane_wire::ledger::Ledger;
use tinyplane_wire::net::TcpDial;
use tinyplane_wire::process::{MemberError, Running, Shutdown};

/// Starts an API server. It serves when this returns.
///
/// # Errors
/// When a file can't be read or used, the store is not ours to open, or the address can't be bound.
pub async fn start(config: Config, clock: Clock, shutdown: Shutdown) -> Result<Running, MemberError> {
    let unserved = "the serving certificate can't be used";
    let files = ServingFiles::open(&config.certificate_file, &config.key_file)
        .map_err(|e| MemberError::because(unserved, e))?;
    let tls =
        tls::server_of(files, &ClientAuth::Offered, &tls::ALPN_HTTP).map_err(|e| MemberError::because(unserved, e))?;
    let catalog = builtin_catalog();
    let metrics = Arc::new(Metrics::default());
    let store = measured(open(&config, &catalog, &clock).await?, &metrics);
    let settings = Settings { service_range: config.service_range, node_ports: config.node_ports.clone() };
    let registry = Arc::new(Registry::new(Arc::clone(&store), catalog, clock.clone(), settings));
    let ledger = Ledger::wished(config.ledger_file.as_deref(), "apiserver", &clock)?;
    let server = Server::bind(config.bind, ledger.as_ref())
        .map_err(|e| MemberError::because(format!("{} can't be listened on", config.bind), e))?;
    let address = server.address();
    let flow_control = Arc::new(FlowControl::new(&registry, config.request_limits));
    let parts = Parts {
        config: &config,
        registry: &registry,
        store: &store,
        clock: &clock,
        shutdown: &shutdown,
        address,
        metrics: &metrics,
        flow_control: &flow_control,
        ledger: &ledger,
    };
    let ways = parts.ways()?;
    let bootstrapped = Bootstrapped::default();
    let chain = Arc::new(parts.chain(&bootstrapped, &ways)?);
    let advertised = SocketAddr::new(config.advertise.unwrap_or_else(|| address.ip()), address.port());
    registry
        .bootstrap(&Own { endpoint: advertised })
        .await
        .map_err(|status| MemberError::new(format!("the first objects can't be written: {status}")))?;
    let identity = parts.identity(advertised)?;
    let holder = registry
        .introduce(&identity)
        .await
        .map_err(|status| MemberError::new(format!("the server can't say that it is there: {status}")))?;
    flow_control.refresh();
    let mut definitions = Definitions::new(Arc::clone(&registry));
    definitions
        .bring_up_to_date()
        .await
        .map_err(|status| MemberError::new(format!("the custom resources can't be served: {status}")))?;
    bootstrapped.set();
    let task = tokio::spawn(async move {
        tokio::join!(
            registry.expire(&shutdown),
            definitions.follow(&shutdown),
            flow_schemas::follow(&registry, &shutdown),
            registry.stay(&identity, &holder, &shutdown),
            ways.keep(&registry, &shutdown),
            server.serve(Arc::new(tls), chain, shutdown.clone())
        );
        store.close().await;
        if let Some(ledger) = ledger {
            ledger.flush();
        }
        Ok(())
    });
    Ok(Running { addresses: BTreeMap::from([("https".to_owned(), address)]), task })
}

/// Opens the store. Sled blocks while it does.
async fn open(config: &Config, catalog: &SharedCatalog, clock: &Clock) -> Result<Arc<dyn Store>, MemberError> {
    let interval = Some(config.compaction_interval).filter(|interval| !interval.is_zero());
    let limits = Limits { history_age_max: interval.unwrap_or(Duration::MAX), ..Limits::default() };
    let Storage::Sled(folder) = &config.storage else {
        return Ok(Arc::new(MemoryStore::new(limits, clock.clone())));
    };
    let describe: Arc<dyn Describe> = Arc::new(Descriptions(Arc::clone(catalog)));
    let (folder, clock) = (folder.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || sled::open(&folder, &describe, limits, clock)).await;
    match opened {
        Ok(Ok(store)) => Ok(Arc::new(store)),
        Ok(Err(error)) => Err(MemberError::because("the store can't be opened", error)),
        Err(error) => Err(MemberError::because("the store can't be opened", error)),
    }
}

/// The ways into the cluster.
struct Ways {
    nodes: Arc<Nodes>,
    tunnels: Option<Arc<Tunnels>>,
}

impl Ways {
    /// Keeps tunnels to the nodes, where there are any to keep.
    async fn keep(&self, registry: &Arc<Registry>, shutdown: &Shutdown) {
        if let Some(tunnels) = &self.tunnels {
            let feed = LiveNodes::of(registry, &self.nodes);
            tunnels.follow(Box::new(feed), Arc::clone(&self.nodes), shutdown).await;
        }
    }
}

/// What every room is made of.
struct Parts<'a> {
    config: &'a Config,
    registry: &'a Arc<Registry>,
    store: &'a Arc<dyn Store>,
    clock: &'a Clock,
    shutdown: &'a Shutdown,
    address: SocketAddr,
    metrics: &'a Arc<Metrics>,
    flow_control: &'a Arc<FlowControl>,
    ledger: &'a Option<Ledger>,
}

/// The keys of service account tokens.
struct Keys {
    signer: Option<Signer>,
    public_pems: Vec<String>,
    audiences: Vec<String>,
}

impl Parts<'_> {
    fn chain(&self, bootstrapped: &Bootstrapped, ways: &Ways) -> Result<Chain, MemberError> {
        let live: Arc<dyn Live> = Arc::new(LiveObjects(Arc::clone(self.registry)));
        let keys = self.keys()?;
        let authenticator = Arc::new(self.authenticator(&keys, &live)?);
        let authorizer: Arc<dyn Authorizer> = Arc::new(self.authorizers());
        let means = Means {
            cluster_net: self.config.cluster_net.clone(),
            authorizer: Arc::clone(&authorizer),
            choice: self.config.admission.clone(),
            metrics: Arc::clone(self.metrics),
        };
        let handlers = Handlers {
            registry: Arc::clone(self.registry),
            admission: Arc::new(Plugins::new(means)),
            connect: self.connect(ways),
            components: Components::at(self.config.components, TcpDial::from(self.config.source_address)),
            reviews: Reviews { authenticator: Arc::clone(&authenticator), authorizer: Arc::clone(&authorizer) },
            tokens: self.token_issuer(&keys, live),
            metrics: Arc::clone(self.metrics),
            shutdown: self.shutdown.clone(),
        };
        Ok(Chain {
            authenticator,
            impersonation: Impersonation::counted(Arc::clone(&self.metrics.impersonations)),
            authorizer,
            flow_control: Arc::clone(self.flow_control),
            metrics: Arc::clone(self.metrics),
            audit: self.audit()?,
            endpoints: self.endpoints(bootstrapped, &keys, ways)?,
            handlers: Arc::new(handlers),
            clock: self.clock.clone(),
            call_timeout: self.config.request_timeout,
            shutdown: self.shutdown.clone(),
        })
    }

    fn keys(&self) -> Result<Keys, MemberError> {
        let mut public_pems = Vec::new();
        for file in &self.config.account_key_files {
            public_pems.push(read(file)?);
        }
        let mut signer = None;
        if let Some(file) = &self.config.account_signing_key_file {
            let unusable = |e: Box<dyn std::error::Error + Send + Sync>| {
                MemberError::because(format!("{} can't sign tokens", file.display()), e)
            };
            let private = read(file)?;
            let public = pki::public_key(&private).map_err(|e| unusable(e.into()))?;
            let named = public_jwk(&public).map_err(|e| unusable(e.into()))?;
            let unnamed = Signer::from_pem(&private).map_err(|e| unusable(e.into()))?;
            signer = Some(unnamed.with_key_id(named["kid"].as_str().unwrap_or_default()));
            if public_pems.is_empty() {
                public_pems.push(public);
            }
        }
        let audiences = match self.config.audiences.as_slice() {
            [] => vec![self.config.account_issuer.clone()],
            given => given.to_vec(),
        };
        Ok(Keys { signer, public_pems, audiences })
    }

    fn authenticator(&self, keys: &Keys, live: &Arc<dyn Live>) -> Result<Authenticator, MemberError> {
        let certificates = match &self.config.client_authority_file {
            Some(file) => Some(
                Certificates::new(&read(file)?)
                    .map_err(|e| MemberError::because(format!("{} is no authority", file.display()), e))?,
            ),
            None => None,
        };
        let static_tokens = match &self.config.token_file {
            Some(file) => Some(
                StaticTokens::parse(&read(file)?)
                    .map_err(|e| MemberError::because(format!("{} holds no tokens", file.display()), e))?,
            ),
            None => None,
        };
        let mut verifiers = Vec::new();
        for pem in &keys.public_pems {
            verifiers.push(
                Verifier::from_pem(pem, &self.config.account_issuer)
                    .map_err(|e| MemberError::because("a service account key can't be used", e))?,
            );
        }
        let service_accounts =
            (!verifiers.is_empty()).then(|| ServiceAccounts::new(verifiers, keys.audiences.clone(), Arc::clone(live)));
        Ok(Authenticator {
            certificates,
            static_tokens,
            service_accounts,
            anonymous: self.config.anonymous,
            clock: self.clock.clone(),
        })
    }

    fn authorizers(&self) -> Authorizers {
        let has = |mode| self.config.authorization.contains(&mode);
        Authorizers {
            node: has(AuthorizationMode::Node).then(|| NodeAuthorizer::new(Box::new(RegistryFeed::of(self.registry)))),
            rbac: has(AuthorizationMode::Rbac).then(|| Rbac::new(Box::new(RegistryFeed::of(self.registry)))),
            always_allow: has(AuthorizationMode::AlwaysAllow),
        }
    }

    fn token_issuer(&self, keys: &Keys, live: Arc<dyn Live>) -> Option<TokenIssuer> {
        Some(TokenIssuer {
            signer: keys.signer.clone()?,
            issuer: self.config.account_issuer.clone(),
            audiences: keys.audiences.clone(),
            live,
            clock: self.clock.clone(),
        })
    }

    fn ways(&self) -> Result<Ways, MemberError> {
        let tcp = egress::direct::dial(self.config.source_address, &self.config.cluster_net);
        let tunnels = self.config.ssh.clone().map(|ssh| Tunnels::new(ssh, tcp.clone(), self.clock.clone())).transpose();
        let tunnels = tunnels.map_err(|e| MemberError::because("there can be no SSH tunnels", e))?;
        let egress = match (&tunnels, &self.config.egress_file) {
            (Some(tunnels), None) => Egress::tunnels(Arc::clone(tunnels)),
            (None, Some(file)) => Egress::load(file, tcp, &self.metrics.egress)
                .map_err(|e| MemberError::because(format!("{} leads nowhere", file.display()), e))?,
            (None, None) => Egress::direct(tcp),
            (Some(_), Some(_)) => return Err(MemberError::new("SSH tunnels and an egress selector don't go together")),
        };
        let nodes = Nodes::new(self.config.kubelets.clone(), Arc::clone(&egress.cluster));
        let nodes = Arc::new(nodes.recording(egress.word, self.ledger.clone()));
        Ok(Ways { nodes, tunnels })
    }

    fn connect(&self, ways: &Ways) -> ConnectContext {
        ConnectContext {
            lookup: self.registry.clone(),
            nodes: Arc::clone(&ways.nodes),
            cluster_net: self.config.cluster_net.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    fn endpoints(&self, bootstrapped: &Bootstrapped, keys: &Keys, ways: &Ways) -> Result<Endpoints, MemberError> {
        let mut jwks = Vec::new();
        for pem in &keys.public_pems {
            jwks.push(public_jwk(pem).map_err(|e| MemberError::because("a service account key can't be told", e))?);
        }
        let server = format!("https://{}", self.address);
        let store = Arc::clone(self.store);
        let issuer =
            (!jwks.is_empty()).then(|| Issuer { name: self.config.account_issuer.clone(), server, keys: jwks });
        let mut health = Health::new(move || store.works().is_ok(), bootstrapped, self.shutdown.clone());
        let mut metrics = self.sources();
        if let Some(tunnels) = ways.tunnels.clone() {
            metrics.push(tunnels.clone());
            health = health.and("SSH Tunnel Check", move || tunnels.is_in_step());
        }
        Ok(Endpoints {
            catalog: self.registry.shared_catalog(),
            discovery: Discovery::new(self.address.to_string()),
            health,
            issuer,
            openapi: Documents::default(),
            pages: Pages { flags: self.config.flags(), started: self.clock.now(), clock: self.clock.clone() },
            metrics,
        })
    }
}

impl Parts<'_> {
    /// The audit log, where there is a policy and a place for it.
    fn audit(&self) -> Result<Option<Arc<AuditLog>>, MemberError> {
        let Some(config) = &self.config.audit else { return Ok(None) };
        let log = AuditLog::open(config, self.clock.clone(), Arc::clone(self.metrics))
            .map_err(|error| MemberError::because("the audit log can't be kept", error))?;
        Ok(Some(Arc::new(log)))
    }

    /// How the server calls itself towards others.
    fn identity(&self, advertised: SocketAddr) -> Result<Identity, MemberError> {
        let client_authority = match &self.config.client_authority_file {
            Some(file) => read(file)?,
            None => String::new(),
        };
        // Where the kernel does not tell it, the lease does without.
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Ok(Identity { hostname, address: advertised.to_string(), client_authority })
    }

    /// Whose figures `/metrics` tells.
    fn sources(&self) -> Vec<Arc<dyn Source>> {
        let folder = match &self.config.storage {
            Storage::Sled(folder) => Some(folder.clone()),
            Storage::Memory => None,
        };
        let (metrics, flow_control) = (Arc::clone(self.metrics), Arc::clone(self.flow_control));
        let stored = StoredObjects { registry: Arc::clone(self.registry), folder };
        vec![metrics, flow_control, Arc::new(stored), Arc::new(Process)]
    }
}

/// The store, its changes counted.
fn measured(inner: Arc<dyn Store>, metrics: &Arc<Metrics>) -> Arc<dyn Store> {
    let metrics = Arc::clone(metrics);
    let tell = move |operation, folder: &str, took| {
        metrics.store.with(&(operation, folder.to_owned()), |series| series.count(took));
    };
    Arc::new(Measured { inner, tell: Box::new(tell) })
}

fn read(path: &Path) -> Result<String, MemberError> {
    std::fs::read_to_string(path).map_err(|e| MemberError::because(format!("{} can't be read", path.display()), e))
}
