//! Who may do what at a running API server: certificates, roles, tokens and nodes, as clients meet them.

#![expect(clippy::unwrap_used, reason = "a test fails where its preparations do")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::ACCEPT;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use std::time::Duration;
use tinyplane_apiserver::Config;
use tinyplane_apiserver::config::{AuthorizationMode, Storage};
use tinyplane_apiserver::egress::NodeConfig;
use tinyplane_wire::client::{Client, ClientError};
use tinyplane_wire::clock::Clock;
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::identity::kubeconfig;
use tinyplane_wire::identity::pki::{Authority, Issued, Leaf, signing_key};
use tinyplane_wire::identity::tls::KeyPairPem;
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::process::{Running, Shutdown};

/// An API server with an authority and a folder of its own.
struct Server {
    folder: tempfile::TempDir,
    authority: Authority,
    running: Running,
    shutdown: Shutdown,
}

fn pair(issued: Issued) -> KeyPairPem {
    KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem }
}

async fn start() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (clock, address) = (Clock::system(), [127, 86, 4, 1]);
    let authority = Authority::create("ca", clock.now()).unwrap();
    let served = authority.issue(&Leaf::server("kube-apiserver", &[], &[address.into()]), clock.now()).unwrap();
    let (signer, _) = signing_key().unwrap();
    let config = Config {
        bind: (address, 0).into(),
        advertise: None,
        certificate_file: file("server.crt", &served.certificate_pem),
        key_file: file("server.key", &served.key_pem),
        client_authority_file: Some(file("ca.crt", authority.certificate_pem())),
        token_file: None,
        anonymous: true,
        authorization: vec![AuthorizationMode::Node, AuthorizationMode::Rbac],
        account_key_files: Vec::new(),
        account_signing_key_file: Some(file("sa.key", &signer)),
        account_issuer: "https://kubernetes.default.svc".into(),
        audiences: Vec::new(),
        service_range: "10.96.0.0/16".parse().unwrap(),
        node_ports: 30_000..=32_767,
        kubelets: NodeConfig::default(),
        admission: Default::default(),
        egress_file: None,
        ssh: None,
        components: Default::default(),
        storage: Storage::Memory,
        cluster_net: ClusterNet::default(),
        source_address: None,
        audit: None,
        ledger_file: None,
        request_limits: Default::default(),
        request_timeout: Duration::from_secs(60),
        compaction_interval: Duration::from_secs(300),
    };
    let shutdown = Shutdown::new();
    let running = tinyplane_apiserver::start(config, clock, shutdown.clone()).await.unwrap();
    Server { folder, authority, running, shutdown }
}

impl Server {
    fn address(&self) -> String {
        format!("https://{}", self.running.addresses["https"])
    }

    fn client(&self, name: &str, text: &str) -> Client {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Client::from_kubeconfig(&path, None, "test").unwrap()
    }

    /// A client with a certificate of this authority.
    fn user_of(&self, authority: &Authority, name: &str, group: Option<&str>) -> Client {
        let pair = pair(authority.issue(&Leaf::client(name, group), Clock::system().now()).unwrap());
        let text = kubeconfig::write("c", name, &self.address(), self.authority.certificate_pem(), &pair).unwrap();
        self.client(&name.replace(':', "-"), &text)
    }

    fn user(&self, name: &str, group: Option<&str>) -> Client {
        self.user_of(&self.authority, name, group)
    }

    fn admin(&self) -> Client {
        self.user("kubernetes-admin", Some("system:masters"))
    }

    /// A client with a token.
    fn bearer(&self, token: &str) -> Client {
        let authority = self.folder.path().join("ca.crt");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.address(), "certificate-authority": authority}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        self.client("bearer", &text.to_string())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.task.await.unwrap().unwrap();
    }
}

fn rbac(resource: &str) -> Gvr {
    Gvr::new("rbac.authorization.k8s.io", "v1", resource)
}

fn core(resource: &str) -> Gvr {
    Gvr::new("", "v1", resource)
}

fn binding(name: &str, role: &str, user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    })
}

fn code(outcome: Result<Value, ClientError>) -> u16 {
    match outcome {
        Ok(_) => 200,
        Err(ClientError::Status(status)) => status.code,
        Err(other) => panic!("{other:?}"),
    }
}

