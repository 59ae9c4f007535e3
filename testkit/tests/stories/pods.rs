//! Logs, exec, attach, port-forward and cp: what goes from the API server to a kubelet, over every egress.

use crate::scene::{Kubectl, end, kubectls, wishes};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tinyplane::Egress;

/// A command that is killed when the story ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            self.0.wait().expect("a killed child can be waited for");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_work_over_every_egress_with_every_kubectl() {
    for (_, egress) in Egress::WORDS {
        let cluster = wishes().egress(egress).start().await.expect("it starts");
        for program in kubectls() {
            let kubectl = Kubectl::at(&program, &cluster);
            kubectl.run("run web --image=nginx --port=80");
            kubectl.run_with(&["run", "talker", "--image=busybox", "--", "sh", "-c", "echo one; echo two; sleep 3600"]);
            kubectl.run("wait pod/web pod/talker --for=condition=Ready --timeout=60s");
            logs(&kubectl);
            exec(&kubectl);
            forward(&kubectl);
            copy(&kubectl);
            kubectl.run("delete pod web talker --wait --grace-period=1 --timeout=60s");
        }
        end(cluster).await;
    }
}

fn logs(kubectl: &Kubectl) {
    assert_eq!(kubectl.run("logs talker"), "one\ntwo\n");
    assert_eq!(kubectl.run("logs talker --tail=1"), "two\n");
    let mut follow =
        Running(kubectl.command(&["logs", "-f", "talker"]).stdout(Stdio::piped()).spawn().expect("kubectl can be run"));
    let mut lines = BufReader::new(follow.0.stdout.take().expect("it has a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "one");
    assert_eq!(lines.next().expect("a line").expect("text"), "two");
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

fn forward(kubectl: &Kubectl) {
    let mut forward = Running(
        kubectl
            .command(&["port-forward", "pod/web", ":80"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl can be run"),
    );
    let mut line = String::new();
    BufReader::new(forward.0.stdout.as_mut().expect("it has a pipe")).read_line(&mut line).expect("a line");
    let port = line.split(" -> ").next().and_then(|l| l.rsplit(':').next()).expect("a port").to_owned();
    let page = Command::new("curl")
        .args(["-sS", "-i", &format!("http://127.0.0.1:{port}/")])
        .output()
        .expect("curl can be run");
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("nginx"), "{page}");
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
