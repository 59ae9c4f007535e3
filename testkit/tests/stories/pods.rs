//! Logs, exec, attach, port-forward, cp and the proxies: what goes from the API server to a node, over every egress.

use crate::rest::Rest;
use crate::scene::{Kubectl, Running, end, kubectls, wishes};
use std::process::{Command, Stdio};
use tinyplane::Egress;

/// A pod that answers each line on its standard input, and one with a shell on a terminal.
const ECHOES: &str = "
apiVersion: v1
kind: Pod
metadata: {name: echoes}
spec:
  containers:
  - {name: c, image: busybox, stdin: true, command: [sh, -c, 'while read line; do echo got $line; done']}
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  containers:
  - {name: c, image: busybox, stdin: true, tty: true, command: [sh]}
";

#[tokio::test(flavor = "multi_thread")]
async fn streams_work_over_every_egress_with_every_kubectl() {
    for (word, egress) in Egress::WORDS {
        let cluster = wishes().egress(egress).start().await.expect("it starts");
        for program in kubectls() {
            let kubectl = Kubectl::at(&program, &cluster);
            let rest = Rest::of(&cluster).await;
            kubectl.run("run web --image=nginx --port=80");
            kubectl.run_with(&["run", "talker", "--image=busybox", "--", "sh", "-c", "echo one; echo two; sleep 3600"]);
            kubectl.create(ECHOES);
            kubectl.run("wait pod/web pod/talker pod/echoes pod/shell --for=condition=Ready --timeout=60s");
            logs(&kubectl);
            exec(&kubectl);
            attach(&kubectl);
            terminals(&kubectl);
            debug(&kubectl);
            kubectl.run("expose pod web --port=8080 --target-port=80");
            forward(&kubectl, "pod/web", 80);
            forward(&kubectl, "service/web", 8080);
            proxies(&kubectl, word);
            kubectl.run("delete service web");
            describe(&kubectl);
            copy(&kubectl);
            kubectl.run("delete pod web talker echoes shell --wait --grace-period=1 --timeout=60s");
            rest.returns(&cluster).await;
        }
        end(cluster).await;
    }
}

fn logs(kubectl: &Kubectl) {
    assert_eq!(kubectl.run("logs talker"), "one\ntwo\n");
    assert_eq!(kubectl.run("logs talker --tail=1"), "two\n");
    let mut follow = Running::of(&mut kubectl.command(&["logs", "-f", "talker"]));
    follow.sees("one");
    follow.sees("two");
    assert!(kubectl.fails("logs nobody").contains("not found"));
}

fn exec(kubectl: &Kubectl) {
    assert_eq!(kubectl.run_with(&["exec", "web", "--", "sh", "-c", "echo $((6*7))"]), "42\n");
    let failed = kubectl.command(&["exec", "web", "--", "sh", "-c", "exit 3"]).output().expect("kubectl can be run");
    assert_eq!(failed.status.code(), Some(3), "{}", String::from_utf8_lossy(&failed.stderr));
    let fed = kubectl.feed(&["exec", "-i", "web", "--", "wc", "-c"], &[b'x'; 100_000]);
    assert_eq!(String::from_utf8_lossy(&fed.stdout).trim(), "100000", "{}", String::from_utf8_lossy(&fed.stderr));
    let unknown = kubectl.output("exec web -- nonsense");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("executable file not found"));
    let token = kubectl.run("exec web -- cat /var/run/secrets/kubernetes.io/serviceaccount/namespace");
    assert_eq!(token, "default");
}

fn attach(kubectl: &Kubectl) {
    for line in ["first", "second"] {
        let mut attached = Running::of(kubectl.command(&["attach", "-i", "echoes"]).stdin(Stdio::piped()));
        attached.types(&format!("{line}\n"));
        attached.sees(&format!("got {line}"));
    }
    assert!(kubectl.run("logs echoes").ends_with("got first\ngot second\n"));
    assert!(kubectl.fails("attach nobody").contains("not found"));
}

