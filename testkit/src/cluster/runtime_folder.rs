//! The short private folder of a running cluster, for its Unix sockets: their paths have a limit of 107 bytes.

use ipnet::Ipv4Net;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Removed with the cluster. One a user, a network namespace and a block: whoever leases the block finds only what the
/// dead left.
#[derive(Debug)]
pub(crate) struct RuntimeFolder(PathBuf);

impl RuntimeFolder {
    pub(crate) fn create(block: Ipv4Net) -> io::Result<Self> {
        let [plain, other] = parents();
        let parent = match make_private(&plain) {
            Ok(()) => plain,
            Err(refused) => make_private(&other).map(|()| other).map_err(|_| refused)?,
        };
        let path = parent.join(format!("{}-{}", block.network(), network_namespace()));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "the runtime folder was gone already");
        }
    }
}

/// The runtime folders of this user's clusters, the dead ones' too.
#[cfg(feature = "cli")]
pub(crate) fn running_under() -> Vec<PathBuf> {
    let entries = parents().into_iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// The number of this process's network namespace: a block is leased within one, while the file system may be shared.
fn network_namespace() -> u64 {
    namespace("net")
}

fn namespace(kind: &str) -> u64 {
    fs::metadata(format!("/proc/self/ns/{kind}")).map_or(0, |meta| meta.ino())
}

/// Where this user's runtime folders are: in the first that is this user's. Within a user namespace the same id may
/// stand for somebody else than outside of it, to whom the plain name belongs.
fn parents() -> [PathBuf; 2] {
    let user = rustix::process::getuid().as_raw();
    [format!("/tmp/tinyplane-{user}"), format!("/tmp/tinyplane-{user}-{}", namespace("user"))].map(PathBuf::from)
}

fn make_private(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let meta = fs::symlink_metadata(folder)?;
    if !meta.is_dir() || meta.uid() != rustix::process::getuid().as_raw() || meta.mode() & 0o077 != 0 {
        let told = format!("{} is not a private folder of this user", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, told));
    }
    Ok(())
}
