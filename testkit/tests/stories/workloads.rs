//! DaemonSets, StatefulSets, CronJobs, budgets and quotas, as a person drives them.

use crate::scene::{Kubectl, end, wishes};

/// Applies a text as a file.
#[track_caller]
fn apply(kubectl: &Kubectl, text: &str) {
    let output = kubectl.feed(&["apply", "-f", "-"], text.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const SETS: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: main, image: 'nginx:1'}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: 'nginx:1'}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn daemon_sets_and_stateful_sets_roll_out_and_back() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    apply(&kubectl, SETS);
    for set in ["ds/agent", "sts/db"] {
        kubectl.run(&format!("rollout status {set} --timeout=60s"));
        kubectl.run(&format!("set image {set} main=nginx:2"));
        kubectl.run(&format!("rollout status {set} --timeout=60s"));
        let app = set.split_once('/').expect("it has a name").1;
        let images = format!("get pods -l app={app} -o custom-columns=I:.spec.containers[0].image --no-headers");
        kubectl.until(&images, |text| !text.is_empty() && text.lines().all(|line| line.trim() == "nginx:2"));
        kubectl.run(&format!("rollout undo {set}"));
        kubectl.run(&format!("rollout status {set} --timeout=60s"));
    }
    let nodes = kubectl.run("get pods -l app=agent -o custom-columns=N:.spec.nodeName --no-headers");
    let mut nodes: Vec<&str> = nodes.lines().map(str::trim).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["node-1", "node-2"]);
    kubectl.run("scale sts/db --replicas=1");
    kubectl.until("get pods -l app=db -o name", |text| text.trim() == "pod/db-0");
    kubectl.run("delete ds/agent sts/db --timeout=60s");
    kubectl.until("get pods,controllerrevisions -o name", |text| text.trim().is_empty());
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_makes_jobs_and_they_are_cleared_away() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run_with(&["create", "cronjob", "tick", "--image=busybox", "--schedule=@every 1s", "--", "echo", "done"]);
    let job = kubectl.until("get jobs -o name", |text| text.starts_with("job.batch/tick-"));
    let job = job.lines().next().expect("a job").to_owned();
    kubectl.run(&format!("wait {job} --for=condition=complete --timeout=60s"));
    assert_eq!(kubectl.run(&format!("logs {job}")), "done\n");
    let last = ["get", "cronjob", "tick", "-o", "jsonpath={.status.lastSuccessfulTime}"].join(" ");
    kubectl.until(&last, |text| text.ends_with('Z'));
    let told = kubectl.until("get events --field-selector=involvedObject.name=tick", |t| t.contains("SawCompletedJob"));
    assert!(told.contains("SuccessfulCreate"), "{told}");
    kubectl.run("create job byhand --from=cronjob/tick");
    kubectl.run("wait job/byhand --for=condition=complete --timeout=60s");
    kubectl.run("delete cronjob tick --timeout=60s");
    kubectl.until("get jobs,pods -o name", |text| text.trim().is_empty());
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_goes_when_its_time_is_over() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let job = "
apiVersion: batch/v1
kind: Job
metadata: {name: short}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  ttlSecondsAfterFinished: 1
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: [sh, -c, 'echo $JOB_COMPLETION_INDEX']}]}
";
    apply(&kubectl, job);
    kubectl.until("get events", |text| text.contains("Job completed"));
    kubectl.until("get jobs,pods -o name", |text| text.trim().is_empty());
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_a_node_obeys_the_budget() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("create deployment web --image=nginx --replicas=2");
    kubectl.run("rollout status deployment/web --timeout=60s");
    kubectl.run("create poddisruptionbudget web --selector=app=web --min-available=2");
    kubectl.until("get pdb web -o jsonpath={.status.currentHealthy}", |text| text == "2");
    kubectl.run("cordon node-2");
    let refused = kubectl.fails("drain node-1 --timeout=3s");
    assert!(refused.contains("violate the pod's disruption budget"), "{refused}");
    kubectl.run("uncordon node-2");
    let patch = r#"{"spec":{"minAvailable":1}}"#;
    kubectl.run_with(&["patch", "pdb", "web", "--type=merge", "-p", patch]);
    kubectl.until("get pdb web -o jsonpath={.status.disruptionsAllowed}", |text| text == "1");
    kubectl.run("drain node-1 --timeout=60s");
    kubectl.run("rollout status deployment/web --timeout=60s");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_keep_away_from_each_other_and_quotas_count_them() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let apart = "
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {pods: '20', count/deployments.apps: '5'}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: apart}
spec:
  replicas: 3
  selector: {matchLabels: {app: apart}}
  template:
    metadata: {labels: {app: apart}}
    spec:
      containers: [{name: main, image: nginx}]
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: apart}}}]}}
";
    apply(&kubectl, apart);
    let running = "get pods -l app=apart --field-selector=status.phase=Running -o name";
    kubectl.until(running, |text| text.lines().count() == 2);
    kubectl.until("get events", |text| text.contains("didn't match pod anti-affinity rules"));
    kubectl.until("describe quota few", |text| {
        let pods = text.lines().find(|line| line.starts_with("pods ")).unwrap_or_default();
        pods.split_whitespace().nth(1) == Some("3")
    });
    kubectl.run("scale deployment apart --replicas=1");
    kubectl.until("get quota few -o jsonpath={.status.used.pods}", |text| text == "1");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_loop_is_somebody_of_its_own() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("create deployment web --image=nginx");
    kubectl.run("rollout status deployment/web --timeout=60s");
    let accounts = kubectl.run("get serviceaccounts -n kube-system -o name");
    for account in ["deployment-controller", "replicaset-controller", "node-controller"] {
        assert!(accounts.contains(account), "{account} is not in\n{accounts}");
        let user = format!("--as=system:serviceaccount:kube-system:{account}");
        assert_eq!(kubectl.run(&format!("auth can-i list pods {user}")).trim(), "yes", "{account}");
        kubectl.fails(&format!("auth can-i delete secrets {user}"));
    }
    end(cluster).await;
}
