//! An API server without its socket: the handlers on a store in memory, asked by somebody who may do everything.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_apiserver::admission::{Choice, Means, Plugins};
use tinyplane_apiserver::audit::Ticket;
use tinyplane_apiserver::authn::{Authenticator, Caller, GROUP_MASTERS, Peer};
use tinyplane_apiserver::authz::{Authorizers, permit};
use tinyplane_apiserver::chain::Serve;
use tinyplane_apiserver::egress::{NodeConfig, Nodes, direct};
use tinyplane_apiserver::handlers::Handlers;
use tinyplane_apiserver::handlers::connect::ConnectContext;
use tinyplane_apiserver::registry::bootstrap::Own;
use tinyplane_apiserver::registry::{Registry, Settings, builtin_catalog};
use tinyplane_apiserver::request::Call;
use tinyplane_apiserver::reviews::Reviews;
use tinyplane_apiserver::store::limits::Limits;
use tinyplane_apiserver::store::memory::MemoryStore;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::net::{ClusterNet, Dial};
use tinyplane_wire::process::Shutdown;
use tinyplane_wire::status::Status;
use tokio::runtime::Runtime;

/// The longest that any answer may take.
const LONGEST: Duration = Duration::from_secs(10);

thread_local! {
    static DESK: OnceCell<Desk> = const { OnceCell::new() };
}

pub(crate) struct Desk {
    runtime: Runtime,
    handlers: Handlers,
    authorizer: Arc<Authorizers>,
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

/// Asks the desk of this thread.
pub(crate) fn ask(request: Request<Body>) -> Answer {
    DESK.with(|desk| desk.get_or_init(Desk::new).ask(request))
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
        let handlers = Handlers {
            registry: registry.clone(),
            admission: Arc::new(Plugins::new(means)),
            connect: ConnectContext {
                lookup: registry,
                nodes: Arc::new(Nodes::new(NodeConfig::default(), dial.clone())),
                cluster: dial,
                cluster_net: net,
                shutdown: shutdown.clone(),
            },
            reviews: Reviews { authenticator: Arc::new(Authenticator::default()), authorizer: authorizer.clone() },
            tokens: None,
            metrics: Arc::default(),
            shutdown,
        };
        let desk = Self { runtime, handlers, authorizer };
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
        ] {
            desk.make(path, &object);
        }
        desk
    }

    fn make(&self, path: &str, object: &Value) {
        let request = Request::post(path).header("content-type", "application/json");
        let answer = self.ask(request.body(Body::from(object.to_string())).expect("a request"));
        assert!(matches!(answer, Answer::Whole(201, _)), "{path}");
    }

    fn ask(&self, request: Request<Body>) -> Answer {
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
