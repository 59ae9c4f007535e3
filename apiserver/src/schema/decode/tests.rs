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
fn lists_and_maps_with_nothing_in_them_stay_until_they_are_written() {
    let body = r#"{"spec":{"overhead":{},"volumes":[],"securityContext":{"sysctls":[]}}}"#;
    let read = decoded(POD, body).unwrap().value;
    assert_eq!(read, serde_json::from_str::<Value>(body).unwrap());
    let id = model().kind(POD.0, POD.1, POD.2).unwrap();
    assert_eq!(rewritten(model(), id, read).unwrap().value, json!({"spec": {"securityContext": {}}}));
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
        (("", "v1", "Secret"), r#"{"data":{"a":"-----"}}"#, "illegal base64 data at input byte 0"),
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
fn the_path_of_a_wrong_type_names_the_structs_that_go_embeds() {
    for (body, place) in [
        (r#"{"spec": {"csi": {"driver": 7}}}"#, "CSIPersistentVolumeSource.spec.PersistentVolumeSource.csi.driver"),
        (r#"{"spec": {"nfs": 7}}"#, "PersistentVolumeSpec.spec.PersistentVolumeSource.nfs"),
    ] {
        let told = error(("", "v1", "PersistentVolume"), body);
        assert!(
            told.starts_with(&format!("json: cannot unmarshal number into Go struct field {place} of type")),
            "{told}"
        );
    }
    let rules = r#"{"webhooks": [{"rules": [{"apiGroups": 7}]}]}"#;
    assert_eq!(
        error(("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"), rules),
        "json: cannot unmarshal number into Go struct field RuleWithOperations.webhooks.rules.Rule.apiGroups of type []string"
    );
}

#[test]
fn what_is_no_json_is_told_as_go_tells_it() {
    for (body, message) in [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("{\"a\":\n x}", "invalid character 'x' looking for beginning of value"),
        ("\0", "invalid character '\\x00' looking for beginning of value"),
        ("\u{e9}", "invalid character 'Ã' looking for beginning of value"),
        ("nonsense", "invalid character 'o' in literal null (expecting 'u')"),
        ("{\"a\":\n tru}", "invalid character '}' in literal true (expecting 'e')"),
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
fn a_field_that_stands_there_twice_is_read_into_the_first() {
    let body = r#"{
        "metadata": {"name": "x", "labels": {"a": "1", "b": "1"}},
        "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d"}], "securityContext": {"runAsUser": 1}},
        "metadata": {"labels": {"b": "2"}}, "metadata": null,
        "spec": {"containers": [{"image": "j"}], "securityContext": null, "nodeName": "n"}
    }"#;
    assert_eq!(
        decoded(POD, body).unwrap().value,
        json!({
            "metadata": {"name": "x", "labels": {"a": "1", "b": "2"}},
            "spec": {"containers": [{"name": "c", "image": "j"}], "securityContext": {"runAsUser": 1}, "nodeName": "n"},
        })
    );
    let null = r#"{"spec": {"securityContext": {"runAsUser": 1}, "securityContext": null, "nodeSelector": {}, "nodeSelector": null}}"#;
    assert_eq!(decoded(POD, null).unwrap().value, json!({"spec": {}}));
    // Times take no value for their zero, and quantities keep their text.
    let null = r#"{"eventTime": "2020-01-01T00:00:00.000000Z", "eventTime": null, "reason": "a", "reason": null}"#;
    assert_eq!(decoded(("", "v1", "Event"), null).unwrap().value, json!({"reason": "a"}));
    let null = r#"{"spec": {"containers": [{"env": [{"valueFrom": {"resourceFieldRef": {"divisor": "1m", "divisor": null}}}]}]}}"#;
    let source = &decoded(POD, null).unwrap().value["spec"]["containers"][0]["env"][0]["valueFrom"];
    assert_eq!(*source, json!({"resourceFieldRef": {"divisor": "1m"}}));
}

#[test]
fn keys_of_maps_stand_in_the_path_of_what_is_below_them() {
    let body = r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"properties":{"a":{"foo":1},"b":{"items":{"foo":1}}}}}}]}}"#;
    let decoded = decoded(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), body).unwrap();
    assert_eq!(decoded.unknown, ["unknown field \"spec.versions[0].schema.openAPIV3Schema.properties.a.foo\""]);
}

