//! Real git repositories in temporary directories.

use std::{
    error::Error,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use runner_core::job::GitInfo;
use tempfile::TempDir;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A repository, removed when dropped.
#[derive(Debug)]
pub(crate) struct WorkTree {
    directory: TempDir,
    root: PathBuf,
}

impl WorkTree {
    /// An empty repository whose branch is `main`.
    pub(crate) fn new() -> Outcome<Self> {
        Self::with_options("project", &["--initial-branch=main"])
    }

    pub(crate) fn with_options(name: &str, options: &[&str]) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path().join(name);
        fs::create_dir_all(&root)?;
        let tree = Self { directory, root };
        let mut arguments = vec!["init", "--quiet"];
        arguments.extend(options);
        tree.git(&arguments)?;
        Ok(tree)
    }

    /// One with a commit that holds `file`.
    pub(crate) fn with_commit() -> Outcome<Self> {
        let tree = Self::new()?;
        tree.write("file", "one\n")?;
        tree.commit("first")?;
        Ok(tree)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory beside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, path: &str, content: &str) -> Outcome {
        let path = self.root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, content)?)
    }

    pub(crate) fn make_executable(&self, path: &str) -> Outcome {
        Ok(fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755))?)
    }

    pub(crate) fn commit(&self, message: &str) -> Outcome<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message])?;
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Outcome<String> {
        git(&self.root, arguments)
    }

    /// What a job has after fetching and laying the changes over: a new directory beside the repository.
    pub(crate) fn check_out(&self, info: &GitInfo, name: &str) -> Outcome<PathBuf> {
        let place = self.beside(name);
        fs::create_dir_all(&place)?;
        git(&place, &["init", "--quiet", "--initial-branch=none"])?;
        let depth = format!("--depth={}", info.depth);
        let mut arguments = vec!["fetch", "--quiet", "--no-tags"];
        if info.depth > 0 {
            arguments.push(&depth);
        }
        arguments.push(&info.repo_url);
        arguments.extend(info.refspecs.iter().map(String::as_str));
        git(&place, &arguments)?;
        git(&place, &["checkout", "--quiet", "--detach", &info.sha])?;
        if let Some(overlay) = &info.overlay {
            git(&place, &["read-tree", "-u", "--reset", overlay])?;
            git(&place, &["read-tree", "HEAD"])?;
        }
        Ok(place)
    }
}

/// Runs git with nobody's settings.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "protocol.file.allow")
        .env("GIT_CONFIG_VALUE_0", "always")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
        .output()?;
    if !output.status.success() {
        return Err(format!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The names of all files below `directory`, `.git` left out.
pub(crate) fn files(directory: &Path) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            let name = path.strip_prefix(directory)?.to_string_lossy().into_owned();
            if name == ".git" {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}
