//! Who may do what, by roles, by node, and beyond.

use super::*;
use crate::authz::escalation::{check_binding, check_role};
use serde_json::{Value, json};

fn defaults_and(more: Vec<Change<RbacObject>>) -> Authorizers {
    let defaults = defaults::objects().into_iter().map(|(resource, object)| Change::put(resource, &object));
    let feed: Vec<Change<RbacObject>> = defaults.chain(more).collect();
    Authorizers { node: None, rbac: Some(Rbac::new(Box::new(feed))), always_allow: false }
}

fn user(name: &str) -> Caller {
    Caller::new(name, ["system:authenticated"])
}

fn role_binding(namespace: &str, kind: &str, role: &str, subject: &Value) -> Change<RbacObject> {
    Change::put(
        "rolebindings",
        &json!({"kind": "RoleBinding", "metadata": {"name": format!("{role}-{namespace}"), "namespace": namespace},
            "roleRef": {"kind": kind, "name": role}, "subjects": [subject]}),
    )
}

fn pods(verb: &str) -> Attributes<'_> {
    Attributes::resource(verb, "", "pods")
}

#[test]
fn roles_count_where_they_are_bound() {
    let authorizers =
        defaults_and(vec![role_binding("a", "ClusterRole", "view", &json!({"kind": "User", "name": "jane"}))]);
    let jane = user("jane");
    let may = |question: Attributes<'_>| authorizers.authorize(&jane, &question).is_allowed();
    assert!(may(pods("list").namespace("a")), "view collects the rules of the roles it aggregates");
    assert!(may(pods("get").namespace("a").name("x").subresource("log")));
    assert!(!may(pods("list").namespace("b")));
    assert!(!may(pods("list")));
    assert!(!may(pods("create").namespace("a")));
    assert!(!may(Attributes::resource("get", "", "secrets").namespace("a")));
    assert!(may(Attributes::path("get", "/apis/apps/v1")));
    assert!(!may(Attributes::path("get", "/metrics")));
}

#[test]
fn groups_accounts_and_masters_are_known() {
    let account = json!({"kind": "ServiceAccount", "name": "robot"});
    let group = json!({"kind": "Group", "name": "devs"});
    let more =
        vec![role_binding("a", "ClusterRole", "edit", &account), role_binding("b", "ClusterRole", "admin", &group)];
    let authorizers = defaults_and(more);
    let robot = user("system:serviceaccount:a:robot");
    assert!(authorizers.authorize(&robot, &pods("create").namespace("a")).is_allowed());
    let dev = Caller::new("d", ["devs"]);
    let roles = Attributes::resource("create", "rbac.authorization.k8s.io", "roles");
    assert!(authorizers.authorize(&dev, &roles.namespace("b")).is_allowed());
    let master = Caller::new("m", ["system:masters"]);
    assert!(authorizers.authorize(&master, &Attributes::path("put", "/anything")).is_allowed());
    assert!(authorizers.authorize(&Caller::anonymous(), &Attributes::path("get", "/healthz")).is_allowed());
    assert!(!authorizers.authorize(&Caller::anonymous(), &Attributes::path("get", "/api")).is_allowed());
}

#[test]
fn names_and_stars_in_rules_are_obeyed() {
    let rules = json!({"rules": [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"]},
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]},
        {"verbs": ["get"], "nonResourceURLs": ["/logs/*"]},
    ]});
    let rules: Vec<Rule> = Rule::read_all(&rules).collect();
    let allowed = |question: Attributes<'_>| rules.iter().any(|rule| rule.allows(&question));
    let maps = Attributes::resource("get", "", "configmaps");
    assert!(allowed(maps.name("one")) && !allowed(maps.name("two")) && !allowed(maps));
    assert!(allowed(Attributes::resource("update", "apps", "deployments").subresource("scale")));
    assert!(!allowed(Attributes::resource("update", "apps", "deployments")));
    assert!(allowed(Attributes::path("get", "/logs/a/b")) && !allowed(Attributes::path("get", "/log")));
}

#[test]
fn a_refusal_reads_as_upstream_says_it() {
    let jane = user("jane");
    let message = |question: Attributes<'_>| question.forbidden(&jane, "").message;
    assert_eq!(
        message(pods("list").namespace("default")),
        r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#
    );
    assert_eq!(
        message(Attributes::resource("get", "apps", "deployments").name("web").subresource("scale")),
        r#"deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments/scale" in API group "apps" at the cluster scope"#
    );
    assert_eq!(
        Attributes::path("get", "/foo").forbidden(&Caller::anonymous(), "").message,
        r#"forbidden: User "system:anonymous" cannot get path "/foo""#
    );
}

