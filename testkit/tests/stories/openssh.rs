//! OpenSSH for the stories: its client before a node, and its server in a node's place.

use crate::scene::{PATIENCE, Running, binary};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tinyplane::{Cluster, Member};
use tinyplane_apiserver::egress::ssh::KeyText;
use tinyplane_wire::net::{Sources, TcpDial, bind};

/// The user as whom root has its sshd run: it lets in nobody else then, and needs no folder of the system's.
const ORDINARY: (&str, u32) = ("nobody", 65534);

/// A program of OpenSSH's: below the folder that `TINYPLANE_OPENSSH` names, where `./test` unpacks Debian's packages,
/// else the system's.
fn program(name: &str) -> Option<PathBuf> {
    let unpacked = std::env::var_os("TINYPLANE_OPENSSH").map(PathBuf::from);
    let below = |root: PathBuf| [root.join("usr/bin").join(name), root.join("usr/sbin").join(name)];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_path = std::env::split_paths(&path).map(|f| f.join(name));
    let candidates = unpacked.into_iter().flat_map(below).chain(of_path);
    candidates.chain([Path::new("/usr/sbin").join(name)]).find(|path| path.is_file())
}

/// Where the libraries of unpacked packages lie.
fn libraries() -> PathBuf {
    let root = std::env::var_os("TINYPLANE_OPENSSH").map(PathBuf::from).unwrap_or_default();
    root.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH))
}

/// True, and told aloud, when a program is not at hand.
#[expect(clippy::print_stderr, reason = "what is passed over is told loudly")]
pub(crate) fn is_missing(name: &str) -> bool {
    let missing = program(name).is_none();
    if missing {
        eprintln!("PASSED OVER: there is no {name} on this machine; ./test fetches one where apt is");
    }
    missing
}

fn command(name: &str) -> Command {
    let found = program(name).expect("the story asked before whether it is there");
    let mut command = Command::new(found);
    command.env("LD_LIBRARY_PATH", libraries()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A client before a node's SSH server, with the API server's key and from its address. The host is called `node`.
pub(crate) fn client(cluster: &Cluster, node: SocketAddr) -> Command {
    let (pki, source) = (cluster.data_dir().join("pki"), cluster.plan().address(Member::Apiserver));
    let known = pki.join("ssh-known-hosts");
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-l", "tinyplane", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"]);
    ssh.arg("-i").arg(pki.join("apiserver-ssh.key")).arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
    ssh.args(["-o", &format!("HostName={}", node.ip()), "-o", &format!("HostKeyAlias={}", node.ip())]);
    ssh.args(["-p", &node.port().to_string(), "-b", &source.to_string()]);
    ssh
}

