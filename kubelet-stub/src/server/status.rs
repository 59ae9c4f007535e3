//! What a kubelet says of itself and its pods: `/pods`, `/runningpods/`, `/stats/summary`, `/metrics`, `/configz`.

use super::endpoints::Endpoints;
use super::reply;
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::fmt::Write;
use tinyplane_wire::clock::format_seconds;

impl Endpoints {
    /// Every pod of the node.
    pub(super) fn pod_list(&self) -> Response<Body> {
        reply::json(&list(&self.pods.pods().iter().map(|pod| Value::clone(pod)).collect::<Vec<_>>()))
    }

    /// What the runtime runs: pods with a running container, and only those containers.
    pub(super) fn running_pods(&self) -> Response<Body> {
        let running: Vec<Value> = self.pods.pods().iter().filter_map(|pod| running_pod(pod)).collect();
        reply::json(&list(&running))
    }

    /// Which pods there are since when. Nothing is measured, so no figures are given.
    pub(super) fn stats_summary(&self) -> Response<Body> {
        let pods: Vec<Value> = self.pods.pods().iter().filter_map(|pod| pod_stats(pod)).collect();
        let node = json!({"nodeName": *self.node, "startTime": format_seconds(self.started)});
        reply::json(&json!({"node": node, "pods": pods}))
    }

    /// Counts, in Prometheus' text form.
    pub(super) fn metrics(&self) -> Response<Body> {
        let pods = self.pods.pods();
        let running = pods.iter().map(|pod| running_statuses(pod).count());
        let (mut pods_running, mut containers_running) = (0_usize, 0_usize);
        for containers in running {
            pods_running += usize::from(containers > 0);
            containers_running += containers;
        }
        let mut text = String::new();
        let mut gauge = |name: &str, labels: &str, value: usize, help: &str| {
            // Writing to a String can't fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}\n");
        };
        let node = format!("{{node=\"{}\"}}", self.node);
        gauge("kubelet_node_name", &node, 1, "The node's name.");
        let state = "{container_state=\"running\"}";
        gauge("kubelet_running_containers", state, containers_running, "Number of containers that run.");
        gauge("kubelet_running_pods", "", pods_running, "Number of pods that have a running container.");
        reply::answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
    }

    /// The configuration that counts here.
    pub(super) fn configz(&self) -> Response<Body> {
        reply::json(&json!({"kubeletconfig": {
            "address": self.address.ip(), "port": self.address.port(), "readOnlyPort": 0,
            "authentication": {
                "anonymous": {"enabled": false}, "webhook": {"enabled": self.config.auth.token_webhook},
            },
            "authorization": {"mode": format!("{:?}", self.config.auth.authorization)},
            "enableDebuggingHandlers": true, "streamingConnectionIdleTimeout": "4h0m0s",
        }}))
    }
}

fn list(items: &[Value]) -> Value {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}

fn running_statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = lists.into_iter().filter_map(|list| pod["status"][list].as_array()).flatten();
    all.filter(|status| status["state"]["running"].is_object())
}

fn running_pod(pod: &Value) -> Option<Value> {
    let containers: Vec<Value> = running_statuses(pod)
        .map(|status| json!({"name": status["name"], "image": status["image"], "resources": {}}))
        .collect();
    let meta = &pod["metadata"];
    (!containers.is_empty()).then(|| {
        json!({
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
            "spec": {"containers": containers}, "status": {},
        })
    })
}

fn pod_stats(pod: &Value) -> Option<Value> {
    let containers: Vec<Value> = running_statuses(pod)
        .map(|status| json!({"name": status["name"], "startTime": status["state"]["running"]["startedAt"]}))
        .collect();
    let meta = &pod["metadata"];
    (!containers.is_empty()).then(|| {
        json!({
            "podRef": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
            "startTime": pod["status"]["startTime"], "containers": containers,
        })
    })
}
