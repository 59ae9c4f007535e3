//! What is told of a body that says to be another kind of object, or of another version, than its path asks for.

use crate::schema;
use crate::schema::go::{json_word, quote};
use serde_json::Value;
use tinyplane_wire::gvr::Gvk;
use tinyplane_wire::status::{Cause, Status};

/// Upstream's name for the set of all types that it was built with.
const SCHEME: &str = "pkg/api/legacyscheme/scheme.go:30";

/// Versions that upstream still reads and no longer serves.
const RETIRED: [(&str, &[&str]); 6] = [
    ("apps/v1beta1", &["ControllerRevision", "Deployment", "Scale", "StatefulSet"]),
    ("apps/v1beta2", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "Scale", "StatefulSet"]),
    ("batch/v1beta1", &["CronJob"]),
    ("extensions/v1beta1", &["DaemonSet", "Deployment", "Ingress", "NetworkPolicy", "ReplicaSet", "Scale"]),
    ("networking.k8s.io/v1beta1", &["Ingress", "IngressClass"]),
    ("policy/v1beta1", &["Eviction", "PodDisruptionBudget"]),
];

/// Whether a path that asks for `wanted` takes what says to be `given` as well: evictions of their retired version.
pub(super) fn is_taken_too(wanted: &Gvk, given: &Gvk) -> bool {
    given.kind == "Eviction" && *given == Gvk { version: "v1beta1".into(), ..wanted.clone() }
}

/// 400 for an object that says to be `given` where `wanted` is asked for. Upstream reads it as what it says to be, and
/// then makes of it what is wanted: each step has its own complaint.
pub(super) fn refused(wanted: &Gvk, given: &Gvk) -> Box<Status> {
    let Some(why) = not_convertible(wanted, given) else {
        let (expected, said) = (wanted.api_version(), given.api_version());
        return Status::bad_request(format!(
            "the API version in the data ({said}) does not match the expected API version ({expected})"
        ));
    };
    Status::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {why}",
        given.kind, given.version, wanted.kind
    ))
}

/// Why an object that says to be `given` can't be made into what is wanted, where it can't.
fn not_convertible(wanted: &Gvk, given: &Gvk) -> Option<String> {
    let built_in = is_registered(wanted);
    if built_in && !is_registered(given) {
        let said = given.api_version();
        return Some(format!("no kind {:?} is registered for version {said:?} in scheme {SCHEME:?}", given.kind));
    }
    let same = given.kind == wanted.kind && (home(given) == home(wanted) || !built_in);
    let target = home(wanted);
    (!same).then(|| {
        format!("converting ({}.{}) to ({target}.{}): unknown conversion", given.version, given.kind, wanted.kind)
    })
}

/// Why what a JSON or merge patch made of a built-in object is no such object any more, by its own words.
pub(crate) fn of_patched(wanted: &Gvk, made: &Value) -> Option<String> {
    let said = |field: &str| made[field].as_str().filter(|text| !text.is_empty());
    let version = wanted.api_version();
    if let Some(given) = said("apiVersion").filter(|given| given.matches('/').count() > 1) {
        return Some(format!("unexpected GroupVersion string: {given}"));
    }
    let given = Gvk::parse(said("apiVersion").unwrap_or(&version), said("kind").unwrap_or(&wanted.kind));
    if given == *wanted { None } else { not_convertible(wanted, &given) }
}

/// Why kind and version of what a patch made can't be read, where it made an object.
pub(crate) fn unreadable_kind(made: &Value) -> Option<String> {
    let why = unreadable(made).filter(|_| made.is_object())?;
    Some(format!("couldn't get version/kind; json parse error: {why}"))
}

/// What a custom object says to be other than its path asks for.
pub(crate) fn of_custom(wanted: &Gvk, made: &Value) -> Vec<Cause> {
    let version = wanted.api_version();
    let wrong = |field: &str, wanted: &str| {
        let given = made[field].as_str().filter(|given| *given != wanted)?;
        let message = format!("Invalid value: {}: must be {wanted}", quote(given));
        Some(Cause { reason: "FieldValueInvalid".into(), message, field: field.into() })
    };
    [wrong("kind", &wanted.kind), wrong("apiVersion", &version)].into_iter().flatten().collect()
}

