//! Nobody grants what they don't hold: the checks of writes to roles and bindings, beyond the one of the path.

use super::{Attributes, Authorizer, Rule};
use crate::authn::{Caller, GROUP_MASTERS};
use crate::validation::same;
use serde_json::Value;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::sync::Arc;
use tinyplane_wire::meta::Meta;
use tinyplane_wire::status::{self, Status};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Whether a caller may write this Role or ClusterRole: it holds all rules in it, or may `escalate` it. An update that
/// changes neither rules nor aggregation is free.
///
/// # Errors
/// The 403, in upstream's words.
pub fn check_role(
    authorizer: &dyn Authorizer,
    caller: &Caller,
    role: &Value,
    before: Option<&Value>,
) -> status::Result<()> {
    let stays = |field: &str| before.is_some_and(|before| same(&before[field], &role[field]));
    if stays("rules") && stays("aggregationRule") {
        return Ok(());
    }
    let meta = Meta::of(role);
    let resource = if role["kind"] == "Role" { "roles" } else { "clusterroles" };
    let escalate = Attributes::resource("escalate", GROUP, resource).version("v1");
    if is_free(authorizer, caller, &escalate.namespace(meta.namespace()).name(meta.name())) {
        return Ok(());
    }
    let mut rules: Vec<Rule> = Rule::read_all(role).collect();
    if !role["aggregationRule"].is_null() {
        rules.extend(Rule::everything());
    }
    confirm(authorizer, caller, meta.namespace(), &rules)
        .map_err(|why| Status::forbidden(GROUP, resource, meta.name(), &why))
}

/// Whether a caller may write this RoleBinding or ClusterRoleBinding: it holds all rules of the role, or may `bind` it.
/// An update that changes neither subjects nor role is free.
///
/// # Errors
/// The 403, in upstream's words; a 404 where the caller may not bind whatever comes and the role is not there.
pub fn check_binding(
    authorizer: &dyn Authorizer,
    caller: &Caller,
    binding: &Value,
    before: Option<&Value>,
) -> status::Result<()> {
    let stays = |field: &str| before.is_some_and(|before| same(&before[field], &binding[field]));
    if stays("subjects") && stays("roleRef") {
        return Ok(());
    }
    let meta = Meta::of(binding);
    let resource = if binding["kind"] == "RoleBinding" { "rolebindings" } else { "clusterrolebindings" };
    let role = binding["roleRef"]["name"].as_str().unwrap_or_default();
    let is_role = binding["roleRef"]["kind"] == "Role";
    let role_resource = if is_role { "roles" } else { "clusterroles" };
    let bind = Attributes::resource("bind", GROUP, role_resource).version("v1");
    if is_free(authorizer, caller, &bind.namespace(meta.namespace()).name(role)) {
        return Ok(());
    }
    let rules: Arc<[Rule]> = authorizer
        .role(is_role.then_some(meta.namespace()), role)
        .ok_or_else(|| Status::not_found(GROUP, role_resource, role))?;
    confirm(authorizer, caller, meta.namespace(), &rules)
        .map_err(|why| Status::forbidden(GROUP, resource, meta.name(), &why))
}

fn is_free(authorizer: &dyn Authorizer, caller: &Caller, question: &Attributes<'_>) -> bool {
    caller.is_in(GROUP_MASTERS) || authorizer.authorize(caller, question).is_allowed()
}

/// Whether the caller holds all rules; if not, upstream's sentence.
fn confirm(authorizer: &dyn Authorizer, caller: &Caller, namespace: &str, rules: &[Rule]) -> Result<(), String> {
    let held = authorizer.held(caller, namespace);
    let missing: Vec<Rule> =
        rules.iter().flat_map(simple_rules).filter(|one| !held.rules.iter().any(|own| own.covers(one))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let told: BTreeSet<String> = compact(missing).iter().map(told).collect();
    let told = told.into_iter().collect::<Vec<_>>().join("\n");
    let mut why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{told}",
        caller.name.as_str(),
        quoted(&caller.groups)
    );
    if !held.errors.is_empty() {
        why.push_str(&format!("; resolution errors: [{}]", held.errors.join(", ")));
    }
    Err(why)
}

/// A rule as rules of one verb, one group, one resource and at most one name each, or of one verb and one path.
#[must_use]
pub fn simple_rules(rule: &Rule) -> Vec<Rule> {
    let one = |text: &SmolStr| vec![text.clone()];
    let names: Vec<Vec<SmolStr>> =
        if rule.names.is_empty() { vec![Vec::new()] } else { rule.names.iter().map(one).collect() };
    let mut rules = Vec::new();
    for verb in &rule.verbs {
        for group in &rule.groups {
            for resource in &rule.resources {
                rules.extend(names.iter().map(|names| Rule {
                    verbs: one(verb),
                    groups: one(group),
                    resources: one(resource),
                    names: names.clone(),
                    paths: Vec::new(),
                }));
            }
        }
        rules.extend(rule.paths.iter().map(|path| Rule { verbs: one(verb), paths: one(path), ..Rule::default() }));
    }
    rules
}

/// Joins simple rules that differ in their verbs alone.
fn compact(simple: Vec<Rule>) -> Vec<Rule> {
    let mut joined: Vec<Rule> = Vec::new();
    for rule in simple {
        let same = |other: &&mut Rule| {
            other.paths.is_empty()
                && rule.paths.is_empty()
                && other.groups == rule.groups
                && other.resources == rule.resources
                && other.names == rule.names
        };
        match joined.iter_mut().find(same) {
            Some(other) => other.verbs.extend(rule.verbs),
            None => joined.push(rule),
        }
    }
    joined
}

fn told(rule: &Rule) -> String {
    let parts = [
        ("APIGroups", &rule.groups),
        ("Resources", &rule.resources),
        ("ResourceNames", &rule.names),
        ("NonResourceURLs", &rule.paths),
        ("Verbs", &rule.verbs),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, texts)| !texts.is_empty())
        .map(|(name, texts)| format!("{name}:{}", quoted(texts)))
        .collect();
    format!("{{{}}}", parts.join(", "))
}

/// `["a" "b"]`, as Go's `%q` writes a slice.
fn quoted(texts: &[SmolStr]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{:?}", text.as_str())).collect();
    format!("[{}]", texts.join(" "))
}
