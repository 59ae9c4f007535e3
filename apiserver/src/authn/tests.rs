//! Who is let in, and as whom.

use super::*;
use crate::audit::Ticket;
use crate::request::Call;
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf, signing_key};
use tinyplane_wire::identity::tls::chain;
use tinyplane_wire::identity::token::{Bound, Claims, Private, Signer, Verifier};

struct Objects(HashMap<&'static str, Value>);

impl Live for Objects {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0.get(format!("{resource}/{namespace}/{name}").as_str()).cloned().map(Arc::new)
    }
}

fn call(headers: &[(&str, &str)], peer: Peer) -> Call {
    let mut request = Request::builder().uri("/api/v1/pods");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Call::parse(&request.body(()).unwrap(), peer, Ticket::new(None)).unwrap()
}

fn peer_of(authority: &Authority, leaf: &Leaf) -> Peer {
    peer_since(authority, leaf, Duration::ZERO)
}

fn peer_since(authority: &Authority, leaf: &Leaf, ago: Duration) -> Peer {
    let issued = authority.issue(leaf, Clock::system().now() - ago).unwrap();
    Peer::new(([127, 0, 0, 1], 1).into(), Some(&chain(&issued.certificate_pem).unwrap()))
}

fn authority() -> Authority {
    Authority::create("ca", Clock::system().now()).unwrap()
}

fn by_certificate(authority: &Authority) -> Authenticator {
    let certificates = Certificates::new(authority.certificate_pem()).unwrap();
    let tokens = StaticTokens::parse("secret,robot,7,\"a,b\"\n").unwrap();
    Authenticator {
        certificates: Some(certificates),
        static_tokens: Some(tokens),
        anonymous: true,
        ..Authenticator::default()
    }
}

#[test]
fn a_certificate_names_the_caller() {
    let authority = authority();
    let authenticator = by_certificate(&authority);
    let peer = peer_of(&authority, &Leaf::client("jane", Some("devs")));
    for _ in 0..2 {
        let caller = authenticator.caller(&call(&[], peer.clone())).unwrap();
        assert_eq!(caller.name, "jane");
        assert_eq!(caller.groups, ["devs", "system:authenticated"]);
        assert!(caller.extra["authentication.kubernetes.io/credential-id"][0].starts_with("X509SHA256="));
    }
}

#[test]
fn a_certificate_of_a_stranger_or_past_its_time_is_unauthorized_but_a_good_token_still_counts() {
    let (ours, strange) = (authority(), authority());
    let authenticator = by_certificate(&ours);
    let stranger = peer_of(&strange, &Leaf::client("jane", None));
    assert_eq!(authenticator.caller(&call(&[], stranger.clone())).unwrap_err().code, 401);
    let caller = authenticator.caller(&call(&[("authorization", "Bearer secret")], stranger)).unwrap();
    assert_eq!((caller.name.as_str(), caller.uid.as_str()), ("robot", "7"));
    assert_eq!(caller.groups, ["a", "b", "system:authenticated"]);
    let short = Leaf { lifetime: Duration::from_secs(60), ..Leaf::client("jane", None) };
    let expired = peer_since(&ours, &short, Duration::from_secs(120));
    assert_eq!(authenticator.caller(&call(&[], expired)).unwrap_err().message, "Unauthorized");
    let server = peer_of(&ours, &Leaf::server("jane", &[], &[]));
    assert_eq!(authenticator.caller(&call(&[], server)).unwrap_err().code, 401);
}

#[test]
fn without_a_credential_a_caller_is_anonymous_or_nobody() {
    let mut authenticator = Authenticator { anonymous: true, ..Authenticator::default() };
    assert_eq!(*authenticator.caller(&call(&[], Peer::nobody())).unwrap(), Caller::anonymous());
    assert!(authenticator.caller(&call(&[("authorization", "Bearer wrong")], Peer::nobody())).is_err());
    authenticator.anonymous = false;
    assert_eq!(authenticator.caller(&call(&[], Peer::nobody())).unwrap_err().code, 401);
}

