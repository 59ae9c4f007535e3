//! The folder of a cluster: what lies where, who has it, and whether it is one of ours.

use super::plan::{Plan, Storage};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tinyplane_apiserver::store::{self, OpenError};

/// The layout that this version writes and reads.
const FORMAT: u32 = 1;
/// The file by which a folder is known as ours.
const MARKER: &str = "tinyplane.json";

/// A folder that can't be used. It is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder has things in it, and none of them says that it is ours.
    #[error("{} is not a folder of Tinyplane, and it is not empty", .0.display())]
    Foreign(PathBuf),
    /// The marker can't be understood.
    #[error("{} is damaged: {MARKER} can't be read", path.display())]
    Damaged {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error("{} has the layout {found}, and this version of Tinyplane reads layout {FORMAT}", path.display())]
    Format {
        /// Which folder.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// A cluster runs on it.
    #[error("a cluster runs on {} already", .0.display())]
    InUse(PathBuf),
    /// Something that a cluster needs is missing, or can't be understood.
    #[error("{} is damaged: {}: {why}", folder.display(), file.display())]
    File {
        /// Which folder.
        folder: PathBuf,
        /// Which file of it.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The API server's store can't be used.
    #[error("{} can't be used", .0.display())]
    Store(PathBuf, #[source] OpenError),
    /// The system refuses.
    #[error("{} can't be used", path.display())]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    plan: Plan,
}

#[derive(Deserialize)]
struct MarkerFormat {
    format: u32,
}

/// The folder of one cluster, held by a lock until dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// A file outside that says what the administrator's kubeconfig says.
    kubeconfig_copy: Option<PathBuf>,
    #[cfg_attr(not(test), expect(dead_code, reason = "it is there to be held"))]
    lock: Lock,
    _temporary: Option<tempfile::TempDir>,
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> FolderError + '_ {
    move |source| FolderError::Io { path: path.to_owned(), source }
}

impl Folder {
    /// A new folder in the system's temporary one, removed with the cluster.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn temporary() -> Result<Self, FolderError> {
        let made = tempfile::Builder::new().prefix("tinyplane-").tempdir().map_err(io_at(&std::env::temp_dir()))?;
        let root = made.path().to_owned();
        let lock = lock(&root)?;
        Ok(Self { root, kubeconfig_copy: None, lock, _temporary: Some(made) })
    }

    /// A folder that stays. Gives the plan of the cluster that was there before, if one was.
    ///
    /// # Errors
    /// When it is foreign, damaged, of another version, or in use; it is left as it is then.
    pub(crate) fn kept(root: &Path) -> Result<(Self, Option<Plan>), FolderError> {
        let known = read_marker(root)?;
        if known.is_none() {
            let empty = match fs::read_dir(root) {
                Ok(mut entries) => entries.next().is_none(),
                Err(e) if e.kind() == io::ErrorKind::NotFound => true,
                Err(e) => return Err(io_at(root)(e)),
            };
            if !empty {
                return Err(FolderError::Foreign(root.to_owned()));
            }
            make_private(root)?;
        }
        let root = fs::canonicalize(root).map_err(io_at(root))?;
        Ok((Self { lock: lock(&root)?, root, kubeconfig_copy: None, _temporary: None }, known))
    }

    /// The same folder, whose administrator's kubeconfig is written to a file outside as well.
    pub(crate) fn copying_kubeconfig_to(self, file: Option<PathBuf>) -> Self {
        Self { kubeconfig_copy: file, ..self }
    }

    /// A file that a cluster can't do without.
    ///
    /// # Errors
    /// When it is missing or is no text.
    pub(crate) fn read_needed(&self, path: &Path) -> Result<String, FolderError> {
        fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.damaged(path, "it is missing".into()),
            _ => self.damaged(path, error.to_string()),
        })
    }

    /// The refusal for a damaged file.
    pub(crate) fn damaged(&self, path: &Path, why: String) -> FolderError {
        let file = path.strip_prefix(&self.root).unwrap_or(path).to_owned();
        FolderError::File { folder: self.root.clone(), file, why }
    }

    /// Reads the store of a cluster that was here before. Blocks on the disk.
    ///
    /// # Errors
    /// When it is damaged.
    pub(crate) fn check_store(&self) -> Result<(), FolderError> {
        let store = self.store();
        if !store.exists() {
            return Err(self.damaged(&store, "it is missing".into()));
        }
        store::check(&store).map_err(|error| FolderError::Store(self.root.clone(), error))
    }

    /// Writes the plan, which makes the folder ours. Everything else has to be there before: a start that is cut
    /// short leaves a folder that says nothing.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn keep(&self, plan: &Plan) -> Result<(), FolderError> {
        if plan.storage == Storage::Sled {
            // Where there is none later on, somebody has taken it away.
            make_private(&self.store())?;
        }
        let marker = Marker { format: FORMAT, plan: plan.clone() };
        let text = serde_json::to_vec_pretty(&marker)
            .map_err(|source| FolderError::Damaged { path: self.root.clone(), source })?;
        self.write(MARKER, &text)
    }

    /// Writes a file that only its owner may read, whole or not at all.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        write_whole(&self.root.join(name), content)
    }

    /// Writes where the API server listens into all kubeconfigs that say something else, and the copy outside.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub(crate) fn point_kubeconfigs_at(&self, listening: SocketAddr) -> Result<(), FolderError> {
        let (is, was) = (format!("https://{listening}\""), format!("https://{}:", listening.ip()));
        let folder = self.root.join("kubeconfig");
        for entry in fs::read_dir(&folder).map_err(io_at(&folder))?.filter_map(Result::ok) {
            let path = entry.path();
            let text = fs::read_to_string(&path).map_err(io_at(&path))?;
            let Some((before, rest)) = text.split_once(&was).filter(|_| !text.contains(&is)) else { continue };
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('"');
            let name = format!("kubeconfig/{}", entry.file_name().to_string_lossy());
            self.write(&name, format!("{before}{is}{rest}").as_bytes())?;
        }
        let Some(copy) = &self.kubeconfig_copy else { return Ok(()) };
        fs::read(self.kubeconfig("admin")).and_then(|text| write_private(copy, &text)).map_err(io_at(copy))
    }

    /// The folder itself.
    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A certificate or key.
    #[must_use]
    pub(crate) fn pki(&self, file: &str) -> PathBuf {
        self.root.join("pki").join(file)
    }

    /// The kubeconfig of a user of the cluster: `admin`, `controllers`, a node's name.
    #[must_use]
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.root.join("kubeconfig").join(user)
    }

    /// The log of a member.
    #[must_use]
    pub(crate) fn log(&self, member: &str) -> PathBuf {
        self.root.join("logs").join(format!("{member}.log"))
    }

    /// The API server's store.
    #[must_use]
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Any other file.
    #[must_use]
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// A folder's lock.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Said aloud: a lock that is only closed lives on in a child between its fork and its exec.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the cluster's folder could not be given back");
        }
    }
}

