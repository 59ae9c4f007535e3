//! Redirections: opens what a command's descriptors shall lead to.

use super::ast::{Redirect, RedirectKind};
use super::state::{Flow, Shell};
use crate::runtime::files::{Errno, How, Place};
use crate::runtime::machine::{Fd, Fds, Source, open_fd, pipe};

/// Bytes of a here-document, which waits whole in a pipe of its own.
const HERE_BYTES_MAX: usize = 60 << 10;

impl Shell {
    /// The descriptors after some redirections. `None`: one failed and was told; the command is not run.
    pub(super) async fn redirect(&mut self, redirects: &[Redirect]) -> Result<Option<Fds>, Flow> {
        let mut fds = self.process.fds.clone();
        for redirect in redirects {
            if !self.redirect_one(redirect, &mut fds).await? {
                return Ok(None);
            }
        }
        Ok(Some(fds))
    }

    async fn redirect_one(&mut self, redirect: &Redirect, fds: &mut Fds) -> Result<bool, Flow> {
        let how = match redirect.kind {
            RedirectKind::Duplicate => return self.duplicate(redirect, fds).await,
            RedirectKind::Here | RedirectKind::HereString => return self.here(redirect, fds).await,
            RedirectKind::Read => How::READ,
            RedirectKind::Append | RedirectKind::AppendBoth => How::APPEND,
            RedirectKind::ReadWrite => How::READ_WRITE,
            RedirectKind::Write | RedirectKind::WriteBoth => How::WRITE,
        };
        let path = self.single(&redirect.target).await?;
        match open(&self.process.place, fds, self, &path, how) {
            Ok(fd) => {
                if matches!(redirect.kind, RedirectKind::WriteBoth | RedirectKind::AppendBoth) {
                    fds.insert(2, fd.clone());
                }
                fds.insert(redirect.fd, fd);
                Ok(true)
            }
            Err(error) => {
                let reason = if error == Errno::NotFound && how.create {
                    "nonexistent directory".to_owned()
                } else if error == Errno::NotFound {
                    "no such file".to_owned()
                } else {
                    error.to_string()
                };
                let act = if how.create { "create" } else { "open" };
                self.say(&format!("can't {act} {path}: {reason}")).await;
                Ok(false)
            }
        }
    }

    async fn duplicate(&mut self, redirect: &Redirect, fds: &mut Fds) -> Result<bool, Flow> {
        let target = self.single(&redirect.target).await?;
        if target == "-" {
            fds.remove(&redirect.fd);
            return Ok(true);
        }
        let found = target.parse::<u32>().ok().and_then(|number| fds.get(&number).cloned());
        match found {
            Some(fd) => {
                fds.insert(redirect.fd, fd);
                Ok(true)
            }
            None => {
                self.say(&format!("{target}: bad file descriptor")).await;
                Ok(false)
            }
        }
    }

    async fn here(&mut self, redirect: &Redirect, fds: &mut Fds) -> Result<bool, Flow> {
        let text = match redirect.document.as_ref().and_then(|slot| slot.get()) {
            Some(word) => self.single(word).await?,
            None => self.single(&redirect.target).await? + "\n",
        };
        if text.len() > HERE_BYTES_MAX {
            self.say("here-document too large").await;
            return Ok(false);
        }
        let (writer, reader) = pipe();
        // The reader is there and the text fits, so this neither fails nor waits.
        let _ = writer.write(text.as_bytes()).await;
        fds.insert(redirect.fd, Fd::Source(Source::Pipe(reader)));
        Ok(true)
    }
}

fn open(place: &Place, fds: &Fds, shell: &Shell, path: &str, how: How) -> Result<Fd, Errno> {
    let how = if shell.options.no_clobber && how.truncate { How { exclusive: true, ..how } } else { how };
    open_fd(place, fds, &shell.process.machine.log, path, how)
}
