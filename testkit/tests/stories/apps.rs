//! Deployments, Jobs and what hangs on them, as a person drives them.

use crate::scene::{Kubectl, end, wishes};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_rolls_out_scales_changes_and_goes_back() {
    let cluster = wishes().start().await.expect("it starts");
    let Some(kubectl) = Kubectl::of(&cluster) else { return };
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
    let Some(kubectl) = Kubectl::of(&cluster) else { return };
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
    let Some(kubectl) = Kubectl::of(&cluster) else { return };
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
    let Some(kubectl) = Kubectl::of(&cluster) else { return };
    let watch = kubectl
        .command(&["get", "pods", "-w", "--no-headers", "--output-watch-events"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("kubectl can be run");
    kubectl.run("run web --image=nginx");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    kubectl.run("delete pod web --wait --timeout=60s");
    let pid = watch.id().to_string();
    let mut watch = watch;
    let mut seen = String::new();
    {
        use std::io::{BufRead, BufReader};
        let stdout = watch.stdout.as_mut().expect("it has a pipe");
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("stdout can be read");
            let last = line.starts_with("DELETED");
            seen.push_str(&line);
            seen.push('\n');
            if last {
                break;
            }
        }
    }
    std::process::Command::new("kill").arg(&pid).status().expect("kill can be run");
    watch.wait().expect("it ends");
    for part in ["ADDED", "Pending", "ContainerCreating", "Running", "Terminating", "DELETED"] {
        assert!(seen.contains(part), "{part} was not seen in\n{seen}");
    }
    end(cluster).await;
}
