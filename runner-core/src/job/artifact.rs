//! What to keep of a job, and what it gets of earlier ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::When;
use crate::{JobId, Secret};

/// One thing to keep of a job: its archive, or a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactSpec {
    /// The file's name without its ending, before variable expansion; `None`: `artifacts` or the type's name.
    pub name: Option<String>,
    /// `archive`, or the kind of a report such as `junit` or `dotenv`.
    pub kind: String,
    /// How it is stored.
    pub format: ArtifactFormat,
    /// Patterns of what to keep, relative to the work tree.
    pub paths: Vec<String>,
    /// Patterns of what to leave out.
    pub exclude: Vec<String>,
    /// Also what git does not track, ignored files included.
    pub untracked: bool,
    /// When to keep it.
    pub when: When,
    /// How long it is kept; without one, as long as the source likes, and [`FOREVER`] without an end.
    pub expire_in: Option<Duration>,
}

/// The [`ArtifactSpec::expire_in`] of what is never removed.
pub const FOREVER: Duration = Duration::MAX;

impl Default for ArtifactSpec {
    fn default() -> Self {
        Self {
            name: None,
            kind: "archive".into(),
            format: ArtifactFormat::Zip,
            paths: Vec::new(),
            exclude: Vec::new(),
            untracked: false,
            when: When::OnSuccess,
            expire_in: None,
        }
    }
}

/// How an artifact is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactFormat {
    /// A zip archive of all files.
    #[default]
    Zip,
    /// The files one after the other, each a gzip member with its name.
    Gzip,
    /// One file as it is.
    Raw,
}

/// An earlier job whose artifacts this one gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// The job.
    pub id: Option<JobId>,
    /// Its name.
    pub name: String,
    /// What its artifacts are fetched with.
    pub token: Secret,
    /// Its archive; `None` where it has none, which is no failure.
    pub file: Option<DependencyFile>,
}

/// The archive of a [`Dependency`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DependencyFile {
    /// The file's name.
    pub filename: String,
    /// Its size in bytes.
    pub size: u64,
}
