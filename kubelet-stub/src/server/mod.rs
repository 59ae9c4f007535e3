//! The kubelet's own server, one a node: health, pods, logs, exec, attach and port-forward at port 10250.

mod access;

pub use access::PodAccess;
