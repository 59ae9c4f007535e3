//! What a server adds to objects of many kinds, and that it adds it once.

use crate::schema::model::{Scalar, Shape, TypeId};
use crate::schema::spelling::Speller;
use crate::schema::{decode, default, model};
use serde_json::{Map, Value, json};

fn defaulted(kind: (&str, &str, &str), object: Value) -> Value {
    let model = model();
    let id = model.kind(kind.0, kind.1, kind.2).unwrap();
    let mut value = decode::value(model, id, object).unwrap().value;
    default::apply(model, id, &mut value);
    let mut again = decode::value(model, id, value.clone()).unwrap().value;
    default::apply(model, id, &mut again);
    assert_eq!(again, value, "a second time changes nothing");
    value
}

#[test]
fn a_pod_gets_what_the_server_gives_it() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "containers": [{
                "name": "web", "image": "nginx", "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}},
                "resources": {"limits": {"cpu": "1"}},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            }],
            "volumes": [{"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}],
        },
    });
    let expected = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "containers": [{
                "name": "web", "image": "nginx", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "readinessProbe": {
                    "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
                },
                "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s", "defaultMode": 420}}],
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30, "securityContext": {}, "enableServiceLinks": true,
        },
        "status": {},
    });
    assert_eq!(defaulted(("", "v1", "Pod"), pod), expected);
}

#[test]
fn what_a_pod_says_by_two_names_is_said_by_both() {
    let pod = |spec: Value, status: Value| json!({"apiVersion": "v1", "kind": "Pod", "spec": spec, "status": status});
    let of = |spec: Value, status: Value| defaulted(("", "v1", "Pod"), pod(spec, status));
    let older = of(json!({"serviceAccount": "a", "terminationGracePeriodSeconds": -5}), json!({"podIP": "1.2.3.4"}));
    assert_eq!((&older["spec"]["serviceAccountName"], &older["spec"]["serviceAccount"]), (&json!("a"), &json!("a")));
    assert_eq!(older["spec"]["terminationGracePeriodSeconds"], 1);
    let template = json!({"kind": "PodTemplate", "template": {"spec": {"terminationGracePeriodSeconds": -5}}});
    let template = defaulted(("", "v1", "PodTemplate"), template);
    assert_eq!(template["template"]["spec"]["terminationGracePeriodSeconds"], -5);
    assert_eq!(older["status"]["podIPs"], json!([{"ip": "1.2.3.4"}]));
    let both = of(json!({"serviceAccount": "a", "serviceAccountName": "b"}), json!({}));
    assert_eq!(both["spec"]["serviceAccount"], "b");
}

