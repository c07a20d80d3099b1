//! A small repository to serve.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::process::Command;

/// A folder with the bare repository [`PROJECT`](Self::PROJECT), which is removed when this is dropped.
///
/// `main` is its branch, and `refs/pipelines/501` what the payload of a job asks for.
#[derive(Debug)]
pub struct Repository {
    folder: tempfile::TempDir,
    sha: String,
}

impl Repository {
    /// Where the repository lies in its folder, and so in the path of its address.
    pub const PROJECT: &'static str = "group/project.git";

    /// Makes a repository with one commit of these files, whose folders are made.
    ///
    /// # Errors
    /// Where git is missing or a file cannot be written.
    pub async fn new(files: &[(&str, &[u8])]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let work = folder.path().join("work");
        std::fs::create_dir(&work)?;
        git(&work, &["init", "--quiet", "--initial-branch=main"]).await?;
        git(&work, &["config", "user.name", "test"]).await?;
        git(&work, &["config", "user.email", "test@example.invalid"]).await?;
        git(folder.path(), &["clone", "--quiet", "--bare", "work", Self::PROJECT]).await?;
        git(&work, &["remote", "add", "origin", &format!("../{}", Self::PROJECT)]).await?;
        let mut repository = Self { folder, sha: String::new() };
        repository.commit(files).await?;
        Ok(repository)
    }

    /// Adds a commit with these files, and moves the branch and the pipeline's reference to it.
    ///
    /// # Errors
    /// Where git fails or a file cannot be written.
    pub async fn commit(&mut self, files: &[(&str, &[u8])]) -> io::Result<()> {
        let work = self.folder.path().join("work");
        for (name, content) in files {
            let path = work.join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(&work))?;
            std::fs::write(path, content)?;
        }
        git(&work, &["add", "."]).await?;
        git(&work, &["commit", "--quiet", "--allow-empty", "-m", "a change"]).await?;
        git(&work, &["push", "--quiet", "--force", "origin", "main", "HEAD:refs/pipelines/501"]).await?;
        git(&work, &["rev-parse", "HEAD"]).await?.trim().clone_into(&mut self.sha);
        Ok(())
    }

    /// The folder to serve.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The newest commit.
    pub fn sha(&self) -> &str {
        &self.sha
    }
}

/// Runs git without any configuration of this machine.
async fn git(directory: &Path, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(directory);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("git {arguments:?}: {said}")));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
