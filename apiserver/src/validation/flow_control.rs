//! `FlowSchema`s and `PriorityLevelConfiguration`s.

use super::field::{Errors, child, index, list, same, text};
use super::internal;
use crate::registry::bootstrap::flow_control::fixed;
use serde_json::Value;
use tinyplane_wire::meta::{Meta, dns_label, dns_subdomain};

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const SUBJECTS: [&str; 3] = ["Group", "ServiceAccount", "User"];
const PRECEDENCE_MAX: i64 = 10_000;
const QUEUES_MAX: i64 = 10_000_000;
/// Bits of a flow's hash, which have to suffice for a hand of queues.
const HASH_BITS: f64 = 60.0;

pub(super) fn check_schema(schema: &Value, errors: &mut Errors) {
    let spec = &schema["spec"];
    let (precedence, path) = (spec["matchingPrecedence"].as_i64().unwrap_or_default(), "spec.matchingPrecedence");
    if precedence <= 0 {
        errors.invalid(path, &precedence.into(), "must be a positive value");
    }
    if precedence > PRECEDENCE_MAX {
        errors.invalid(path, &precedence.into(), &format!("must not be greater than {PRECEDENCE_MAX}"));
    }
    if precedence == 1 && Meta::of(schema).name() != "exempt" {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.invalid(path, &precedence.into(), why);
    }
    let distinguisher = &spec["distinguisherMethod"];
    if distinguisher.is_object() && !["ByNamespace", "ByUser"].contains(&text(&distinguisher["type"])) {
        let known = ["ByNamespace", "ByUser"];
        let shown = format!("{{\"Type\":{:?}}}", text(&distinguisher["type"]));
        errors.unsupported_as("spec.distinguisherMethod.type", &shown, &known);
    }
    let (level, path) = (text(&spec["priorityLevelConfiguration"]["name"]), "spec.priorityLevelConfiguration.name");
    match level {
        "" => errors.required(path, "must reference a priority level"),
        level => errors.grammar(path, level, dns_subdomain(level)),
    }
    for (at, rule) in list(&spec["rules"]).iter().enumerate() {
        check_rule(rule, &index("spec.rules", at), errors);
    }
    let name = Meta::of(schema).name();
    if fixed("flowschemas", name).is_some_and(|fixed| !same(spec, &fixed)) {
        let told = format!("spec of '{name}' must equal the fixed value");
        errors.invalid_as("spec", &internal::shown("FlowSchemaSpec", spec), &told);
    }
}