#[test]
fn a_token_that_is_no_text_is_a_bad_one_and_one_behind_two_spaces_is_none() {
    let authenticator = Authenticator { anonymous: true, ..Authenticator::default() };
    let mut odd = call(&[], Peer::nobody());
    odd.headers.insert("authorization", HeaderValue::from_bytes(b"Bearer \xc3\xa9\xff").unwrap());
    assert_eq!(authenticator.caller(&odd).unwrap_err().code, 401);
    let spaced = call(&[("authorization", "Bearer  secret")], Peer::nobody());
    assert_eq!(*authenticator.caller(&spaced).unwrap(), Caller::anonymous());
    assert!(spaced.warnings.header_values()[0].contains("extra space before the bearer token"));
}

fn claims(now: i64) -> Claims {
    let bound = |name: &str, uid: &str| Bound { name: name.into(), uid: uid.into() };
    Claims {
        aud: vec!["api".into(), "vault".into()],
        exp: now + 600,
        iat: now,
        iss: "issuer".into(),
        jti: "j1".into(),
        kubernetes: Private {
            namespace: "a".into(),
            serviceaccount: bound("robot", "u1"),
            pod: Some(bound("p", "u2")),
            node: Some(bound("n", "u3")),
            secret: None,
            warnafter: None,
        },
        nbf: now,
        sub: "system:serviceaccount:a:robot".into(),
    }
}

fn by_account(objects: &Value, signer: &str, public: &str) -> (Authenticator, String) {
    let objects = objects.as_object().unwrap().iter();
    let objects = objects.map(|(key, value)| (&*key.clone().leak(), value.clone())).collect();
    let verifier = Verifier::from_pem(public, "issuer").unwrap();
    let accounts = ServiceAccounts::new(vec![verifier], vec!["api".into()], Arc::new(Objects(objects)));
    let clock = Clock::system();
    let token = Signer::from_pem(signer).unwrap().sign(&claims(clock.unix_seconds())).unwrap();
    (Authenticator { service_accounts: Some(accounts), ..Authenticator::default() }, token)
}