fn message(outcome: Result<Value, ClientError>) -> String {
    match outcome {
        Err(ClientError::Status(status)) => status.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_role_counts_from_the_answer_to_its_binding_until_the_answer_to_its_removal() {
    let server = start().await;
    let (admin, jane) = (server.admin(), server.user("jane", None));
    let pods = core("pods");
    let list = || jane.list(&pods, Some("default"), "");
    assert_eq!(
        message(list().await),
        r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#
    );
    for _ in 0..3 {
        admin.create(&rbac("rolebindings"), Some("default"), &binding("view", "view", "jane")).await.unwrap();
        assert_eq!(code(list().await), 200);
        admin.delete(&rbac("rolebindings"), Some("default"), "view", &Value::Null).await.unwrap();
        assert_eq!(code(list().await), 403);
    }
    let defaults = admin.list(&rbac("clusterroles"), None, "").await.unwrap();
    assert!(defaults["items"].as_array().unwrap().len() > 60);
    server.stop().await;
}

#[tokio::test]
async fn nobody_grants_over_the_api_what_they_do_not_hold() {
    let server = start().await;
    let (admin, jane) = (server.admin(), server.user("jane", None));
    admin.create(&rbac("rolebindings"), Some("default"), &binding("jane", "admin", "jane")).await.unwrap();
    let grant = |role: &str| binding(role, role, "joe");
    jane.create(&rbac("rolebindings"), Some("default"), &grant("view")).await.unwrap();
    let refused = jane.create(&rbac("rolebindings"), Some("default"), &grant("cluster-admin")).await;
    assert!(message(refused).contains("is attempting to grant RBAC permissions not currently held"));
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_of_a_strange_authority_is_unauthorized_and_not_a_broken_connection() {
    let server = start().await;
    let stranger = Authority::create("other", Clock::system().now()).unwrap();
    let client = server.user_of(&stranger, "kubernetes-admin", Some("system:masters"));
    assert_eq!(message(client.request(Method::GET, "/version", None).await), "Unauthorized");
    server.stop().await;
}

#[tokio::test]
async fn a_token_on_request_counts_until_its_account_is_gone() {
    let server = start().await;
    let admin = server.admin();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    admin.create(&core("serviceaccounts"), Some("default"), &account).await.unwrap();
    let path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let issued = admin.request(Method::POST, path, Some(&request)).await.unwrap();
    let token = issued["status"]["token"].as_str().unwrap();
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let asks = (ACCEPT, HeaderValue::from_static("application/jwk-set+json"));
    let keys =
        admin.connection().request(Method::GET, "/openid/v1/jwks").unwrap().headers([asks].into_iter().collect());
    let keys = keys.send().await.unwrap().bytes().await.unwrap();
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&head).unwrap()["kid"], keys["keys"][0]["kid"]);
    let robot = server.bearer(token);
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let told = robot.request(Method::POST, reviews, Some(&review)).await.unwrap();
    assert_eq!(told["status"]["userInfo"]["username"], "system:serviceaccount:default:robot");
    let may = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}});
    let told = robot.request(Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Some(&may)).await;
    assert_eq!(told.unwrap()["status"]["allowed"], false);
    admin.delete(&core("serviceaccounts"), Some("default"), "robot", &Value::Null).await.unwrap();
    assert_eq!(code(robot.request(Method::POST, reviews, Some(&review)).await), 401);
    server.stop().await;
}

#[tokio::test]
async fn a_node_reads_what_its_pods_need_and_nothing_else() {
    let server = start().await;
    let (admin, node) = (server.admin(), server.user("system:node:n1", Some("system:nodes")));
    let own = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    node.create(&core("nodes"), None, &own).await.unwrap();
    for name in ["used", "unused"] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        admin.create(&core("secrets"), Some("default"), &secret).await.unwrap();
    }
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    admin.create(&core("serviceaccounts"), Some("default"), &account).await.unwrap();
    let secrets = core("secrets");
    let read = |name: &'static str| node.get(&secrets, Some("default"), name);
    assert_eq!(code(read("used").await), 403);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n1",
        "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "used"}}]}]}});
    admin.create(&core("pods"), Some("default"), &pod).await.unwrap();
    assert_eq!(code(read("used").await), 200);
    assert_eq!(
        message(read("unused").await),
        r#"secrets "unused" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object"#
    );
    assert_eq!(code(node.list(&core("pods"), None, "fieldSelector=spec.nodeName%3Dn1").await), 200);
    assert_eq!(code(node.list(&core("pods"), None, "").await), 403);
    assert_eq!(code(node.get(&core("nodes"), None, "n2").await), 403);
    server.stop().await;
}
