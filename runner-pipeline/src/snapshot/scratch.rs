//! A directory of a snapshot: removed with everything in it when dropped, or by the next one if that never happened.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::scratch_error;
use crate::repository::RepositoryError;

/// A directory of our own.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// The directory itself, locked for as long as somebody uses it: the system lets go when a process is killed.
    _lock: File,
}

impl Scratch {
    /// Makes a new directory in `parent`, and removes those of processes that were killed.
    pub(super) fn create(parent: &Path) -> Result<Self, RepositoryError> {
        let failed = |cause| scratch_error(&format!("make a directory in {}", parent.display()), cause);
        let parent = &std::path::absolute(parent).map_err(failed)?;
        std::fs::create_dir_all(parent).map_err(failed)?;
        sweep(parent);
        for number in 0.. {
            let path = parent.join(format!("sources-{}-{number}.git", std::process::id()));
            match private_directory(&path) {
                Ok(()) => {
                    let lock = File::open(&path).map_err(failed)?;
                    lock.lock().map_err(failed)?;
                    return Ok(Self { path, _lock: lock });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the scratch directory was not removed");
        }
    }
}

/// Removes what nobody holds any more. One that is being made this moment is empty, and stays.
fn sweep(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("sources-") && name.ends_with(".git")
    });
    for path in ours {
        let is_empty = std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
        let is_free = || File::open(&path).is_ok_and(|directory| directory.try_lock().is_ok());
        if !is_empty && is_free() {
            // What cannot be removed now may be removed by a later one.
            drop(std::fs::remove_dir_all(&path));
        }
    }
}

fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::create(parent.path()).unwrap();
        std::fs::write(used.path().join("file"), "").unwrap();
        let left = parent.path().join("sources-1-0.git");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("file"), "").unwrap();
        let another = Scratch::create(parent.path()).unwrap();
        assert!(used.path().join("file").exists() && another.path().exists() && !left.exists());
    }
}
