//! Runs the `git` program so that nothing of the caller's environment leads it astray.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::RepositoryError;

/// Variables that point git at another repository, as they are set where we run from a git hook, or that change what
/// our arguments mean.
const LOCAL_VARIABLES: [&str; 20] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Git, in a directory.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    directory: PathBuf,
    environment: Vec<(OsString, OsString)>,
    settings: usize,
}

/// What a git command printed, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct GitOutput {
    pub(crate) succeeded: bool,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Git {
    pub(crate) fn new(directory: &Path) -> Self {
        let git = Self { directory: directory.to_owned(), environment: Vec::new(), settings: 0 };
        git.environment("GIT_OPTIONAL_LOCKS", "0")
            .environment("GIT_TERMINAL_PROMPT", "0")
            .environment("GIT_NO_LAZY_FETCH", "1")
            .environment("LC_ALL", "C")
            // No hook of the user's may run, and no daemon be started: we only look.
            .setting("core.hooksPath", "/dev/null")
            .setting("core.fsmonitor", "false")
    }

    pub(crate) fn environment(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// A setting that counts for this command alone. Unlike `-c`, this takes every name.
    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        let number = self.settings;
        self.settings += 1;
        self.environment(format!("GIT_CONFIG_KEY_{number}"), key)
            .environment(format!("GIT_CONFIG_VALUE_{number}"), value)
    }

    /// Runs a command. That it failed is told by the output. Dropping the future ends it.
    pub(crate) async fn run<A: AsRef<OsStr> + Sync>(
        &self,
        arguments: &[A],
    ) -> Result<GitOutput, RepositoryError> {
        let mut command = Command::new("git");
        for name in LOCAL_VARIABLES {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(&self.directory)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("GIT_CONFIG_COUNT", self.settings.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RepositoryError::GitMissing,
            _ => RepositoryError::Start(error),
        })?;
        Ok(GitOutput {
            succeeded: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// What a command printed, which must succeed.
    pub(crate) async fn text<A: AsRef<OsStr> + Sync>(
        &self,
        arguments: &[A],
    ) -> Result<String, RepositoryError> {
        let output = self.run(arguments).await?;
        if output.succeeded {
            return Ok(output.text());
        }
        let command = arguments.first().map(|name| name.as_ref().to_string_lossy().into_owned());
        Err(RepositoryError::of(&output, &command.unwrap_or_default()))
    }
}

impl GitOutput {
    /// The standard output without the white space around it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

#[cfg(unix)]
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
