//! Applying from the server's side, and over from the client's side to it, with kubectl.

use crate::scene::{Kubectl, end, wishes};

#[tokio::test(flavor = "multi_thread")]
async fn two_appliers_share_an_object_and_fight_over_a_field() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let file = write(&kubectl, "one.yaml", "shared", "{a: '1', b: '1'}");
    let apply = format!("apply --server-side -f {file}");
    assert!(kubectl.run(&apply).contains("configmap/shared serverside-applied"));
    assert!(kubectl.run(&apply).contains("configmap/shared serverside-applied"));
    let plain = kubectl.run("get configmap shared -o yaml");
    assert!(!plain.contains("managedFields"), "{plain}");
    let shown = kubectl.run("get configmap shared -o yaml --show-managed-fields");
    assert!(shown.contains("manager: kubectl") && shown.contains("f:data:"), "{shown}");
    write(&kubectl, "one.yaml", "shared", "{a: '2'}");
    let refused = kubectl.fails(&format!("{apply} --field-manager=other"));
    assert!(refused.contains("conflict with \"kubectl\": .data.a"), "{refused}");
    let diff = kubectl.output(&format!("diff --server-side --force-conflicts --field-manager=other -f {file}"));
    assert_eq!(diff.status.code(), Some(1), "{}", String::from_utf8_lossy(&diff.stderr));
    assert!(String::from_utf8_lossy(&diff.stdout).contains("+  a: \"2\""));
    kubectl.run(&format!("{apply} --field-manager=other --force-conflicts"));
    write(&kubectl, "one.yaml", "shared", "{}");
    kubectl.run(&apply);
    assert_eq!(kubectl.run_with(&["get", "configmap", "shared", "-o", "jsonpath={.data}"]), "{\"a\":\"2\"}");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_moves_from_client_side_apply_to_the_servers() {
    let cluster = wishes().start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let file = write(&kubectl, "one.yaml", "moved", "{a: '1', b: '1'}");
    kubectl.run(&format!("apply -f {file}"));
    let before = kubectl.run("get configmap moved -o yaml --show-managed-fields");
    assert!(before.contains("manager: kubectl-client-side-apply"), "{before}");
    write(&kubectl, "one.yaml", "moved", "{a: '2'}");
    kubectl.run(&format!("apply --server-side -f {file}"));
    let after = kubectl.run("get configmap moved -o yaml --show-managed-fields");
    assert!(!after.contains("kubectl-client-side-apply"), "{after}");
    assert_eq!(kubectl.run_with(&["get", "configmap", "moved", "-o", "jsonpath={.data}"]), "{\"a\":\"2\"}");
    // And back: what is noted is what was applied last.
    write(&kubectl, "one.yaml", "moved", "{c: '3'}");
    kubectl.run(&format!("apply -f {file}"));
    assert_eq!(kubectl.run_with(&["get", "configmap", "moved", "-o", "jsonpath={.data}"]), "{\"c\":\"3\"}");
    end(cluster).await;
}

/// Writes a ConfigMap into a file, and gives its path.
fn write(kubectl: &Kubectl, file: &str, name: &str, data: &str) -> String {
    let path = kubectl.folder().join(file);
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {data}\n");
    std::fs::write(&path, text).expect("the file is written");
    path.display().to_string()
}
