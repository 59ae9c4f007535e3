//! The flow schemas and priority levels that every cluster has. `flow_control` goes by them.

use crate::registry::flow_schemas::condition;
use serde_json::{Value, json};

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

/// All of them, ready to be stored.
pub(super) fn objects(now: &str) -> Vec<(&'static str, &'static str, Value)> {
    let levels = LEVELS.iter().map(|level| (GROUP, "prioritylevelconfigurations", level.object()));
    levels.chain(schemas().into_iter().map(|schema| (GROUP, "flowschemas", schema.object(now)))).collect()
}

/// What two objects of each kind say, without which no request is served: nobody may change it.
pub(crate) fn fixed(plural: &str, name: &str) -> Option<Value> {
    if !["catch-all", "exempt"].contains(&name) {
        return None;
    }
    let mut found = objects("").into_iter();
    let (.., mut object) = found.find(|(_, of, object)| *of == plural && object["metadata"]["name"] == name)?;
    Some(object["spec"].take())
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "generation": 1, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}})
}

/// A priority level: shares, percentage that may be lent, and queues with their hand; without queues it rejects.
struct Level {
    name: &'static str,
    shares: u32,
    lendable: u32,
    queues: Option<(u32, u32)>,
}

const fn level(name: &'static str, shares: u32, lendable: u32, queues: Option<(u32, u32)>) -> Level {
    Level { name, shares, lendable, queues }
}

const LEVELS: [Level; 8] = [
    level("catch-all", 5, 0, None),
    level("exempt", 0, 0, None),
    level("global-default", 20, 50, Some((128, 6))),
    level("leader-election", 10, 0, Some((16, 4))),
    level("node-high", 40, 25, Some((64, 6))),
    level("system", 30, 33, Some((64, 6))),
    level("workload-high", 40, 50, Some((128, 6))),
    level("workload-low", 100, 90, Some((128, 6))),
];

impl Level {
    fn object(&self) -> Value {
        let shares = json!({"nominalConcurrencyShares": self.shares, "lendablePercent": self.lendable});
        let spec = if self.name == "exempt" {
            json!({"type": "Exempt", "exempt": shares})
        } else {
            let mut limited = shares;
            limited["limitResponse"] = match self.queues {
                None => json!({"type": "Reject"}),
                Some((queues, hand)) => {
                    json!({"type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": 50}})
                }
            };
            json!({"type": "Limited", "limited": limited})
        };
        json!({"metadata": metadata(self.name), "spec": spec, "status": {}})
    }
}

/// A flow schema: whose requests go to which level.
struct Schema {
    name: &'static str,
    level: &'static str,
    precedence: u32,
    by: Option<&'static str>,
    subjects: Vec<Value>,
    resources: Vec<Value>,
    paths: Option<Value>,
}

impl Schema {
    fn object(self, now: &str) -> Value {
        let mut rule = json!({"subjects": self.subjects});
        if !self.resources.is_empty() {
            rule["resourceRules"] = self.resources.into();
        }
        if let Some(paths) = self.paths {
            rule["nonResourceRules"] = json!([paths]);
        }
        let mut spec = json!({
            "priorityLevelConfiguration": {"name": self.level},
            "matchingPrecedence": self.precedence,
            "rules": [rule],
        });
        if let Some(by) = self.by {
            spec["distinguisherMethod"] = json!({"type": by});
        }
        let mut found = condition(self.level, true);
        found["lastTransitionTime"] = now.into();
        json!({"metadata": metadata(self.name), "spec": spec, "status": {"conditions": [found]}})
    }
}

fn group(name: &str) -> Value {
    json!({"kind": "Group", "group": {"name": name}})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "user": {"name": name}})
}

fn accounts_of_the_system() -> Value {
    json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": "*"}})
}

fn everything() -> Vec<Value> {
    vec![json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]})]
}

fn every_path() -> Option<Value> {
    Some(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}))
}

fn schemas() -> Vec<Schema> {
    let all = |name, level, precedence, by, subjects| Schema {
        name,
        level,
        precedence,
        by,
        subjects,
        resources: everything(),
        paths: every_path(),
    };
    let everybody = || vec![group("system:unauthenticated"), group("system:authenticated")];
    let (by_user, by_namespace) = (Some("ByUser"), Some("ByNamespace"));
    let managers = || vec![user("system:kube-controller-manager"), user("system:kube-scheduler")];
    let leases = json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]});
    let with_verbs = |mut rule: Value, verbs: &[&str]| {
        rule["verbs"] = json!(verbs);
        rule
    };
    let nodes = json!({
        "verbs": ["*"], "apiGroups": [""], "resources": ["nodes", "nodes/status"],
        "clusterScope": true, "namespaces": ["*"],
    });
    vec![
        all("catch-all", "catch-all", 10_000, by_user, everybody()),
        all("exempt", "exempt", 1, None, vec![group("system:masters")]),
        all("global-default", "global-default", 9_900, by_user, everybody()),
        all("kube-controller-manager", "workload-high", 800, by_namespace, managers()[..1].to_vec()),
        all("kube-scheduler", "workload-high", 800, by_namespace, managers()[1..].to_vec()),
        all("kube-system-service-accounts", "workload-high", 900, by_namespace, vec![accounts_of_the_system()]),
        Schema {
            resources: Vec::new(),
            paths: Some(json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]})),
            ..all("probes", "exempt", 2, None, everybody())
        },
        all("service-accounts", "workload-low", 9_000, by_user, vec![group("system:serviceaccounts")]),
        Schema {
            resources: vec![with_verbs(leases.clone(), &["get", "create", "update"])],
            paths: None,
            subjects: managers().into_iter().chain([accounts_of_the_system()]).collect(),
            ..all("system-leader-election", "leader-election", 100, by_user, Vec::new())
        },
        Schema {
            resources: vec![nodes, with_verbs(leases, &["*"])],
            paths: None,
            ..all("system-node-high", "node-high", 400, by_user, vec![group("system:nodes")])
        },
        all("system-nodes", "system", 500, by_user, vec![group("system:nodes")]),
    ]
}