#[test]
fn a_token_counts_while_what_it_is_bound_to_lives() {
    let (signer, public) = signing_key().unwrap();
    let account = json!({"metadata": {"name": "robot", "uid": "u1"}});
    let pod = json!({"metadata": {"name": "p", "uid": "u2"}});
    let outcome = |objects: Value| {
        let (authenticator, token) = by_account(&objects, &signer, &public);
        authenticator.caller(&call(&[("authorization", &format!("bearer {token}"))], Peer::nobody()))
    };
    let both = json!({"serviceaccounts/a/robot": account, "pods/a/p": pod});
    let caller = outcome(both).unwrap();
    assert_eq!((caller.name.as_str(), caller.uid.as_str()), ("system:serviceaccount:a:robot", "u1"));
    assert_eq!(caller.groups, ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
    assert_eq!(caller.extra["authentication.kubernetes.io/pod-name"], ["p"]);
    assert_eq!(caller.extra["authentication.kubernetes.io/node-uid"], ["u3"]);
    assert_eq!(caller.extra["authentication.kubernetes.io/credential-id"], ["JTI=j1"]);
    assert_eq!(outcome(json!({"serviceaccounts/a/robot": account})).unwrap_err().code, 401);
    let other = json!({"metadata": {"name": "robot", "uid": "other"}});
    assert_eq!(outcome(json!({"serviceaccounts/a/robot": other, "pods/a/p": pod})).unwrap_err().code, 401);
    let deleted = json!({"metadata": {"name": "p", "uid": "u2", "deletionTimestamp": "2020-01-01T00:00:00Z"}});
    assert_eq!(outcome(json!({"serviceaccounts/a/robot": account, "pods/a/p": deleted})).unwrap_err().code, 401);
}

#[test]
fn of_several_keys_the_one_that_fits_says_what_is_wrong() {
    let ((signer, public), (_, other)) = (signing_key().unwrap(), signing_key().unwrap());
    let verifiers = [&other, &public, &other].map(|key| Verifier::from_pem(key, "issuer").unwrap());
    let live = Arc::new(Objects(HashMap::new()));
    let accounts = ServiceAccounts::new(verifiers.to_vec(), vec!["api".into()], live);
    let authenticator = Authenticator { service_accounts: Some(accounts), ..Authenticator::default() };
    let now = Clock::system().unix_seconds();
    let told = |since: i64| {
        let token = Signer::from_pem(&signer).unwrap().sign(&claims(since)).unwrap();
        authenticator.review(&token, &[]).unwrap_err()
    };
    assert_eq!(told(now - 3_600), "[invalid bearer token, service account token has expired]");
    assert_eq!(told(now + 3_600), "[invalid bearer token, service account token is not valid yet]");
    assert_eq!(told(now), "[invalid bearer token, serviceaccounts \"robot\" not found]");
}

#[test]
fn a_token_is_reviewed_for_the_audiences_asked_for() {
    let (signer, public) = signing_key().unwrap();
    let objects =
        json!({"serviceaccounts/a/robot": {"metadata": {"uid": "u1"}}, "pods/a/p": {"metadata": {"uid": "u2"}}});
    let (authenticator, token) = by_account(&objects, &signer, &public);
    let review = |audiences: &[&str]| {
        let audiences: Vec<String> = audiences.iter().map(|a| (*a).to_owned()).collect();
        authenticator.review(&token, &audiences).map(|review| review.audiences)
    };
    assert_eq!(review(&["vault", "other"]).unwrap(), ["vault"]);
    assert_eq!(review(&[]).unwrap(), ["api"]);
    let told = "[invalid bearer token, token audiences [\"api\" \"vault\"] is invalid for the target audiences [\"other\" \"x\"]]";
    assert_eq!(review(&["other", "x"]).unwrap_err(), told);
    assert_eq!(review(&["other", "x"]).unwrap_err(), told, "as well when its signature is known");
    let forged = format!("{}.{}", token.rsplit_once('.').unwrap().0, "A".repeat(86));
    let told = "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]";
    assert_eq!(authenticator.review(&forged, &[]).unwrap_err(), told);
    for (gone, told) in [
        ("pods/a/p", "service account token has been invalidated"),
        ("serviceaccounts/a/robot", "serviceaccounts \"robot\" not found"),
    ] {
        let mut left = objects.clone();
        left.as_object_mut().unwrap().remove(gone);
        let (authenticator, token) = by_account(&left, &signer, &public);
        assert_eq!(authenticator.review(&token, &[]).unwrap_err(), format!("[invalid bearer token, {told}]"));
    }
    assert!(authenticator.review("not.a.token", &[]).is_err());
    let listed = StaticTokens::parse("secret,robot,7").unwrap();
    let authenticator = Authenticator { static_tokens: Some(listed), ..authenticator };
    let review = |audiences: &[String]| authenticator.review("secret", audiences).map(|review| review.audiences);
    assert_eq!(review(&[]).unwrap(), ["api"], "a listed token is for the API server");
    assert_eq!(review(&["other".into()]).unwrap_err(), "invalid bearer token");
}

#[test]
fn credentials_do_not_travel_on() {
    let mut headers = call(
        &[
            ("authorization", "Bearer x"),
            ("impersonate-user", "u"),
            ("accept", "*/*"),
            ("sec-websocket-protocol", "v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.eA"),
        ],
        Peer::nobody(),
    )
    .headers;
    strip_credentials(&mut headers);
    assert_eq!(headers.len(), 2);
    assert_eq!(headers["sec-websocket-protocol"], "v5.channel.k8s.io");
}