/// A container that is added to a running pod, to look at it from within.
fn debug(kubectl: &Kubectl) {
    let told = kubectl.run_with(&[
        "debug",
        "web",
        "-i",
        "--quiet",
        "--image=busybox",
        "--container=look",
        "--",
        "echo",
        "I see",
    ]);
    assert_eq!(told, "I see\n");
    kubectl
        .until("get pod web -o jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.exitCode}", |code| {
            code == "0"
        });
    assert_eq!(kubectl.run("logs web -c look"), "I see\n");
    kubectl.run("wait pod/web --for=condition=Ready --timeout=60s");
}

/// `-it` on a real terminal, which util-linux's `script` lends.
fn terminals(kubectl: &Kubectl) {
    let mut shell = Running::of(&mut kubectl.on_a_terminal("exec -it web -- sh"));
    shell.types("test -t 0 && echo terminal-$((40+2))\n");
    shell.sees("terminal-42");
    shell.types("stty size\n");
    shell.sees("24 80");
    shell.types("exit 5\n");
    assert_eq!(shell.ends().code(), Some(5), "the code of the remote shell");
    let mut attached = Running::of(&mut kubectl.on_a_terminal("attach -it shell"));
    attached.types("test -t 1 && echo shared-$((40+2))\n");
    attached.sees("shared-42");
    drop(attached);
    let mut attached =
        Running::of(&mut kubectl.on_a_terminal("run once -it --rm --restart=Never --image=busybox -- sh"));
    attached.types("echo attached-$((1+1))\n");
    attached.sees("attached-2");
    attached.types("exit\n");
    assert!(attached.ends().success(), "a shell that exits well");
    kubectl.until("get pods -o name", |pods| !pods.contains("once"));
}

fn forward(kubectl: &Kubectl, what: &str, port: u16) {
    let mut forward = Running::of(&mut kubectl.command(&["port-forward", what, &format!(":{port}")]));
    let line = forward.sees("Forwarding from");
    let port = line.split(" -> ").next().and_then(|l| l.rsplit(':').next()).expect("a port").to_owned();
    let page = Command::new("curl")
        .args(["-sS", "-i", &format!("http://127.0.0.1:{port}/")])
        .output()
        .expect("curl can be run");
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("nginx"), "{what}: {page}");
}

fn proxies(kubectl: &Kubectl, egress: &str) {
    let page = |path: &str| kubectl.run_with(&["get", "--raw", path]);
    assert!(page("/api/v1/nodes/node-1/proxy/healthz").contains("ok"), "{egress}");
    assert!(page("/api/v1/namespaces/default/pods/web:80/proxy/").contains("nginx"), "{egress}");
    // An ordinary user may not bind port 80: it is served at its alias.
    kubectl.until("get endpoints web", |text| text.contains(":80") || text.contains(":20080"));
    assert!(page("/api/v1/namespaces/default/services/web:8080/proxy/").contains("nginx"), "{egress}");
}

fn describe(kubectl: &Kubectl) {
    let told = kubectl.run("describe pod web");
    for part in ["Node:", "Status:           Running", "Container ID:", "Scheduled", "Pulled", "Created", "Started"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    // What made a condition false is forgotten when it comes to be true.
    let conditions = kubectl.run_with(&["get", "pod", "web", "-o", "jsonpath={.status.conditions}"]);
    assert!(!conditions.contains("reason") && conditions.contains("ContainersReady"), "{conditions}");
    assert!(kubectl.fails("top pods").contains("Metrics API not available"));
}

fn copy(kubectl: &Kubectl) {
    let there = kubectl.folder().join("there.bin");
    let content: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&there, &content).expect("the file is written");
    let back = kubectl.folder().join("back.bin");
    kubectl.run(&format!("cp {} web:/tmp/copied.bin", there.display()));
    kubectl.run(&format!("cp web:/tmp/copied.bin {}", back.display()));
    assert_eq!(std::fs::read(&back).expect("the file came back"), content);
    std::fs::remove_file(&back).expect("it can be removed");
}