#[test]
fn a_zero_may_have_a_sign() {
    let read = |body: &str| decoded(DEPLOYMENT, body).unwrap().value;
    assert_eq!(read(r#"{"spec":{"replicas":-0}}"#), json!({"spec": {"replicas": 0}}));
    assert!(decoded(DEPLOYMENT, r#"{"spec":{"replicas":-0.5}}"#).is_err());
}

#[test]
fn the_last_digit_of_a_number_stays() {
    let number: Value = serde_json::from_str("9007199254740991.0").unwrap();
    assert_eq!(number.as_f64(), Some(9_007_199_254_740_991.0));
}

#[test]
fn bytes_that_are_null_are_none() {
    let secret = decoded(("", "v1", "Secret"), r#"{"data":{"a":null,"b":"eA=="}}"#).unwrap();
    assert_eq!(secret.value, json!({"data": {"a": "", "b": "eA=="}}));
}

#[test]
fn nulls_and_zeros_are_dropped_and_pointers_kept() {
    let body = r#"{
        "metadata": {"creationTimestamp": null, "labels": {}, "annotations": {"a": null}},
        "spec": {
            "hostNetwork": false, "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "nodeName": "", "tolerations": [], "containers": [null, {"name": "a", "livenessProbe": {}}],
            "securityContext": {}, "priority": null
        }
    }"#;
    let expected = json!({
        "metadata": {"annotations": {"a": ""}, "labels": {}},
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0, "tolerations": [],
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
    let lease = |time: &str| {
        let body = json!({"spec": {"renewTime": time}}).to_string();
        decoded(("coordination.k8s.io", "v1", "Lease"), &body).map(|lease| lease.value["spec"]["renewTime"].clone())
    };
    assert_eq!(lease("2024-01-01T01:00:00.123456+01:00").unwrap(), "2024-01-01T00:00:00.123456Z");
    for odd in ["00Z", "00.1Z", "00.1234567Z", "00.12345+01:00"] {
        assert!(lease(&format!("2024-01-01T00:00:{odd}")).is_err(), "{odd}");
    }
}

#[test]
fn a_short_quantity_is_canonical_as_it_stands() {
    use crate::schema::quantity::Quantity;
    for number in [1, 7, 10, 99, 100, 512, 999] {
        for suffix in ["", "m", "k", "M", "G", "Ki", "Mi", "Gi"] {
            let text = format!("{number}{suffix}");
            assert_eq!(scalar::quantity(&text), Ok(Quantity::parse(&text).unwrap().to_string().into()));
            assert_eq!(scalar::quantity(&format!(" {text} ")), Ok(text.into()));
        }
    }
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

mod any {
    use super::*;
    use crate::schema::{default, strategic};
    use proptest::prelude::*;
    use serde_json::Map;

    /// JSON of any form, whose keys are often those of real fields.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-9..9i32).prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
            "[a-z0-9:.T%-]{0,12}".prop_map(Value::from),
            Just("2024-01-01T00:00:00Z".into()),
            Just("replace".into()),
            Just("100m".into()),
        ];
        let names = prop::sample::select(vec![
            "metadata",
            "spec",
            "status",
            "template",
            "containers",
            "initContainers",
            "name",
            "image",
            "ports",
            "env",
            "containerPort",
            "labels",
            "volumes",
            "resources",
            "limits",
            "requests",
            "cpu",
            "creationTimestamp",
            "strategy",
            "type",
            "replicas",
            "selector",
            "$patch",
            "$retainKeys",
            "$setElementOrder/containers",
            "$deleteFromPrimitiveList/finalizers",
            "finalizers",
            "conditions",
            "other",
            "hostNetwork",
        ]);
        leaf.prop_recursive(7, 96, 5, move |inner| {
            let entries = prop::collection::vec((names.clone(), inner.clone()), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                entries.prop_map(|entries| {
                    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_decoded_and_defaulted_stays_as_it_is(body in anything()) {
            let model = model();
            for kind in ["Pod", "Deployment", "Job"] {
                let found = ["", "apps", "batch"].into_iter().find_map(|group| model.kind(group, "v1", kind));
                let id = found.expect("the kind is in the model");
                let read = object(model, id, body.to_string().as_bytes());
                let parsed = value(model, id, body.clone());
                prop_assert_eq!(read.is_ok(), parsed.is_ok());
                let Ok(decoded) = read else { continue };
                let mut first = decoded.value;
                default::apply(model, id, &mut first);
                let again = value(model, id, first.clone()).expect("what was decoded once decodes again");
                prop_assert!(again.unknown.is_empty(), "{:?}", again.unknown);
                let mut second = again.value;
                default::apply(model, id, &mut second);
                prop_assert_eq!(first, second);
            }
        }

        #[test]
        fn any_patch_is_laid_over_or_refused(current in anything(), patch in anything()) {
            let model = model();
            let id = model.kind("apps", "v1", "Deployment").expect("the kind is in the model");
            let Ok(current) = value(model, id, current) else { return Ok(()) };
            let _ = strategic::merge(model, id, current.value, patch);
        }
    }
}

#[test]
fn numbers_of_what_is_laid_over_a_type_are_converted() {
    let replicas = |number: Value| {
        let model = model();
        let id = model.kind("apps", "v1", "Deployment").unwrap();
        let made = json!({"spec": {"replicas": number}});
        laid_over(model, id, made)
            .map(|decoded| decoded.value["spec"]["replicas"].clone())
            .map_err(|error| error.to_string())
    };
    assert_eq!(replicas(json!(3.0)), Ok(json!(3)));
    assert_eq!(replicas(json!(-0.0)), Ok(json!(0)));
    assert_eq!(replicas(json!(2_147_483_648_i64)), Ok(json!(-2_147_483_648)), "the upper bits are lost");
    assert_eq!(replicas(json!(1e10)), Ok(json!(1_410_065_408)));
    assert_eq!(replicas(json!(9_223_372_036_854_775_808_u64)), Ok(json!(0)));
    let surge = |number: Value| {
        let made = json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": number}}}});
        let laid = laid_over(model(), model().kind("apps", "v1", "Deployment").unwrap(), made);
        laid.map(|decoded| decoded.value["spec"]["strategy"]["rollingUpdate"]["maxSurge"].clone())
            .map_err(|error| error.to_string())
    };
    assert_eq!((surge(json!(3.0)), surge(json!(-0.0))), (Ok(json!(3)), Ok(json!(0))));
    let told = "json: cannot unmarshal number 1e+21 into Go value of type int32";
    assert_eq!(surge(json!(1e21)), Err(told.to_owned()), "it reads itself");
    assert!(replicas(json!(3.5)).is_err() && replicas(json!("3")).is_err());
    let model = model();
    let strict = value(model, model.kind("apps", "v1", "Deployment").unwrap(), json!({"spec": {"replicas": 3.0}}));
    assert!(strict.is_err(), "JSON has no whole number that is written as a fraction");
}
