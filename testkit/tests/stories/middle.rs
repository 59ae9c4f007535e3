//! A man in the middle of the way to a kubelet: he reads a request for logs where the kubelet's certificate is not
//! verified, which is Kubernetes' default, and is refused where it is.

use crate::scene::{Kubectl, wishes};
use tinyplane::{Cluster, Egress, Fault, Link, Mode, Security, Storage};

/// The ways to a kubelet, and the link on which its TLS runs by itself.
const WAYS: [(Egress, Link<'static>); 4] = [
    (Egress::Direct, Link::ApiserverToKubelet("node-1")),
    (Egress::Konnectivity(Mode::Grpc), Link::AgentToNode("node-1")),
    (Egress::Konnectivity(Mode::HttpConnect), Link::AgentToNode("node-1")),
    // The SSH server stands on the node itself.
    (Egress::Ssh, Link::NodeToNode("node-1")),
];
/// What the API server asks a kubelet for.
const REQUEST: &str = "GET /containerLogs/default/web/web";
/// What Go says of a certificate of an authority that it does not know.
pub(crate) const UNKNOWN: &str = "tls: failed to verify certificate: x509: certificate signed by unknown authority";

/// Nobody believes him: neither reads anything of the other.
async fn is_refused(cluster: &Cluster, kubectl: &Kubectl, link: Link<'_>) {
    let middle = cluster.inject(link, Fault::man_in_the_middle()).await.expect("a fault");
    let told = kubectl.fails("logs web");
    assert!(told.contains(UNKNOWN), "{link}: {told}");
    assert_eq!(middle.heal().await.at_least(1).read(), "", "{link}");
    assert_eq!(kubectl.run("logs web"), "a secret\n");
}

/// He reads along: the request in any case, and the answer if he has a certificate that the kubelet takes.
async fn reads(cluster: &Cluster, kubectl: &Kubectl, link: Link<'_>) {
    let middle = cluster.inject(link, Fault::man_in_the_middle()).await.expect("a fault");
    let told = kubectl.fails("logs web");
    assert!(told.contains("must be logged in"), "{link}: {told}");
    let healed = middle.heal().await;
    let read = healed.at_least(1).read();
    assert!(read.contains(REQUEST) && !read.contains("a secret"), "{link}: {read}");
    let pki = |file: &str| cluster.data_dir().join("pki").join(file);
    let (certificate, key) = (pki("apiserver-kubelet-client.crt"), pki("apiserver-kubelet-client.key"));
    let thief = cluster.inject(link, Fault::man_in_the_middle().presenting(certificate, key)).await.expect("a fault");
    assert_eq!(kubectl.run("logs web"), "a secret\n", "{link}: nobody notices");
    let healed = thief.heal().await;
    let read = healed.at_least(1).read();
    assert!(read.contains(REQUEST) && read.contains("a secret"), "{link}: {read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_before_a_kubelet_reads_unless_its_certificate_is_verified() {
    for (egress, link) in WAYS {
        let wished = wishes().nodes(1).egress(egress).links(true).security(Security::open()).storage(Storage::Sled);
        let cluster = wished.start().await.unwrap_or_else(|e| panic!("{egress}: {}", e.told()));
        let kubectl = Kubectl::of(&cluster);
        kubectl.run_with(&["run", "web", "--image=busybox", "--", "sh", "-c", "echo a secret; sleep 3600"]);
        kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
        kubectl.until("logs web", |text| text == "a secret\n");
        reads(&cluster, &kubectl, link).await;
        // The same cluster, made secure while it runs, and insecure again.
        cluster.secure(Security::strict()).await.expect("it is secured");
        is_refused(&cluster, &kubectl, link).await;
        cluster.secure(Security::open()).await.expect("it is opened");
        reads(&cluster, &kubectl, link).await;
        cluster.stop().await;
    }
}
