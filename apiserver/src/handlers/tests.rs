//! Calls through the handlers, on a store in memory: what comes back, code and words.

mod apply;
mod bad_input;
mod bounds;
mod components;
mod custom_scales;
mod custom_versions;
mod deletions;
mod every_way;
mod forms;
mod hostile;
mod new_objects;
mod numbers;
mod options;
mod parts;
mod protobuf;
mod raw_json;

use super::Handlers;
use super::connect::ConnectContext;
use crate::admission::{Choice, Means, Plugins};
use crate::audit::Ticket;
use crate::authn::{Authenticator, Caller, GROUP_MASTERS, Peer};
use crate::authz::{Authorizers, permit};
use crate::chain::Serve;
use crate::codec::accept::of_failure;
use crate::egress::{ComponentAddresses, Components, NodeConfig, Nodes, direct};
use crate::live::LiveObjects;
use crate::registry::tests::World;
use crate::request::{Call, Warnings};
use crate::reviews::{Reviews, TokenIssuer};
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::signing_key;
use tinyplane_wire::identity::token::Signer;
use tinyplane_wire::net::{ClusterNet, Dial, TcpDial};
use tinyplane_wire::process::Shutdown;

/// Nobody listens there.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

pub(super) const JSON: &str = "application/json";
pub(super) const MERGE: &str = "application/merge-patch+json";
pub(super) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";

/// Handlers of their own for a test, and one caller who may do everything.
pub(super) struct Desk {
    handlers: Handlers,
    warnings: Warnings,
}

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) value: Value,
}

impl Answer {
    /// Code and message, of a failure.
    pub(super) fn told(&self) -> (u16, &str) {
        (self.code, self.value["message"].as_str().unwrap_or_default())
    }
}

impl Desk {
    pub(super) async fn new() -> Self {
        let world = World::new().await;
        let registry = world.registry;
        let (net, shutdown) = (ClusterNet::default(), Shutdown::new());
        let dial: Arc<dyn Dial> = Arc::new(direct::dial(None, &net));
        let authorizer: Arc<Authorizers> = Arc::new(Authorizers { node: None, rbac: None, always_allow: true });
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
                lookup: registry.clone(),
                nodes: Arc::new(Nodes::new(NodeConfig::default(), dial)),
                cluster_net: net,
                shutdown: shutdown.clone(),
            },
            components: Components::at(
                ComponentAddresses { controller_manager: NOBODY, scheduler: NOBODY },
                TcpDial::from(None),
            ),
            reviews: Reviews { authenticator: Arc::new(Authenticator::default()), authorizer },
            tokens: Some(TokenIssuer {
                signer: Signer::from_pem(&signing_key().unwrap().0).unwrap(),
                issuer: "issuer".into(),
                audiences: vec!["api".into()],
                live: Arc::new(LiveObjects(registry.clone())),
                clock: Clock::system(),
            }),
            metrics: Arc::default(),
            shutdown,
        };
        let desk = Self { handlers, warnings: Warnings::default() };
        desk.made("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}})).await;
        desk
    }

    /// One call; the answer is not read yet.
    pub(super) async fn call(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.as_ref().to_vec())).unwrap();
        let mut call = Call::parse(&request, Peer::nobody(), Ticket::new(None)).unwrap();
        call.warnings = self.warnings.clone();
        let authorizer = Arc::new(Authorizers { node: None, rbac: None, always_allow: true });
        let caller = Arc::new(Caller::new("admin", [GROUP_MASTERS]));
        let accept = call.headers.get(http::header::ACCEPT).cloned();
        let call = permit(call, caller, authorizer).unwrap();
        match self.handlers.serve(call, request).await {
            Ok(response) => response,
            Err(status) => crate::respond::failure(&status, of_failure(accept.as_ref()), false),
        }
    }

    /// One call and its whole answer.
    pub(super) async fn ask(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let response = self.call(method, uri, headers, body).await;
        let code = response.status().as_u16();
        let read = tokio::time::timeout(Duration::from_secs(10), response.into_body().collect()).await;
        let bytes = read.expect("the answer ends in time").unwrap().to_bytes();
        Answer { code, value: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    pub(super) async fn get(&self, uri: &str) -> Answer {
        self.ask("GET", uri, &[], "").await
    }

    pub(super) async fn post(&self, uri: &str, object: &Value) -> Answer {
        self.ask("POST", uri, &[("content-type", JSON)], object.to_string()).await
    }

    /// Creates what must be creatable.
    pub(super) async fn made(&self, uri: &str, object: Value) -> Value {
        let answer = self.post(uri, &object).await;
        assert_eq!(answer.code, 201, "{}", answer.value);
        answer.value
    }

    pub(super) async fn patch(&self, uri: &str, kind: &str, patch: &str) -> Answer {
        self.ask("PATCH", uri, &[("content-type", kind)], patch).await
    }

    /// The warnings of all calls so far.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.header_values()
    }
}

pub(super) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(super) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(super) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

pub(super) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    })
}

pub(super) fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

pub(super) fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "nginx", "env": [{"name": "A", "value": "1"}]}]},
            },
        },
    })
}
