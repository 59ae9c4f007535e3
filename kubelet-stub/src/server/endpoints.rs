//! The endpoints: which path is served by what.

use super::ServerConfig;
use super::access::PodAccess;
use super::exec::Act;
use super::query::Query;
use super::reply::{self, Reply, method_not_allowed, not_found};
use crate::runtime::Runtime;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::process::Shutdown;

/// What serves a node's endpoints. Cheap to clone.
#[derive(Clone)]
pub(super) struct Endpoints {
    pub(super) node: Arc<str>,
    pub(super) address: SocketAddr,
    pub(super) config: Arc<ServerConfig>,
    pub(super) pods: Arc<dyn PodAccess>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) clock: Clock,
    pub(super) started: SystemTime,
    pub(super) shutdown: Shutdown,
}

/// The pod and container that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PodPath<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) uid: Option<&'a str>,
    /// Empty where the path names none.
    pub(super) container: &'a str,
}

impl Endpoints {
    /// Serves a request that was let in.
    pub(super) async fn serve(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        let mut segments = path.strip_prefix('/').unwrap_or(&path).split('/');
        let endpoint = segments.next().unwrap_or_default();
        let rest: Vec<&str> = segments.collect();
        let method = request.method().clone();
        let query = Query::of(request.uri());
        match (endpoint, rest.as_slice()) {
            ("healthz", [] | ["ping" | "log" | "syncloop"]) => Ok(reply::text(StatusCode::OK, "ok")),
            ("pods", [] | [""]) => only(&method, &[Method::GET]).map(|()| self.pod_list()),
            ("runningpods", [] | [""]) => only(&method, &[Method::GET]).map(|()| self.running_pods()),
            ("stats", ["summary"]) => only(&method, &[Method::GET, Method::POST]).map(|()| self.stats_summary()),
            ("metrics", []) => only(&method, &[Method::GET]).map(|()| self.metrics()),
            ("configz", []) => only(&method, &[Method::GET]).map(|()| self.configz()),
            // The node has no log files: an empty folder.
            ("logs", [] | [""]) => {
                let listing =
                    "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n</pre>\n";
                only(&method, &[Method::GET])
                    .map(|()| reply::answer(StatusCode::OK, "text/html; charset=utf-8", listing))
            }
            ("containerLogs", [namespace, pod, container]) => {
                only(&method, &[Method::GET])?;
                self.container_logs(namespace, pod, container, &query).await
            }
            ("exec" | "attach" | "run", rest) => {
                let at = with_container(rest).ok_or_else(not_found)?;
                self.command(endpoint, &at, &method, &query, request).await
            }
            ("portForward", rest) => {
                only(&method, &[Method::GET, Method::POST])?;
                let at = without_container(rest).ok_or_else(not_found)?;
                self.port_forward(&at, &query, request)
            }
            _ => Err(not_found()),
        }
    }

    async fn command(
        &self,
        endpoint: &str,
        at: &PodPath<'_>,
        method: &Method,
        query: &Query,
        request: Request<Incoming>,
    ) -> Reply {
        if endpoint == "run" {
            only(method, &[Method::POST])?;
            return self.run_command(at, query).await;
        }
        only(method, &[Method::GET, Method::POST])?;
        let act = match endpoint {
            "exec" => Act::Exec(query.all("command").map(str::to_owned).collect()),
            _ => Act::Attach,
        };
        self.remote_command(at, act, query, request)
    }
}

fn only(method: &Method, served: &[Method]) -> Result<(), super::auth::Denied> {
    if served.contains(method) { Ok(()) } else { Err(method_not_allowed()) }
}

fn with_container<'a>(rest: &[&'a str]) -> Option<PodPath<'a>> {
    match *rest {
        [namespace, pod, container] => Some(PodPath { namespace, pod, uid: None, container }),
        [namespace, pod, uid, container] => Some(PodPath { namespace, pod, uid: Some(uid), container }),
        _ => None,
    }
}

fn without_container<'a>(rest: &[&'a str]) -> Option<PodPath<'a>> {
    match *rest {
        [namespace, pod] => Some(PodPath { namespace, pod, uid: None, container: "" }),
        [namespace, pod, uid] => Some(PodPath { namespace, pod, uid: Some(uid), container: "" }),
        _ => None,
    }
}
