//! The roles and bindings that every cluster has from the start.
//!
//! `policy.txt` holds them, one rule a line: `VERBS GROUPS RESOURCES [NAMES]`, or `VERBS /PATHS`, in lists with commas.
//! `read` stands for get, list, watch; `write` for create, update, patch, delete, deletecollection; `record` for what
//! a writer of events needs; `core` for the group without a name. A header line begins with what is defined
//! (`cluster-role`, `role` with its namespace, `binding`, `controller`). `of=X` collects the rules of all cluster roles
//! with `into=X`. Behind `<-` stand the subjects of a binding of the same name; nobody, where nothing follows.

use super::Rule;
use serde_json::{Value, json};
use smol_str::SmolStr;

const POLICY: &str = include_str!("policy.txt");
const GROUP: &str = "rbac.authorization.k8s.io";
const VERSION: &str = "rbac.authorization.k8s.io/v1";

/// The default objects, roles before bindings: each with its resource's plural.
#[must_use]
pub fn objects() -> Vec<(&'static str, Value)> {
    let (mut roles, mut bindings) = (Vec::new(), Vec::new());
    for block in blocks() {
        roles.extend(block.role());
        bindings.extend(block.binding());
    }
    roles.extend(bindings);
    roles
}

/// The rules of a default ClusterRole.
#[must_use]
pub fn cluster_role_rules(name: &str) -> Vec<Rule> {
    let block = blocks().find(|block| block.kind == "cluster-role" && block.name == name);
    block.map(|block| block.rules().collect()).unwrap_or_default()
}

/// A header and the lines below it.
struct Block {
    kind: &'static str,
    namespace: &'static str,
    name: String,
    words: Vec<&'static str>,
    /// `None`: no binding. Empty: a binding for nobody.
    subjects: Option<Vec<&'static str>>,
    lines: Vec<&'static str>,
}

fn blocks() -> impl Iterator<Item = Block> {
    let mut lines = POLICY.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    std::iter::from_fn(move || {
        let mut block = Block::header(lines.next()?);
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            block.lines.push(line.trim());
        }
        Some(block)
    })
}

impl Block {
    fn header(line: &'static str) -> Self {
        let (head, subjects) = match line.split_once("<-") {
            Some((head, subjects)) => (head, Some(subjects.split_whitespace().collect())),
            None => (line, None),
        };
        let mut words = head.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let name = words.next().unwrap_or_default();
        let (namespace, name) = match (kind, name.split_once('/')) {
            ("role" | "binding", Some((namespace, name))) => (namespace, name.to_owned()),
            ("controller", _) => ("", format!("system:controller:{name}")),
            _ => ("", name.to_owned()),
        };
        Self { kind, namespace, name, words: words.collect(), subjects, lines: Vec::new() }
    }

    fn word(&self, key: &str) -> Option<&'static str> {
        self.words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn rules(&self) -> impl Iterator<Item = Rule> {
        self.lines.iter().copied().map(rule)
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({
            "name": self.name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        });
        if !self.namespace.is_empty() {
            metadata["namespace"] = json!(self.namespace);
        }
        metadata
    }

    fn role(&self) -> Option<(&'static str, Value)> {
        let (resource, kind) = match self.kind {
            "cluster-role" | "controller" => ("clusterroles", "ClusterRole"),
            "role" => ("roles", "Role"),
            _ => return None,
        };
        let rules: Vec<Value> = self.rules().map(|rule| rule.to_value()).collect();
        let mut role = json!({"apiVersion": VERSION, "kind": kind, "metadata": self.metadata(), "rules": rules});
        if let Some(into) = self.word("into") {
            role["metadata"]["labels"][format!("{GROUP}/aggregate-to-{into}")] = json!("true");
        }
        if let Some(of) = self.word("of") {
            let selector = json!({"matchLabels": {format!("{GROUP}/aggregate-to-{of}"): "true"}});
            role["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
            role["rules"] = Value::Null;
        }
        Some((resource, role))
    }

    fn binding(&self) -> Option<(&'static str, Value)> {
        let own_account = self.name.strip_prefix("system:controller:").filter(|_| self.kind == "controller");
        let subjects: Vec<Value> = match (&self.subjects, own_account) {
            (Some(subjects), _) => subjects.iter().map(|subject| read_subject(subject)).collect(),
            (None, Some(account)) => vec![service_account("kube-system", account)],
            (None, None) => return None,
        };
        let (resource, kind, role_kind) = match self.namespace {
            "" => ("clusterrolebindings", "ClusterRoleBinding", "ClusterRole"),
            _ => ("rolebindings", "RoleBinding", "Role"),
        };
        let role = self.word("role").unwrap_or(&self.name);
        let mut binding = json!({
            "apiVersion": VERSION, "kind": kind, "metadata": self.metadata(),
            "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
        });
        if !subjects.is_empty() {
            binding["subjects"] = Value::Array(subjects);
        }
        Some((resource, binding))
    }
}

fn read_subject(text: &str) -> Value {
    match text.split_once(':').unwrap_or_default() {
        ("account", account) => {
            let (namespace, name) = account.split_once('/').unwrap_or_default();
            service_account(namespace, name)
        }
        ("group", name) => json!({"apiGroup": GROUP, "kind": "Group", "name": name}),
        (_, name) => json!({"apiGroup": GROUP, "kind": "User", "name": name}),
    }
}

fn service_account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}

/// The rule of a line, its words in their order, as upstream writes its own.
fn rule(line: &str) -> Rule {
    let mut rule = read_rule(line);
    [&mut rule.verbs, &mut rule.groups, &mut rule.resources, &mut rule.names, &mut rule.paths]
        .into_iter()
        .for_each(|list| list.sort());
    rule
}

fn read_rule(line: &str) -> Rule {
    let mut words = line.split_whitespace();
    let verbs = words.next().unwrap_or_default().split(',').flat_map(verbs).collect();
    let mut list = || -> Vec<SmolStr> { words.next().unwrap_or_default().split(',').map(SmolStr::from).collect() };
    let second = list();
    if second.first().is_some_and(|first| first.starts_with('/')) {
        let paths = second.into_iter().map(|path| if path == "/*" { "*".into() } else { path }).collect();
        return Rule { verbs, paths, ..Rule::default() };
    }
    let groups = second.into_iter().map(|group| if group == "core" { SmolStr::default() } else { group }).collect();
    let resources = list();
    let names = list().into_iter().filter(|name| !name.is_empty()).collect();
    Rule { verbs, groups, resources, names, paths: Vec::new() }
}

fn verbs(word: &str) -> Vec<SmolStr> {
    let several: &[&'static str] = match word {
        "read" => &["get", "list", "watch"],
        "write" => &["create", "delete", "deletecollection", "patch", "update"],
        "record" => &["create", "patch", "update"],
        one => return vec![one.into()],
    };
    several.iter().copied().map(SmolStr::new_static).collect()
}

#[cfg(test)]
mod tests;
