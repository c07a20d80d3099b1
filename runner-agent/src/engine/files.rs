//! Work on the file system, off the threads that must not block.

use std::{
    io,
    path::{Path, PathBuf},
};

use fs_err::{self as fs, os::unix::fs::OpenOptionsExt};
use runner_core::{Error, ErrorKind, Result};

pub(crate) use crate::workspace::removal::remove;

/// Does `work` where it may block. `operation` completes "failed to …".
pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|cause| Error::new(kind_of(&cause), operation).because(cause)),
        Err(cause) => Err(Error::new(ErrorKind::Internal, operation).because(cause)),
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Unauthorized,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        _ => ErrorKind::Internal,
    }
}

/// Writes a file that only its owner can read, in place of what is there.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    // What an earlier job left there may be a link to somewhere else, or not ours to open.
    remove(path)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, content)
}

/// Removes everything in the directory at `path`, and makes it where it is missing.
pub(crate) fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => fs::remove_file(path)?,
        Err(error) if is_absent(&error) => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(path)?;
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    Ok(())
}

/// A directory as it was before a job could put a link in its place.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    path: PathBuf,
    real: PathBuf,
}

impl Ground {
    /// The directory at `path`, wherever links lead there now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), real: fs::canonicalize(path)? })
    }

    /// Whether its path leads where it did.
    pub(crate) fn is_there(&self) -> io::Result<bool> {
        match fs::canonicalize(&self.path) {
            Ok(real) => Ok(real == self.real),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes everything in the directory at `path`, which is in this one. Where a job has moved either there is nothing
    /// of ours at `path`: then nothing is removed or made.
    pub(crate) fn clear(&self, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Ok(_) if self.is_there()? => clear(path),
            Err(error) if !is_absent(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn clearing_keeps_the_directory_and_what_links_point_to() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let place = tempfile::tempdir().unwrap();
        let locked = place.path().join("a/locked");
        fs::create_dir_all(&locked).unwrap();
        fs::write(locked.join("file"), "x").unwrap();
        fs::set_permissions(&locked, PermissionsExt::from_mode(0o500)).unwrap();
        fs_err::os::unix::fs::symlink(outside.path(), place.path().join("link")).unwrap();
        clear(place.path()).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn a_private_file_replaces_a_link_instead_of_following_it() {
        let place = tempfile::tempdir().unwrap();
        let (target, link) = (place.path().join("target"), place.path().join("link"));
        fs::write(&target, "old").unwrap();
        fs_err::os::unix::fs::symlink(&target, &link).unwrap();
        write_private(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(fs::metadata(&link).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