fn check_rule(rule: &Value, path: &str, errors: &mut Errors) {
    if list(&rule["subjects"]).is_empty() {
        errors.required(child(path, "subjects"), "subjects must contain at least one value");
    }
    for (at, subject) in list(&rule["subjects"]).iter().enumerate() {
        check_subject(subject, &index(&child(path, "subjects"), at), errors);
    }
    let (resources, others) = (list(&rule["resourceRules"]), list(&rule["nonResourceRules"]));
    if resources.is_empty() && others.is_empty() {
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for (at, rule) in resources.iter().enumerate() {
        check_resources(rule, &index(&child(path, "resourceRules"), at), errors);
    }
    for (at, rule) in others.iter().enumerate() {
        let path = index(&child(path, "nonResourceRules"), at);
        check_verbs(&rule["verbs"], &child(&path, "verbs"), errors);
        check_urls(&rule["nonResourceURLs"], &child(&path, "nonResourceURLs"), errors);
    }
}

fn check_subject(subject: &Value, path: &str, errors: &mut Errors) {
    let kind = text(&subject["kind"]);
    let fields = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let Some((_, own)) = fields.iter().find(|(known, _)| *known == kind) else {
        return errors.unsupported(child(path, "kind"), kind, &SUBJECTS);
    };
    let (named, at) = (&subject[own], child(path, own));
    if named.is_null() {
        errors.required(&at, &format!("{own} is required when subject kind is '{kind}'"));
    } else if kind == "ServiceAccount" {
        match text(&named["name"]) {
            "" => errors.required(child(&at, "name"), ""),
            "*" => {}
            name => errors.grammar(child(&at, "name"), name, dns_subdomain(name)),
        }
        match text(&named["namespace"]) {
            "" => errors.required(child(&at, "namespace"), "must specify namespace for service account"),
            namespace => errors.grammar(child(&at, "namespace"), namespace, dns_label(namespace)),
        }
    } else {
        errors.needed(child(&at, "name"), &named["name"], "");
    }
    // In upstream's order: what is not its own of account, user and group.
    for (other, field) in [fields[0], fields[1], fields[2]].iter().filter(|(other, _)| *other != kind) {
        if !subject[field].is_null() {
            errors.forbidden(child(path, field), &format!("{field} is forbidden when subject kind is not '{other}'"));
        }
    }
}

/// Whether a list says everything, and whether it says so beside something else.
fn says_all(values: &Value) -> (bool, bool) {
    let all = list(values).iter().any(|value| value == "*");
    (all, all && list(values).len() > 1)
}

fn check_verbs(verbs: &Value, path: &str, errors: &mut Errors) {
    let (all, beside) = says_all(verbs);
    if list(verbs).is_empty() {
        errors.required(path, "verbs must contain at least one value");
    } else if beside {
        errors.invalid(path, verbs, "if '*' is present, must not specify other verbs");
    } else if !all && !list(verbs).iter().all(|verb| VERBS.contains(&text(verb))) {
        errors.unsupported_as(path, &verbs.to_string(), &VERBS);
    }
}

fn check_urls(urls: &Value, path: &str, errors: &mut Errors) {
    let (all, beside) = says_all(urls);
    if list(urls).is_empty() {
        errors.required(path, "nonResourceURLs must contain at least one value");
    } else if beside {
        errors.invalid(path, urls, "if '*' is present, must not specify other non-resource URLs");
    }
    for (at, url) in list(urls).iter().map(text).enumerate().filter(|_| !all) {
        let why = match url {
            "" => "must not be empty",
            "/" => continue,
            url if !url.starts_with('/') => "must start with slash",
            url if url.contains(' ') => "must not contain white-space",
            url if url.contains("//") => "must not contain double slash",
            url if url.contains('*') && (url.matches('*').count() > 1 || !url.ends_with("/*")) => {
                "wildcard can only do suffix matching"
            }
            _ => continue,
        };
        errors.invalid_text(index(path, at), url, why);
    }
}

fn check_resources(rule: &Value, path: &str, errors: &mut Errors) {
    check_verbs(&rule["verbs"], &child(path, "verbs"), errors);
    for (field, one, many) in [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")] {
        let (values, path) = (&rule[field], child(path, field));
        if list(values).is_empty() {
            errors.required(path, &format!("resource rules must supply at least one {one}"));
        } else if says_all(values).1 {
            errors.invalid(path, values, &format!("if '*' is present, must not specify other {many}"));
        }
    }
    let (namespaces, path) = (&rule["namespaces"], child(path, "namespaces"));
    let (all, beside) = says_all(namespaces);
    if list(namespaces).is_empty() && rule["clusterScope"] != true {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.required(&path, why);
    } else if beside {
        errors.invalid(&path, namespaces, "if '*' is present, must not specify other namespaces");
    }
    for (at, namespace) in list(namespaces).iter().map(text).enumerate().filter(|_| !all) {
        for complaint in dns_label(namespace) {
            let why = format!("each member of this list must be '*' or a DNS-1123 label; {complaint}");
            errors.invalid_text(index(&path, at), namespace, &why);
        }
    }
}

pub(super) fn check_level(level: &Value, errors: &mut Errors) {
    let spec = &level["spec"];
    let kind = text(&spec["type"]);
    if (Meta::of(level).name() == "exempt") != (kind == "Exempt") {
        errors.invalid_text("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind {
        "Exempt" => {
            check_shares(&spec["exempt"], "spec.exempt", errors);
            if !spec["limited"].is_null() {
                errors.forbidden("spec.limited", "must be nil if the type is not Limited");
            }
        }
        "Limited" => {
            if !spec["exempt"].is_null() {
                errors.forbidden("spec.exempt", "must be nil if the type is Limited");
            }
            if spec["limited"].is_null() {
                errors.required("spec.limited", "must not be empty when type is Limited");
            } else {
                check_limited(&spec["limited"], "spec.limited", errors);
            }
        }
        other => errors.unsupported("spec.type", other, &["Exempt", "Limited"]),
    }
    check_fixed_level(Meta::of(level).name(), spec, errors);
}

/// What is wrong with a level without which no request is served. Of the exempt one shares may be changed.
fn check_fixed_level(name: &str, spec: &Value, errors: &mut Errors) {
    let Some(mut fixed) = fixed("prioritylevelconfigurations", name) else { return };
    let except = if name == "exempt" { " except the 'spec.exempt' field" } else { "" };
    if name == "exempt" {
        fixed["exempt"] = spec["exempt"].clone();
    }
    if !same(spec, &fixed) {
        let told = format!("spec of '{name}'{except} must equal the fixed value");
        errors.invalid_as("spec", &internal::shown("PriorityLevelConfigurationSpec", spec), &told);
    }
}

/// Shares, and what of them is lent.
fn check_shares(part: &Value, path: &str, errors: &mut Errors) {
    let shares = &part["nominalConcurrencyShares"];
    if shares.as_i64().is_some_and(|shares| shares < 0) {
        errors.invalid(child(path, "nominalConcurrencyShares"), shares, "must be a non-negative integer");
    }
    let lendable = &part["lendablePercent"];
    if lendable.as_i64().is_some_and(|per_cent| !(0..=100).contains(&per_cent)) {
        errors.invalid(child(path, "lendablePercent"), lendable, "must be between 0 and 100, inclusive");
    }
}

fn check_limited(limited: &Value, path: &str, errors: &mut Errors) {
    let (response, at) = (&limited["limitResponse"], child(path, "limitResponse"));
    let mut shares = Errors::default();
    check_shares(limited, path, &mut shares);
    // Upstream looks at the response between the shares and what is lent of them.
    let (shares, lent): (Vec<_>, Vec<_>) =
        shares.into_causes().into_iter().partition(|cause| cause.field.ends_with("nominalConcurrencyShares"));
    errors.take_all(shares);
    let queuing = &response["queuing"];
    match text(&response["type"]) {
        "Reject" if !queuing.is_null() => {
            let why = "must be nil if limited.limitResponse.type is not Limited";
            errors.forbidden(child(&at, "queuing"), why);
        }
        "Reject" => {}
        "Queue" if queuing.is_null() => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            errors.required(child(&at, "queuing"), why);
        }
        "Queue" => check_queuing(queuing, &child(&at, "queuing"), errors),
        other => errors.unsupported(child(&at, "type"), other, &["Queue", "Reject"]),
    }
    errors.take_all(lent);
    let borrowing = &limited["borrowingLimitPercent"];
    if borrowing.as_i64().is_some_and(|per_cent| per_cent < 0) {
        let why = "if specified, must be a non-negative integer";
        errors.invalid(child(path, "borrowingLimitPercent"), borrowing, why);
    }
}

fn check_queuing(queuing: &Value, path: &str, errors: &mut Errors) {
    let number = |field: &str| queuing[field].as_i64().unwrap_or_default();
    let (queues, hand, length) = (number("queues"), number("handSize"), number("queueLengthLimit"));
    let mut positive = |field: &str, number: i64| {
        if number <= 0 {
            errors.invalid(child(path, field), &number.into(), "must be positive");
        }
        number > 0
    };
    positive("queueLengthLimit", length);
    let (has_queues, has_hand) = (positive("queues", queues), positive("handSize", hand));
    if has_queues && queues > QUEUES_MAX {
        errors.invalid(child(path, "queues"), &queues.into(), &format!("must not be greater than {QUEUES_MAX}"));
    }
    if !has_hand {
        return;
    }
    let path = child(path, "handSize");
    if hand > queues {
        errors.invalid(path, &hand.into(), &format!("should not be greater than queues ({queues})"));
    } else if entropy(queues, hand) > HASH_BITS {
        let why = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        );
        errors.invalid(path, &hand.into(), &why);
    }
}