fn lock(root: &Path) -> Result<Lock, FolderError> {
    let path = root.join("lock");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(io_at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(FolderError::InUse(root.to_owned())),
        Err(fs::TryLockError::Error(e)) => Err(io_at(&path)(e)),
    }
}

/// Writes a file, and the folders that it lies in, for their owner alone: whole or not at all.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), FolderError> {
    if let Some(parent) = path.parent() {
        make_private(parent)?;
    }
    let partial = path.with_extension("partial");
    write_private(&partial, content).and_then(|()| fs::rename(&partial, path)).map_err(io_at(path))
}

fn write_private(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    io::Write::write_all(&mut opened, content)
}

fn make_private(folder: &Path) -> Result<(), FolderError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_at(folder))
}

/// Whether a folder is one of a cluster, that runs or has run.
#[cfg(feature = "cli")]
pub(crate) fn is_a_clusters(folder: &Path) -> bool {
    folder.join(MARKER).is_file()
}

fn read_marker(root: &Path) -> Result<Option<Plan>, FolderError> {
    let text = match fs::read(root.join(MARKER)) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(io_at(root)(e)),
    };
    let damaged = |source| FolderError::Damaged { path: root.to_owned(), source };
    let MarkerFormat { format } = serde_json::from_slice(&text).map_err(damaged)?;
    if format != FORMAT {
        return Err(FolderError::Format { path: root.to_owned(), found: format });
    }
    let marker: Marker = serde_json::from_slice(&text).map_err(damaged)?;
    Ok(Some(marker.plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_or_damaged_folder_is_refused_and_left_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("letter.txt"), "dear").unwrap();
        assert!(matches!(Folder::kept(place.path()), Err(FolderError::Foreign(_))));
        fs::write(place.path().join(MARKER), "{").unwrap();
        assert!(matches!(Folder::kept(place.path()), Err(FolderError::Damaged { .. })));
        fs::write(place.path().join(MARKER), r#"{"format": 99}"#).unwrap();
        assert!(matches!(Folder::kept(place.path()), Err(FolderError::Format { found: 99, .. })));
        let mut names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["letter.txt", MARKER]);
    }

    #[test]
    fn a_folder_has_one_holder() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("deep").join("new");
        let (first, known) = Folder::kept(&root).unwrap();
        assert!(known.is_none());
        first.write("pki/ca.crt", b"x").unwrap();
        assert!(Folder::kept(&root).is_err());
        // As a child of this process has it before its exec.
        let inherited = first.lock.0.try_clone().unwrap();
        drop(first);
        assert!(lock(&root).is_ok());
        drop(inherited);
    }
}
