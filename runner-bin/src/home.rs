//! Where things of a run live: `.runner/` in the project, and the cache directory of the user.

use std::{
    io,
    path::{Path, PathBuf},
};

use fs_err::File;
use runner_agent::store::DirectoryArtifacts;
use runner_cache::name;
use runner_core::{Error, ErrorKind};

/// `.runner/` of a project: what a person looks for after a run.
#[derive(Debug)]
pub(crate) struct ProjectHome {
    /// `.runner/artifacts/<job>/`.
    pub(crate) artifacts: PathBuf,
    /// `.runner/logs/<job>.log`.
    pub(crate) logs: PathBuf,
    /// Held while a run goes on, so that two of them do not write the same files.
    lock: File,
}

impl ProjectHome {
    /// Makes what is missing in `root`, the top of the work tree. Git ignores all of it, without a change to a file
    /// of the user's. `waits` is called where another run goes on, which is waited for.
    pub(crate) fn open(root: &Path, waits: impl FnOnce()) -> io::Result<Self> {
        let directory = root.join(".runner");
        let logs = directory.join("logs");
        fs_err::create_dir_all(&logs)?;
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            fs_err::write(&ignore, "*\n")?;
        }
        let lock = File::create(directory.join("lock"))?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                waits();
                lock.file().lock()?;
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { artifacts: directory.join("artifacts"), logs, lock })
    }

    /// Where the artifacts of `job` are, if it has any.
    pub(crate) fn artifacts_of(&self, job: &str) -> PathBuf {
        DirectoryArtifacts::new(&self.artifacts, job).folder()
    }

    /// Removes what earlier runs of these jobs left: what is found after a run is of that run.
    pub(crate) async fn forget(&self, jobs: impl Iterator<Item = &str>) -> runner_core::Result<()> {
        for job in jobs {
            DirectoryArtifacts::new(&self.artifacts, job).clear().await?;
            if let Err(error) = fs_err::remove_file(self.logs.join(format!("{}.log", name::folder(job))))
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(
                    Error::new(ErrorKind::Internal, "remove the log of an earlier run").because(error)
                );
            }
        }
        Ok(())
    }
}

impl Drop for ProjectHome {
    fn drop(&mut self) {
        // The system lets go of it at the latest when the program ends.
        drop(self.lock.file().unlock());
    }
}

/// What runs leave in the user's cache directory: never within a repository, where a job's work tree would be part of
/// another one.
#[derive(Debug, Clone)]
pub(crate) struct UserHome {
    /// Directories of jobs that run, one folder per project.
    pub(crate) builds: PathBuf,
    /// Caches of jobs.
    pub(crate) cache: PathBuf,
    /// Copies of sources, each while a run goes on.
    pub(crate) scratch: PathBuf,
}

impl UserHome {
    /// Below `cache`, the user's cache directory, for the project in `root`.
    pub(crate) fn below(cache: &Path, root: &Path) -> Self {
        let own = cache.join("runner");
        // Short, since some programs bear no long paths: the first line of a script has 127 bytes for it.
        let digest = name::unique(&root.to_string_lossy());
        let digest = digest.split_at(digest.len().saturating_sub(8)).1;
        let name = name::folder(&root.file_name().unwrap_or_default().to_string_lossy());
        Self {
            builds: own.join("builds").join(format!("{name}-{digest}")),
            cache: own.join("cache"),
            scratch: own.join("sources"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_ignores_what_is_ours() {
        let project = tempfile::tempdir().unwrap();
        let home = ProjectHome::open(project.path(), || panic!("nobody else runs")).unwrap();
        assert_eq!(fs_err::read_to_string(project.path().join(".runner/.gitignore")).unwrap(), "*\n");
        assert!(home.logs.is_dir());
        let mut waited = false;
        assert!(matches!(
            File::open(project.path().join(".runner/lock")).unwrap().file().try_lock(),
            Err(std::fs::TryLockError::WouldBlock)
        ));
        drop(home);
        ProjectHome::open(project.path(), || waited = true).unwrap();
        assert!(!waited);
    }

    #[test]
    fn projects_of_one_name_share_no_directory() {
        let home = |root| UserHome::below(Path::new("/cache"), Path::new(root)).builds;
        assert_ne!(home("/a/b"), home("/a-b"));
        assert!(home("/a/b").starts_with("/cache/runner/builds"));
    }
}
