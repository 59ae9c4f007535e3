//! Mistakes in what clusters are run with, and what their authors are told.

use super::super::{create, update};
use base64::Engine;
use serde_json::{Value, json};
use tinyplane_wire::net::ClusterNet;
use tinyplane_wire::status::Cause;

const NOTHING: [&str; 0] = [];

fn told(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn created(group: &str, kind: &str, object: &Value) -> Vec<String> {
    told(&create(group, kind, object, None))
}

fn updated(group: &str, kind: &str, new: &Value, old: &Value) -> Vec<String> {
    told(&update(group, kind, new, old, None))
}

#[test]
fn an_ingress_needs_somewhere_to_send_requests() {
    let of = |spec: Value| created("networking.k8s.io", "Ingress", &json!({"spec": spec}));
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path =
        |kind: &str, path: &str| json!([{"http": {"paths": [{"pathType": kind, "path": path, "backend": backend}]}}]);
    assert_eq!(of(json!({"rules": path("Prefix", "/a")})), NOTHING);
    assert_eq!(of(json!({})), ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]);
    assert_eq!(
        of(json!({"rules": path("Exact", "a//b")})),
        [
            "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must be an absolute path",
            "spec.rules[0].http.paths[0].path: Invalid value: \"a//b\": must not contain '//'"
        ]
    );
    assert_eq!(
        of(json!({"defaultBackend": {"service": {"name": "web"}}})),
        ["spec.defaultBackend: Required value: port name or number is required"]
    );
    let hosts = json!({"defaultBackend": backend, "tls": [{"hosts": ["*.example.com", "*"]}]});
    assert_eq!(of(hosts).len(), 1);
    let both = json!({
        "metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
        "spec": {"ingressClassName": "b", "defaultBackend": backend},
    });
    assert_eq!(
        created("networking.k8s.io", "Ingress", &both),
        [
            "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified"
        ]
    );
    assert_eq!(updated("networking.k8s.io", "Ingress", &both, &both), NOTHING);
}

#[test]
fn peers_of_a_network_policy_are_one_thing_each() {
    let of = |rule: Value| created("networking.k8s.io", "NetworkPolicy", &json!({"spec": {"ingress": [rule]}}));
    let block = |except: &str| json!({"cidr": "10.0.0.0/8", "except": [except]});
    assert_eq!(of(json!({"from": [{"podSelector": {}}, {"ipBlock": block("10.1.0.0/16")}]})), NOTHING);
    assert_eq!(of(json!({"from": [{}]})), ["spec.ingress[0].from[0]: Required value: must specify a peer"]);
    assert_eq!(
        of(json!({"from": [{"podSelector": {}, "ipBlock": block("11.0.0.0/16")}]})),
        [
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
            "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"
        ]
    );
    assert_eq!(
        of(json!({"ports": [{"port": 80, "endPort": 70}]})),
        ["spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`"]
    );
}

