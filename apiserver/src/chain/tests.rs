//! The order of the rooms, seen from outside: every kind of endpoint, method and caller.

use super::*;
use crate::authn::StaticTokens;
use crate::authz::{Authorizers, Change, Rbac, RbacObject, defaults};
use crate::discovery::Discovery;
use crate::endpoints::health::{Bootstrapped, Health};
use crate::endpoints::{Documents, issuer::Issuer, pages::Pages};
use crate::registry::catalog::Catalog;
use crate::store::contract::Store;
use crate::store::limits::Limits;
use crate::store::memory::MemoryStore;
use arc_swap::ArcSwap;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Notify;

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
            _ if call.verb == request::Verb::Watch => {
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
        pages: Pages { flags: Default::default(), started: Clock::system().now(), clock: Clock::system() },
        metrics: Vec::new(),
    }
}

pub(super) fn chain() -> Chain {
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
        impersonation: Impersonation::default(),
        authorizer: Arc::new(Authorizers { node: None, rbac: Some(Rbac::new(Box::new(feed))), always_allow: false }),
        flow_control: Arc::new(FlowControl::unlimited(Clock::system())),
        metrics: Arc::default(),
        audit: None,
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
async fn a_path_that_names_an_old_verb_alone_is_refused_before_anybody_is_asked() {
    for path in ["/api/v1/watch", "/apis/apps/v1/proxy/?a=1&b"] {
        let response = chain().answer(request("GET", path, "wrong"), Peer::nobody()).await;
        assert_eq!(response.status(), 500);
        assert!(response.headers().contains_key("audit-id") && !response.headers().contains_key("cache-control"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let told = "failed to create RequestInfo: unable to determine kind and namespace from url";
        let (bare, escaped) = (path.split('?').next().unwrap(), path.replace('&', "&amp;"));
        let wanted = format!("Internal Server Error: \"{escaped}\": {told}, {bare}\n");
        assert_eq!(String::from_utf8_lossy(&body), wanted);
    }
}

#[tokio::test]
async fn every_endpoint_method_and_caller_gets_its_code() {
    let chain = chain();
    // Method, path; codes for an admin, for a user without roles, for nobody, for a wrong token.
    let table = [
        ("GET", "/", 200, 403, 403, 401),
        ("POST", "/index.html", 200, 403, 403, 401),
        ("GET", "/api", 200, 200, 403, 401),
        ("GET", "/api/v1", 200, 200, 403, 401),
        ("GET", "/apis/", 200, 200, 403, 401),
        ("GET", "/apis/apps", 200, 200, 403, 401),
        ("GET", "/apis/none", 404, 404, 403, 401),
        ("POST", "/apis/apps", 200, 403, 403, 401),
        ("GET", "/version", 200, 200, 200, 401),
        ("GET", "/healthz", 200, 200, 200, 401),
        ("GET", "/livez?verbose", 200, 200, 200, 401),
        ("GET", "/readyz/ping", 200, 403, 403, 401),
        ("GET", "/readyz/none", 404, 403, 403, 401),
        ("GET", "/openapi/v3", 200, 200, 403, 401),
        ("GET", "/openapi/v3/apis/none", 404, 404, 403, 401),
        ("GET", "/openapi/v3/api/v1?hash=x", 301, 301, 403, 401),
        ("GET", "/openapi/v3/api/v1", 200, 200, 403, 401),
        ("POST", "/openapi/v2", 200, 403, 403, 401),
        ("GET", "/openapi/v2/", 404, 404, 403, 401),
        ("GET", "/openid/v1/jwks", 200, 403, 403, 401),
        ("GET", "/nope", 404, 403, 403, 401),
        ("GET", "/metrics", 200, 403, 403, 401),
        ("POST", "/metrics", 200, 403, 403, 401),
        ("GET", "/metrics/slis", 200, 403, 403, 401),
        ("POST", "/", 200, 403, 403, 401),
        ("HEAD", "/apis", 200, 403, 403, 401),
        ("HEAD", "/version", 405, 403, 403, 401),
        ("GET", "//api/v1/pods", 404, 403, 403, 401),
        ("GET", "/version?timeout=soon", 400, 400, 400, 401),
        ("GET", "/api/v1/pods", 200, 403, 403, 401),
        ("POST", "/api/v1/namespaces/a/pods", 200, 403, 403, 401),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/d", 200, 403, 403, 401),
        ("GET", "/apis/none/v1/things", 404, 403, 403, 401),
    ];
    for (method, path, admin, jane, nobody, wrong) in table {
        for (token, code) in [("admin", admin), ("jane", jane), ("", nobody), ("wrong", wrong)] {
            let (got, body) = ask(&chain, method, path, token).await;
            assert_eq!(got, code, "{method} {path} as {token:?}: {body}");
        }
    }
}

#[tokio::test]
async fn what_answers_a_head_has_no_body_and_tells_its_length() {
    let chain = chain();
    let asked = async |method| chain.answer(request(method, "/healthz", "admin"), Peer::nobody()).await;
    let (head, get) = (asked("HEAD").await, asked("GET").await);
    assert_eq!(head.headers()["content-length"], "2");
    assert_eq!(head.headers()["content-type"], get.headers()["content-type"]);
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
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
    // What lies in a group is looked for by another router than what lies in none.
    let unknown = "the server could not find the requested resource";
    for path in ["/api/v2", "/api/v2/pods", "/api//v1", "/apis/apps/v2", "/apis/apps//v1", "/apis/apps/v2/pods"] {
        assert_eq!(message(&ask(&chain, "GET", path, "admin").await.1), unknown, "{path}");
    }
    for (method, path) in [("GET", "/apis//"), ("GET", "/apis/none/v1"), ("GET", "/metrics/"), ("POST", "//")] {
        let told = ask(&chain, method, path, "admin").await;
        assert_eq!(told, (404, "404 page not found\n".to_owned()), "{path}");
    }
    assert_eq!(ask(&chain, "GET", "/version//", "admin").await.0, 200);
    assert_eq!(ask(&chain, "POST", "/apis/apps//", "admin").await.0, 405);
}

#[tokio::test]
async fn who_may_not_is_told_so_in_an_answer_that_is_not_guessed_at() {
    let chain = chain();
    for (token, header) in [("jane", Some("nosniff")), ("admin", None)] {
        let answer = chain.answer(request("GET", "/api/v1/nodes/broken", token), Peer::nobody()).await;
        let told = answer.headers().get(http::header::X_CONTENT_TYPE_OPTIONS).map(|value| value.to_str().unwrap());
        assert_eq!(told, header, "{token}");
    }
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
        assert_eq!(ask(&chain, "GET", &format!("/{root}?exclude=etcd&exclude=etcd-readiness"), "admin").await.0, 200);
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

#[tokio::test]
async fn a_caller_may_ask_for_less_time() {
    let (code, _) = ask(&chain(), "GET", "/version?timeout=-5ms", "admin").await;
    assert_eq!(code, 200, "less than nothing is as good as nothing said");
    let (code, body) = ask(&chain(), "GET", "/version?timeout=-%2B5s", "admin").await;
    let told = "invalid timeout specified in the request URL - time: invalid duration \"-+5s\"";
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()["message"].as_str().unwrap()), (400, told));
    let (code, body) = ask(&chain(), "GET", "/api/v1/nodes/late?timeout=5ms", "admin").await;
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()["reason"].as_str().unwrap()), (504, "Timeout"));
}

