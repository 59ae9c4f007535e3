//! What reviews answer.

use super::*;
use crate::authn::{Live, ServiceAccounts, StaticTokens};
use crate::authz::{Attributes, Decision, On};
use serde_json::json;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::signing_key;
use tinyplane_wire::identity::token::{Signer, Verifier};

/// Jane may get pods in the namespace `a`.
struct OnlyPods;

impl Authorizer for OnlyPods {
    fn authorize(&self, caller: &Caller, question: &Attributes<'_>) -> Decision {
        match question.on {
            On::Resource { resource: "pods", namespace: "a", .. }
                if question.verb == "get" && caller.name == "jane" =>
            {
                Decision::Allow
            }
            _ => Decision::NoOpinion("nobody said so".into()),
        }
    }
}

fn reviews() -> Reviews {
    let tokens = StaticTokens::parse("secret,jane,7,devs").unwrap();
    let authenticator = Authenticator { static_tokens: Some(tokens), ..Authenticator::default() };
    Reviews { authenticator: Arc::new(authenticator), authorizer: Arc::new(OnlyPods) }
}

fn status(resource: &str, body: Value) -> Value {
    reviews().create(&Caller::new("jane", ["devs"]), resource, "a", body).unwrap()["status"].clone()
}

fn refusal(resource: &str, body: Value) -> String {
    reviews().create(&Caller::new("jane", []), resource, "a", body).unwrap_err().message
}

#[test]
fn access_is_reviewed_for_oneself_and_for_others() {
    let pods = |namespace: &str| json!({"verb": "get", "resource": "pods", "namespace": namespace});
    let own = status("selfsubjectaccessreviews", json!({"spec": {"resourceAttributes": pods("a")}}));
    assert_eq!(own, json!({"allowed": true}));
    let other = json!({"spec": {"user": "joe", "resourceAttributes": pods("a")}});
    let no = json!({"allowed": false, "reason": "nobody said so"});
    assert_eq!(status("subjectaccessreviews", other), no);
    let local = json!({"spec": {"user": "jane", "resourceAttributes": pods("a")}});
    assert_eq!(status("localsubjectaccessreviews", local)["allowed"], true);
    let path = json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/x"}}});
    assert_eq!(status("selfsubjectaccessreviews", path), no);
}

#[test]
fn a_review_that_asks_nothing_or_too_much_is_refused_as_upstream_refuses_it() {
    assert_eq!(
        refusal("selfsubjectaccessreviews", json!({"spec": {}})),
        ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: \
         exactly one of nonResourceAttributes or resourceAttributes must be specified"
    );
    let nobody = json!({"spec": {"resourceAttributes": {"verb": "get"}}});
    assert!(refusal("subjectaccessreviews", nobody).contains("at least one of user or group must be specified"));
    let both = json!({"spec": {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"path": "/x"}}});
    let told = refusal("subjectaccessreviews", both);
    assert!(told.contains("{\"Path\":\"/x\",\"Verb\":\"\"}: cannot be specified in combination"), "{told}");
    assert!(
        told.ends_with("spec.user: Invalid value: \"\": at least one of user or group must be specified]"),
        "{told}"
    );
    let elsewhere = json!({"spec": {"user": "u", "resourceAttributes": {"namespace": "b"}}});
    let labelled = json!({"metadata": {"labels": {"a": "b"}, "managedFields": [{"manager": "m"}]}, "spec": {"resourceAttributes": {}}});
    assert_eq!(
        refusal("selfsubjectaccessreviews", labelled),
        ".authorization.k8s.io \"\" is invalid: metadata: Invalid value: \
         {\"labels\":{\"a\":\"b\"},\"managedFields\":[{\"manager\":\"m\"}]}: must be empty"
    );
    assert!(refusal("localsubjectaccessreviews", elsewhere).ends_with("must match metadata.namespace"));
    assert_eq!(refusal("tokenreviews", json!({"spec": {}})), "token is required for TokenReview in authentication");
    assert_eq!(refusal("selfsubjectrulesreviews", json!({"spec": {}})), "no namespace on request");
}