#[test]
fn a_disruption_budget_says_one_number() {
    let of = |spec: Value| created("policy", "PodDisruptionBudget", &json!({"spec": spec}));
    assert_eq!(of(json!({"minAvailable": "50%", "selector": {}})), NOTHING);
    let both = of(json!({"minAvailable": 1, "maxUnavailable": 1}));
    assert!(both[0].ends_with("minAvailable and maxUnavailable cannot be both set"), "{both:?}");
    assert_eq!(
        of(json!({"maxUnavailable": -1, "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}})),
        [
            "spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0",
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
        ]
    );
}

#[test]
fn an_autoscaler_needs_a_target_and_whole_metrics() {
    let of = |spec: Value| created("autoscaling", "HorizontalPodAutoscaler", &json!({"spec": spec}));
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    assert_eq!(of(json!({"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": [metric]})), NOTHING);
    assert_eq!(
        of(json!({"scaleTargetRef": {"apiVersion": "v1", "kind": "Deployment"}, "minReplicas": 5, "maxReplicas": 3})),
        [
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
            "spec.scaleTargetRef.name: Required value",
            "spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group"
        ]
    );
    let behavior = json!({"scaleUp": {"stabilizationWindowSeconds": 3601, "selectPolicy": "Max", "policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}});
    assert_eq!(
        of(json!({"scaleTargetRef": target, "maxReplicas": 0, "behavior": behavior})),
        [
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
            "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero"
        ]
    );
    let odd =
        json!([{"type": "Pods"}, {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]);
    assert_eq!(
        of(json!({"scaleTargetRef": target, "maxReplicas": 3, "metrics": odd})),
        [
            "spec.metrics[0].pods: Required value: must populate information for the given metric source",
            "spec.metrics[1].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"
        ]
    );
}

#[test]
fn classes_and_leases_have_their_bounds() {
    let lease = |spec: Value| created("coordination.k8s.io", "Lease", &json!({"spec": spec}));
    assert_eq!(lease(json!({"leaseDurationSeconds": 15})), NOTHING);
    assert_eq!(
        lease(json!({"leaseDurationSeconds": 0})),
        ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]
    );
    let class = |name: &str, value: i64| json!({"metadata": {"name": name}, "value": value});
    let priority = |object: &Value| created("scheduling.k8s.io", "PriorityClass", object);
    assert_eq!(priority(&class("system-node-critical", 2_000_001_000)), NOTHING);
    assert_eq!(
        priority(&class("high", 2_000_000_000)),
        ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
    );
    assert_eq!(priority(&class("system-mine", 1)).len(), 1);
    assert_eq!(
        updated("scheduling.k8s.io", "PriorityClass", &class("a", 2), &class("a", 1)),
        ["value: Forbidden: may not be changed in an update."]
    );
    let runtime = |handler: &str| json!({"handler": handler});
    assert_eq!(created("node.k8s.io", "RuntimeClass", &runtime("Run")).len(), 1);
    assert_eq!(
        updated("node.k8s.io", "RuntimeClass", &runtime("b"), &runtime("a")),
        ["handler: Invalid value: \"b\": field is immutable"]
    );
}

#[test]
fn storage_keeps_what_it_was_made_of() {
    let class =
        |policy: &str| json!({"provisioner": "p.io/x", "reclaimPolicy": policy, "volumeBindingMode": "Immediate"});
    assert_eq!(created("storage.k8s.io", "StorageClass", &class("Delete")), NOTHING);
    assert_eq!(
        updated("storage.k8s.io", "StorageClass", &class("Retain"), &class("Delete")),
        ["reclaimPolicy: Invalid value: \"Retain\": field is immutable"]
    );
    let volume = |path: &str| json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": path}}});
    assert_eq!(created("", "PersistentVolume", &volume("/a")), NOTHING);
    assert_eq!(
        created("", "PersistentVolume", &json!({"spec": {"accessModes": ["ReadWriteOnce"]}})),
        [
            "spec.capacity: Required value",
            "spec.capacity: Unsupported value: null: supported values: \"storage\"",
            "spec: Required value: must specify a volume type"
        ]
    );
    assert_eq!(
        updated("", "PersistentVolume", &volume("/b"), &volume("/a")),
        [concat!(
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n",
            "@@ -2,7 +2,7 @@\n  \"GCEPersistentDisk\": null,\n  \"AWSElasticBlockStore\": null,\n  \"HostPath\": {\n",
            "-  \"Path\": \"/a\",\n+  \"Path\": \"/b\",\n   \"Type\": null\n  },\n  \"Glusterfs\": null,\n"
        )]
    );
}

#[test]
fn a_claim_is_bound_once_and_may_grow_afterwards() {
    let claim = |size: &str, volume: &str, phase: &str| {
        let mut claim = json!({
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
            "status": {"phase": phase, "capacity": {"storage": "1Gi"}},
        });
        if !volume.is_empty() {
            claim["spec"]["volumeName"] = volume.into();
        }
        claim
    };
    let changed = |new: &Value, old: &Value| updated("", "PersistentVolumeClaim", new, old);
    assert_eq!(
        created("", "PersistentVolumeClaim", &json!({"spec": {}})),
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value"
        ]
    );
    assert_eq!(changed(&claim("1Gi", "v", "Pending"), &claim("1Gi", "", "Pending")), NOTHING);
    assert_eq!(changed(&claim("2Gi", "v", "Bound"), &claim("1Gi", "v", "Bound")), NOTHING);
    let fixed = |differ: &str| {
        format!(
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n{differ}"
        )
    };
    assert_eq!(
        changed(&claim("2Gi", "", "Pending"), &claim("1Gi", "", "Pending")),
        [fixed(
            "@@ -6,7 +6,7 @@\n  \"Resources\": {\n   \"Limits\": null,\n   \"Requests\": {\n-   \"storage\": \"1Gi\"\n+   \"storage\": \"2Gi\"\n   }\n  },\n  \"VolumeName\": \"\",\n"
        )]
    );
    assert_eq!(
        changed(&claim("1Gi", "w", "Bound"), &claim("1Gi", "v", "Bound")),
        [fixed(
            "@@ -9,7 +9,7 @@\n    \"storage\": \"1Gi\"\n   }\n  },\n- \"VolumeName\": \"v\",\n+ \"VolumeName\": \"w\",\n  \"StorageClassName\": null,\n  \"VolumeMode\": null,\n  \"DataSource\": null,\n"
        )]
    );
    assert_eq!(
        changed(&claim("500Mi", "v", "Bound"), &claim("1Gi", "v", "Bound")),
        ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
    );
}

#[test]
fn endpoints_are_addresses_that_others_can_reach() {
    let slice = |family: &str, address: &str| json!({"addressType": family, "endpoints": [{"addresses": [address]}], "ports": [{"name": "", "port": 80, "protocol": "TCP"}]});
    let of = |object: &Value| created("discovery.k8s.io", "EndpointSlice", object);
    assert_eq!(of(&slice("IPv4", "10.0.0.1")), NOTHING);
    assert_eq!(of(&slice("IPv4", "::1")), ["endpoints[0].addresses: Invalid value: \"::1\": must be an IPv4 address"]);
    assert_eq!(
        created("", "Endpoints", &json!({"subsets": [{"ports": [{"port": 80, "protocol": "TCP"}]}]})),
        ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]
    );

    let net: ClusterNet = r#"{"controlPlane":"127.9.0.0/24","pods":"127.9.1.0/24"}"#.parse().unwrap();
    let refused = |group, kind, object: &Value| told(&create(group, kind, object, Some(&net)));
    assert_eq!(refused("discovery.k8s.io", "EndpointSlice", &slice("IPv4", "127.9.1.7")), NOTHING);
    assert_eq!(
        refused("discovery.k8s.io", "EndpointSlice", &slice("IPv4", "127.9.0.7")),
        [
            "endpoints[0].addresses[0]: Invalid value: \"127.9.0.7\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ]
    );
    let port = json!({"port": 80, "protocol": "TCP"});
    let old = json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "notReadyAddresses": [{"ip": "169.254.0.01"}], "ports": [port]}]});
    assert_eq!(
        refused("", "Endpoints", &old),
        [
            "subsets[0].notReadyAddresses[0].ip: Invalid value: \"169.254.0.01\": must not have leading 0s",
            "subsets[0].notReadyAddresses[0].ip: Invalid value: \"169.254.0.01\": may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        ]
    );
    let service = json!({"spec": {
        "type": "Odd", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "sessionAffinity": "None",
        "externalIPs": ["127.0.0.1", "127.0.0.01", "127.9.1.1"],
    }});
    assert_eq!(
        refused("", "Service", &service)[..3],
        [
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            "spec.externalIPs[1]: Invalid value: \"127.0.0.01\": must not have leading 0s",
            "spec.type: Unsupported value: \"Odd\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ]
    );
}

#[test]
fn nodes_namespaces_and_events_are_checked_lightly() {
    let taint = json!({"key": "a", "value": "b", "effect": "NoSchedule"});
    let node = |taints: Value| created("", "Node", &json!({"spec": {"taints": taints}}));
    assert_eq!(node(json!([taint])), NOTHING);
    let twice = node(json!([taint, taint]));
    assert!(twice[0].ends_with("taints must be unique by key and effect pair"), "{twice:?}");
    assert_eq!(node(json!([{"key": "a"}])), ["metadata.taints[0].effect: Required value"]);
    let provided = |id: &str| json!({"spec": {"providerID": id}});
    assert_eq!(updated("", "Node", &provided("a"), &provided("")), NOTHING);
    assert_eq!(updated("", "Node", &provided("b"), &provided("a")).len(), 1);

    let namespace = |finalizer: &str| created("", "Namespace", &json!({"spec": {"finalizers": [finalizer]}}));
    assert_eq!(namespace("kubernetes"), NOTHING);
    assert_eq!(
        namespace("mine"),
        [
            "spec.finalizers: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    let event = json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "b"}});
    assert_eq!(
        created("", "Event", &event),
        ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"]
    );
}

#[test]
fn a_signing_request_says_what_it_is_for() {
    let pem = |body: &str| {
        let pem = format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
        base64::engine::general_purpose::STANDARD.encode(pem)
    };
    let request = pem(super::SIGNING_REQUEST);
    let of = |spec: Value| created("certificates.k8s.io", "CertificateSigningRequest", &json!({"spec": spec}));
    assert_eq!(of(json!({"request": request, "usages": ["client auth"], "signerName": "example.com/x"})), NOTHING);
    let broken = pem("AAAA");
    let why = "asn1: structure error: tags don't match (16 vs {class:0 tag:0 length:0 isCompound:false}) {optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 timeType:0 set:false omitEmpty:false} certificateRequest @2";
    assert_eq!(
        of(json!({"request": broken, "usages": ["client auth"], "signerName": "example.com/x"})),
        [format!("spec.request: Invalid value: \"{broken}\": {why}")]
    );
    assert_eq!(
        of(json!({"request": "eA==", "signerName": "x", "expirationSeconds": 1})),
        [
            "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST",
            "spec.usages: Required value",
            "spec.signerName: Invalid value: \"x\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
            "spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 600 seconds (10 minutes)"
        ]
    );
}

#[test]
fn a_webhook_is_reached_in_one_way_and_has_no_side_effects() {
    let hook = json!({
        "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "s", "namespace": "n", "port": 443}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
    });
    let of = |hooks: Value| {
        created("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", &json!({"webhooks": hooks}))
    };
    assert_eq!(of(json!([hook])), NOTHING);
    assert_eq!(of(json!([hook, hook])), ["webhooks[1].name: Duplicate value: \"a.example.com\""]);
    let odd = json!({
        "name": "a", "admissionReviewVersions": ["v9"], "clientConfig": {}, "timeoutSeconds": 31,
        "rules": [{"operations": ["*", "CREATE"], "apiGroups": [""], "apiVersions": ["v1"]}],
    });
    assert_eq!(
        of(json!([odd])),
        [
            "webhooks[0].name: Invalid value: \"a\": should be a domain with at least three segments separated by dots",
            "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
            "webhooks[0].rules[0].resources: Required value",
            "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
            "webhooks[0].admissionReviewVersions: Invalid value: [\"v9\"]: must include at least one of v1, v1beta1"
        ]
    );
}

#[test]
fn limits_and_quotas_fit_together() {
    let range = |limit: Value| created("", "LimitRange", &json!({"spec": {"limits": [limit]}}));
    assert_eq!(range(json!({"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}})), NOTHING);
    assert_eq!(
        range(json!({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}})),
        ["spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"]
    );
    assert_eq!(
        range(json!({"type": "Pod", "default": {"cpu": "1"}})),
        ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]
    );
    let wide = json!({"min": {"x": "1"}, "max": {"x": "2"}, "maxLimitRequestRatio": {"x": "3"}, "type": "Container"});
    assert_eq!(
        range(wide),
        [
            "spec.limits[0].max[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
            "spec.limits[0].max[x]: Invalid value: \"x\": must be a standard resource for containers",
            "spec.limits[0].min[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
            "spec.limits[0].min[x]: Invalid value: \"x\": must be a standard resource for containers",
            "spec.limits[0].maxLimitRequestRatio[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
            "spec.limits[0].maxLimitRequestRatio[x]: Invalid value: \"x\": must be a standard resource for containers",
            "spec.limits[0].maxLimitRequestRatio[x]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000"
        ]
    );
    let quota = |hard: Value| json!({"spec": {"hard": hard}});
    assert_eq!(created("", "ResourceQuota", &quota(json!({"pods": "10", "count/jobs.batch": "1"}))), NOTHING);
    assert_eq!(
        created("", "ResourceQuota", &quota(json!({"cpu": "-1", "pods": "1500m", "x": "1"}))),
        [
            "spec.hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            "spec.hard[x]: Invalid value: \"x\": must be a standard resource type or fully qualified",
            "spec.hard[x]: Invalid value: \"x\": must be a standard resource for quota"
        ]
    );
    let both = json!({"spec": {"hard": {"cpu": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}});
    assert_eq!(
        created("", "ResourceQuota", &both),
        [
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: unsupported scope applied to resource",
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"
        ]
    );
    let by_value = json!({"scopeName": "PriorityClass", "operator": "In"});
    let odd = json!({"scopeName": "Terminating", "operator": "In", "values": ["a"]});
    let selected = json!({"spec": {"scopeSelector": {"matchExpressions": [by_value, odd]}}});
    let causes = created("", "ResourceQuota", &selected);
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert!(causes[0].starts_with("spec.scopeSelector.matchExpressions.values: Required value"), "{causes:?}");
    let scoped = json!({"spec": {"scopes": ["BestEffort"]}});
    assert_eq!(updated("", "ResourceQuota", &scoped, &quota(json!({}))).len(), 1);
}

#[test]
fn the_time_zone_of_a_schedule_has_a_field_of_its_own() {
    let job = json!({"spec": {"schedule": "CRON_TZ=UTC * * * * *", "concurrencyPolicy": "Allow"}});
    let told = "spec.schedule: Invalid value: \"CRON_TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    assert!(created("batch", "CronJob", &job).contains(&told.to_owned()));
    assert!(!updated("batch", "CronJob", &job, &job).contains(&told.to_owned()));
}

/// Holds the objects of a real cluster that has just started against the rules.
#[test]
fn what_a_real_cluster_holds_has_no_cause_against_it() {
    let shared = option_env!("TINYPLANE_SHARED").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let folder = format!("{shared}/kubernetes-1.36/fresh-cluster");
    let Ok(files) = std::fs::read_dir(&folder) else { return eprintln!("passed over: {folder} is absent") };
    let mut objects = 0;
    for file in files {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        let Ok(all) = serde_json::from_slice::<Value>(&text) else { continue };
        let kind = all["kind"].as_str().unwrap_or_default().trim_end_matches("List");
        let group =
            all["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
        for object in all["items"].as_array().into_iter().flatten() {
            objects += 1;
            assert_eq!(created(group, kind, object), NOTHING, "{kind} {}", object["metadata"]["name"]);
            assert_eq!(updated(group, kind, object, object), NOTHING, "{kind} {}", object["metadata"]["name"]);
        }
    }
    assert!(objects > 100, "only {objects} objects");
}
