//! A job's own directory on this machine: found free, emptied, and removed completely.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
use runner_core::{Error, ErrorKind, Result};
use tokio::task::spawn_blocking;

use crate::engine::Places;

mod name;
pub(crate) mod removal;
mod sweep;

pub use name::clean_name;

/// How many jobs of one name may have a directory at once.
const MOST: usize = 1000;

/// How often a directory that vanishes while it is being taken is tried again.
const TRIES: usize = 100;

/// A directory that belongs to one job, for as long as this value lives.
///
/// It has the same path from run to run where it can, so that what a cache restores may hold absolute paths. A lock on
/// the directory itself keeps other processes out; it goes with the process that holds it, so that what a killed
/// run left is found free and removed.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    lock: File,
}

impl Workspace {
    /// Takes the directory for `name` in `builds`: the first of `name`, `name-2`, `name-3` … that no other job uses.
    /// It is empty, and closed to other users. `name` may be anything; it is [cleaned](clean_name).
    ///
    /// # Cancellation
    /// A dropped call leaves at most an empty directory, which the next job of that name uses.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`] where the disk is full, [`ErrorKind::Invalid`] where `builds` cannot be written.
    pub async fn create(builds: &Path, name: &str) -> Result<Self> {
        let (builds, name) = (builds.to_owned(), clean_name(name));
        blocking("make a directory for the job", move || take_first(&builds, &name)).await
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directories of a job whose project has this path, such as `group/project`, and an empty home.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub async fn places(&self, project_path: &str) -> Result<Places> {
        let mut project = self.root.clone();
        project.extend(name::clean_path(project_path, &[TEMPORARY, HOME_DIRECTORY]));
        let places = Places { root: self.root.clone(), project, temporary: self.root.join(TEMPORARY) };
        let made = places.clone();
        blocking("make the directories of the job", move || {
            fs::create_dir_all(&made.project)?;
            fs::create_dir_all(made.root.join(HOME_DIRECTORY))?;
            fs::create_dir_all(&made.temporary)?;
            sweep::mark(&made.root)
        })
        .await?;
        Ok(places)
    }

    /// Removes the directory with all that is in it. Repeating it is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where something may not be removed, such as files of another user; all else is removed.
    pub async fn remove(&self) -> Result<()> {
        let root = self.root.clone();
        let lock = self.lock.try_clone().map_err(|error| failed("remove the job's directory", error))?;
        blocking("remove the job's directory", move || {
            if is_at(&lock, &root)? || !is_directory(&root)? {
                return removal::remove(&root);
            }
            // The job may have put another directory in its place, or a new job of that name, which has a lock on it.
            match lock_directory(&root) {
                Ok(Some(_lock)) => removal::remove(&root),
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(None) | Err(_) => Ok(()),
            }
        })
        .await
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // A process that is being started elsewhere in this program holds a copy of the file for a moment.
        self.lock.unlock().ok();
    }
}

/// The work tree of a project of this path, below `root`.
pub(crate) fn project_below(root: &Path, path: &str) -> PathBuf {
    let mut project = root.to_owned();
    project.extend(name::clean_path(path, &[]));
    project
}

/// The directory for what must not be in the work tree.
const TEMPORARY: &str = "tmp";

/// The home of a job that is given none.
pub(crate) const HOME_DIRECTORY: &str = "home";

fn take_first(builds: &Path, name: &str) -> io::Result<Workspace> {
    fs::create_dir_all(builds)?;
    let builds = fs::canonicalize(builds)?;
    let mut failure = None;
    for number in 1..=MOST {
        let root = builds.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
        match take(&root) {
            Ok(Some(lock)) => match removal::empty(&root) {
                Ok(()) => return Ok(Workspace { root, lock }),
                // What is left there cannot be removed, perhaps because it belongs to another user.
                Err(error) => failure = failure.or(Some(error)),
            },
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::other(format!("there are {MOST} jobs of the name {name}"))))
}

/// Makes `root` and locks it; `None` where somebody else has it.
fn take(root: &Path) -> io::Result<Option<File>> {
    for _ in 0..TRIES {
        match std::fs::DirBuilder::new().mode(0o700).create(root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let what = format!("failed to create directory `{}`: {error}", root.display());
                return Err(io::Error::new(error.kind(), what));
            }
            _ => {}
        }
        if !is_directory(root)? {
            return Ok(None);
        }
        match lock_directory(root) {
            Ok(Some(lock)) if is_at(&lock, root)? => return Ok(Some(lock)),
            // Who had it removed it meanwhile.
            Ok(Some(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            taken => return taken,
        }
    }
    Ok(None)
}

/// Locks the directory at `path`; `None` where somebody else has.
fn lock_directory(path: &Path) -> io::Result<Option<File>> {
    let open = || fs::OpenOptions::new().read(true).custom_flags(O_DIRECTORY | O_NOFOLLOW).open(path);
    let opened = open().or_else(|error| {
        if error.kind() == io::ErrorKind::PermissionDenied {
            removal::open_up(path)?;
        }
        open()
    });
    let lock = opened?.into_file();
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether `path` still leads to the directory that `lock` holds.
fn is_at(lock: &File, path: &Path) -> io::Result<bool> {
    let held = lock.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is a directory at `path`, and no link to one. A path that leads nowhere is one that can be.
fn is_directory(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(operation, error)),
        Err(panicked) => Err(Error::new(ErrorKind::Internal, operation).because(panicked)),
    }
}

fn failed(operation: &'static str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Exhausted,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, operation).because(error)
}

#[cfg(test)]
mod tests;
