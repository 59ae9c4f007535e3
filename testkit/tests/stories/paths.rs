//! The numbered paths, each by what both ends of every hop say of it: how a request went, who was checked, and what was
//! shown.

use crate::scene::{Kubectl, Running, binary, end, wishes};
use http::Method;
use std::process::Command;
use tinyplane::{Cluster, Egress, Filter, Hop, Mode, Security, Walk};

/// Whom the API server's certificate for kubelets names.
const TO_KUBELETS: &str = "kube-apiserver-kubelet-client";
/// A pod that has its node's address, and so the kubelet's port.
const HOST: &str = "
apiVersion: v1
kind: Pod
metadata: {name: host}
spec:
  hostNetwork: true
  containers: [{name: c, image: pause}]
";

/// A cluster with a ledger, and pods to go to.
async fn scene(egress: Egress, security: Security) -> (Cluster, Kubectl) {
    let cluster = wishes().nodes(1).egress(egress).security(security).ledger(true).start().await;
    let cluster = cluster.unwrap_or_else(|e| panic!("{egress}: {}", e.told()));
    let kubectl = Kubectl::of(&cluster);
    kubectl.run("run web --image=nginx --port=80");
    kubectl.create(HOST);
    kubectl.run("wait pod/web pod/host --for=condition=Ready --timeout=60s");
    (cluster, kubectl)
}

/// The walk of the newest request with this text.
async fn walk(cluster: &Cluster, request: &str) -> Walk {
    let walked = cluster.ledger().expect("a ledger is kept").newest(&Filter::all().request(request)).await;
    walked.unwrap_or_else(|e| panic!("{request}: {}", e.told()))
}

