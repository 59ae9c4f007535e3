//! A container's life as a kubelet and its clients see it.

use crate::runtime::fixture::{Fixture, pod, soon, words};
use crate::runtime::{
    ContainerPort, ContainerSpec, ContainerState, ExitReason, LogOptions, Mount, Protocol, Runtime, RuntimeError,
    Stdio, TerminalSize, Volume, VolumeFile,
};
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::{Duration, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

fn spec(image: &str, command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: "main".into(),
        image: image.into(),
        command: words(command),
        termination_message_path: "/dev/termination-log".into(),
        ..ContainerSpec::default()
    }
}

fn shell(script: &str) -> ContainerSpec {
    spec("busybox:1.36", &["sh", "-c", script])
}

async fn log_text(fixture: &Fixture, options: LogOptions) -> String {
    let stream = fixture.runtime.logs(&fixture.container, options).await.unwrap();
    let pieces: Vec<Bytes> = soon(stream.collect()).await;
    String::from_utf8(pieces.concat()).unwrap()
}

fn files(entries: &[(&str, &str)]) -> Volume {
    let file = |text: &str| VolumeFile { bytes: Bytes::copy_from_slice(text.as_bytes()), mode: 0o644 };
    entries.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
}

/// Reads until a text was seen, and returns all that came.
async fn read_until(stream: &mut DuplexStream, wanted: &str) -> String {
    let mut seen = String::new();
    let read = async {
        let mut buffer = [0; 1024];
        while !seen.contains(wanted) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "ended before {wanted:?}: {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    soon(read).await;
    seen
}

#[tokio::test]
async fn a_container_ends_with_the_code_and_message_of_its_program() {
    let fixture = Fixture::new(shell("echo out; echo err >&2; echo why > /dev/termination-log; exit 3")).await;
    let status = soon(fixture.runtime.wait(&fixture.container)).await.unwrap();
    assert_eq!((status.code, status.reason, status.message.as_str()), (3, ExitReason::Error, "why\n"));
    assert!(status.finished >= status.started && status.started > UNIX_EPOCH);
    assert_eq!(log_text(&fixture, LogOptions::default()).await, "out\nerr\n");
    assert!(matches!(fixture.runtime.state(&fixture.container).await.unwrap(), ContainerState::Exited(_)));
    let refused = fixture.runtime.exec(&fixture.container, words(&["true"]), Stdio::default()).await;
    assert!(matches!(refused, Err(RuntimeError::NotRunning { state: "CONTAINER_EXITED" })));
}

#[tokio::test]
async fn the_message_may_come_from_the_log() {
    let mut failing = shell("echo broken; exit 1");
    failing.termination_message_from_logs = true;
    let fixture = Fixture::new(failing).await;
    assert_eq!(soon(fixture.runtime.wait(&fixture.container)).await.unwrap().message, "broken\n");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_a_start_error_with_code_128() {
    let fixture = Fixture::idle().await;
    let container = fixture.runtime.create_container(&fixture.sandbox, spec("nginx", &["nosuch"])).await.unwrap();
    let error = fixture.runtime.start_container(&container).await.unwrap_err().to_string();
    assert!(error.ends_with("exec: \"nosuch\": executable file not found in $PATH: unknown"), "{error}");
    let status = soon(fixture.runtime.wait(&container)).await.unwrap();
    assert_eq!((status.code, status.reason, status.message), (128, ExitReason::StartError, error));
    assert_eq!(status.started, UNIX_EPOCH);
}

#[tokio::test]
async fn stopping_ends_servers_with_0_a_sleep_with_143_and_a_deaf_program_with_137() {
    let grace = Duration::from_secs(15);
    for (spec, grace, code) in [
        (spec("registry.k8s.io/pause:3.10", &[]), grace, 0),
        (spec("docker.io/library/nginx:1.27", &[]), grace, 0),
        (spec("example.com/team/unknown@sha256:00", &[]), grace, 0),
        (spec("example.com/team/unknown", &["/manager", "--flag"]), grace, 0),
        (spec("busybox", &["sleep", "3600"]), grace, 143),
        (shell("trap 'echo bye; exit 7' TERM; echo up; sleep infinity & wait"), grace, 7),
        (shell("trap '' TERM; echo up; sleep infinity"), Duration::from_millis(20), 137),
        (shell("echo up; sleep infinity"), Duration::ZERO, 137),
    ] {
        let fixture = Fixture::new(spec.clone()).await;
        if spec.command.len() == 3 {
            let mut log = fixture
                .runtime
                .logs(&fixture.container, LogOptions { follow: true, ..Default::default() })
                .await
                .unwrap();
            assert_eq!(soon(log.next()).await.unwrap(), "up\n");
        }
        let status = soon(fixture.runtime.stop_container(&fixture.container, grace)).await.unwrap();
        assert_eq!(status.code, code, "{} {:?}", spec.image, spec.command);
    }
}

#[tokio::test]
async fn images_run_what_they_are_known_for() {
    for (spec, code, log) in [
        (spec("busybox", &[]), 0, ""),
        (spec("alpine:3", &[]), 0, ""),
        (spec("busybox", &["/bin/echo", "hi"]), 0, "hi\n"),
        (
            ContainerSpec { args: words(&["--version-unknown"]), ..spec("curlimages/curl", &[]) },
            2,
            "curl: unrecognized option: version-unknown\n",
        ),
        (ContainerSpec { args: words(&["echo", "args"]), ..spec("curlimages/curl", &[]) }, 0, "args\n"),
        (ContainerSpec { args: words(&["-c", "echo $0 $1", "a", "b"]), ..spec("busybox", &["sh"]) }, 0, "a b\n"),
    ] {
        let fixture = Fixture::new(spec.clone()).await;
        let status = soon(fixture.runtime.wait(&fixture.container)).await.unwrap();
        assert_eq!((status.code, log_text(&fixture, LogOptions::default()).await.as_str()), (code, log), "{spec:?}");
    }
}

#[tokio::test]
async fn logs_are_tailed_cut_stamped_and_followed() {
    let fixture = Fixture::new(shell("echo one; echo two; printf 'par'; read x; printf 'tial\\nlast'")).await;
    soon(fixture.runtime.wait(&fixture.container)).await.unwrap();
    let all = LogOptions::default();
    assert_eq!(log_text(&fixture, all.clone()).await, "one\ntwo\npartial\nlast");
    assert_eq!(log_text(&fixture, LogOptions { tail_lines: Some(2), ..all.clone() }).await, "partial\nlast");
    assert_eq!(log_text(&fixture, LogOptions { tail_lines: Some(0), ..all.clone() }).await, "");
    assert_eq!(log_text(&fixture, LogOptions { bytes_max: Some(5), ..all.clone() }).await, "one\nt");
    let far = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    assert_eq!(log_text(&fixture, LogOptions { since: Some(far), ..all.clone() }).await, "");
    let stamped = log_text(&fixture, LogOptions { timestamps: true, tail_lines: Some(1), ..all.clone() }).await;
    let (stamp, line) = stamped.split_once(' ').unwrap();
    assert_eq!((stamp.len(), line), ("2026-11-22T10:00:00.000000000Z".len(), "last"));
    assert_eq!(log_text(&fixture, LogOptions { follow: true, ..all }).await, "one\ntwo\npartial\nlast");
}

#[tokio::test]
async fn a_followed_log_brings_lines_as_they_come_and_ends_with_the_container() {
    let fixture = Fixture::new(shell("echo one; while [ ! -f /tmp/go ]; do sleep 0.01; done; echo two")).await;
    let mut log =
        fixture.runtime.logs(&fixture.container, LogOptions { follow: true, ..Default::default() }).await.unwrap();
    assert_eq!(soon(log.next()).await.unwrap(), "one\n");
    assert_eq!(fixture.sh("touch /tmp/go").await.code, 0);
    assert_eq!(soon(log.next()).await.unwrap(), "two\n");
    assert_eq!(soon(log.next()).await, None);
}

#[tokio::test]
async fn exec_gives_streams_and_codes_apart() {
    let fixture = Fixture::idle().await;
    let did = fixture.exec(&["sh", "-c", "cat; echo err >&2; exit 5"], Some("in\n")).await;
    assert_eq!((did.out.as_str(), did.err.as_str(), did.code), ("in\n", "err\n", 5));
    let did = fixture.exec(&["nosuch"], None).await;
    let sentence = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable \
                    file not found in $PATH: unknown\n";
    assert_eq!((did.err.as_str(), did.code), (sentence, 127));
    assert_eq!(fixture.exec(&["/etc/passwd"], None).await.code, 126);
    assert_eq!(
        fixture.exec(&["env"], None).await.out.lines().find(|line| line.starts_with("HOSTNAME")),
        Some("HOSTNAME=web-0")
    );
    // A program that reads no input ends, though the client's stays open.
    let (open, input) = tokio::io::duplex(64);
    let stdio = Stdio { stdin: Some(Box::new(input)), ..Stdio::default() };
    assert_eq!(soon(fixture.runtime.exec(&fixture.container, words(&["true"]), stdio)).await.unwrap(), 0);
    drop(open);
}

#[tokio::test]
async fn a_terminal_echoes_edits_interrupts_and_ends() {
    let fixture = Fixture::idle().await;
    let (mut keys, stdin) = tokio::io::duplex(1024);
    let (stdout, mut screen) = tokio::io::duplex(4096);
    let (sizes, resize) = mpsc::channel(4);
    sizes.send(TerminalSize { width: 132, height: 43 }).await.unwrap();
    let stdio = Stdio {
        stdin: Some(Box::new(stdin)),
        stdout: Some(Box::new(stdout)),
        tty: true,
        resize: Some(resize),
        ..Stdio::default()
    };
    let run = tokio::spawn({
        let (runtime, container) = (fixture.runtime.clone(), fixture.container.clone());
        async move { runtime.exec(&container, words(&["sh"]), stdio).await }
    });
    assert_eq!(read_until(&mut screen, "/ # ").await, "/ # ");
    keys.write_all(b"ecx\x7fho hi\r").await.unwrap();
    let seen = read_until(&mut screen, "hi\r\n/ # ").await;
    assert!(seen.starts_with("ecx\x08 \x08ho hi\r\nhi\r\n"), "{seen:?}");
    keys.write_all(b"stty size\r").await.unwrap();
    read_until(&mut screen, "43 132\r\n/ # ").await;
    keys.write_all(b"sleep 100\r").await.unwrap();
    read_until(&mut screen, "sleep 100\r\n").await;
    keys.write_all(b"\x03").await.unwrap();
    read_until(&mut screen, "^C\r\n/ # ").await;
    keys.write_all(b"echo $?; if true\r").await.unwrap();
    read_until(&mut screen, "> ").await;
    keys.write_all(b"then exit 9; fi\r").await.unwrap();
    assert_eq!(soon(run).await.unwrap().unwrap(), 9);
}

#[tokio::test]
async fn ctrl_c_ends_a_program_on_a_terminal_with_130_and_ctrl_d_ends_a_shell() {
    let fixture = Fixture::idle().await;
    for (command, key, code) in [("sleep", b"\x03", 130), ("sh", b"\x04", 0)] {
        let (mut keys, stdin) = tokio::io::duplex(64);
        let stdio = Stdio { stdin: Some(Box::new(stdin)), tty: true, ..Stdio::default() };
        let arguments = if command == "sleep" { words(&["sleep", "100"]) } else { words(&["sh"]) };
        let run = fixture.runtime.exec(&fixture.container, arguments, stdio);
        keys.write_all(key).await.unwrap();
        assert_eq!(soon(run).await.unwrap(), code, "{command}");
    }
}

#[tokio::test]
async fn a_dropped_exec_kills_its_command() {
    let fixture = Fixture::idle().await;
    let run = tokio::spawn({
        let (runtime, container) = (fixture.runtime.clone(), fixture.container.clone());
        async move { runtime.exec(&container, words(&["sleep", "100"]), Stdio::default()).await }
    });
    fixture.sh("while ! ps | grep -q '[s]leep 100'; do :; done").await;
    run.abort();
    assert_eq!(soon(fixture.sh("while ps | grep -q '[s]leep 100'; do :; done; echo gone")).await.out, "gone\n");
}

#[tokio::test]
async fn attach_joins_the_main_programs_streams() {
    let mut echo = shell("while read line; do echo \"got $line\"; done; exit 4");
    (echo.stdin, echo.stdin_once) = (true, true);
    let fixture = Fixture::new(echo).await;
    let (mut keys, stdin) = tokio::io::duplex(64);
    let (stdout, mut screen) = tokio::io::duplex(1024);
    let stdio = Stdio { stdin: Some(Box::new(stdin)), stdout: Some(Box::new(stdout)), ..Stdio::default() };
    let attached = tokio::spawn({
        let (runtime, container) = (fixture.runtime.clone(), fixture.container.clone());
        async move { runtime.attach(&container, stdio).await }
    });
    keys.write_all(b"one\n").await.unwrap();
    assert_eq!(read_until(&mut screen, "got one\n").await, "got one\n");
    drop(keys);
    assert_eq!(soon(attached).await.unwrap().unwrap(), Some(4));
    assert_eq!(log_text(&fixture, LogOptions::default()).await, "got one\n");
}

#[tokio::test]
async fn volumes_are_mounted_shared_updated_and_guarded() {
    let fixture = Fixture::idle().await;
    let runtime = &fixture.runtime;
    runtime.set_volume(&fixture.sandbox, "config", files(&[("key", "old"), ("dir/deep", "d")])).await.unwrap();
    let mount = |path: &str, volume: &str, sub_path: Option<&str>, read_only| Mount {
        path: path.into(),
        volume: volume.into(),
        sub_path: sub_path.map(str::to_owned),
        read_only,
    };
    let spec = ContainerSpec {
        mounts: vec![
            mount("/etc/config", "config", None, true),
            mount("/etc/one", "config", Some("key"), false),
            mount("/shared", "empty", None, false),
            mount("/var/run/secrets/kubernetes.io/serviceaccount", "config", None, true),
        ],
        ..spec("pause", &[])
    };
    let first = runtime.create_container(&fixture.sandbox, spec.clone()).await.unwrap();
    let second = runtime.create_container(&fixture.sandbox, spec).await.unwrap();
    for container in [&first, &second] {
        runtime.start_container(container).await.unwrap();
    }
    let Fixture { runtime, network, sandbox, .. } = &fixture;
    let of =
        |container| Fixture { runtime: runtime.clone(), network: network.clone(), sandbox: sandbox.clone(), container };
    let (first, second) = (of(first), of(second));
    let did = first.sh("cat /etc/config/key /etc/one /etc/config/dir/deep /run/secrets/kubernetes.io/serviceaccount/key; ls /etc/config").await;
    assert_eq!(did.out, "oldolddolddir\nkey\n", "{}", did.err);
    let did = first.sh("echo x > /etc/config/key; rm /etc/config/key; rm -r /shared; echo hi > /shared/f").await;
    assert!(did.err.contains("Read-only file system") && did.err.contains("Resource busy"), "{}", did.err);
    assert_eq!(second.sh("cat /shared/f").await.out, "hi\n");
    runtime.set_volume(sandbox, "config", files(&[("key", "new")])).await.unwrap();
    assert_eq!(second.sh("cat /etc/config/key /etc/one; ls /etc/config").await.out, "newoldkey\n");
}

#[tokio::test]
async fn a_volume_that_makes_no_sense_is_an_error_of_creation() {
    let fixture = Fixture::idle().await;
    let mount = Mount { path: "/m".into(), volume: "v".into(), sub_path: Some("../x".into()), read_only: false };
    let spec = ContainerSpec { mounts: vec![mount], ..spec("pause", &[]) };
    let error = fixture.runtime.create_container(&fixture.sandbox, spec).await.unwrap_err();
    assert!(matches!(error, RuntimeError::CreateFailed { .. }), "{error}");
}

#[tokio::test]
async fn files_are_bounded_and_users_are_held_to_their_rights() {
    let fixture = Fixture::idle().await;
    let did = fixture.sh("yes > /tmp/big; echo $?; rm /tmp/big; echo fits > /tmp/small; cat /tmp/small").await;
    assert_eq!((did.out.as_str(), did.err.as_str()), ("1\nfits\n", "yes: write error: No space left on device\n"));
    let spec = ContainerSpec { user: Some(1000), read_only_root: true, ..spec("pause", &[]) };
    let fixture = Fixture::new(spec).await;
    let did = fixture.sh("id -u; echo x > /etc/hosts; cat /root/x; echo x > /tmp/x").await;
    assert_eq!(did.out, "1000\n");
    assert!(did.err.contains("can't create /etc/hosts: Read-only file system"), "{}", did.err);
    assert!(did.err.contains("can't open '/root/x': Permission denied"), "{}", did.err);
}

#[tokio::test]
async fn nginx_serves_its_documents_and_logs_who_asked() {
    let fixture = Fixture::new(spec("nginx", &[])).await;
    let script = "until nc -z localhost 80; do sleep 0.01; done; wget -qO- http://localhost | grep -c 'Welcome to nginx!'; \
                  echo mine > /usr/share/nginx/html/index.html; curl -s http://web-0/; curl -s -o /dev/null -w '%{http_code}\\n' localhost/no; \
                  curl -sf localhost/no; echo $?; curl -sI localhost | head -1; curl -s -X POST -d a=b -o /dev/null -w '%{http_code}\\n' localhost";
    let did = fixture.sh(script).await;
    assert_eq!(did.out, "2\nmine\n404\n22\nHTTP/1.1 200 OK\r\n405\n", "{}", did.err);
    let log = log_text(&fixture, LogOptions::default()).await;
    assert!(log.contains("\"GET /no HTTP/1.1\" 404") && log.contains("\"HEAD / HTTP/1.1\" 200"), "{log}");
}

#[tokio::test]
async fn declared_ports_answer_from_outside_and_from_within_until_the_container_ends() {
    let port = ContainerPort { name: "web".into(), port: 8080, protocol: Protocol::Tcp };
    let fixture = Fixture::new(ContainerSpec { ports: vec![port], ..spec("redis", &[]) }).await;
    let other = fixture
        .runtime
        .create_sandbox(crate::runtime::SandboxSpec { pod_ip: "127.8.0.10".parse().unwrap(), ..pod("client") })
        .await
        .unwrap();
    let client = fixture.runtime.create_container(&other, spec("pause", &[])).await.unwrap();
    fixture.runtime.start_container(&client).await.unwrap();
    fixture.network.names.lock().unwrap().insert("redis".into(), vec!["127.8.0.9".parse().unwrap()]);
    let client = Fixture {
        runtime: fixture.runtime.clone(),
        network: fixture.network.clone(),
        sandbox: other,
        container: client,
    };
    let did = client.sh("wget -qO- redis:8080 | head -1; curl -s redis:8081; echo $?; curl -s nowhere; echo $?; nslookup redis | tail -2").await;
    assert_eq!(did.out, "pod: default/web-0\n7\n6\nAddress: 127.8.0.9\n\n", "{}", did.err);
    let mut stream = fixture.runtime.dial(&fixture.sandbox, 8080).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK") && answer.contains("container: main"), "{answer}");
    soon(fixture.runtime.stop_container(&fixture.container, Duration::from_secs(5))).await.unwrap();
    let refused = fixture.runtime.dial(&fixture.sandbox, 8080).await.err().unwrap().to_string();
    assert_eq!(refused, "dial tcp4 127.0.0.1:8080: connect: connection refused");
    assert_eq!(client.sh("curl -s redis:8080; echo $?").await.out, "7\n");
}

#[tokio::test]
async fn a_program_may_listen_for_itself() {
    let fixture = Fixture::idle().await;
    let did =
        fixture.sh("echo pong | nc -l -p 9000 > /tmp/got & until nc -z localhost 9000; do sleep 0.01; done").await;
    assert_eq!(did.code, 0);
    // The probe was the first connection of a listener that serves one.
    let did = fixture
        .sh("while :; do echo pong | nc -l -p 9001; done > /dev/null & sleep 0.05; echo ping | nc localhost 9001")
        .await;
    assert_eq!((did.out.as_str(), did.code), ("pong\n", 0));
}

#[tokio::test]
async fn what_is_removed_is_gone() {
    let fixture = Fixture::new(shell("sleep infinity & sleep infinity")).await;
    soon(fixture.runtime.remove_sandbox(&fixture.sandbox)).await.unwrap();
    let gone = fixture.runtime.state(&fixture.container).await;
    assert!(matches!(gone, Err(RuntimeError::NoSuchContainer(_))));
    assert!(matches!(fixture.runtime.dial(&fixture.sandbox, 80).await, Err(RuntimeError::NoSuchSandbox(_))));
    soon(fixture.runtime.remove_container(&fixture.container)).await.unwrap();
    soon(fixture.runtime.remove_sandbox(&fixture.sandbox)).await.unwrap();
}

#[tokio::test]
async fn curl_believes_only_the_authority_that_it_is_given() {
    use tinyplane_wire::clock::Clock;
    use tinyplane_wire::identity::pki::{Authority, Leaf};
    use tinyplane_wire::identity::tls::{ALPN_HTTP1, ClientAuth, KeyPairPem, server};
    let now = Clock::system().now();
    let authority = Authority::create("test-ca", now).unwrap();
    let issued = authority.issue(&Leaf::server("api", &["api.test"], &[]), now).unwrap();
    let pair = KeyPairPem { certificate: issued.certificate_pem, key: issued.key_pem };
    let config = server(&pair, &ClientAuth::None, &ALPN_HTTP1).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let fixture = Fixture::idle().await;
    let mut open = crate::runtime::PodNetwork::listen(&*fixture.network, &pod("api"), 6443).await.unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = open.listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                assert!(
                    String::from_utf8_lossy(&request[..length]).to_lowercase().contains("authorization: bearer t0")
                );
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await.unwrap();
                stream.shutdown().await.unwrap();
            }
        }
    });
    fixture.network.names.lock().unwrap().insert("api.test".into(), vec!["127.8.0.9".parse().unwrap()]);
    let authority = files(&[("ca.crt", authority.certificate_pem())]);
    fixture.runtime.set_volume(&fixture.sandbox, "ca", authority).await.unwrap();
    let mount = Mount { path: "/ca".into(), volume: "ca".into(), sub_path: None, read_only: true };
    let spec = ContainerSpec { mounts: vec![mount], ..spec("pause", &[]) };
    let container = fixture.runtime.create_container(&fixture.sandbox, spec).await.unwrap();
    fixture.runtime.start_container(&container).await.unwrap();
    let fixture = Fixture { container, ..fixture };
    let ask = "curl -s -H 'Authorization: Bearer t0' https://api.test:6443/api";
    let did = fixture.sh(&format!("{ask} --cacert /ca/ca.crt; echo $?; {ask}; echo $?; {ask} -k; echo $?")).await;
    assert_eq!(did.out, "ok\n0\n60\nok\n0\n", "{}", did.err);
    serving.abort();
}
