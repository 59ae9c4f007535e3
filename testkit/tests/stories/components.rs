//! What a person is told of the cluster's components.

use crate::scene::{Kubectl, end, wishes};
use tinyplane::{Member, Storage};

/// The lines that kubectl prints of them, without their headings.
fn told(kubectl: &Kubectl) -> Vec<String> {
    let printed = kubectl.run("get componentstatuses --no-headers");
    printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_healthy_while_they_run_and_unhealthy_when_they_are_gone() {
    let cluster = wishes().nodes(0).storage(Storage::Memory).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    let healthy = ["controller-manager Healthy ok", "scheduler Healthy ok", "etcd-0 Healthy ok"];
    assert_eq!(told(&kubectl), healthy);

    cluster.kill(Member::Controllers).await.expect("they are killed");
    let found = told(&kubectl);
    for (line, name) in found.iter().zip(["controller-manager", "scheduler"]) {
        assert!(line.starts_with(&format!("{name} Unhealthy Get \"https://127.")), "{line}");
        assert!(line.ends_with("connect: connection refused"), "{line}");
    }
    assert_eq!(found[2], healthy[2]);

    cluster.restart(Member::Controllers).await.expect("they come back");
    assert_eq!(told(&kubectl), healthy);
    end(cluster).await;
}
