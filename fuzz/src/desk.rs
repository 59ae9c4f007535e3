//! An API server without its socket: the handlers on a store in memory, asked by somebody who may do everything.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_apiserver::admission::{Choice, Means, Plugins};
use tinyplane_apiserver::audit::Ticket;
use tinyplane_apiserver::authn::{Authenticator, Caller, GROUP_MASTERS, Impersonation, Peer};
use tinyplane_apiserver::authz::{Authorizers, permit};
use tinyplane_apiserver::chain::{CALL_TIMEOUT, Chain, Serve};
use tinyplane_apiserver::discovery::Discovery;
use tinyplane_apiserver::egress::{ComponentAddresses, Components, NodeConfig, Nodes, direct};
use tinyplane_apiserver::endpoints::health::{Bootstrapped, Health};
use tinyplane_apiserver::endpoints::pages::Pages;
use tinyplane_apiserver::endpoints::{Documents, Endpoints};
use tinyplane_apiserver::flow_control::FlowControl;
use tinyplane_apiserver::handlers::Handlers;
use tinyplane_apiserver::handlers::connect::ConnectContext;
use tinyplane_apiserver::registry::bootstrap::Own;
use tinyplane_apiserver::registry::custom::Definitions;
use tinyplane_apiserver::registry::{Registry, Settings, builtin_catalog};
use tinyplane_apiserver::request::Call;
use tinyplane_apiserver::reviews::Reviews;
use tinyplane_apiserver::server::serve_connection;
use tinyplane_apiserver::store::limits::Limits;
use tinyplane_apiserver::store::memory::MemoryStore;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{ClusterNet, Dial, TcpDial};
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::{Reason, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::soon::LONGEST;

/// What a pipe holds, and most of what is read of an answer.
const PIPE_BYTES: usize = 16 * 1024;
const HEARD_BYTES_MAX: u64 = 4 << 20;
/// How long a connection is listened to.
const PATIENCE: Duration = Duration::from_millis(100);

/// Nobody listens there.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

thread_local! {
    static DESK: Cell<Option<Desk>> = const { Cell::new(None) };
}

/// Where definitions are.
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

pub(crate) struct Desk {
    runtime: Runtime,
    handlers: Arc<Handlers>,
    chain: Arc<Chain>,
    authorizer: Arc<Authorizers>,
    registry: Arc<Registry>,
    /// Where the store was when all was as it is meant to be.
    began: u64,
}

/// What came back.
pub(crate) enum Answer {
    /// Code and body.
    Whole(u16, Vec<u8>),
    /// A stream, which was not read.
    Stream,
    /// The request itself could not be read.
    Refused(Box<Status>),
}

/// What upstream answers with an internal error, though the asker's patch has taken a custom object's version away.
const NO_VERSION: &str = "Object 'apiVersion' is missing in ";

impl Answer {
    /// Its code; none of a stream.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Whole(code, _) => Some(*code),
            Self::Refused(status) => Some(status.code),
            Self::Stream => None,
        }
    }

    /// Demands that nothing went wrong that is not the asker's fault. Some faults of an asker are upstream's 500 without
    /// a reason.
    pub(crate) fn demand(&self, told: &str) {
        match self {
            Self::Whole(code, _) => assert!(*code < 500, "{told}: {code}"),
            Self::Refused(status) => {
                let foreseen = status.reason != Reason::InternalError || status.message.contains(NO_VERSION);
                assert!(foreseen, "{told}: {status}");
            }
            Self::Stream => {}
        }
    }
}

/// Lends a desk at which nobody has written anything: what one input wrote is gone before the next.
pub(crate) fn with<T>(ask: impl FnOnce(&Desk) -> T) -> T {
    let kept = DESK.take().filter(|desk| desk.registry.revision() == desk.began && !desk.chain.shutdown.is_cancelled());
    let desk = kept.unwrap_or_else(Desk::new);
    let asked = ask(&desk);
    DESK.set(Some(desk));
    asked
}

/// Asks it once.
pub(crate) fn ask(request: Request<Body>) -> Answer {
    with(|desk| desk.ask(request))
}