#[test]
fn identities_are_told() {
    let own = status("selfsubjectreviews", json!({}));
    assert_eq!(own, json!({"userInfo": {"username": "jane", "groups": ["devs"]}}));
    let token = status("tokenreviews", json!({"spec": {"token": "secret"}}));
    let user = json!({"username": "jane", "uid": "7", "groups": ["devs", "system:authenticated"]});
    assert_eq!(token, json!({"authenticated": true, "user": user}));
    let wrong = status("tokenreviews", json!({"spec": {"token": "wrong"}}));
    assert_eq!(wrong, json!({"user": {}, "error": "invalid bearer token"}));
}

struct Objects(Value);

impl Live for Objects {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0.get(format!("{resource}/{namespace}/{name}")).cloned().map(Arc::new)
    }
}

#[test]
fn a_token_on_request_is_bound_and_counts() {
    let (private, public) = signing_key().unwrap();
    let live: Arc<dyn Live> = Arc::new(Objects(json!({
        "serviceaccounts/a/robot": {"metadata": {"name": "robot", "uid": "u1"}},
        "pods/a/p": {"metadata": {"name": "p", "uid": "u2"}, "spec": {"serviceAccountName": "robot", "nodeName": "n"}},
        "pods/a/q": {"metadata": {"name": "q", "uid": "u4"}, "spec": {"serviceAccountName": "other"}},
        "nodes//n": {"metadata": {"name": "n", "uid": "u3"}},
    })));
    let issuer = TokenIssuer {
        signer: Signer::from_pem(&private).unwrap(),
        issuer: "issuer".into(),
        audiences: vec!["api".into()],
        live: Arc::clone(&live),
        clock: Clock::system(),
    };
    let bound_to = |name: &str, uid: &str, seconds: i64| {
        let reference = json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
        issuer.create("a", "robot", json!({"spec": {"expirationSeconds": seconds, "boundObjectRef": reference}}))
    };
    let answer = bound_to("p", "u2", 3607).unwrap();
    let token = answer["status"]["token"].as_str().unwrap();
    let verifier = Verifier::from_pem(&public, "issuer").unwrap();
    let claims = verifier.verify(token, Some(&["api"]), Clock::system().unix_seconds()).unwrap();
    assert_eq!(claims.kubernetes.pod.as_ref().unwrap().uid, "u2");
    assert_eq!(claims.kubernetes.node.as_ref().unwrap().uid, "u3");
    assert_eq!(claims.kubernetes.warnafter, Some(claims.iat + 3607));
    assert_eq!(claims.exp, claims.iat + EXTENDED);
    let accounts = ServiceAccounts::new(vec![verifier], vec!["api".into()], live);
    let authenticator = Authenticator { service_accounts: Some(accounts), ..Authenticator::default() };
    assert_eq!(authenticator.review(token, &[]).unwrap().caller.name, "system:serviceaccount:a:robot");

    let refused = |outcome: status::Result<Value>| outcome.map(|_| ()).unwrap_err();
    assert_eq!(refused(bound_to("p", "old", 3600)).code, 409);
    assert_eq!(refused(bound_to("gone", "", 3600)).message, "pods \"gone\" not found");
    assert!(refused(bound_to("q", "", 3600)).message.contains("different serviceaccount name"));
    assert!(refused(bound_to("p", "", 599)).message.ends_with("may not specify a duration less than 10 minutes"));
    assert!(refused(bound_to("p", "", (1 << 32) + 1)).message.ends_with("larger than 2^32 seconds"));
    let other = json!({"spec": {"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}});
    let message = refused(issuer.create("a", "robot", other)).message;
    assert_eq!(message, "cannot bind token to object of type apps/v1, Kind=Deployment");
    let meant = |metadata: Value| refused(issuer.create("a", "robot", json!({"metadata": metadata}))).code;
    assert_eq!((meant(json!({"name": "other"})), meant(json!({"uid": "other"}))), (422, 409));
    assert_eq!(refused(issuer.create("a", "nobody", json!({}))).message, "serviceaccounts \"nobody\" not found");
}

const EXTENDED: i64 = 365 * 24 * 3600;
