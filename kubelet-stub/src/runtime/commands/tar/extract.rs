//! Reads an archive: into the tree, to the output, or as a list.

use super::Job;
use super::header::{BLOCK, Header, Member, records};
use crate::runtime::files::{Errno, How, Opened, join};
use crate::runtime::machine::{Outcome, Source, Stop};
use std::time::{Duration, UNIX_EPOCH};

/// Bytes of a long name or of a pax header.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// What earlier headers say of the next member.
#[derive(Default)]
struct Ahead {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    seconds: Option<f64>,
}

struct Reader<'a> {
    job: &'a Job<'a>,
    source: Source,
    status: i32,
}

pub(super) async fn extract(job: &Job<'_>, source: Source) -> Outcome {
    let mut reader = Reader { job, source, status: 0 };
    let mut ahead = Ahead::default();
    let mut any = false;
    loop {
        job.process.machine.step().await;
        let Some(block) = reader.block().await? else {
            if !any {
                return job.process.fail(1, "short read").await;
            }
            break;
        };
        let mut header = match Header::read(&block) {
            Ok(Some(header)) => header,
            Ok(None) => break,
            Err(message) => return job.process.fail(1, message).await,
        };
        any = true;
        match header.member {
            Member::LongName => ahead.name = Some(reader.text(header.size).await?),
            Member::LongLink => ahead.link = Some(reader.text(header.size).await?),
            Member::Extended => {
                let bytes = reader.bytes(header.size).await?;
                for (key, value) in records(&bytes) {
                    match key.as_str() {
                        "path" => ahead.name = Some(value),
                        "linkpath" => ahead.link = Some(value),
                        "size" => ahead.size = value.parse().ok(),
                        "mtime" => ahead.seconds = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            _ => {
                apply(&mut header, std::mem::take(&mut ahead));
                reader.member(&header).await?;
            }
        }
    }
    // What follows the end is read, so that the writer does not meet a broken pipe.
    while !job.process.read(&reader.source).await?.is_empty() {}
    Ok(reader.status)
}

fn apply(header: &mut Header, ahead: Ahead) {
    // A name ends where it would end in C.
    let whole = |name: String| name.split('\0').next().unwrap_or_default().to_owned();
    if let Some(name) = ahead.name.map(whole) {
        if name.ends_with('/') && header.member == Member::File {
            header.member = Member::Directory;
        }
        header.name = name;
    }
    if let (Member::Link(target) | Member::HardLink(target), Some(link)) = (&mut header.member, ahead.link.map(whole)) {
        *target = link;
    }
    header.size = ahead.size.unwrap_or(header.size);
    if let Some(at) = ahead.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        header.modified = UNIX_EPOCH.checked_add(at).unwrap_or(UNIX_EPOCH);
    }
}

impl Reader<'_> {
    /// A block, or nothing at the end of the input.
    async fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Stop> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let piece = self.piece(BLOCK - filled).await?;
            if piece.is_empty() {
                return if filled == 0 { Ok(None) } else { self.job.process.fail(1, "short read").await };
            }
            block[filled..filled + piece.len()].copy_from_slice(&piece);
            filled += piece.len();
        }
        Ok(Some(block))
    }

    async fn piece(&mut self, most: usize) -> Result<Vec<u8>, Stop> {
        match self.source.read(most).await {
            Ok(piece) => Ok(piece),
            Err(error) => self.job.process.fail(1, format!("read error: {error}")).await,
        }
    }

    /// A content that is held whole.
    async fn bytes(&mut self, size: u64) -> Result<Vec<u8>, Stop> {
        if size > EXTENSION_BYTES_MAX {
            return self.job.process.fail(1, "tar header too large").await;
        }
        let mut bytes = Vec::new();
        self.each_piece(size, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        Ok(bytes)
    }

    async fn text(&mut self, size: u64) -> Result<String, Stop> {
        let bytes = self.bytes(size).await?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// Reads a content with the padding after it. After the first error pieces are dropped; it is returned.
    async fn each_piece(
        &mut self,
        size: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), Errno>,
    ) -> Result<Option<Errno>, Stop> {
        let mut failed = None;
        let (mut left, padding) = (size, (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64);
        while left > 0 {
            let piece = self.piece(usize::try_from(left).unwrap_or(usize::MAX)).await?;
            if piece.is_empty() {
                return self.job.process.fail(1, "short read").await;
            }
            left -= piece.len() as u64;
            if failed.is_none() {
                failed = take(&piece).err();
            }
            self.job.process.machine.step().await;
        }
        let mut left = usize::try_from(padding).unwrap_or_default();
        while left > 0 {
            let piece = self.piece(left).await?;
            if piece.is_empty() {
                break;
            }
            left -= piece.len();
        }
        Ok(failed)
    }

    async fn member(&mut self, header: &Header) -> Result<(), Stop> {
        let size = if header.member == Member::File { header.size } else { 0 };
        let wanted = self.wanted(&header.name) && !self.job.excluded(header.name.trim_end_matches('/'));
        let target = if wanted { self.target(&header.name) } else { None };
        let Some(target) = target else {
            let skipped = if matches!(header.member, Member::Other) { header.size } else { size };
            return self.each_piece(skipped, |_| Ok(())).await.map(drop);
        };
        if self.job.given.has('t') {
            if self.job.given.has('v') {
                self.job.process.out(format!("{:o} {:9} ", header.mode, header.size)).await?;
            }
            self.job.process.out(format!("{}\n", header.name)).await?;
            return self.each_piece(size, |_| Ok(())).await.map(drop);
        }
        self.job.verbose(&header.name).await?;
        if self.job.given.has('O') {
            let bytes = self.collect(size).await?;
            return self.job.process.out(bytes).await;
        }
        let place = &self.job.process.place;
        if let Some((parent, _)) = target.trim_end_matches('/').rsplit_once('/') {
            let _ = place.make_directories(if parent.is_empty() { "/" } else { parent });
        }
        let outcome = match &header.member {
            Member::Directory => match place.make_directory(&target, None) {
                Err(Errno::Exists) if place.stat(&target).is_ok_and(|stat| stat.is_directory()) => Ok(()),
                made => made,
            },
            Member::Link(to) => {
                let _ = place.remove_file(&target);
                place.make_link(to, &target)
            }
            Member::HardLink(to) => {
                let _ = place.remove_file(&target);
                place.make_hard_link(&join(&self.job.directory, to), &target)
            }
            Member::File => self.file(&target, size).await?,
            _ => return self.each_piece(header.size, |_| Ok(())).await.map(drop),
        };
        match outcome {
            Ok(()) => self.attributes(&target, header),
            Err(error) => {
                self.job.process.complain(format!("can't create '{}': {error}", header.name)).await;
                self.status = 2;
            }
        }
        Ok(())
    }

    async fn collect(&mut self, size: u64) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        let failed = self
            .each_piece(size, |piece| {
                if bytes.len() + piece.len() > crate::runtime::machine::HELD_BYTES_MAX {
                    return Err(Errno::NoSpace);
                }
                bytes.extend_from_slice(piece);
                Ok(())
            })
            .await?;
        match failed {
            None => Ok(bytes),
            Some(error) => self.job.process.fail(2, error.to_string()).await,
        }
    }

    /// A fresh file: what was there is unlinked first, so that other names of it stay as they are.
    async fn file(&mut self, target: &str, size: u64) -> Result<Result<(), Errno>, Stop> {
        let place = self.job.process.place.clone();
        if self.job.given.has('k') && place.stat_link(target).is_ok() {
            self.each_piece(size, |_| Ok(())).await?;
            return Ok(Err(Errno::Exists));
        }
        // A file that is mounted can't be unlinked; it is overwritten.
        let _ = place.remove_file(target);
        let opened = match place.open(target, How::WRITE) {
            Ok(opened) => opened,
            Err(error) => {
                self.each_piece(size, |_| Ok(())).await?;
                return Ok(Err(error));
            }
        };
        let failed = self
            .each_piece(size, |piece| match &opened {
                Opened::File(file) => file.write(piece),
                Opened::Device(_) => Ok(()),
            })
            .await?;
        Ok(failed.map_or(Ok(()), Err))
    }

    fn attributes(&self, target: &str, header: &Header) {
        if matches!(header.member, Member::Link(_) | Member::HardLink(_)) {
            return;
        }
        let place = &self.job.process.place;
        let given = &self.job.given;
        let keeps = given.has('p') || (place.uid == 0 && !given.has('P'));
        let mode = if keeps { header.mode } else { header.mode & !place.umask };
        // These fail only for files that are not ours, which then stay as they are.
        let _ = place.set_mode(target, mode);
        if place.uid == 0 && !given.has('o') {
            let _ = place.set_owner(target, Some(header.uid), Some(header.gid));
        }
        if !given.has('m') {
            let _ = place.set_modified(target, header.modified);
        }
    }

    fn wanted(&self, name: &str) -> bool {
        let operands = &self.job.given.operands;
        let bare = |text: &str| text.trim_start_matches("./").trim_end_matches('/').to_owned();
        let name = bare(name);
        operands.is_empty()
            || operands
                .iter()
                .map(|operand| bare(operand))
                .any(|operand| name == operand || name.strip_prefix(&operand).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Where a member goes; nothing for one that `--strip-components` leaves without a name, or that leads outside.
    fn target(&self, name: &str) -> Option<String> {
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") || parts.len() < self.job.strip {
            return None;
        }
        let rest = parts[self.job.strip..].join("/");
        if rest.is_empty() && self.job.strip > 0 {
            return None;
        }
        Some(if rest.is_empty() { self.job.directory.clone() } else { join(&self.job.directory, &rest) })
    }
}