#[test]
fn a_binding_without_its_role_is_told() {
    let subject = json!({"kind": "User", "name": "jane"});
    let authorizers = defaults_and(vec![role_binding("a", "Role", "gone", &subject)]);
    let decision = authorizers.authorize(&user("jane"), &pods("list").namespace("a"));
    let reason = "RBAC: role.rbac.authorization.k8s.io \"gone\" not found";
    assert_eq!(decision, Decision::NoOpinion(reason.into()));
}

#[test]
fn a_node_sees_what_its_pods_refer_to() {
    let pod = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"nodeName": "n1", "serviceAccountName": "s",
        "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "k"}}]}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "e"}}}]}]}});
    let volume = json!({"metadata": {"name": "vol"}, "spec": {"claimRef": {"namespace": "a", "name": "claim"}}});
    let feed = vec![Change::put("pods", &pod), Change::put("persistentvolumes", &volume)];
    let node = NodeAuthorizer::new(Box::new(feed));
    let authorizers = Authorizers { node: Some(node), rbac: None, always_allow: false };
    let may = |name: &str, question: Attributes<'_>| {
        let caller = Caller::new(&format!("system:node:{name}"), ["system:nodes"]);
        authorizers.authorize(&caller, &question).is_allowed()
    };
    let get = |resource| Attributes::resource("get", "", resource).namespace("a");
    for (resource, name) in [("secrets", "k"), ("secrets", "e"), ("configmaps", "c"), ("pods", "p")] {
        assert!(may("n1", get(resource).name(name)), "{resource} {name}");
        assert!(!may("n2", get(resource).name(name)), "{resource} {name}");
    }
    assert!(may("n1", Attributes::resource("get", "", "persistentvolumes").name("vol")));
    let token = Attributes::resource("create", "", "serviceaccounts").subresource("token").namespace("a");
    assert!(may("n1", token.name("s")) && !may("n2", token.name("s")));
    assert!(!may("n1", get("secrets").name("other")) && !may("n1", get("secrets")));
    let list = Attributes::resource("list", "", "pods");
    assert!(may("n1", list.field_selector("spec.nodeName=n1")) && !may("n1", list));
    assert!(!may("n2", list.field_selector("spec.nodeName=n1")));
    let lease = Attributes::resource("update", "coordination.k8s.io", "leases").namespace("kube-node-lease");
    assert!(may("n1", lease.name("n1")) && !may("n1", lease.name("n2")));
    let own = Attributes::resource("get", "", "nodes");
    assert!(may("n1", own.name("n1")) && !may("n1", own.name("n2")));
    assert!(may("n1", Attributes::resource("watch", "", "services")));
    assert!(!authorizers.authorize(&user("jane"), &own.name("n1")).is_allowed());
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let authorizers =
        defaults_and(vec![role_binding("a", "ClusterRole", "admin", &json!({"kind": "User", "name": "jane"}))]);
    let jane = user("jane");
    let role = |rule: Value| json!({"kind": "Role", "metadata": {"name": "r", "namespace": "a"}, "rules": [rule]});
    let small = role(json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}));
    check_role(&authorizers, &jane, &small, None).unwrap();
    let large = role(json!({"verbs": ["get", "update"], "apiGroups": [""], "resources": ["nodes", "pods"]}));
    let refused = check_role(&authorizers, &jane, &large, None).unwrap_err();
    assert_eq!(
        refused.message,
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"update\"]}"
    );
    check_role(&authorizers, &jane, &large, Some(&large)).unwrap();
    check_role(&authorizers, &Caller::new("m", ["system:masters"]), &large, None).unwrap();
    let binding = |role: &str| {
        json!({"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "a"},
            "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": []})
    };
    check_binding(&authorizers, &jane, &binding("view"), None).unwrap();
    assert_eq!(check_binding(&authorizers, &jane, &binding("cluster-admin"), None).unwrap_err().code, 403);
    assert_eq!(check_binding(&authorizers, &jane, &binding("nothing"), None).unwrap_err().code, 404);
}

#[test]
fn a_change_counts_from_the_next_question_on() {
    let feed = vec![
        Change::put(
            "clusterroles",
            &json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
        ),
        Change::put(
            "clusterrolebindings",
            &json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "User", "name": "jane"}]}),
        ),
    ];
    struct OneByOne(std::collections::VecDeque<Change<RbacObject>>);
    impl Feed<RbacObject> for OneByOne {
        fn pull(&mut self) -> Vec<Change<RbacObject>> {
            self.0.pop_front().into_iter().collect()
        }
    }
    let gone = Change { resource: "clusterrolebindings", namespace: "".into(), name: "b".into(), object: None };
    let rbac = Rbac::new(Box::new(OneByOne(feed.into_iter().chain([gone]).collect())));
    let answers: Vec<bool> =
        (0..3).map(|_| rbac.authorize(&user("jane"), &Attributes::path("get", "/x")).is_allowed()).collect();
    assert_eq!(answers, [false, true, false]);
}
