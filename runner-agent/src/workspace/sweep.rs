//! Removes the directories of jobs whose runner was killed.

use std::{io, path::Path};

use fs_err as fs;
use runner_core::Result;

use super::{Workspace, blocking, lock_directory, removal};

/// A file that marks a directory as one that goes with its job. Nothing else in a directory of builds is ever touched.
const MARK: &str = ".goes-with-its-job";

impl Workspace {
    /// Leaves the directory where it is when the job is over, until a job of that name needs it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn keep(&self) -> Result<()> {
        let mark = self.root.join(MARK);
        blocking("keep the job's directory", move || match fs::remove_file(mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    /// Removes what killed runs left in `builds`. Directories in use, kept ones and foreign ones stay.
    ///
    /// # Errors
    /// Where `builds` cannot be read. What cannot be removed stays, for a later call.
    pub async fn sweep(builds: &Path) -> Result<()> {
        let builds = builds.to_owned();
        blocking("remove what killed runs left", move || sweep(&builds)).await
    }
}

pub(super) fn mark(root: &Path) -> io::Result<()> {
    fs::write(root.join(MARK), "")
}

fn sweep(builds: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(builds) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for root in entries.filter_map(io::Result::ok).map(|entry| entry.path()) {
        let is_marked = || fs::symlink_metadata(root.join(MARK)).is_ok_and(|mark| mark.is_file());
        let is_directory = fs::symlink_metadata(&root).is_ok_and(|found| found.is_dir());
        if is_directory
            && is_marked()
            && let Ok(Some(_lock)) = lock_directory(&root)
            && is_marked()
            && let Err(error) = removal::remove(&root)
        {
            tracing::warn!(path = %root.display(), %error, "what a killed run left was not removed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_a_killed_run_left_is_removed() {
        let builds = tempfile::tempdir().unwrap();
        let path = builds.path();
        fs::create_dir(path.join("foreign")).unwrap();
        fs::write(path.join("foreign/file"), "").unwrap();
        let killed = Workspace::create(path, "killed").await.unwrap();
        killed.places("group/project").await.unwrap();
        drop(killed);
        let kept = Workspace::create(path, "kept").await.unwrap();
        kept.places("group/project").await.unwrap();
        kept.keep().await.unwrap();
        drop(kept);
        let used = Workspace::create(path, "used").await.unwrap();
        used.places("group/project").await.unwrap();
        Workspace::sweep(path).await.unwrap();
        let is_there = |name: &str| path.join(name).exists();
        assert_eq!(["foreign/file", "killed", "kept", "used"].map(is_there), [true, false, true, true]);
        Workspace::sweep(&path.join("missing")).await.unwrap();
    }
}
