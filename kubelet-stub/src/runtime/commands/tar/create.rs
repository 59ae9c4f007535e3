//! Writes an archive.

use super::Job;
use super::header::{BLOCK, Header, Member};
use crate::runtime::files::{Errno, How, Kind, Opened, join};
use crate::runtime::machine::{Outcome, Sink, Stop};
use futures_util::future::{BoxFuture, FutureExt};

/// An archive's length is a multiple of this.
const RECORD: usize = 20 * BLOCK;
/// Directories within directories.
const DEPTH_MAX: u32 = 256;
/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

struct Writer<'a> {
    job: &'a Job<'a>,
    sink: Sink,
    written: usize,
    status: i32,
    told_leading: bool,
}

pub(super) async fn create(job: &Job<'_>, sink: Sink) -> Outcome {
    if job.given.operands.is_empty() {
        return job.process.fail(1, "empty archive").await;
    }
    let mut writer = Writer { job, sink, written: 0, status: 0, told_leading: false };
    for name in &job.given.operands {
        writer.add(name, 0).await?;
    }
    let end = (writer.written + 2 * BLOCK).next_multiple_of(RECORD) - writer.written;
    writer.put(&vec![0; end]).await?;
    if writer.status != 0 {
        job.process.complain("error exit delayed from previous errors").await;
    }
    Ok(writer.status)
}

impl Writer<'_> {
    async fn put(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.written += bytes.len();
        match self.sink.write(bytes).await {
            Ok(()) => Ok(()),
            Err(Errno::BrokenPipe) => Err(Stop::BrokenPipe),
            Err(error) => self.job.process.fail(1, format!("write error: {error}")).await,
        }
    }

    fn add<'b>(&'b mut self, name: &'b str, depth: u32) -> BoxFuture<'b, Result<(), Stop>> {
        async move {
            let process = self.job.process;
            process.machine.step().await;
            if self.job.excluded(name) {
                return Ok(());
            }
            let path = join(&self.job.directory, name);
            let place = &process.place;
            let stat = if self.job.given.has('h') { place.stat(&path) } else { place.stat_link(&path) };
            let stat = match stat {
                Ok(stat) => stat,
                Err(error) => {
                    process.complain(format!("{name}: Cannot stat: {error}")).await;
                    self.status = 2;
                    return Ok(());
                }
            };
            let member = match stat.kind {
                Kind::File => Member::File,
                Kind::Directory => Member::Directory,
                Kind::Link => Member::Link(place.read_link(&path).unwrap_or_default()),
                Kind::Device(_) => return Ok(()),
            };
            let mut shown = name.to_owned();
            if !self.job.given.has('A') && (shown.starts_with('/') || shown.starts_with("../")) {
                shown = shown.trim_start_matches("../").trim_start_matches('/').to_owned();
                if !std::mem::replace(&mut self.told_leading, true) {
                    process.complain("removing leading '/' from member names").await;
                }
            }
            if member == Member::Directory && !shown.ends_with('/') {
                shown.push('/');
            }
            let is_root = shown == "/" || shown.is_empty();
            let size = if member == Member::File { stat.size } else { 0 };
            let is_directory = member == Member::Directory;
            let header = Header {
                name: shown.clone(),
                member,
                mode: stat.mode,
                uid: stat.uid,
                gid: stat.gid,
                size,
                modified: stat.modified,
            };
            if !is_root {
                self.job.verbose(&shown).await?;
                self.put(&header.write()).await?;
            }
            if is_directory {
                if depth >= DEPTH_MAX || self.job.given.has('R') {
                    return Ok(());
                }
                for (entry, _) in place.list(&path).unwrap_or_default() {
                    self.add(&join(name, &entry), depth + 1).await?;
                }
                return Ok(());
            }
            if header.member == Member::File { self.content(&path, size).await } else { Ok(()) }
        }
        .boxed()
    }

    /// Exactly as many bytes as the header said, whatever became of the file since.
    async fn content(&mut self, path: &str, size: u64) -> Result<(), Stop> {
        let mut left = usize::try_from(size).unwrap_or(usize::MAX);
        if let Ok(Opened::File(file)) = self.job.process.place.open(path, How::READ) {
            while left > 0 {
                let piece = file.read(PIECE.min(left)).unwrap_or_default();
                if piece.is_empty() {
                    break;
                }
                left -= piece.len();
                self.put(&piece).await?;
                self.job.process.machine.step().await;
            }
        }
        if left > 0 {
            self.job.process.complain(format!("{path}: File shrank; padding with zeros")).await;
            self.status = 1;
        }
        while left > 0 {
            let length = left.min(PIECE);
            self.put(&vec![0; length]).await?;
            left -= length;
        }
        let tail = self.written.next_multiple_of(BLOCK) - self.written;
        self.put(&vec![0; tail]).await
    }
}
