//! Standards against pods, in the words that kubectl's users know.

use super::super::tests::{Place, pod};
use super::*;
use serde_json::json;

fn latest(level: Level) -> Standard {
    Standard { level, version: policy::Version::Latest }
}

fn hardened() -> Value {
    let mut pod = pod("a");
    pod["spec"]["securityContext"] = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    pod
}

#[test]
fn a_plain_pod_breaks_restricted_in_the_known_words() {
    assert_eq!(
        told(&violations(latest(Level::Restricted), &pod("a"))),
        "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    assert!(violations(latest(Level::Restricted), &hardened()).is_empty());
    assert!(violations(latest(Level::Baseline), &pod("a")).is_empty());
}

#[test]
fn what_reaches_the_host_breaks_baseline() {
    let mut wild = pod("a");
    wild["spec"]["hostNetwork"] = json!(true);
    wild["spec"]["hostPID"] = json!(true);
    wild["spec"]["volumes"] = json!([{"name": "v", "hostPath": {"path": "/"}}]);
    wild["spec"]["containers"][0]["ports"] = json!([{"containerPort": 1, "hostPort": 80}]);
    wild["spec"]["containers"][0]["securityContext"] =
        json!({"privileged": true, "capabilities": {"add": ["NET_ADMIN", "CHOWN"]}});
    assert_eq!(
        told(&violations(latest(Level::Baseline), &wild)),
        "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add), host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volume \"v\"), hostPort (container \"c\" uses hostPort 80), privileged (container \"c\" must not set securityContext.privileged=true)"
    );
}

#[test]
fn the_version_of_a_standard_says_what_is_checked() {
    let reasons = |level: Level, minor: u32, pod: &Value| -> Vec<&'static str> {
        let standard = Standard { level, version: policy::Version::Minor(minor) };
        violations(standard, pod).iter().map(|one| one.reason).collect()
    };
    let plain = pod("a");
    assert_eq!(reasons(Level::Restricted, 7, &plain), ["runAsNonRoot != true"]);
    assert_eq!(
        reasons(Level::Restricted, 21, &plain),
        ["allowPrivilegeEscalation != false", "runAsNonRoot != true", "seccompProfile"]
    );
    assert_eq!(reasons(Level::Restricted, 22, &plain).len(), 4);
    assert_eq!(reasons(Level::Restricted, 99, &plain).len(), 4);
    let mut probing = hardened();
    probing["spec"]["containers"][0]["livenessProbe"] = json!({"httpGet": {"port": 80, "host": "127.0.0.1"}});
    assert!(reasons(Level::Baseline, 33, &probing).is_empty());
    assert_eq!(reasons(Level::Baseline, 34, &probing), ["probe or lifecycle host"]);
    let mut tuned = hardened();
    tuned["spec"]["securityContext"]["sysctls"] = json!([{"name": "net.ipv4.tcp_rmem", "value": "1"}]);
    assert_eq!(
        (reasons(Level::Baseline, 31, &tuned), reasons(Level::Baseline, 32, &tuned).len()),
        (vec!["forbidden sysctls"], 0)
    );
    let mut noted = pod("a");
    noted["metadata"]["annotations"] = json!({"seccomp.security.alpha.kubernetes.io/pod": "unconfined"});
    assert_eq!(reasons(Level::Baseline, 18, &noted), ["seccompProfile"]);
    assert!(reasons(Level::Baseline, 19, &noted).is_empty());
    let mut rootful = hardened();
    rootful["spec"]["hostUsers"] = json!(false);
    rootful["spec"]["securityContext"]["runAsUser"] = json!(0);
    rootful["spec"]["containers"][0]["securityContext"]["procMount"] = json!("Unmasked");
    assert_eq!(reasons(Level::Restricted, 34, &rootful), ["procMount", "runAsUser=0"]);
    assert_eq!(reasons(Level::Restricted, 35, &rootful), ["procMount"]);
    assert!(reasons(Level::Baseline, 35, &rootful).is_empty());
    // Baseline's checks come first, whatever they are called.
    let mut wild = pod("a");
    wild["spec"]["hostNetwork"] = json!(true);
    assert_eq!(reasons(Level::Restricted, 36, &wild)[..2], ["host namespaces", "allowPrivilegeEscalation != false"]);
}

#[tokio::test]
async fn the_audit_log_is_told_of_standards() {
    let place = Place::with(&[]).await;
    place.warnings.take_notes();
    let label = |key: &'static str, value: &'static str| {
        move |namespace: &mut Value| {
            namespace["metadata"]["labels"][format!("pod-security.kubernetes.io/{key}")] = json!(value);
        }
    };
    let id = ("", "namespaces", "default");
    place.change(id, "", label("audit", "restricted")).await.unwrap();
    place.change(id, "", label("enforce", "baseline")).await.unwrap();
    place.change(id, "", label("enforce-version", "v1.30")).await.unwrap();
    place.make("", "pods", pod("a")).await.unwrap();
    let notes = place.warnings.notes();
    assert_eq!(notes[ENFORCED], "baseline:v1.30");
    assert!(notes[VIOLATIONS].starts_with("would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation"));
    assert!(!place.warnings.header_values().join("").contains("restricted"), "what is audited is no warning");
}

#[tokio::test]
async fn a_namespace_enforces_and_warns_as_its_labels_say() {
    let place = Place::with(&[]).await;
    let id = ("", "namespaces", "default");
    place.make("", "pods", pod("before")).await.unwrap();
    let label = |key: &'static str, value: &'static str| {
        move |namespace: &mut Value| {
            namespace["metadata"]["labels"][format!("pod-security.kubernetes.io/{key}")] = json!(value);
        }
    };
    let wrong = place.change(id, "", label("enforce", "strict")).await.unwrap_err();
    assert_eq!(
        wrong.message,
        "Namespace \"default\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted"
    );
    place.change(id, "", label("enforce", "restricted")).await.unwrap();
    let warned = place.warnings.header_values().join("\n");
    assert!(warned.contains("existing pods in namespace"), "{warned}");
    assert!(warned.contains("before: allowPrivilegeEscalation != false, unrestricted capabilities"), "{warned}");
    let refused = place.make("", "pods", pod("x")).await.unwrap_err();
    assert!(
        refused.message.starts_with(
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false"
        ),
        "{refused}"
    );
    place.make("", "pods", hardened()).await.unwrap();
    place.change(id, "", label("warn", "restricted")).await.unwrap();
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    place.make("apps", "deployments", json!({"metadata": {"name": "d"}, "spec": spec})).await.unwrap();
    let warned = place.warnings.header_values().join("\n");
    assert!(warned.contains("would violate PodSecurity"), "{warned}");
    // A change that standards do not speak of goes through even to a pod that would not be made any more.
    place.change(("", "pods", "before"), "", |pod| pod["metadata"]["labels"] = json!({"a": "b"})).await.unwrap();
}
