//! What can be wrong with a repository, and what mends it.

use std::{io, path::Path};

use runner_core::{Error, ErrorKind};

use super::git::GitOutput;

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The program is not there.
    #[error("there is no program `git` on the PATH; install git")]
    GitMissing,
    /// The program could not be started.
    #[error("`git` could not be started")]
    Start(#[source] io::Error),
    /// The program is older than what is used of it.
    #[error("the program `git` is too old; version 2.34 is needed")]
    GitTooOld,
    /// The directory is not there.
    #[error("there is no such directory")]
    NoDirectory,
    /// No repository.
    #[error("this is not in a git repository; run `git init` there, or name another directory")]
    NotARepository,
    /// Nothing is checked out.
    #[error("this is a bare repository, which has no files to run jobs on; use a clone of it")]
    Bare,
    /// Within `.git`.
    #[error("this is inside of git's own directory; use the work tree that it belongs to")]
    InsideGitDirectory,
    /// The repository belongs to somebody else.
    #[error(
        "git does not trust this repository, because it belongs to another user; if you do, run \
         `git config --global --add safe.directory '{0}'`"
    )]
    DubiousOwnership(String),
    /// A name that git's own output cannot tell apart from two.
    #[error("the path of the repository contains a line break")]
    LineBreak,
    /// The event asks for what the repository does not have.
    #[error("{0}")]
    Event(String),
    /// The scratch directory does not work.
    #[error("{action}")]
    Scratch {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// Git failed otherwise.
    #[error("`git {command}` failed: {message}")]
    Git {
        /// The command.
        command: String,
        /// What it printed.
        message: String,
    },
}

impl RepositoryError {
    /// What a command's output says is wrong.
    pub(crate) fn of(output: &GitOutput, command: &str) -> Self {
        let message = output.stderr.trim();
        if message.contains("dubious ownership") {
            let path = message.split('\'').nth(1).unwrap_or("*");
            return Self::DubiousOwnership(path.to_owned());
        }
        if message.contains("not a git repository") {
            return Self::NotARepository;
        }
        Self::Git { command: command.to_owned(), message: message.to_owned() }
    }

    /// The error of the crate's interface: what was being done, and where.
    pub(crate) fn during(self, operation: &str, directory: &Path) -> Error {
        let kind = match &self {
            Self::GitMissing | Self::GitTooOld => ErrorKind::Unsupported,
            Self::NoDirectory | Self::NotARepository => ErrorKind::NotFound,
            Self::DubiousOwnership(_) => ErrorKind::Unauthorized,
            Self::Bare | Self::InsideGitDirectory | Self::LineBreak | Self::Event(_) => ErrorKind::Invalid,
            Self::Scratch { cause, .. } if is_full(cause) => ErrorKind::Exhausted,
            Self::Git { message, .. } if message.contains("No space left on device") => ErrorKind::Exhausted,
            Self::Start(_) | Self::Scratch { .. } | Self::Git { .. } => ErrorKind::Internal,
        };
        Error::new(kind, operation).with("directory", directory.display()).because(self)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
