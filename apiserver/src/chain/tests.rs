//! The order of the rooms, seen from outside: every kind of endpoint, method and caller.

use super::*;
use crate::authn::StaticTokens;
use crate::authz::{Authorizers, Change, Rbac, RbacObject, defaults};
use crate::discovery::Discovery;
use crate::endpoints::health::{Bootstrapped, Health};
use crate::endpoints::{Documents, issuer::Issuer};
use crate::registry::catalog::Catalog;
use crate::store::contract::Store;
use crate::store::limits::Limits;
use crate::store::memory::MemoryStore;
use arc_swap::ArcSwap;
use http_body_util::BodyExt;
use serde_json::Value;

/// Serves by telling what it was asked; some names make it fail.
pub(crate) struct Teller;

#[async_trait]
impl Serve for Teller {
    async fn serve(&self, call: Permitted<Call>, request: Request<Body>) -> status::Result<Response<Body>> {
        assert!(!request.headers().contains_key("authorization"));
        let path = call.resource()?;
        match path.name.as_deref() {
            Some("panic") => panic!("as it was told"),
            Some("late") => std::future::pending().await,
            Some("broken") => Err(Status::internal("something broke")),
            Some("warned") => {
                call.warnings.add("take care");
                Ok(respond::text(http::StatusCode::OK, "ok"))
            }
            _ if call.verb == crate::request::Verb::Watch => {
                Ok(Response::new(Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>())))
            }
            _ => Ok(respond::text(http::StatusCode::OK, format!("{} {}", call.caller().name, call.verb))),
        }
    }

    fn knows(&self, group: &str, version: &str) -> bool {
        version == "v1" && ["", "apps"].contains(&group)
    }
}

/// Endpoints of a member that is ready.
pub(crate) fn endpoints(shutdown: &Shutdown) -> Endpoints {
    let bootstrapped = Bootstrapped::default();
    bootstrapped.set();
    Endpoints {
        catalog: Arc::new(ArcSwap::from_pointee(Catalog::builtin())),
        discovery: Discovery::new("127.0.0.1:6443".into()),
        health: Health::new(|| true, &bootstrapped, shutdown.clone()),
        issuer: Some(Issuer { name: "issuer".into(), server: "https://x".into(), keys: Vec::new() }),
        openapi: Documents::default(),
    }
}

fn chain() -> Chain {
    let feed: Vec<Change<RbacObject>> =
        defaults::objects().iter().map(|(resource, object)| Change::put(resource, object)).collect();
    let shutdown = Shutdown::new();
    let tokens = "admin,admin,1,system:masters\njane,jane,2\n";
    Chain {
        authenticator: Arc::new(Authenticator {
            static_tokens: Some(StaticTokens::parse(tokens).unwrap()),
            anonymous: true,
            ..Authenticator::default()
        }),
        authorizer: Arc::new(Authorizers { node: None, rbac: Some(Rbac::new(Box::new(feed))), always_allow: false }),
        endpoints: endpoints(&shutdown),
        handlers: Arc::new(Teller),
        clock: Clock::system(),
        call_timeout: CALL_TIMEOUT,
        shutdown,
    }
}

fn request(method: &str, path: &str, token: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Body::empty()).unwrap()
}

