//! A folder of a repository that is a project of its own, as the examples of a larger project are.

use std::path::Path;

use super::{Commit, Repository, RepositoryError};

impl Repository {
    /// Takes `directory`, within the work tree, for a project of its own: its jobs get the files below it alone, as
    /// one commit without a history. What git ignores is decided by the whole repository.
    ///
    /// The top of the work tree is no folder: the repository stays as it is.
    ///
    /// # Errors
    /// Where the directory is not within the work tree.
    pub fn folder(mut self, directory: &Path) -> runner_core::Result<Self> {
        let failed = |error: RepositoryError| error.during("take a folder for a project", directory);
        let real = |path: &Path| path.canonicalize().map_err(|_| failed(RepositoryError::NoDirectory));
        let (top, folder) = (real(&self.root)?, real(directory)?);
        let within = folder.strip_prefix(&top).map_err(|_| failed(RepositoryError::NotARepository))?;
        if within.as_os_str().is_empty() {
            return Ok(self);
        }
        self.folder = Some(within.to_owned());
        self.root = folder;
        self.config.remotes.clear();
        self.shallow = false;
        // What it checks out is a commit that is made for it; of the real one it has the words.
        self.commit = self.commit.map(|commit| Commit {
            sha: String::new(),
            tree: String::new(),
            parent: None,
            ..commit
        });
        Ok(self)
    }
}
