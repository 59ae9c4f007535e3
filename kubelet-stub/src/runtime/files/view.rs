//! The tree as one container sees it: its root, and volumes mounted over it.

use super::{Errno, Inode, Kind, Node, Quota, join};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tinyplane_wire::clock::Clock;

/// Links followed in one walk, as Linux has it.
const LINKS_MAX: u32 = 40;
/// Bytes of a path.
const PATH_BYTES_MAX: usize = 4096;
/// Bytes of one name.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// What is mounted over an inode.
#[derive(Clone, Debug)]
struct Mounted {
    node: Node,
    read_only: bool,
}

/// A container's view of its files. The mounts do not change after it is made.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) root: Node,
    pub(crate) quota: Arc<Quota>,
    pub(crate) clock: Clock,
    read_only_root: bool,
    mounts: HashMap<u64, Mounted>,
}

/// Where a walk ended.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) node: Node,
    /// The absolute path without links, `.` and `..`.
    pub(crate) path: String,
    pub(crate) read_only: bool,
    /// A mount's root, which can't be removed or renamed.
    pub(crate) mount_point: bool,
}

impl View {
    pub(crate) fn new(root: Node, quota: Arc<Quota>, clock: Clock) -> Self {
        Self { root, quota, clock, read_only_root: false, mounts: HashMap::new() }
    }

    /// Mounts a tree at a path, whose directories are made where they are missing.
    pub(crate) fn mount(&mut self, path: &str, node: Node, read_only: bool) -> Result<(), Errno> {
        let is_file = node.stat().kind == Kind::File;
        let point = self.make_point(path, is_file)?;
        self.mounts.insert(point.id, Mounted { node, read_only });
        Ok(())
    }

    pub(crate) fn set_read_only_root(&mut self) {
        self.read_only_root = true;
    }

    /// Makes an inode to mount over: a directory, or an empty file.
    fn make_point(&self, path: &str, is_file: bool) -> Result<Node, Errno> {
        let now = self.clock.now();
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        if names.is_empty() || names.contains(&"..") {
            return Err(Errno::Invalid);
        }
        let mut at = self.root.clone();
        for (index, name) in names.iter().enumerate() {
            let wants_file = is_file && index + 1 == names.len();
            let next = match at.entry(name)? {
                Some(next) => match next.link_target() {
                    Some(target) => self.walk(&join(&parent_of(&names[..=index]), &target), true)?.node,
                    None => next,
                },
                None => {
                    let made = if wants_file {
                        Inode::file(&self.quota, Vec::new(), 0o644, now)?
                    } else {
                        Inode::directory(&self.quota, 0o755, now)?
                    };
                    at.change(now, |entries| {
                        entries.insert((*name).to_owned(), made.clone());
                        Ok(())
                    })?;
                    made
                }
            };
            at = if index + 1 == names.len() { next } else { self.mounted(&next).map_or(next, |m| m.node.clone()) };
        }
        Ok(at)
    }

    fn mounted(&self, node: &Node) -> Option<&Mounted> {
        self.mounts.get(&node.id)
    }

    /// Walks an absolute path to its inode, as root does.
    pub(crate) fn walk(&self, path: &str, follow_last: bool) -> Result<Located, Errno> {
        self.walk_as(path, follow_last, &|_| true)
    }

    /// Walks an absolute path to its inode through directories that may be searched.
    pub(super) fn walk_as(
        &self,
        path: &str,
        follow_last: bool,
        may_search: &dyn Fn(&Node) -> bool,
    ) -> Result<Located, Errno> {
        if path.is_empty() {
            return Err(Errno::NotFound);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        let must_be_directory = path.ends_with('/');
        let mut todo: VecDeque<String> = components(path);
        let mut stack: Vec<(String, Located)> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            let top = stack.last().map_or_else(|| self.root_located(), |(_, located)| located.clone());
            match name.as_str() {
                "." => {
                    require_directory(&top)?;
                    continue;
                }
                ".." => {
                    require_directory(&top)?;
                    stack.pop();
                    continue;
                }
                _ => {}
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(Errno::NameTooLong);
            }
            let entry = top.node.entry(&name)?;
            if !may_search(&top.node) {
                return Err(Errno::Permission);
            }
            let node = entry.ok_or(Errno::NotFound)?;
            let is_last = todo.is_empty();
            if let Some(target) = node.link_target().filter(|_| !is_last || follow_last || must_be_directory) {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::Loop);
                }
                if target.starts_with('/') {
                    stack.clear();
                }
                for component in components(&target).into_iter().rev() {
                    todo.push_front(component);
                }
                continue;
            }
            let below =
                |node, read_only, mount_point| Located { node, path: join(&top.path, &name), read_only, mount_point };
            let located = match self.mounted(&node) {
                Some(mounted) => below(mounted.node.clone(), mounted.read_only, true),
                None => below(node, top.read_only, false),
            };
            stack.push((name, located));
        }
        let end = stack.pop().map_or_else(|| self.root_located(), |(_, located)| located);
        if must_be_directory {
            require_directory(&end)?;
        }
        Ok(end)
    }

    fn root_located(&self) -> Located {
        Located { node: self.root.clone(), path: "/".into(), read_only: self.read_only_root, mount_point: true }
    }

    /// What is seen at an entry of a directory: what is mounted there, else the entry itself.
    pub(crate) fn seen(&self, entry: Node) -> Node {
        self.mounted(&entry).map_or(entry, |mounted| mounted.node.clone())
    }

    /// Walks to the directory that holds a path's last name. Fails with `Invalid` where there is none (`/`, `..`).
    pub(super) fn walk_to_parent(
        &self,
        path: &str,
        may_search: &dyn Fn(&Node) -> bool,
    ) -> Result<(Located, String), Errno> {
        let trimmed = path.trim_end_matches('/');
        let (parent, name) = trimmed.rsplit_once('/').ok_or(Errno::Invalid)?;
        if name.is_empty() || name == "." || name == ".." {
            return Err(Errno::Invalid);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        let directory = self.walk_as(if parent.is_empty() { "/" } else { parent }, true, may_search)?;
        require_directory(&directory)?;
        Ok((directory, name.to_owned()))
    }
}

fn components(path: &str) -> VecDeque<String> {
    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn require_directory(at: &Located) -> Result<(), Errno> {
    if at.node.stat().is_directory() { Ok(()) } else { Err(Errno::NotDirectory) }
}

fn parent_of(names: &[&str]) -> String {
    format!("/{}", names[..names.len().saturating_sub(1)].join("/"))
}