async fn ask(chain: &Chain, method: &str, path: &str, token: &str) -> (u16, String) {
    let response = chain.answer(request(method, path, token), Peer::nobody()).await;
    assert!(response.headers().contains_key("audit-id"));
    assert!(response.headers().contains_key("cache-control"));
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_endpoint_method_and_caller_gets_its_code() {
    let chain = chain();
    // Method, path; codes for an admin, for a user without roles, for nobody, for a wrong token.
    let table = [
        ("GET", "/", 200, 403, 403, 401),
        ("GET", "/api", 200, 200, 403, 401),
        ("GET", "/api/v1", 200, 200, 403, 401),
        ("GET", "/apis/", 200, 200, 403, 401),
        ("GET", "/apis/apps", 200, 200, 403, 401),
        ("GET", "/apis/none", 404, 404, 403, 401),
        ("POST", "/apis/apps", 405, 403, 403, 401),
        ("GET", "/version", 200, 200, 200, 401),
        ("GET", "/healthz", 200, 200, 200, 401),
        ("GET", "/livez?verbose", 200, 200, 200, 401),
        ("GET", "/readyz/ping", 200, 403, 403, 401),
        ("GET", "/readyz/none", 404, 403, 403, 401),
        ("GET", "/openapi/v3", 200, 200, 403, 401),
        ("GET", "/openapi/v3/apis/none", 404, 404, 403, 401),
        ("GET", "/openapi/v3/api/v1?hash=x", 200, 200, 403, 401),
        ("GET", "/openid/v1/jwks", 200, 403, 403, 401),
        ("GET", "/nope", 404, 403, 403, 401),
        ("GET", "/api/v1/pods", 200, 403, 403, 401),
        ("POST", "/api/v1/namespaces/a/pods", 200, 403, 403, 401),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/d", 200, 403, 403, 401),
        ("GET", "/apis/none/v1/things", 404, 403, 403, 401),
        ("GET", "/api/v1/pods/%zz", 400, 400, 400, 400),
    ];
    for (method, path, admin, jane, nobody, wrong) in table {
        for (token, code) in [("admin", admin), ("jane", jane), ("", nobody), ("wrong", wrong)] {
            let (got, body) = ask(&chain, method, path, token).await;
            assert_eq!(got, code, "{method} {path} as {token:?}: {body}");
        }
    }
}

#[tokio::test]
async fn refusals_read_as_upstream_says_them() {
    let chain = chain();
    let message = |body: &str| serde_json::from_str::<Value>(body).unwrap()["message"].as_str().unwrap().to_owned();
    let (_, body) = ask(&chain, "GET", "/api/v1/namespaces/default/pods", "jane").await;
    assert_eq!(
        message(&body),
        r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#
    );
    let (_, body) = ask(&chain, "GET", "/foo", "").await;
    assert_eq!(message(&body), r#"forbidden: User "system:anonymous" cannot get path "/foo""#);
    assert_eq!(ask(&chain, "GET", "/nope", "admin").await.1, "404 page not found\n");
    assert_eq!(message(&ask(&chain, "GET", "/api", "wrong").await.1), "Unauthorized");
}

#[tokio::test]
async fn what_breaks_behind_the_checks_is_a_status() {
    let chain = chain();
    let (code, body) = ask(&chain, "GET", "/api/v1/nodes/panic", "admin").await;
    assert_eq!(
        (code, serde_json::from_str::<Value>(&body).unwrap()["reason"].as_str().unwrap()),
        (500, "InternalError")
    );
    let (code, body) = ask(&chain, "GET", "/api/v1/nodes/broken", "admin").await;
    assert_eq!(code, 500);
    assert!(body.contains("Internal error occurred: something broke"));
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_a_timeout() {
    let chain = Chain { call_timeout: Duration::from_millis(5), ..chain() };
    let (code, body) = ask(&chain, "GET", "/api/v1/nodes/late", "admin").await;
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()["reason"].as_str().unwrap()), (504, "Timeout"));
}

#[tokio::test]
async fn a_caller_is_told_its_warnings_and_its_ticket() {
    let mut asked = request("GET", "/api/v1/nodes/warned", "admin");
    asked.headers_mut().insert("audit-id", HeaderValue::from_static("mine"));
    let response = chain().answer(asked, Peer::nobody()).await;
    assert_eq!(response.headers()["warning"], "299 - \"take care\"");
    assert_eq!(response.headers()["audit-id"], "mine");
}

#[tokio::test]
async fn an_admin_acts_as_another() {
    let chain = chain();
    let mut asked = request("GET", "/api/v1/pods", "admin");
    asked.headers_mut().insert("impersonate-user", HeaderValue::from_static("jane"));
    assert_eq!(chain.answer(asked, Peer::nobody()).await.status(), 403);
}

#[tokio::test]
async fn a_watch_ends_when_the_member_ends() {
    let chain = chain();
    let response = chain.answer(request("GET", "/api/v1/pods?watch=1", "admin"), Peer::nobody()).await;
    chain.shutdown.cancel();
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    let (code, body) = ask(&chain, "GET", "/readyz", "").await;
    assert_eq!(code, 500);
    assert!(body.contains("[-]shutdown failed: reason withheld") && body.ends_with("readyz check failed\n"));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_told_by_its_name() {
    let mut chain = chain();
    let bootstrapped = Bootstrapped::default();
    bootstrapped.set();
    let store = MemoryStore::new(Limits::default(), Clock::system());
    store.works().unwrap();
    store.close().await;
    chain.endpoints.health = Health::new(move || store.works().is_ok(), &bootstrapped, Shutdown::new());
    for root in ["healthz", "livez", "readyz"] {
        let (code, body) = ask(&chain, "GET", &format!("/{root}"), "admin").await;
        assert_eq!(code, 500, "{root}: {body}");
        assert!(body.contains("[+]ping ok\n") && body.contains("[-]etcd failed: reason withheld\n"), "{root}: {body}");
        assert!(body.ends_with(&format!("{root} check failed\n")), "{body}");
        assert_eq!(ask(&chain, "GET", &format!("/{root}/etcd"), "admin").await.0, 500);
        assert_eq!(ask(&chain, "GET", &format!("/{root}?exclude=etcd"), "admin").await.0, 200);
    }
}

#[tokio::test]
async fn discovery_is_aggregated_for_those_who_ask() {
    let chain = chain();
    let form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let mut asked = request("GET", "/apis", "jane");
    asked.headers_mut().insert("accept", form.parse().unwrap());
    let response = chain.answer(asked, Peer::nobody()).await;
    assert_eq!(
        (response.headers()["content-type"].to_str().unwrap(), &response.headers()["vary"]),
        (form, &HeaderValue::from_static("Accept"))
    );
    let etag = response.headers()["etag"].clone();
    let mut again = request("GET", "/apis", "jane");
    again.headers_mut().insert("accept", form.parse().unwrap());
    again.headers_mut().insert("if-none-match", etag);
    assert_eq!(chain.answer(again, Peer::nobody()).await.status(), 304);
}
