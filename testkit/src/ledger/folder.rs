//! The files of a cluster's ledgers, read on from where they were read last.

use super::book::Book;
use crate::cluster::ClusterError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tinyplane_wire::ledger::Lines;
use tinyplane_wire::process::MemberError;

/// Reads the ledgers in a folder.
#[derive(Debug)]
pub(crate) struct Reader {
    folder: PathBuf,
    places: BTreeMap<PathBuf, Place>,
    book: Book,
}

/// How far a file has been read: whole lines alone.
#[derive(Debug, Default)]
struct Place {
    inode: u64,
    bytes: u64,
    lines: Lines,
}

impl Reader {
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self { folder, places: BTreeMap::new(), book: Book::default() }
    }

    /// What has been read.
    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    /// Takes in what was written since. Gives the tickets of which there is something new.
    ///
    /// # Errors
    /// When a file can't be read, or holds something else; when there is none at all.
    pub(crate) fn fetch(&mut self) -> Result<Vec<String>, ClusterError> {
        let failed = |path: &Path, error| {
            ClusterError::from(MemberError::because(format!("{} can't be read", path.display()), error))
        };
        let listed = std::fs::read_dir(&self.folder).map_err(|e| failed(&self.folder, e))?;
        let mut paths: Vec<_> = listed.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "jsonl"));
        paths.sort();
        let mut fresh = Vec::new();
        for path in paths {
            let place = self.places.entry(path.clone()).or_default();
            let text = read_on(&path, place).map_err(|e| failed(&path, e))?;
            for entry in place.lines.hops(&text).map_err(|e| failed(&path, e))? {
                fresh.extend(self.book.insert(entry));
            }
        }
        fresh.sort();
        fresh.dedup();
        Ok(fresh)
    }
}

/// The whole lines behind a place. A file that was put aside is read to its end, and then the one in its stead.
fn read_on(path: &Path, place: &mut Place) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut text = String::new();
    let inode = file.metadata()?.ino();
    if place.inode != inode {
        if place.inode != 0 {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".old");
            let mut before = File::open(aside)?;
            if before.metadata()?.ino() == place.inode {
                before.seek(SeekFrom::Start(place.bytes))?;
                before.read_to_string(&mut text)?;
            }
        }
        (place.inode, place.bytes) = (inode, 0);
    }
    file.seek(SeekFrom::Start(place.bytes))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    place.bytes += whole as u64;
    text.push_str(std::str::from_utf8(&bytes[..whole]).map_err(io::Error::other)?);
    Ok(text)
}
