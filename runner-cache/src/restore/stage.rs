//! The folder in which everything is made before it is moved.

use std::{
    fs::{DirBuilder, FileTimes, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fs_err::os::unix::fs::{OpenOptionsExt, symlink};
use tokio::sync::oneshot::{Receiver, Sender, channel};

use super::plan::{Plan, Planned};
use crate::{blocking::Interrupt, index::Node, kept::State, reader::Facts};

/// How the folder's name begins.
const NAME: &str = ".runner-cache-";

/// A folder in the work tree, and so on its file system. It is removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    /// The work tree, without symbolic links.
    pub(super) root: PathBuf,
    pub(super) place: PathBuf,
    /// Dropped when the folder is gone.
    gone: Option<Sender<()>>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It is what it was before where this fails: a folder that the next clean of the work tree removes.
        drop(fs_err::remove_dir_all(&self.place));
        drop(self.gone.take());
    }
}

impl Stage {
    /// An empty folder in `root`. The receiver ends when it is gone.
    pub(super) fn new(root: PathBuf, id: &str) -> io::Result<(Self, Receiver<()>)> {
        let place = root.join(format!("{NAME}{id}"));
        make_folder(&place)?;
        let (gone, is_gone) = channel();
        Ok((Self { root, place, gone: Some(gone) }, is_gone))
    }

    /// Makes all folders.
    pub(super) fn folders(&self, plan: &Plan, interrupt: &Interrupt) -> io::Result<()> {
        let mut entries = plan.index.entries();
        // Entries below a folder follow each other, so a folder that was left does not come again.
        let mut last = PathBuf::new();
        while let Some((_, entry)) = entries.next()? {
            interrupt.check()?;
            let folder = match entry.node {
                Node::Folder { .. } => Some(entry.path.as_path()),
                _ => entry.path.parent(),
            };
            let Some(folder) = folder.filter(|folder| *folder != last) else { continue };
            let missing: Vec<_> = folder.ancestors().take_while(|above| !last.starts_with(above)).collect();
            for folder in missing.into_iter().rev() {
                make_folder(&self.place.join(folder))?;
            }
            folder.clone_into(&mut last);
        }
        Ok(())
    }

    /// Makes what has no content: links, other names of files, and files that are empty or nothing but a hole.
    pub(super) fn links(&self, plan: &Plan, interrupt: &Interrupt) -> io::Result<()> {
        for (number, planned) in (0..).zip(&plan.files).filter(|(_, planned)| planned.pieces == 0) {
            interrupt.check()?;
            let file = self.create(plan.path(number))?;
            complete(&file, planned)?;
        }
        let mut entries = plan.index.entries();
        while let Some((_, entry)) = entries.next()? {
            let place = || self.place.join(&entry.path);
            match &entry.node {
                Node::Link { target } => symlink(crate::index::path(target), place())?,
                Node::HardLink { file } => {
                    let found = plan.files.binary_search_by_key(file, |planned| planned.entry);
                    let number = found.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                    fs_err::hard_link(self.place.join(plan.path(number as u32)), place())?;
                    // It has another number of names, and so is not known any more.
                    if let Some(planned) = plan.files.get(number) {
                        planned.state.set(State::default());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A file that does not exist yet.
    pub(super) fn create(&self, path: &Path) -> io::Result<fs_err::File> {
        fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.place.join(path))
    }

    /// A file of which other parts may have been written.
    pub(super) fn open(&self, path: &Path) -> io::Result<fs_err::File> {
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).open(self.place.join(path))
    }
}

fn make_folder(place: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(place)
}

/// Gives a file of which all content was written what else belongs to it.
pub(super) fn complete(file: &fs_err::File, planned: &Planned) -> io::Result<()> {
    if planned.has_holes {
        file.set_len(planned.size)?;
    }
    file.set_permissions(Permissions::from_mode(planned.mode))?;
    if let Some(modified) = time(planned.modified) {
        file.file().set_times(FileTimes::new().set_modified(modified))?;
    }
    planned.state.set(State::new(&Facts::new(&file.metadata()?, Vec::new())));
    Ok(())
}

/// `None`: no time that this system knows.
pub(super) fn time((seconds, nanoseconds): (i64, i64)) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    time?.checked_add(Duration::from_nanos(nanoseconds.unsigned_abs()))
}