impl Desk {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let store = Arc::new(MemoryStore::new(Limits::default(), Clock::system()));
        let settings = Settings { service_range: "10.0.0.0/16".parse().expect("a range"), node_ports: 30_000..=32_767 };
        let registry = Arc::new(Registry::new(store, builtin_catalog(), Clock::system(), settings));
        let own = Own { endpoint: "10.9.9.9:6443".parse().expect("an address") };
        runtime.block_on(registry.bootstrap(&own)).expect("the first objects");
        let (net, shutdown) = (ClusterNet::default(), Shutdown::new());
        // A fuzzer dials nobody.
        let dial: Arc<dyn Dial> = Arc::new(direct::dial(Some([127, 0, 0, 1].into()), &net));
        let authorizer = Arc::new(Authorizers { node: None, rbac: None, always_allow: true });
        let means = Means {
            cluster_net: net.clone(),
            authorizer: authorizer.clone(),
            choice: Choice::default(),
            metrics: Arc::default(),
        };
        let handlers = Arc::new(Handlers {
            registry: registry.clone(),
            admission: Arc::new(Plugins::new(means)),
            connect: ConnectContext {
                lookup: registry.clone(),
                nodes: Arc::new(Nodes::new(NodeConfig::default(), dial)),
                cluster_net: net,
                shutdown: shutdown.clone(),
            },
            components: Components::at(
                ComponentAddresses { controller_manager: NOBODY, scheduler: NOBODY },
                TcpDial::from(None),
            ),
            reviews: Reviews { authenticator: Arc::new(Authenticator::default()), authorizer: authorizer.clone() },
            tokens: None,
            metrics: Arc::default(),
            shutdown: shutdown.clone(),
        });
        let chain = Arc::new(chain(&registry, handlers.clone(), authorizer.clone(), shutdown));
        let mut desk = Self { runtime, handlers, chain, authorizer, registry, began: 0 };
        let labels = json!({"app": "a"});
        let container = json!({"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]});
        for (path, object) in [
            ("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})),
            ("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "a"}, "data": {"a": "1"}})),
            (
                "/apis/apps/v1/namespaces/default/deployments",
                json!({"metadata": {"name": "a", "labels": labels}, "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}}),
            ),
            (
                "/api/v1/namespaces/default/services",
                json!({"metadata": {"name": "a"}, "spec": {"selector": labels, "ports": [{"port": 80}]}}),
            ),
            (DEFINITIONS, crate::foos::definition()),
        ] {
            desk.make(path, &object);
        }
        desk.follow();
        desk.make(crate::foos::ALL, &crate::foos::one());
        desk.began = desk.registry.revision();
        desk
    }

    /// A connection on which these bytes come: what comes back, as far as it comes by itself.
    pub(crate) fn converse(&self, said: &[u8]) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let over = &self.chain.shutdown;
        let serving = serve_connection(far, Peer::nobody(), Arc::clone(&self.chain), over.clone());
        let speaking = async {
            let (from, mut to) = tokio::io::split(near);
            let mut heard = Vec::new();
            let mut from = from.take(HEARD_BYTES_MAX);
            let both = async {
                // A server may have had enough before all is said.
                drop(to.write_all(said).await);
                drop(to.shutdown().await);
            };
            let both = async { tokio::join!(both, from.read_to_end(&mut heard)) };
            // A watch goes on; told to end, the server ends it, and serves nobody any more.
            if tokio::time::timeout(PATIENCE, both).await.is_err() {
                over.cancel();
            }
            drop(from.read_to_end(&mut heard).await);
            heard
        };
        self.runtime.block_on(async {
            let all = async { tokio::join!(speaking, serving).0 };
            tokio::time::timeout(LONGEST, all).await.expect("an end in time")
        })
    }

    /// Serves what is defined by now.
    pub(crate) fn follow(&self) {
        let mut definitions = Definitions::new(Arc::clone(&self.registry));
        // A definition that is being deleted waits for its objects.
        self.runtime.block_on(definitions.bring_up_to_date()).expect("definitions can be read");
    }

    fn make(&self, path: &str, object: &Value) {
        let request = Request::post(path).header("content-type", "application/json");
        let answer = self.ask(request.body(Body::from(object.to_string())).expect("a request"));
        assert!(matches!(answer, Answer::Whole(201, _)), "{path}");
    }

    pub(crate) fn ask(&self, request: Request<Body>) -> Answer {
        let call = match Call::parse(&request, Peer::nobody(), Ticket::new(None)) {
            Ok(call) => call,
            Err(status) => return Answer::Refused(status),
        };
        let streams = call.is_long_running();
        let caller = Arc::new(Caller::new("admin", [GROUP_MASTERS]));
        let call = match permit(call, caller, self.authorizer.clone()) {
            Ok(call) => call,
            Err(status) => return Answer::Refused(status),
        };
        self.runtime.block_on(async {
            let served = tokio::time::timeout(LONGEST, self.handlers.serve(call, request));
            let response: Response<Body> = match served.await.expect("an answer in time") {
                Ok(response) => response,
                Err(status) => return Answer::Refused(status),
            };
            if streams {
                return Answer::Stream;
            }
            let code = response.status().as_u16();
            let read = tokio::time::timeout(LONGEST, response.into_body().collect());
            let bytes = read.await.expect("a body in time").expect("a whole body").to_bytes();
            Answer::Whole(code, bytes.to_vec())
        })
    }
}

fn chain(registry: &Arc<Registry>, handlers: Arc<Handlers>, authorizer: Arc<Authorizers>, shutdown: Shutdown) -> Chain {
    let bootstrapped = Bootstrapped::default();
    bootstrapped.set();
    Chain {
        authenticator: Arc::new(Authenticator { anonymous: true, ..Authenticator::default() }),
        impersonation: Impersonation::default(),
        authorizer,
        flow_control: Arc::new(FlowControl::unlimited(Clock::system())),
        metrics: Arc::default(),
        audit: None,
        endpoints: Endpoints {
            catalog: registry.shared_catalog(),
            discovery: Discovery::new("127.0.0.1:6443".into()),
            health: Health::new(|| true, &bootstrapped, shutdown.clone()),
            issuer: None,
            openapi: Documents::default(),
            pages: Pages { flags: BTreeMap::new(), started: Clock::system().now(), clock: Clock::system() },
            metrics: Vec::new(),
        },
        handlers,
        clock: Clock::system(),
        call_timeout: CALL_TIMEOUT,
        shutdown,
    }
}
