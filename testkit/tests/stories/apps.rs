//! Deployments, Jobs and what hangs on them, as a person drives them.

use crate::scene::{Kubectl, end, wishes};
use std::io::{BufRead, BufReader};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_rolls_out_scales_changes_and_goes_back() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("create deployment web --image=nginx:1.26 --replicas=3");
    kubectl.run("rollout status deployment/web --timeout=60s");
    assert!(kubectl.run("get deployment web").contains("3/3"));
    kubectl.run("scale deployment web --replicas=5");
    kubectl.run("rollout status deployment/web --timeout=60s");
    assert_eq!(kubectl.until("get pods -l app=web -o name", |t| t.lines().count() == 5).lines().count(), 5);
    kubectl.run("expose deployment web --port=80");
    let slices = kubectl.until("get endpointslices -l kubernetes.io/service-name=web", |text| text.contains("80"));
    assert!(slices.contains("web-"), "{slices}");
    kubectl.run("set image deployment/web nginx=nginx:1.27");
    kubectl.run("rollout status deployment/web --timeout=60s");
    let image =
        || kubectl.run_with(&["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"]);
    assert_eq!(image(), "nginx:1.27");
    kubectl.run("rollout undo deployment/web");
    kubectl.run("rollout status deployment/web --timeout=60s");
    assert_eq!(image(), "nginx:1.26");
    assert!(kubectl.run("rollout history deployment/web").contains('3'));
    let described = kubectl.run("describe deployment web");
    assert!(described.contains("ScalingReplicaSet") && described.contains("MinimumReplicasAvailable"), "{described}");
    kubectl.run("delete deployment web --wait --timeout=60s");
    kubectl.until("get pods,replicasets -l app=web -o name", |text| text.trim().is_empty());
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_to_its_end() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("create job once --image=busybox -- echo done");
    kubectl.run("wait job/once --for=condition=complete --timeout=60s");
    assert_eq!(kubectl.run("logs job/once"), "done\n");
    kubectl.run("create job never --image=busybox -- false");
    kubectl.until("get pods -l job-name=never", |text| text.contains("Error") || text.contains("CrashLoopBackOff"));
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_can_be_cordoned_and_drained() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("create deployment web --image=nginx --replicas=4");
    kubectl.run("rollout status deployment/web --timeout=60s");
    kubectl.run("cordon node-1");
    assert!(kubectl.run("get node node-1").contains("SchedulingDisabled"));
    kubectl.run("drain node-1 --ignore-daemonsets --timeout=60s");
    kubectl.run("rollout status deployment/web --timeout=60s");
    let nodes =
        "get pods -l app=web -o custom-columns=N:.spec.nodeName --no-headers --field-selector=status.phase=Running";
    let spread = kubectl.until(nodes, |text| text.lines().count() == 4 && !text.contains("node-1"));
    assert!(spread.lines().all(|line| line.trim() == "node-2"), "{spread}");
    kubectl.run("uncordon node-1");
    kubectl.until("get node node-1", |text| !text.contains("SchedulingDisabled"));
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn get_w_sees_it_all() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("run first --image=nginx");
    kubectl.run("wait pod/first --for=condition=Ready --timeout=60s");
    let mut watch = kubectl
        .command(&["get", "pods", "-w", "--no-headers", "--output-watch-events"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("kubectl can be run");
    let mut lines = BufReader::new(watch.stdout.take().expect("it has a pipe")).lines().map_while(Result::ok);
    // From its first line on, the watch misses nothing.
    assert!(lines.next().expect("a line").contains("first"));
    kubectl.run("run web --image=nginx");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    kubectl.run("delete pod web --wait --timeout=60s");
    let mut seen = String::new();
    for line in lines.filter(|line| line.contains("web")) {
        seen.push_str(&line);
        seen.push('\n');
        if line.starts_with("DELETED") {
            break;
        }
    }
    watch.kill().expect("it can be killed");
    watch.wait().expect("it ends");
    for part in ["ADDED", "Pending", "ContainerCreating", "Running", "Terminating", "DELETED"] {
        assert!(seen.contains(part), "{part} was not seen in\n{seen}");
    }
    end(cluster).await;
}
