//! Members are killed at the worst moment: nothing acknowledged is lost, and what hangs on them says so at once.

use crate::scene::{Kubectl, PATIENCE, end, wishes};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tinyplane::{Egress, Member, Mode, Storage};
use tinyplane_wire::gvr::Gvr;
use tinyplane_wire::meta::Meta;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_and_a_watch_resumes() {
    let place = tempfile::tempdir().expect("a folder");
    let wish = wishes().nodes(0).controllers(false).storage(Storage::Sled).data_dir(place.path());
    let cluster = Arc::new(wish.start().await.expect("it starts"));
    let maps = Gvr::new("", "v1", "configmaps");
    let client = cluster.admin().client().clone();
    let from = Meta::of(&client.list(&maps, Some("default"), "").await.expect("a list")).resource_version().to_owned();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (writer, count, gvr) = (client.clone(), Arc::clone(&acknowledged), maps.clone());
    let writing = tokio::spawn(async move {
        let mut versions = Vec::new();
        for i in 0..100_000 {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{i}")}});
            match writer.create(&gvr, Some("default"), &map).await {
                Ok(made) => versions.push(Meta::of(&made).resource_version().parse::<u64>().expect("a number")),
                Err(_) => break,
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
        versions
    });
    let began = Instant::now();
    while acknowledged.load(Ordering::Relaxed) < 200 {
        assert!(began.elapsed() < PATIENCE, "creates do not come along");
        tokio::task::yield_now().await;
    }
    cluster.kill(Member::Apiserver).await.expect("it can be killed");
    let versions = writing.await.expect("the writer ends");
    cluster.restart(Member::Apiserver).await.expect("it comes back");
    let listed = client.list(&maps, Some("default"), "").await.expect("a list");
    let names: Vec<&str> = listed["items"].as_array().expect("items").iter().map(|o| Meta::of(o).name()).collect();
    for i in 0..versions.len() {
        assert!(names.contains(&format!("m{i}").as_str()), "m{i} was acknowledged and is gone");
    }
    let late = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}});
    let late = client.create(&maps, Some("default"), &late).await.expect("writes go on");
    let last: u64 = Meta::of(&late).resource_version().parse().expect("a number");
    assert!(versions.iter().all(|v| *v < last), "a resource version was used again");
    let mut frames = client.watch(&maps, Some("default"), &format!("resourceVersion={from}")).await.expect("a watch");
    let (mut seen, mut before) = (0, 0);
    loop {
        let frame = frames.next().await.expect("the watch goes on").expect("it does not end");
        let version: u64 = Meta::of(&frame.object).resource_version().parse().expect("a number");
        assert!(version > before, "the watch goes back");
        (seen, before) = (seen + 1, version);
        if Meta::of(&frame.object).name() == "late" {
            break;
        }
    }
    assert!(seen > versions.len(), "the watch lost some of {} creates: it saw {seen}", versions.len());
    drop(frames);
    end(Arc::into_inner(cluster).expect("nobody else holds it")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_agent_exec_fails_at_once_and_works_again_with_it() {
    let cluster = wishes().egress(Egress::Konnectivity(Mode::Grpc)).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("run web --image=nginx");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
    cluster.kill(Member::KonnectivityAgent(1)).await.expect("it can be killed");
    let began = Instant::now();
    let told = kubectl.fails("exec web -- echo hello");
    assert!(began.elapsed().as_secs() < 10, "it took {:?} to say {told}", began.elapsed());
    assert!(told.contains("No agent available"), "{told}");
    cluster.admin().wait("node/node-1", "condition=Ready").await.expect("losing the tunnel is not losing the node");
    cluster.restart(Member::KonnectivityAgent(1)).await.expect("it comes back");
    kubectl.until("exec web -- echo hello", |text| text == "hello\n");
    cluster.stop().await;
}