#[tokio::test]
async fn who_finds_no_room_is_told_when_to_ask_again_and_everything_is_counted() {
    let world = crate::registry::tests::World::new().await;
    let limits = crate::flow_control::Limits { reading: 1, mutating: 0, fair: false, ..Default::default() };
    let chain = Arc::new(Chain {
        flow_control: Arc::new(FlowControl::new(&world.registry, limits)),
        call_timeout: Duration::from_secs(5),
        ..chain()
    });
    let held = {
        let chain = Arc::clone(&chain);
        tokio::spawn(async move { ask(&chain, "GET", "/api/v1/nodes/late", "admin").await })
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let refused = loop {
        let response = chain.answer(request("GET", "/api", "jane"), Peer::nobody()).await;
        if response.status() == 429 {
            break response;
        }
        assert!(Instant::now() < deadline, "the place is never taken");
        tokio::task::yield_now().await;
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "Too many requests, please try again later.\n");
    held.abort();
    let mut text = crate::metrics::Text::default();
    crate::metrics::Source::tell(&*chain.metrics, &mut text);
    let text = text.finish();
    let counted = "apiserver_request_total{code=\"429\",component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"\",scope=\"\",subresource=\"/api\",verb=\"GET\",version=\"\"} 1";
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn an_answer_tells_how_its_request_was_classified() {
    let world = crate::registry::tests::World::new().await;
    let flow_control = Arc::new(FlowControl::new(&world.registry, crate::flow_control::Limits::default()));
    let chain = Chain { flow_control, ..chain() };
    let answer = chain.answer(request("GET", "/api", "jane"), Peer::nobody()).await;
    let uid = |plural: &str| {
        let found = world.registry.find("flowcontrol.apiserver.k8s.io", plural, "", "global-default");
        found.unwrap().unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer.headers()["x-kubernetes-pf-flowschema-uid"], uid("flowschemas"));
    assert_eq!(answer.headers()["x-kubernetes-pf-prioritylevel-uid"], uid("prioritylevelconfigurations"));
    let unknown = chain.answer(request("GET", "/api", "wrong"), Peer::nobody()).await;
    assert!(!unknown.headers().contains_key("x-kubernetes-pf-flowschema-uid"));
}

#[tokio::test]
async fn the_audit_log_tells_what_authorization_said() {
    let folder = tempfile::tempdir().unwrap();
    let policy_file = folder.path().join("policy.yaml");
    std::fs::write(&policy_file, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n").unwrap();
    let log_path = folder.path().join("audit.log");
    let config = crate::audit::Config {
        policy_file,
        log_path: log_path.clone(),
        size_mebibytes_max: 0,
        backups_max: 0,
        age_days_max: 0,
        format: crate::audit::Format::Json,
        mode: crate::audit::Mode::Blocking,
        buffer_max: 1,
    };
    let log = AuditLog::open(&config, Clock::system(), Arc::default()).unwrap();
    let chain = Chain { audit: Some(Arc::new(log)), ..chain() };
    ask(&chain, "GET", "/api", "jane").await;
    ask(&chain, "GET", "/api/v1/pods", "jane").await;
    ask(&chain, "GET", "/api/v1/nodes/panic", "admin").await;
    ask(&chain, "GET", "/api", "wrong").await;
    let text = std::fs::read_to_string(&log_path).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<(&str, u64, &str)> = events
        .iter()
        .filter(|event| event["stage"] != "RequestReceived")
        .map(|event| {
            let decision = event["annotations"]["authorization.k8s.io/decision"].as_str().unwrap_or_default();
            (event["stage"].as_str().unwrap(), event["responseStatus"]["code"].as_u64().unwrap(), decision)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("ResponseComplete", 200, "allow"),
            ("ResponseComplete", 403, "forbid"),
            ("Panic", 500, "allow"),
            ("ResponseComplete", 401, ""),
        ]
    );
    assert_eq!(
        events[1]["annotations"]["authorization.k8s.io/reason"],
        "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \"system:discovery\" to Group \"system:authenticated\""
    );
    assert_eq!(events.len(), 8);
}

/// Writes when it may.
#[derive(Default)]
struct Slow {
    begun: Notify,
    may: Notify,
    written: Notify,
}

#[async_trait]
impl Serve for Slow {
    async fn serve(&self, _: Permitted<Call>, _: Request<Body>) -> status::Result<Response<Body>> {
        self.begun.notify_one();
        self.may.notified().await;
        self.written.notify_one();
        Ok(respond::text(http::StatusCode::OK, "written"))
    }

    fn knows(&self, _: &str, _: &str) -> bool {
        true
    }
}

#[tokio::test]
async fn a_write_goes_on_when_its_client_goes_away() {
    let slow = Arc::new(Slow::default());
    let chain = Chain { handlers: slow.clone(), ..chain() };
    tokio::select! {
        _ = chain.answer(request("POST", "/api/v1/nodes", "admin"), Peer::nobody()) => unreachable!("it waits"),
        () = slow.begun.notified() => {}
    }
    slow.may.notify_one();
    tokio::time::timeout(Duration::from_secs(10), slow.written.notified()).await.unwrap();
}
