//! A container's first files: the image's tree, `/etc`, `/dev`, `/proc`, and the volumes mounted over them.

use crate::runtime::commands;
use crate::runtime::files::{Device, Errno, Inode, Kind, Node, PROGRAM_MARK, View};
use crate::runtime::images::Image;
use crate::runtime::machine::Sandbox;
use crate::runtime::spec::{ContainerSpec, SandboxSpec};
use std::sync::Arc;
use std::time::SystemTime;
use tinyplane_wire::clock::Clock;

const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0),
    ("dev", 0o755),
    ("dev/pts", 0o755),
    ("dev/shm", 0o1777),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("proc/1", 0o555),
    ("proc/1/fd", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("srv", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/local", 0o755),
    ("usr/local/bin", 0o755),
    ("usr/sbin", 0o755),
    ("usr/share", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

const DEVICES: &[(&str, Device)] = &[
    ("dev/null", Device::Null),
    ("dev/zero", Device::Zero),
    ("dev/full", Device::Full),
    ("dev/random", Device::Random),
    ("dev/urandom", Device::Random),
    ("dev/stdin", Device::Stdin),
    ("dev/stdout", Device::Stdout),
    ("dev/stderr", Device::Stderr),
    ("dev/tty", Device::Stdout),
    ("proc/1/fd/1", Device::MainStdout),
    ("proc/1/fd/2", Device::MainStderr),
];

/// Builds the tree and mounts the volumes. An error is the sentence of `CreateContainerError`.
pub(super) fn build(
    sandbox: &Arc<Sandbox>,
    spec: &ContainerSpec,
    image: &Image,
    clock: &Clock,
) -> Result<View, String> {
    let builder = Builder { sandbox, now: clock.now() };
    let root = builder.tree(spec, image).map_err(|error| format!("failed to create the container's files: {error}"))?;
    let mut view = View::new(root, sandbox.quota.clone(), clock.clone());
    let mut mounts: Vec<_> = spec.mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.path.split('/').filter(|part| !part.is_empty()).count());
    for mount in mounts {
        let failed = |error: Errno| format!("failed to mount \"{}\" at \"{}\": {error}", mount.volume, mount.path);
        let volume = sandbox.volume(&mount.volume).map_err(failed)?;
        let node = match &mount.sub_path {
            None => volume,
            Some(path) => builder.sub_path(&volume, path).map_err(|error| {
                format!(
                    "failed to prepare subPath for volumeMount \"{}\" of container \"{}\": {error}",
                    mount.volume, spec.name
                )
            })?,
        };
        view.mount(&mount.path, node, mount.read_only).map_err(failed)?;
    }
    if spec.read_only_root {
        view.set_read_only_root();
    }
    Ok(view)
}

struct Builder<'a> {
    sandbox: &'a Sandbox,
    now: SystemTime,
}

impl Builder<'_> {
    fn tree(&self, spec: &ContainerSpec, image: &Image) -> Result<Node, Errno> {
        let quota = &self.sandbox.quota;
        let root = Inode::directory(quota, 0o755, self.now)?;
        for (path, mode) in DIRECTORIES {
            let node = if *path == "bin" {
                Inode::programs(quota, commands::common_names(), self.now)?
            } else {
                Inode::directory(quota, *mode, self.now)?
            };
            self.put(&root, path, node)?;
        }
        for (path, device) in DEVICES {
            self.put(&root, path, Inode::device(quota, *device, self.now)?)?;
        }
        for (path, target) in [("dev/fd", "/proc/1/fd"), ("proc/self", "1"), ("lib", "usr/lib")] {
            self.put(&root, path, Inode::link(quota, target, self.now)?)?;
        }
        for (path, target) in [("usr/bin/env", "/bin/env"), ("usr/bin/tail", "/bin/tail"), ("var/run", "/run")] {
            self.put(&root, path, Inode::link(quota, target, self.now)?)?;
        }
        let pod = &self.sandbox.spec;
        self.text(&root, "etc/hostname", &format!("{}\n", pod.hostname), 0o644)?;
        self.text(&root, "etc/hosts", &hosts(pod), 0o644)?;
        self.text(&root, "etc/resolv.conf", &resolv_conf(pod), 0o644)?;
        self.text(
            &root,
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            0o644,
        )?;
        self.text(&root, "etc/group", "root:x:0:\nnogroup:x:65534:\n", 0o644)?;
        self.text(&root, "etc/os-release", image.os_release, 0o644)?;
        self.text(&root, "proc/1/cmdline", &image.command_line(spec).join("\0"), 0o444)?;
        self.text(&root, "proc/version", &format!("Linux version {} (built-in)\n", crate::KERNEL_VERSION), 0o444)?;
        self.text(&root, "proc/mounts", &mounts(spec), 0o444)?;
        for program in image.programs {
            let text = format!("{PROGRAM_MARK}{}\n", program.name);
            self.text(&root, program.path.trim_start_matches('/'), &text, 0o755)?;
        }
        for file in image.files {
            self.text(&root, file.path.trim_start_matches('/'), file.text, file.mode)?;
        }
        if !spec.termination_message_path.is_empty() {
            self.text(&root, spec.termination_message_path.trim_start_matches('/'), "", 0o666)?;
        }
        Ok(root)
    }

    fn text(&self, root: &Node, path: &str, text: &str, mode: u32) -> Result<(), Errno> {
        let file = Inode::file(&self.sandbox.quota, text.as_bytes().to_vec(), mode, self.now)?;
        self.put(root, path, file)
    }

    /// Puts a node at a path; directories on the way are made.
    fn put(&self, root: &Node, path: &str, node: Node) -> Result<(), Errno> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let at = self.directory(root, directory)?;
        at.change(self.now, |entries| {
            entries.insert(name.to_owned(), node);
            Ok(())
        })
    }

    fn directory(&self, root: &Node, path: &str) -> Result<Node, Errno> {
        let mut at = root.clone();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let next = match at.entry(name)? {
                Some(next) => next,
                None => {
                    let made = Inode::directory(&self.sandbox.quota, 0o755, self.now)?;
                    at.change(self.now, |entries| {
                        entries.insert(name.to_owned(), made.clone());
                        Ok(())
                    })?;
                    made
                }
            };
            at = next;
        }
        Ok(at)
    }

    /// What is at a path of a volume; a directory is made where nothing is, as the kubelet does.
    fn sub_path(&self, volume: &Node, path: &str) -> Result<Node, Errno> {
        if path.starts_with('/') || path.split('/').any(|name| name == "..") {
            return Err(Errno::Invalid);
        }
        let node = self.directory_or_file(volume, path)?;
        if matches!(node.stat().kind, Kind::Link | Kind::Device(_)) { Err(Errno::Invalid) } else { Ok(node) }
    }

    fn directory_or_file(&self, volume: &Node, path: &str) -> Result<Node, Errno> {
        let (directory, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
        let at = self.directory(volume, directory)?;
        match at.entry(name)? {
            Some(found) => Ok(found),
            None => self.directory(&at, name),
        }
    }
}

fn hosts(pod: &SandboxSpec) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    );
    text.push_str(&format!("{}\t{}\n", pod.pod_ip, pod.hostname));
    if !pod.host_aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for (ip, names) in &pod.host_aliases {
        text.push_str(&format!("{ip}\t{}\n", names.join("\t")));
    }
    text
}

fn resolv_conf(pod: &SandboxSpec) -> String {
    let mut text = String::new();
    if !pod.dns.searches.is_empty() {
        text.push_str(&format!("search {}\n", pod.dns.searches.join(" ")));
    }
    for server in &pod.dns.nameservers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !pod.dns.options.is_empty() {
        text.push_str(&format!("options {}\n", pod.dns.options.join(" ")));
    }
    text
}

fn mounts(spec: &ContainerSpec) -> String {
    let root = if spec.read_only_root { "ro" } else { "rw" };
    let mut text =
        format!("overlay / overlay {root},relatime 0 0\nproc /proc proc rw,nosuid,nodev,noexec,relatime 0 0\n");
    for mount in &spec.mounts {
        let mode = if mount.read_only { "ro" } else { "rw" };
        text.push_str(&format!("tmpfs {} tmpfs {mode},relatime 0 0\n", mount.path));
    }
    text
}
