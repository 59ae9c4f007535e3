//! What bodies decode to, and what is said of bad ones.

use super::*;
use crate::schema::model;
use serde_json::json;

fn decoded(kind: (&str, &str, &str), body: &str) -> Result<Decoded, DecodeError> {
    let model = model();
    object(model, model.kind(kind.0, kind.1, kind.2).unwrap(), body.as_bytes())
}

const POD: (&str, &str, &str) = ("", "v1", "Pod");
const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");

fn error(kind: (&str, &str, &str), body: &str) -> String {
    decoded(kind, body).unwrap_err().to_string()
}

#[test]
fn a_wrong_type_names_the_innermost_struct_and_the_whole_path() {
    for (kind, body, message) in [
        (
            DEPLOYMENT,
            r#"{"spec":{"replicas":"3"}}"#,
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENT,
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"a"},{"env":[{"name":"x","value":1}]}]}}}}"#,
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            POD,
            r#"{"spec":{"containers":{}}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            POD,
            r#"{"metadata":[]}"#,
            "json: cannot unmarshal array into Go struct field Pod.metadata of type v1.ObjectMeta",
        ),
        (
            POD,
            r#"{"spec":{"containers":[{"imagePullPolicy":1}]}}"#,
            "json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy",
        ),
        (
            POD,
            r#"{"spec":{"priority":1.5}}"#,
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            POD,
            r#"{"spec":{"priority":3000000000}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            POD,
            r#"{"spec":{"hostNetwork":"yes"}}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (POD, "[]", "json: cannot unmarshal array into Go value of type v1.Pod"),
        (
            POD,
            r#"{"metadata":{"creationTimestamp":"x"}}"#,
            "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
        ),
        (
            POD,
            r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"1mm"}}}]}}"#,
            "unable to parse quantity's suffix",
        ),
        (("", "v1", "Secret"), r#"{"data":{"a":"%"}}"#, "illegal base64 data at input byte 0"),
        (
            ("", "v1", "Service"),
            r#"{"spec":{"ports":[{"targetPort":true}]}}"#,
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
    ] {
        assert_eq!(error(kind, body), message, "{body}");
    }
}

#[test]
fn what_is_no_json_is_told_as_go_tells_it() {
    for (body, message) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("{\"a\":\n x}", "invalid character 'x' looking for beginning of value"),
        ("{a}", "invalid character 'a' looking for beginning of object key string"),
        ("{\"kind\" 1}", "invalid character '1' after object key"),
        ("{\"kind\":\"a\" \"b\"}", "invalid character '\"' after object key:value pair"),
        ("{} x", "invalid character 'x' after top-level value"),
    ] {
        assert_eq!(error(POD, body), message, "{body}");
    }
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(error(("apps", "v1", "ControllerRevision"), &deep), "exceeded max depth");
}

#[test]
fn unknown_and_duplicate_fields_are_dropped_and_told_with_their_paths() {
    let body = r#"{
        "foo": 1,
        "metadata": {"labels": {"a": "1", "a": "2"}, "name": "x", "name": "y"},
        "spec": {"containers": [{"name": "a", "Image": "b", "ports": [{"containerPort": 1, "x": {"y": 1}}]}]}
    }"#;
    let decoded = decoded(POD, body).unwrap();
    assert_eq!(
        decoded.unknown,
        [
            "unknown field \"foo\"",
            "duplicate field \"metadata.labels.a\"",
            "duplicate field \"metadata.name\"",
            "unknown field \"spec.containers[0].Image\"",
            "unknown field \"spec.containers[0].ports[0].x\"",
        ]
    );
    assert_eq!(
        decoded.value,
        json!({
            "metadata": {"labels": {"a": "2"}, "name": "y"},
            "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1}]}]},
        })
    );
    assert!(decoded.strict_error().unwrap().starts_with("strict decoding error: unknown field \"foo\", duplicate"));
}

#[test]
fn keys_of_maps_stand_in_the_path_of_what_is_below_them() {
    let body = r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"properties":{"a":{"foo":1},"b":{"items":{"foo":1}}}}}}]}}"#;
    let decoded = decoded(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), body).unwrap();
    assert_eq!(decoded.unknown, ["unknown field \"spec.versions[0].schema.openAPIV3Schema.properties.a.foo\""]);
}

#[test]
fn nulls_and_what_go_omits_are_dropped_and_pointers_kept() {
    let body = r#"{
        "metadata": {"creationTimestamp": null, "labels": {}, "annotations": {"a": null}},
        "spec": {
            "hostNetwork": false, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "nodeName": "", "tolerations": [], "containers": [null, {"name": "a", "livenessProbe": {}}],
            "securityContext": {}, "priority": null
        }
    }"#;
    let expected = json!({
        "metadata": {"annotations": {"a": ""}},
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "containers": [{}, {"name": "a", "livenessProbe": {}}], "securityContext": {},
        },
    });
    assert_eq!(decoded(POD, body).unwrap().value, expected);
}

#[test]
fn quantities_and_times_take_their_canonical_form() {
    let body = r#"{
        "metadata": {"creationTimestamp": "2024-02-29T23:30:00.5-01:00"},
        "spec": {"containers": [{"resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": 2}}}]}
    }"#;
    let expected = json!({
        "metadata": {"creationTimestamp": "2024-03-01T00:30:00Z"},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2"}}}]},
    });
    assert_eq!(decoded(POD, body).unwrap().value, expected);
    let lease = r#"{"spec":{"renewTime":"2024-01-01T00:00:00.1234567Z"}}"#;
    let lease = decoded(("coordination.k8s.io", "v1", "Lease"), lease).unwrap();
    assert_eq!(lease.value["spec"]["renewTime"], "2024-01-01T00:00:00.123456Z");
}

#[test]
fn a_parsed_value_decodes_like_its_bytes() {
    let body = json!({"foo": 1, "spec": {"replicas": 2, "paused": false, "bar": null}});
    let model = model();
    let id = model.kind("apps", "v1", "Deployment").unwrap();
    let parsed = value(model, id, body.clone()).unwrap();
    let read = object(model, id, body.to_string().as_bytes()).unwrap();
    assert_eq!((&parsed.value, &parsed.unknown), (&read.value, &read.unknown));
    assert_eq!(parsed.value, json!({"spec": {"replicas": 2}}));
}

#[test]
fn schemas_inside_schemas_may_be_lists_bools_and_strings() {
    let body = r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{
        "additionalProperties": false, "items": [{"type": "string"}], "enum": [1, "a", null], "default": {"b": null}
    }}}]}}"#;
    let crd = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let schema = decoded(crd, body).unwrap().value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    let expected = json!({
        "additionalProperties": false, "items": [{"type": "string"}], "enum": [1, "a", null], "default": {"b": null}
    });
    assert_eq!(schema, expected);
    let bad = r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"additionalProperties":"x"}}}]}}"#;
    assert_eq!(error(crd, bad), "boolean or JSON schema expected");
}
