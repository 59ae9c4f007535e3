//! Certificates are exchanged under a running cluster: new connections meet the new ones, open streams go on.

use crate::scene::{Kubectl, Running, end, wishes};
use std::net::IpAddr;
use std::path::Path;
use std::process::Stdio;
use tinyplane::Member;
use tinyplane_wire::clock::Clock;
use tinyplane_wire::identity::pki::{Authority, Leaf};

/// Writes a new pair in the place of a member's.
fn exchange(pki: &Path, name: &str, authority: &Authority, leaf: &Leaf) {
    let issued = authority.issue(leaf, Clock::system().now()).expect("it is issued");
    std::fs::write(pki.join(format!("{name}.crt")), issued.certificate_pem).expect("it is written");
    std::fs::write(pki.join(format!("{name}.key")), issued.key_pem).expect("it is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_are_used_and_open_streams_go_on() {
    let cluster = wishes().nodes(1).start().await.expect("it starts");
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("run web --image=nginx");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
    let mut cat = Running::of(kubectl.command(&["exec", "-i", "web", "--", "cat"]).stdin(Stdio::piped()));
    cat.echoes("before");

    let pki = cluster.data_dir().join("pki");
    let read = |file: &str| std::fs::read_to_string(pki.join(file)).expect("it is there");
    let authority = Authority::load(&read("ca.crt"), &read("ca.key")).expect("the cluster's authority");
    let stranger = Authority::create("stranger", Clock::system().now()).expect("another one");
    let address = |member| IpAddr::from(cluster.plan().address(member));
    let kubelet = Leaf::server("system:node:node-1", &["node-1"], &[address(Member::Kubelet)]);
    let client = Leaf::client("kube-apiserver-kubelet-client", Some("system:masters"));
    let server = Leaf::server("kube-apiserver", &["kubernetes"], &[address(Member::Apiserver)]);
    // What a stranger has issued is not believed, by which it shows that it was read; a new one of ours is.
    for (name, leaf, complaint) in [
        ("kubelet-node-1", kubelet, "certificate"),
        ("apiserver-kubelet-client", client, "Unauthorized"),
        ("apiserver", server, "certificate"),
    ] {
        exchange(&pki, name, &stranger, &leaf);
        let told = kubectl.fails("exec web -- echo hello");
        assert!(told.contains(complaint), "{name}: {told}");
        cat.echoes("meanwhile");
        exchange(&pki, name, &authority, &leaf);
        assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n", "{name}");
        cat.echoes("after");
    }
    assert!(cat.ends().success());
    end(cluster).await;
}