#[test]
fn the_first_of_several_is_said_by_itself_as_well_and_counts_where_they_differ() {
    let node = |spec: Value| defaulted(("", "v1", "Node"), json!({"apiVersion": "v1", "kind": "Node", "spec": spec}));
    let both = json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]});
    assert_eq!(node(json!({"podCIDR": "10.0.0.0/24"}))["spec"], both);
    assert_eq!(node(json!({"podCIDRs": ["10.0.0.0/24"]}))["spec"], both);
    assert_eq!(node(json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64"]}))["spec"], both);
}

#[test]
fn what_stands_behind_a_gate_that_is_off_is_dropped() {
    let container = json!({"name": "c", "lifecycle": {"stopSignal": "SIGTERM"}});
    let spec = json!({"containers": [container], "schedulingGroup": {"podGroupName": "g"}});
    let mut pod = defaulted(("", "v1", "Pod"), json!({"apiVersion": "v1", "kind": "Pod", "spec": spec}));
    assert_eq!(pod["spec"]["schedulingGroup"], json!({"podGroupName": "g"}), "it stays until its manager is known");
    let id = model().kind("", "v1", "Pod").unwrap();
    assert!(default::apply(model(), id, &mut pod));
    default::drop_gated(model(), id, &mut pod);
    assert!(!default::apply(model(), id, &mut pod));
    assert_eq!(
        (&pod["spec"]["containers"][0]["lifecycle"], &pod["spec"]["schedulingGroup"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn the_pull_policy_follows_the_tag() {
    for (image, policy) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("host:5000/nginx", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0123", "IfNotPresent"),
        ("Foo:latest", "IfNotPresent"),
        (&"a".repeat(64), "IfNotPresent"),
    ] {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
        let pod = defaulted(("", "v1", "Pod"), pod);
        assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
    }
}

#[test]
fn a_deployment_rolls_and_a_recreating_one_has_no_rolling_update() {
    let spec = |strategy| {
        let spec = json!({"strategy": strategy, "template": {"spec": {"containers": []}}});
        defaulted(("apps", "v1", "Deployment"), json!({"spec": spec}))["spec"].clone()
    };
    let rolling = spec(json!({}));
    assert_eq!(
        rolling["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    assert_eq!(
        (&rolling["replicas"], &rolling["revisionHistoryLimit"], &rolling["progressDeadlineSeconds"]),
        (&json!(1), &json!(10), &json!(600))
    );
    assert_eq!(rolling["template"]["spec"].get("enableServiceLinks"), None, "only a pod itself gets this");
    assert_eq!(rolling["selector"], Value::Null);
    assert_eq!(spec(json!({"type": "Recreate"}))["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn a_service_port_targets_itself() {
    let service = |spec| defaulted(("", "v1", "Service"), json!({"spec": spec}));
    let plain = service(json!({"ports": [{"port": 80}, {"port": 81, "targetPort": "web"}]}));
    assert_eq!(
        plain,
        json!({
            "metadata": {},
            "spec": {
                "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "ports": [
                    {"port": 80, "protocol": "TCP", "targetPort": 80},
                    {"port": 81, "protocol": "TCP", "targetPort": "web"},
                ],
            },
            "status": {"loadBalancer": {}},
        })
    );
    let node_port = service(json!({"type": "NodePort", "sessionAffinity": "ClientIP"}));
    assert_eq!(node_port["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(node_port["spec"]["sessionAffinityConfig"], json!({"clientIP": {"timeoutSeconds": 10800}}));
    let external = service(json!({"type": "ExternalName"}));
    assert_eq!(external["spec"].get("internalTrafficPolicy"), None);
}

#[test]
fn a_job_runs_once_unless_its_parallelism_says_otherwise() {
    let job = |spec: Value| defaulted(("batch", "v1", "Job"), json!({"spec": spec}))["spec"].clone();
    let plain = job(json!({}));
    assert_eq!(
        (&plain["completions"], &plain["parallelism"], &plain["backoffLimit"]),
        (&json!(1), &json!(1), &json!(6))
    );
    assert_eq!((&plain["completionMode"], &plain["suspend"]), (&json!("NonIndexed"), &json!(false)));
    assert_eq!(plain["podReplacementPolicy"], "TerminatingOrFailed");
    assert_eq!(job(json!({"parallelism": 3})).get("completions"), None);
    assert_eq!(job(json!({"parallelism": 0})).get("completions"), None, "zero is said");
}

#[test]
fn a_namespace_is_labelled_with_its_name() {
    let namespace = defaulted(("", "v1", "Namespace"), json!({"metadata": {"name": "a"}}));
    assert_eq!(
        namespace,
        json!({
            "metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "a"}},
            "spec": {}, "status": {"phase": "Active"},
        })
    );
}

#[test]
fn what_go_writes_when_empty_is_written() {
    let role = defaulted(("rbac.authorization.k8s.io", "v1", "ClusterRole"), json!({"metadata": {"name": "a"}}));
    assert_eq!(role, json!({"metadata": {"name": "a"}, "rules": null}));
    let event = defaulted(("", "v1", "Event"), json!({"message": "x"}));
    assert_eq!(event["eventTime"], Value::Null);
    assert_eq!(event["involvedObject"], json!({}));
    assert_eq!(event["reportingComponent"], "");
    let node = defaulted(("", "v1", "Node"), json!({"status": {"capacity": {"cpu": "1"}}}));
    assert_eq!(node["status"]["daemonEndpoints"], json!({"kubeletEndpoint": {"Port": 0}}));
    assert_eq!(node["status"]["allocatable"], json!({"cpu": "1"}));
}

#[test]
fn what_is_empty_and_written_all_the_same_is_forgotten_wherever_it_stands() {
    let table = [
        (
            ("discovery.k8s.io", "v1", "EndpointSlice"),
            json!({"endpoints": [{"addresses": []}, {"addresses": ["10.0.0.1"]}], "ports": []}),
            json!({"endpoints": [{"addresses": null}, {"addresses": ["10.0.0.1"]}], "ports": null}),
        ),
        (
            ("apps", "v1", "Deployment"),
            json!({"spec": {"template": {"spec": {"containers": [], "nodeSelector": {}}}}}),
            json!({"spec": {"template": {"spec": {"containers": null, "nodeSelector": {}}}}}),
        ),
        (("", "v1", "ConfigMap"), json!({"data": {}}), json!({"data": {}})),
    ];
    for (kind, mut object, expected) in table {
        default::forget_empty(model(), model().kind(kind.0, kind.1, kind.2).unwrap(), &mut object);
        assert_eq!(object, expected, "{}", kind.2);
    }
}

/// A value of a type that has all of its fields: lists and maps have one item, or none where `bare`, and below those that are
/// `above` nothing of the same type.
fn all_of(id: TypeId, bare: bool, above: &[TypeId]) -> Value {
    if above.contains(&id) {
        return json!({});
    }
    let above = [above, &[id]].concat();
    let fields = model().get(id).fields.iter();
    fields.map(|field| (field.name.to_string(), shape_of(&field.shape, bare, &above))).collect::<Map<_, _>>().into()
}

fn shape_of(shape: &Shape, bare: bool, above: &[TypeId]) -> Value {
    match shape {
        Shape::Scalar(Scalar::Raw) => json!(1),
        Shape::Scalar(_) => json!("x"),
        Shape::List(_) if bare => json!([]),
        Shape::Map(_) if bare => json!({}),
        Shape::List(item) => json!([shape_of(item, true, above), shape_of(item, false, above)]),
        Shape::Map(value) => json!({"a": shape_of(value, true, above), "b": shape_of(value, false, above)}),
        Shape::Object(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id) => {
            all_of(*id, bare, above)
        }
    }
}

#[test]
fn what_is_empty_is_forgotten_alike_before_it_is_written_and_on_the_way() {
    let spelled = |speller: Speller<'_>, id: TypeId, object: &Value| {
        let mut out = Vec::new();
        speller.object(id, object, &mut out);
        String::from_utf8(out).unwrap()
    };
    let mut forgotten = 0;
    for (gvk, id) in model().kinds() {
        for bare in [true, false] {
            let object = all_of(id, bare, &[]);
            let mut without = object.clone();
            default::forget_empty(model(), id, &mut without);
            forgotten += usize::from(without != object);
            let on_the_way = spelled(Speller::as_stored(model()), id, &object);
            assert_eq!(on_the_way, spelled(Speller::new(model()), id, &without), "{gvk:?}, {bare}");
        }
    }
    assert!(forgotten > 20, "{forgotten} objects had something to be forgotten");
}

#[test]
fn webhooks_claims_and_definitions_are_completed() {
    let hook = defaulted(
        ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"),
        json!({"webhooks": [{"name": "a.b.c", "clientConfig": {"service": {"name": "s", "namespace": "n"}},
            "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}]}),
    )["webhooks"][0]
        .clone();
    assert_eq!((&hook["failurePolicy"], &hook["timeoutSeconds"]), (&json!("Fail"), &json!(10)));
    assert_eq!(hook["clientConfig"]["service"]["port"], 443);
    assert_eq!((&hook["rules"][0]["scope"], &hook["namespaceSelector"]), (&json!("*"), &json!({})));

    let set = json!({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {}}]}});
    let claim = defaulted(("apps", "v1", "StatefulSet"), set)["spec"]["volumeClaimTemplates"][0].clone();
    assert_eq!((&claim["kind"], &claim["spec"]["volumeMode"]), (&json!("PersistentVolumeClaim"), &json!("Filesystem")));
    assert_eq!(claim["status"], json!({"phase": "Pending"}));
    let other = json!({"spec": {"volumeClaimTemplates": [{"kind": "Other", "apiVersion": "v2"}]}});
    let claim = defaulted(("apps", "v1", "StatefulSet"), other)["spec"]["volumeClaimTemplates"][0].clone();
    assert_eq!((&claim["kind"], &claim["apiVersion"]), (&json!("PersistentVolumeClaim"), &json!("v1")));
    // A pod's time to end in is mended, a template's isn't.
    let ends = json!({"spec": {"terminationGracePeriodSeconds": -1}});
    assert_eq!(defaulted(("", "v1", "Pod"), ends.clone())["spec"]["terminationGracePeriodSeconds"], 1);
    let template = defaulted(("", "v1", "PodTemplate"), json!({"template": ends}));
    assert_eq!(template["template"]["spec"]["terminationGracePeriodSeconds"], -1);

    let definition = json!({"spec": {
        "group": "a.b", "names": {"kind": "Foo", "plural": "foos"}, "scope": "Namespaced",
        "versions": [{"name": "v1", "served": true, "storage": true}],
    }});
    let definition = defaulted(("apiextensions.k8s.io", "v1", "CustomResourceDefinition"), definition);
    let names = json!({"kind": "Foo", "plural": "foos", "singular": "foo", "listKind": "FooList"});
    assert_eq!(
        (&definition["spec"]["names"], &definition["spec"]["conversion"]),
        (&names, &json!({"strategy": "None"}))
    );
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
}

#[test]
fn a_pod_with_limits_of_its_own_asks_for_what_its_containers_do() {
    let pod = json!({"spec": {
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
        "initContainers": [
            {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
            {"name": "first", "resources": {"requests": {"cpu": "1"}}},
        ],
        "containers": [{"name": "a", "resources": {"requests": {"cpu": "300m"}}}],
    }});
    let pod = defaulted(("", "v1", "Pod"), pod);
    assert_eq!(pod["spec"]["resources"]["requests"], json!({"cpu": "1100m", "memory": "1Gi"}));
    let huge = json!({"resources": {"limits": {"hugepages-2Mi": "4Mi"}}});
    let pod = json!({"spec": {"resources": {"requests": {"cpu": "1"}}, "containers": [huge, huge]}});
    let resources = defaulted(("", "v1", "Pod"), pod)["spec"]["resources"].clone();
    assert_eq!(
        resources,
        json!({"requests": {"cpu": "1", "hugepages-2Mi": "8Mi"}, "limits": {"hugepages-2Mi": "8Mi"}})
    );
}
