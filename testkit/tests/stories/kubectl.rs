//! What a person does first, with every kubectl that is found.

use crate::scene::{Kubectl, end, kubectls, wishes};

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_finds_its_way() {
    for program in kubectls() {
        let cluster = wishes().start().await.expect("it starts");
        let kubectl = Kubectl::at(&program, &cluster);
        looks_around(&kubectl);
        works_with_objects(&kubectl);
        end(cluster).await;
    }
}

fn looks_around(kubectl: &Kubectl) {
    let nodes = kubectl.run("get nodes");
    assert_eq!(nodes.lines().filter(|line| line.contains(" Ready ")).count(), 2, "{nodes}");
    assert!(kubectl.run("version --output=json").contains("\"gitVersion\": \"v1.36"));
    assert!(kubectl.run("get all -A").contains("service/kubernetes"));
    assert!(kubectl.run("api-resources").contains("deployments"));
    assert!(kubectl.run("explain deployment.spec.replicas").contains("replicas"));
    let containers = kubectl.run("explain pod.spec.containers");
    assert!(containers.contains("imagePullPolicy"), "{containers}");
    let said = containers.contains("List of containers belonging to the pod");
    assert_eq!(said, cfg!(feature = "descriptions"), "{containers}");
    assert_eq!(kubectl.run("auth can-i create pods").trim(), "yes");
    if kubectl.run("version --output=json").contains("\"gitVersion\": \"v1.27") {
        // It asks for the beta versions of the review alone, which no 1.36 serves.
        assert!(kubectl.fails("auth whoami").contains("selfsubjectreviews API is not enabled"));
    } else {
        assert!(kubectl.run("auth whoami").contains("kubernetes-admin"));
    }
    assert!(kubectl.run("create token default").trim().split('.').count() == 3);
    let described = kubectl.until("describe node node-1", |text| text.contains("NodeReady"));
    for part in ["KubeletReady", "Allocatable:", "Non-terminated Pods:", "Starting kubelet"] {
        assert!(described.contains(part), "{part} is not in\n{described}");
    }
    assert!(kubectl.run("get --raw /healthz").contains("ok"));
    for what in ["nodes", "pods"] {
        assert!(kubectl.fails(&format!("top {what}")).contains("Metrics API not available"), "{what}");
    }
}

fn works_with_objects(kubectl: &Kubectl) {
    let file = kubectl.folder().join("many.yaml");
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: b}\n---\n\
                apiVersion: v1\nkind: Secret\nmetadata: {name: two}\nstringData: {c: d}\n";
    std::fs::write(&file, text).expect("the file is written");
    let file = file.display();
    assert!(kubectl.run(&format!("apply -f {file}")).contains("configmap/one created"));
    assert!(kubectl.run(&format!("apply -f {file}")).contains("configmap/one unchanged"));
    let changed = text.replace("a: b", "a: z");
    std::fs::write(kubectl.folder().join("many.yaml"), changed).expect("the file is written");
    let diff = kubectl.output(&format!("diff -f {file}"));
    assert_eq!(diff.status.code(), Some(1), "{}", String::from_utf8_lossy(&diff.stderr));
    assert!(String::from_utf8_lossy(&diff.stdout).contains("+  a: z"));
    assert!(kubectl.run(&format!("apply -f {file}")).contains("configmap/one configured"));
    kubectl.run("label configmap one tier=x");
    kubectl.run("annotate configmap one note=y");
    assert!(kubectl.run("get configmap -l tier=x -o name").contains("configmap/one"));
    assert_eq!(kubectl.run_with(&["get", "configmap", "one", "-o", "jsonpath={.metadata.annotations.note}"]), "y");
    let edited = kubectl
        .command(&["edit", "configmap", "one"])
        .env("KUBE_EDITOR", "sed -i s/z/q/")
        .output()
        .expect("kubectl can be run");
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    assert_eq!(kubectl.run_with(&["get", "configmap", "one", "-o", "jsonpath={.data.a}"]), "q");
    kubectl.run(&format!("delete --wait -f {file}"));
    assert!(kubectl.fails("get configmap one").contains("NotFound"));
    kubectl.run("taint node node-1 busy=yes:NoSchedule");
    let taints = || kubectl.run_with(&["get", "node", "node-1", "-o", "jsonpath={.spec.taints}"]);
    assert!(taints().contains(r#""key":"busy""#));
    kubectl.run("taint node node-1 busy-");
    assert_eq!(taints(), "");
    kubectl.run("create ns passing");
    kubectl.run("create configmap left -n passing");
    kubectl.run("delete ns passing --timeout=60s");
    assert!(kubectl.fails("get ns passing").contains("NotFound"));
}