/// Why kind and version of a body that is JSON can't be read: they are no texts, or it is no object.
pub(super) fn unreadable(body: &Value) -> Option<String> {
    let Some(fields) = body.as_object() else {
        let into =
            r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
        return (!body.is_null())
            .then(|| format!("json: cannot unmarshal {} into Go value of type {into}", json_word(body)));
    };
    let (name, value) = ["apiVersion", "kind"]
        .into_iter()
        .filter_map(|name| Some((name, fields.get(name)?)))
        .find(|(_, value)| !value.is_null() && !value.is_string())?;
    Some(format!("json: cannot unmarshal {} into Go struct field .{name} of type string", json_word(value)))
}

fn is_registered(gvk: &Gvk) -> bool {
    let version = gvk.api_version();
    schema::model().kind(&gvk.group, &gvk.version, &gvk.kind).is_some()
        || RETIRED.iter().any(|(retired, kinds)| *retired == version && kinds.contains(&gvk.kind.as_str()))
}

/// Upstream's package with the form of a kind that all its versions are converted to.
fn home(gvk: &Gvk) -> &str {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("" | "events.k8s.io", _) => "core",
        ("apps" | "extensions", "Scale") => "autoscaling",
        ("extensions", "Ingress" | "NetworkPolicy") => "networking",
        ("extensions", _) => "apps",
        (group, _) => group.split('.').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_step_of_reading_a_stranger_has_its_complaint() {
        let told = |wanted: (&str, &str), given: (&str, &str)| {
            refused(&Gvk::parse(wanted.0, wanted.1), &Gvk::parse(given.0, given.1)).message
        };
        let scheme = "in scheme \"pkg/api/legacyscheme/scheme.go:30\"";
        assert_eq!(
            told(("v1", "Pod"), ("v2", "Pod")),
            format!(
                "Pod in version \"v2\" cannot be handled as a Pod: no kind \"Pod\" is registered for version \"v2\" {scheme}"
            )
        );
        assert_eq!(
            told(("apps/v1", "Deployment"), ("apps/v1", "Nonsense")),
            format!(
                "Nonsense in version \"v1\" cannot be handled as a Deployment: no kind \"Nonsense\" is registered for version \"apps/v1\" {scheme}"
            )
        );
        assert_eq!(
            told(("v1", "Pod"), ("apps/v1", "Deployment")),
            "Deployment in version \"v1\" cannot be handled as a Pod: converting (v1.Deployment) to (core.Pod): unknown conversion"
        );
        for retired in ["apps/v1beta1", "extensions/v1beta1"] {
            assert_eq!(
                told(("apps/v1", "Deployment"), (retired, "Deployment")),
                format!("the API version in the data ({retired}) does not match the expected API version (apps/v1)")
            );
        }
        assert_eq!(
            told(("own.example/v1", "Thing"), ("own.example/v2", "Thing")),
            "the API version in the data (own.example/v2) does not match the expected API version (own.example/v1)"
        );
    }

    #[test]
    fn a_custom_object_is_what_its_path_asks_for() {
        let of = |made: Value| {
            let causes = of_custom(&Gvk::parse("own.example/v1", "Thing"), &made);
            causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
        };
        assert_eq!(of(json!({"kind": "Thing", "apiVersion": "own.example/v1"})), [""; 0]);
        assert_eq!(
            of(json!({"kind": "O\u{1}\"", "apiVersion": "own.example/v2"})),
            [
                "kind: Invalid value: \"O\\x01\\\"\": must be Thing",
                "apiVersion: Invalid value: \"own.example/v2\": must be own.example/v1",
            ]
        );
    }

    #[test]
    fn kinds_and_versions_that_are_no_texts_are_told_of() {
        assert_eq!(
            unreadable(&json!({"kind": 3})).as_deref(),
            Some("json: cannot unmarshal number into Go struct field .kind of type string")
        );
        assert!(
            unreadable(&json!([])).is_some_and(|why| why.starts_with("json: cannot unmarshal array into Go value"))
        );
        assert_eq!(unreadable(&json!({"kind": "Pod", "apiVersion": null})), None);
        assert_eq!(unreadable(&json!(null)), None);
    }
}