/// The bits that it takes to deal a hand of queues: of each card, among those that are left.
#[expect(clippy::cast_precision_loss, reason = "numbers of queues are small")]
fn entropy(queues: i64, hand: i64) -> f64 {
    let cards = (0..hand.min(64)).map(|taken| ((queues - taken) as f64).log2());
    cards.sum::<f64>().ceil()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(check: fn(&Value, &mut Errors), object: &Value) -> Vec<String> {
        let mut errors = Errors::default();
        check(object, &mut errors);
        errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn schemas_are_judged() {
        let odd = json!({"metadata": {"name": "a"}, "spec": {
            "matchingPrecedence": 1, "priorityLevelConfiguration": {"name": ""}, "distinguisherMethod": {"type": "x"},
            "rules": [{
                "subjects": [{"kind": "User", "group": {"name": "g"}}, {"kind": "x"}],
                "resourceRules": [{"verbs": ["*", "get"], "apiGroups": [], "resources": ["a"], "namespaces": ["-"]}],
                "nonResourceRules": [{"verbs": ["look"], "nonResourceURLs": ["a", "/a*"]}],
            }],
        }});
        assert_eq!(
            told(check_schema, &odd),
            [
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
                "spec.distinguisherMethod.type: Unsupported value: {\"Type\":\"x\"}: supported values: \"ByNamespace\", \"ByUser\"",
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
                "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                "spec.rules[0].subjects[1].kind: Unsupported value: \"x\": supported values: \"Group\", \"ServiceAccount\", \"User\"",
                "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
                "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"-\": each member of this list must be '*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                "spec.rules[0].nonResourceRules[0].verbs: Unsupported value: [\"look\"]: supported values: \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"",
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"a\": must start with slash",
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: \"/a*\": wildcard can only do suffix matching",
            ]
        );
    }

    #[test]
    fn what_every_cluster_has_stays_as_it_is() {
        let of = |check: fn(&Value, &mut Errors), name: &str, spec: Value| {
            told(check, &json!({"metadata": {"name": name}, "spec": spec}))
        };
        let mut schema = fixed("flowschemas", "exempt").unwrap();
        assert_eq!(of(check_schema, "exempt", schema.clone()), [] as [String; 0]);
        schema["rules"] = json!([]);
        schema["priorityLevelConfiguration"]["name"] = "system".into();
        assert_eq!(
            of(check_schema, "exempt", schema),
            [
                "spec: Invalid value: {\"PriorityLevelConfiguration\":{\"Name\":\"system\"},\"MatchingPrecedence\":1,\"DistinguisherMethod\":null,\"Rules\":[]}: spec of 'exempt' must equal the fixed value"
            ]
        );
        let shares = json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 5, "lendablePercent": 5}});
        assert_eq!(of(check_level, "exempt", shares), [] as [String; 0]);
        assert_eq!(
            of(check_level, "catch-all", json!({"type": "Limited"})),
            [
                "spec.limited: Required value: must not be empty when type is Limited",
                "spec: Invalid value: {\"Type\":\"Limited\",\"Limited\":null,\"Exempt\":null}: spec of 'catch-all' must equal the fixed value",
            ]
        );
    }

    #[test]
    fn levels_are_judged() {
        let level = |spec: Value| told(check_level, &json!({"metadata": {"name": "a"}, "spec": spec}));
        let limited = |queuing: Value| {
            level(json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": queuing}}}))
        };
        assert_eq!(limited(json!({"queues": 64, "handSize": 8, "queueLengthLimit": 50})), [] as [String; 0]);
        let at = "spec.limited.limitResponse.queuing";
        assert_eq!(
            limited(json!({"queues": 0, "handSize": 9, "queueLengthLimit": -1})),
            [
                format!("{at}.queueLengthLimit: Invalid value: -1: must be positive"),
                format!("{at}.queues: Invalid value: 0: must be positive"),
                format!("{at}.handSize: Invalid value: 9: should not be greater than queues (0)"),
            ]
        );
        assert_eq!(
            limited(json!({"queues": 1024, "handSize": 8, "queueLengthLimit": 1})),
            [format!(
                "{at}.handSize: Invalid value: 8: required entropy bits of deckSize 1024 and handSize 8 should not be greater than 60"
            )]
        );
        assert_eq!(
            level(
                json!({"type": "Limited", "limited": {"nominalConcurrencyShares": -1, "lendablePercent": 101, "borrowingLimitPercent": -1, "limitResponse": {"type": "x"}}})
            ),
            [
                "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                "spec.limited.limitResponse.type: Unsupported value: \"x\": supported values: \"Queue\", \"Reject\"",
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
            ]
        );
        assert_eq!(
            level(json!({"type": "Exempt", "limited": {}})),
            [
                "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
                "spec.limited: Forbidden: must be nil if the type is not Limited",
            ]
        );
    }
}
