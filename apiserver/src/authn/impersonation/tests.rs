//! Who may act as whom, and what is said to others.

use super::*;
use crate::audit::Ticket;
use crate::authn::Peer;
use crate::authz::{Attributes, Decision, On};
use http::Request;

/// Lets through what is impersonated by these words.
struct Only(&'static [&'static str]);

impl Authorizer for Only {
    fn authorize(&self, _caller: &Caller, question: &Attributes<'_>) -> Decision {
        let On::Resource { resource, name, .. } = question.on else { return Decision::NoOpinion(String::new()) };
        let asked = format!("{} {resource} {name}", question.verb);
        if self.0.contains(&asked.trim_end()) { Decision::Allow } else { Decision::NoOpinion(String::new()) }
    }
}

fn call(headers: &[(&str, &str)]) -> Call {
    let mut request = Request::builder().uri("/api/v1/pods");
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    Call::parse(&request.body(()).unwrap(), Peer::nobody(), Ticket::new(None)).unwrap()
}

fn admin() -> Arc<Caller> {
    Arc::new(Caller::new("admin", []))
}

fn act(headers: &[(&str, &str)], real: Arc<Caller>, only: &'static [&'static str]) -> Result<Acting, String> {
    Impersonation::default().act(&call(headers), real, &Only(only)).map_err(|refused| refused.message.clone())
}

const JANE: [(&str, &str); 3] =
    [("impersonate-user", "jane"), ("impersonate-group", "devs"), ("impersonate-extra-scopes", "view")];

#[test]
fn impersonation_asks_for_everything_it_takes() {
    let all = &["impersonate users jane", "impersonate groups devs", "impersonate userextras view"];
    let acting = act(&JANE, admin(), all).unwrap();
    assert_eq!(acting.caller.groups, ["devs", "system:authenticated"]);
    assert_eq!(acting.caller.extra["scopes"], ["view"]);
    assert_eq!(acting.constraint, "");
    assert!(act(&JANE, admin(), &["impersonate users jane"]).is_err());
}

#[test]
fn a_name_beyond_ascii_is_somebody_too() {
    let beyond = [("impersonate-user", "jörg")];
    assert!(act(&beyond, admin(), &[]).is_err());
    assert_eq!(act(&beyond, admin(), &["impersonate users jörg"]).unwrap().caller.name, "jörg");
    let group = [("impersonate-user", "jane"), ("impersonate-group", "mädchen")];
    assert!(act(&group, admin(), &["impersonate users jane"]).is_err());
    assert!(
        act(&[("impersonate-extra-scopes", "ä")], admin(), &[])
            .unwrap_err()
            .contains("without impersonating a user name")
    );
}

#[test]
fn a_refusal_is_told_by_the_mode_that_let_the_caller_through_before() {
    let unknown = act(&JANE, admin(), &[]).unwrap_err();
    assert_eq!(
        unknown,
        r#"pods is forbidden: User "admin" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope"#
    );
    let impersonation = Impersonation::default();
    let only = Only(&["impersonate users jane"]);
    impersonation.act(&call(&JANE[..1]), admin(), &only).unwrap();
    let refused = impersonation.act(&call(&JANE), admin(), &only).unwrap_err();
    assert_eq!(
        refused.message,
        r#"groups "devs" is forbidden: User "admin" cannot impersonate resource "groups" in API group "" at the cluster scope"#
    );
}

#[test]
fn an_impersonated_account_brings_its_groups() {
    let account = [("impersonate-user", "system:serviceaccount:a:robot")];
    let acting = act(&account, Arc::new(Caller::anonymous()), &["impersonate serviceaccounts robot"]).unwrap();
    assert_eq!(acting.caller.groups, ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]);
}

#[test]
fn a_constraint_is_leave_for_what_is_done_and_for_whom() {
    let leave = &["impersonate-on:user-info:list pods", "impersonate:user-info users jane"];
    let acting = act(&JANE[..1], admin(), leave).unwrap();
    assert_eq!((acting.constraint, acting.caller.name.as_str()), ("impersonate:user-info", "jane"));
    let for_whom = act(&JANE[..1], admin(), &["impersonate-on:user-info:list pods"]).unwrap_err();
    assert_eq!(
        for_whom,
        r#"users.authentication.k8s.io "jane" is forbidden: User "admin" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope"#
    );
    let masters = [("impersonate-user", "jane"), ("impersonate-group", "system:masters")];
    let refused = act(&masters, admin(), leave).unwrap_err();
    assert!(refused.ends_with("at the cluster scope: impersonating the system:masters group is not allowed"));
    let refused = act(&[JANE[0], JANE[2]], admin(), leave).unwrap_err();
    let told = r#"impersonating an invalid key in extra is not allowed: extra.key: Invalid value: "scopes": must be a domain-prefixed path (such as "acme.io/foo")"#;
    assert!(refused.ends_with(told), "{refused}");
}

#[test]
fn a_node_is_impersonated_by_its_pods_or_by_leave_for_nodes() {
    let node = [("impersonate-user", "system:node:n1")];
    let arbitrary = &["impersonate-on:arbitrary-node:list pods", "impersonate:arbitrary-node nodes n1"];
    let acting = act(&node, admin(), arbitrary).unwrap();
    assert_eq!(acting.caller.groups, ["system:nodes", "system:authenticated"]);
    let associated = &["impersonate-on:associated-node:list pods", "impersonate:associated-node nodes *"];
    assert!(act(&node, admin(), associated).is_err(), "nobody of that node");
    let pod = |node: &str| {
        let extra = [("authentication.kubernetes.io/node-name".to_owned(), vec![node.to_owned()])];
        Arc::new(Caller { extra: extra.into(), ..Caller::new("system:serviceaccount:a:agent", []) })
    };
    assert_eq!(act(&node, pod("n1"), associated).unwrap().constraint, "impersonate:associated-node");
    assert!(act(&node, pod("n2"), associated).is_err(), "another node's");
}

#[test]
fn nothing_is_impersonated_without_a_user() {
    let told = act(&[("impersonate-group", "")], admin(), &[]).unwrap_err();
    let wanted = r#"requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{""}, Extra:map[string][]string(nil)} without impersonating a user name"#;
    assert_eq!(told, wanted);
}
