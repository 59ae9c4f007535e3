//! Profiles of seccomp and AppArmor that stand both in a field and in an annotation of an earlier day: they have to agree.

use super::field::{Errors, Path, list, text};
use serde_json::Value;
use tinyplane_wire::meta::Meta;

const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// What does not agree in a pod or a template, whose spec is told of at this path.
pub(super) fn check(holder: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (spec, meta) = (&holder["spec"], Meta::of(holder));
    if !holder["metadata"]["annotations"].is_object() {
        return;
    }
    let field = "seccompProfile";
    if let Some(annotation) = meta.annotation(SECCOMP_OF_POD) {
        compare(
            annotation,
            &spec["securityContext"][field],
            "seccomp",
            &path.child("securityContext.seccompProfile"),
            errors,
        );
    }
    for (at, one) in containers(spec, path) {
        let annotation = meta.annotation(&format!("{SECCOMP}{}", text(&one["name"])));
        if let Some(annotation) = annotation {
            let at = at.child("securityContext.seccompProfile");
            compare(annotation, &one["securityContext"][field], "seccomp", &at, errors);
        }
    }
    if spec["os"]["name"] == "windows" {
        return;
    }
    for (at, one) in containers(spec, path) {
        let own = &one["securityContext"]["appArmorProfile"];
        let profile = if own.is_object() { own } else { &spec["securityContext"]["appArmorProfile"] };
        if let Some(annotation) = meta.annotation(&format!("{APP_ARMOR}{}", text(&one["name"]))) {
            compare(annotation, profile, "apparmor", &at.child("securityContext.appArmorProfile"), errors);
        }
    }
}

/// All containers of a spec with their paths, as upstream goes through them.
fn containers<'s>(spec: &'s Value, path: &'s Path<'s>) -> impl Iterator<Item = (Path<'s>, &'s Value)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(move |field| list(&spec[field]).iter().enumerate().map(move |(at, one)| (path.item(field, at), one)))
}

fn compare(annotation: &str, profile: &Value, what: &str, path: &Path<'_>, errors: &mut Errors) {
    let agrees = match text(&profile["type"]) {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default" || (what == "seccomp" && annotation == "docker/default"),
        "Localhost" => match annotation.strip_prefix("localhost/") {
            Some(local) if profile["localhostProfile"] != *local => {
                let told = format!("{what} profile in annotation and field must match");
                return errors.forbidden(path.child("localhostProfile"), &told);
            }
            local => local.is_some(),
        },
        _ => true,
    };
    if !agrees {
        errors.forbidden(path.child("type"), &format!("{what} type in annotation and field must match"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn annotations_and_fields_agree() {
        let told = |annotations: Value, spec: Value| {
            let mut errors = Errors::default();
            check(&json!({"metadata": {"annotations": annotations}, "spec": spec}), &Path::root("spec"), &mut errors);
            let causes = errors.into_causes().into_iter();
            causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
        };
        let spec = json!({
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": {"type": "Unconfined"}},
            "containers": [{"name": "a", "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "p"}}}],
        });
        let armor = format!("{APP_ARMOR}a");
        let seccomp = format!("{SECCOMP}a");
        let fine = json!({SECCOMP_OF_POD: "docker/default", &seccomp: "localhost/p", &armor: "unconfined"});
        assert_eq!(told(fine, spec.clone()), Vec::<String>::new());
        let wrong = json!({SECCOMP_OF_POD: "unconfined", &seccomp: "localhost/q", &armor: "localhost/q"});
        assert_eq!(
            told(wrong.clone(), spec.clone()),
            [
                "spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match",
                "spec.containers[0].securityContext.seccompProfile.localhostProfile: Forbidden: seccomp profile in annotation and field must match",
                "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match",
            ]
        );
        let mut windows = spec;
        windows["os"] = json!({"name": "windows"});
        assert_eq!(told(wrong, windows).len(), 2);
    }
}