/// The stations from the API server to where a request ended, by this egress.
fn by(egress: Egress, last: Hop<'static>) -> Vec<Hop<'static>> {
    let mut stations = vec![Hop::Apiserver];
    match egress {
        Egress::Direct => stations.push(Hop::Direct),
        Egress::Ssh => stations.push(Hop::Ssh),
        Egress::Konnectivity(mode) => stations.extend([Hop::Tunnel { mode }, Hop::Agent("konnectivity-agent")]),
    }
    stations.push(last);
    stations
}

/// The numbers of the paths behind the caller's own.
fn numbers(egress: Egress, path: u8) -> Vec<u8> {
    match egress {
        Egress::Direct => vec![1, path],
        Egress::Ssh => vec![1, path, 4],
        Egress::Konnectivity(_) => vec![1, path, 5],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn path_1_ends_at_the_one_port_and_its_server_is_verified() {
    let (cluster, kubectl) = scene(Egress::Konnectivity(Mode::Grpc), Security::strict()).await;
    let call = "curl --silent --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt \
                https://kubernetes.default.svc/version?from=pod";
    assert!(kubectl.run_with(&["exec", "web", "--", "sh", "-c", call]).contains("gitVersion"));
    let pods = walk(&cluster, "/version?from=pod").await;
    pods.assert_path(&[Hop::Pod("node-1"), Hop::Service, Hop::Apiserver]).assert_witnessed();
    let tls = pods.tls().expect("it speaks TLS");
    assert_eq!((pods.path(), tls.version.as_str(), tls.verified.as_deref()), (1, "1.3", Some("kubernetes")), "{pods}");
    assert_eq!(pods.certificate(), None, "a pod shows its token, and no certificate: {pods}");

    for (request, member, named) in [
        ("/leases/node-1", "kubelet", "system:node:node-1"),
        ("/api/v1/namespaces/kube-system/serviceaccounts", "controllers", "system:kube-controller-manager"),
    ] {
        let own = cluster.ledger().and_then(|ledger| ledger.walks(&Filter::all().path(1).request(request)));
        let own = own.expect("the ledger can be read");
        let own = own.iter().find(|walk| walk.certificate() == Some(named));
        let own = own.unwrap_or_else(|| panic!("{named} made no request to {request}"));
        own.assert_path(&[Hop::Member(member), Hop::Apiserver]).assert_witnessed();
        let tls = own.tls().expect("it speaks TLS");
        assert_eq!((tls.version.as_str(), tls.verified.as_deref()), ("1.3", Some("kubernetes")), "{own}");
    }

    // kubectl keeps no ledger: its own end is silent, and the other one sees its certificate.
    kubectl.run("get configmaps --field-selector=metadata.name=path-1");
    let persons = walk(&cluster, "path-1").await;
    persons.assert_path(&[Hop::Apiserver]).assert_never(Hop::Direct).assert_witnessed();
    assert_eq!(persons.certificate(), Some("kubernetes-admin"), "{persons}");
    end(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn path_2_shows_a_certificate_and_checks_the_kubelets_only_where_that_is_wished() {
    for (_, egress) in Egress::WORDS {
        for (security, verified) in [(Security::open(), None), (Security::strict(), Some("kubernetes"))] {
            let (cluster, kubectl) = scene(egress, security).await;
            kubectl.run("logs web");
            assert_eq!(kubectl.run("exec web -- echo hello"), "hello\n");
            kubectl.run("get --raw /api/v1/nodes/node-1/proxy/healthz");
            for request in ["pods/web/log", "pods/web/exec", "nodes/node-1/proxy"] {
                let walk = walk(&cluster, request).await;
                walk.assert_path(&by(egress, Hop::Kubelet("node-1"))).assert_witnessed();
                assert_eq!((walk.path(), walk.paths()), (2, numbers(egress, 2)), "{walk}");
                let tls = walk.tls().expect("it speaks TLS");
                assert_eq!((tls.version.as_str(), tls.verified.as_deref()), ("1.3", verified), "{walk}");
                assert_eq!(walk.certificate(), Some(TO_KUBELETS), "{walk}");
                // The nodes' host keys are checked where the kubelets' certificates are.
                let key = walk.host_key().map(|key| key.verified.is_some());
                assert_eq!(key, (egress == Egress::Ssh).then_some(verified.is_some()), "{walk}");
                let way = walk.way().expect("it went on");
                assert!(way.sent > Some(0) && way.received > Some(0), "{walk}");
            }
            end(cluster).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn path_3_is_plain_or_encrypts_without_checking_and_shows_no_credential() {
    for (_, egress) in Egress::WORDS {
        // Nothing that can be checked on path 2 changes path 3.
        let (cluster, kubectl) = scene(egress, Security::strict()).await;
        assert!(kubectl.run("get --raw /api/v1/namespaces/default/pods/web:80/proxy/").contains("nginx"));
        let plain = walk(&cluster, "pods/web:80/proxy").await;
        plain.assert_path(&by(egress, Hop::Pod("node-1"))).assert_witnessed();
        assert_eq!((plain.path(), plain.paths()), (3, numbers(egress, 3)), "{plain}");
        assert_eq!((plain.tls(), plain.certificate()), (None, None), "{plain}");

        // A kubelet's port that is reached as a pod's: it is believed, and believes nobody.
        kubectl.fails("get --raw /api/v1/namespaces/default/pods/https:host:10250/proxy/pods");
        let encrypted = walk(&cluster, "pods/https:host:10250/proxy").await;
        encrypted.assert_path(&by(egress, Hop::Kubelet("node-1"))).assert_witnessed();
        let tls = encrypted.tls().expect("it speaks TLS");
        assert_eq!((encrypted.path(), tls.version.as_str(), &tls.verified), (3, "1.3", &None), "{encrypted}");
        assert_eq!((encrypted.certificate(), encrypted.asked.code), (None, Some(401)), "{encrypted}");
        end(cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_told_the_path_in_a_header_and_paths_are_printed_as_they_are_walked() {
    for (_, egress) in Egress::WORDS {
        let (cluster, kubectl) = scene(egress, Security::open()).await;
        let told = async |path: &str, asks: bool| {
            let request = cluster.admin().client().connection().request(Method::GET, path).expect("a path");
            let request = if asks { request.header("Tinyplane-Path", "?") } else { request };
            let answer = request.send().await.expect("an answer");
            answer.headers().get("tinyplane-path").map(|value| value.to_str().expect("text").to_owned())
        };
        let logs = "/api/v1/namespaces/default/pods/web/log";
        assert_eq!(told(logs, false).await, None);
        let path = told(logs, true).await.expect("the path");
        assert!(path.starts_with(&format!("2;{egress};")) && path.ends_with(";node=node-1;tls=unverified"), "{path}");
        assert_eq!(told("/api/v1/nodes", true).await.as_deref(), Some("1;tls=1.3;certificate=kubernetes-admin"));
        let proxied = told("/api/v1/namespaces/default/pods/web:80/proxy/", true).await.expect("the path");
        assert!(
            proxied.starts_with(&format!("3;{egress};")) && proxied.ends_with(";node=node-1;tls=none"),
            "{proxied}"
        );
        let nobody = told("/api/v1/namespaces/default/pods/web:81/proxy/", true).await.expect("the path");
        assert!(
            nobody.starts_with(&format!("3;{egress};")) && nobody.ends_with(";node=node-1;failed=dial"),
            "{nobody}"
        );

        let paths = |arguments: &[&str]| {
            let mut command = Command::new(binary());
            command.arg("paths").arg("--data-dir").arg(cluster.data_dir()).args(arguments);
            command
        };
        let mut live =
            Running::of(&mut paths(&["--follow", "--path", "2", "--node", "node-1", "--request", "web/exec"]));
        live.sees("STARTED");
        kubectl.run("exec web -- echo hello");
        let row = live.sees("pods/web/exec");
        for part in [&egress.to_string(), "node-1", "1.3 unverified", TO_KUBELETS, " 101 "] {
            assert!(row.contains(part), "{part} is not in {row}");
        }
        drop(live);
        walk(&cluster, "pods/web/exec").await;
        let printed =
            paths(&["--output", "json", "--path", "2", "--request", "pods/web/exec"]).output().expect("it runs");
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let lines = String::from_utf8_lossy(&printed.stdout).into_owned();
        let last: serde_json::Value =
            serde_json::from_str(lines.lines().last().expect("a line")).expect("a line is a JSON object");
        assert_eq!((last["path"].as_u64(), last["witnessed"].as_bool()), (Some(2), Some(true)), "{last:#}");
        assert_eq!(last["egress"], egress.to_string());
        let none = paths(&["--path", "2", "--node", "node-9"]).output().expect("it runs");
        assert_eq!(String::from_utf8_lossy(&none.stdout).lines().count(), 1, "the heading alone");
        end(cluster).await;
    }
}