/// A real sshd on an address of a cluster's block, which ends with all of its connections when it is dropped.
pub(crate) struct Sshd {
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
    user: String,
    /// Whether this is root, who has it run as another user.
    root: bool,
    process: std::sync::Mutex<Option<Child>>,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A member beside the cluster's own.
pub(crate) struct Beside {
    pub(crate) kubeconfig: PathBuf,
    _process: Running,
}

impl Sshd {
    /// Begins on the first node's address. Nobody is let in before the API server is there, whose key is taken.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ip: IpAddr = cluster.plan().division().node_address(1).into();
        let address = bind(SocketAddr::new(ip, 0), Sources::any()).expect("a port is free").address;
        let root = folder.path().metadata().expect("it is there").uid() == 0;
        let user = if root { ORDINARY.0.to_owned() } else { who() };
        let key = KeyText::generate("real").expect("a key");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("host"), &key.private).expect("it can be written");
        std::fs::write(at("known"), format!("{ip} {}", key.public)).expect("it can be written");
        std::fs::write(at("authorized"), "").expect("it can be written");
        // Without PAM, an sshd that is not root's takes every account for a locked one.
        let config = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM yes\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n\
             AllowTcpForwarding yes\nLogLevel VERBOSE\nMaxStartups 100\nPrintMotd no\n",
            at("host").display(),
            at("authorized").display(),
        );
        std::fs::write(at("sshd_config"), config + &helpers()).expect("it can be written");
        // A copy that an ordinary user may run, with the libraries that came with it.
        std::fs::copy(program("sshd").expect("the story asked before"), at("sshd")).expect("it can be copied");
        for library in std::fs::read_dir(libraries()).into_iter().flatten().flatten() {
            if library.path().is_file() && library.file_name().to_string_lossy().contains(".so") {
                std::fs::copy(library.path(), at(&library.file_name().to_string_lossy())).expect("it can be copied");
            }
        }
        let readable = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode));
        readable(&at("host"), 0o600).expect("its mode can be set");
        if root {
            readable(folder.path(), 0o755).expect("its mode can be set");
            chown(at("host"), Some(ORDINARY.1), None).expect("root may do that");
        }
        let sshd = Self { address, folder, user, root, process: std::sync::Mutex::default() };
        sshd.run();
        sshd.answers().await;
        sshd
    }

    /// What it says of itself.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn run(&self) {
        let config = self.folder.path().join("sshd_config");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log");
        let mut sshd = Command::new(self.folder.path().join("sshd"));
        if self.root {
            let copy = sshd.get_program().to_owned();
            sshd = Command::new("setpriv");
            sshd.args(["--reuid", ORDINARY.0, "--regid", &ORDINARY.1.to_string(), "--clear-groups"]).arg(copy);
        }
        sshd.env("LD_LIBRARY_PATH", self.folder.path()).stdin(Stdio::null());
        let child = sshd.arg("-D").arg("-e").arg("-f").arg(config).stdout(Stdio::null()).stderr(log).spawn();
        *self.process.lock().expect("nobody panicked") = Some(child.expect("sshd can be run"));
    }

    async fn answers(&self) {
        let began = Instant::now();
        while TcpDial::from(None).connect(self.address).await.is_err() {
            let told = || std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "sshd does not listen:\n{}", told());
            tokio::task::yield_now().await;
        }
    }

    /// Ends it, and the processes of its connections.
    fn stop(&self) {
        let Some(mut child) = self.process.lock().expect("nobody panicked").take() else { return };
        let mut all = vec![child.id()];
        let mut at = 0;
        while let Some(pid) = all.get(at) {
            let below = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            all.extend(below.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            at += 1;
        }
        let pids = all.iter().map(ToString::to_string);
        // Some of them may have ended since.
        drop(Command::new("kill").arg("-9").args(pids).stderr(Stdio::null()).status());
        drop(child.wait());
    }

    /// Lets nobody in any more, and cuts off those who were let in. Gives the keys that were.
    pub(crate) async fn revoke(&self) -> String {
        let file = self.folder.path().join("authorized");
        let keys = std::fs::read_to_string(&file).expect("it can be read");
        std::fs::write(file, "").expect("it can be written");
        self.stop();
        self.run();
        self.answers().await;
        keys
    }

    /// Proves itself by a key of RSA from now on, and by no other.
    pub(crate) async fn shows_rsa(&self) {
        let file = self.folder.path().join("host");
        std::fs::remove_file(&file).expect("it can be removed");
        let mut keygen = command("ssh-keygen");
        let made = keygen.args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&file).output();
        assert!(made.as_ref().is_ok_and(|output| output.status.success()), "{made:?}");
        if self.root {
            chown(&file, Some(ORDINARY.1), None).expect("root may do that");
        }
        self.stop();
        self.run();
        self.answers().await;
    }

    /// Lets these keys in.
    pub(crate) fn allow(&self, keys: &str) {
        std::fs::write(self.folder.path().join("authorized"), keys).expect("it can be written");
    }

    /// An API server with the cluster's certificates that reaches nodes through SSH tunnels. It makes the key itself.
    pub(crate) fn apiserver(&self, cluster: &Cluster) -> Beside {
        let (pki, folder) = (cluster.data_dir().join("pki"), self.folder.path());
        let (address, division) = (cluster.plan().address(Member::Apiserver), cluster.plan().division());
        let mut server = Command::new(binary());
        server.arg("apiserver");
        let file = |name: &str| pki.join(name).display().to_string();
        let flags: [(&str, String); 18] = [
            ("bind-address", address.to_string()),
            ("secure-port", "0".into()),
            ("source-address", address.to_string()),
            ("tls-cert-file", file("apiserver.crt")),
            ("tls-private-key-file", file("apiserver.key")),
            ("client-ca-file", file("ca.crt")),
            ("service-account-key-file", file("service-account.pub")),
            ("service-account-signing-key-file", file("service-account.key")),
            ("service-cluster-ip-range", division.services.to_string()),
            ("kubelet-client-certificate", file("apiserver-kubelet-client.crt")),
            ("kubelet-client-key", file("apiserver-kubelet-client.key")),
            ("authorization-mode", "AlwaysAllow".into()),
            // No controllers, and so no accounts.
            ("disable-admission-plugins", "ServiceAccount".into()),
            ("cluster-net", division.cluster_net().to_string()),
            ("store", "memory".into()),
            ("ssh-user", self.user.clone()),
            ("ssh-keyfile", folder.join("id").display().to_string()),
            ("ssh-known-hosts-file", folder.join("known").display().to_string()),
        ];
        server.args(flags.map(|(name, value)| format!("--{name}={value}")));
        let mut process = Running::of(server.stdin(Stdio::piped()).stderr(Stdio::null()));
        let ready: Value = serde_json::from_str(&process.sees("ready")).expect("a ready line");
        let at = ready["addresses"]["https"].as_str().expect("it listens");
        let public = std::fs::read_to_string(folder.join("id.pub")).expect("the API server made its key");
        self.allow(&public);
        let text = std::fs::read_to_string(cluster.kubeconfig("admin")).expect("it can be read");
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, text.replace(&cluster.server(), &format!("https://{at}"))).expect("it is written");
        Beside { kubeconfig, _process: process }
    }

    /// A kubelet that plays the node `real` on this server's address, and no SSH server.
    pub(crate) fn kubelet(&self, cluster: &Cluster, apiserver: &Beside) -> Running {
        let (pki, division) = (cluster.data_dir().join("pki"), cluster.plan().division());
        let node = json!({
            "name": "real", "address": self.address.ip(), "podRange": division.pod_range(1, 1),
            "kubeconfig": apiserver.kubeconfig,
            "tlsCertFile": pki.join("apiserver.crt"), "tlsPrivateKeyFile": pki.join("apiserver.key"),
        });
        let mut kubelet = Command::new(binary());
        kubelet.args(["kubelet", "--node", &node.to_string(), "--authorization-mode=AlwaysAllow"]);
        kubelet.arg("--authentication-token-webhook=false").arg(format!("--cluster-net={}", division.cluster_net()));
        kubelet.arg(format!("--client-ca-file={}", pki.join("ca.crt").display()));
        let mut process = Running::of(kubelet.stdin(Stdio::piped()).stderr(Stdio::null()));
        process.sees("ready");
        process
    }
}

/// Lines of its configuration that tell an unpacked sshd where its helpers are, of which it has had some since 9.8.
fn helpers() -> String {
    let root = std::env::var_os("TINYPLANE_OPENSSH").map(PathBuf::from).unwrap_or_default();
    let line = |(word, name): (&str, &str)| {
        let path = root.join("usr/lib/openssh").join(name);
        path.is_file().then(|| format!("{word} {}\n", path.display()))
    };
    [("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")].into_iter().filter_map(line).collect()
}

/// The name of this user.
fn who() -> String {
    let output = Command::new("id").arg("-un").output().expect("id can be run");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
