//! Steps and hooks: what a job runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When something is done, judged by how the job went so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Only while nothing failed.
    #[default]
    OnSuccess,
    /// Only after something failed.
    OnFailure,
    /// In both cases.
    Always,
}

impl When {
    /// Whether it is done for a job that `succeeded` so far.
    pub fn applies(self, succeeded: bool) -> bool {
        match self {
            Self::OnSuccess => succeeded,
            Self::OnFailure => !succeeded,
            Self::Always => true,
        }
    }
}

/// One step: a list of commands that run in one shell, in order, until the first that fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// `script`, `after_script`, or another name such as `release`.
    pub name: String,
    /// The commands. One may have several lines.
    pub script: Vec<String>,
    /// How long the step may take; without one, as long as the job may.
    pub timeout: Option<Duration>,
    /// When it runs.
    pub when: When,
    /// Its failure does not fail the job.
    pub allow_failure: bool,
}

impl Step {
    /// The main step.
    pub fn script(commands: Vec<String>) -> Self {
        Self { name: "script".into(), script: commands, ..Self::default() }
    }

    /// The step that runs after the main one, however that ended, for at most five minutes.
    pub fn after_script(commands: Vec<String>) -> Self {
        Self {
            name: "after_script".into(),
            script: commands,
            timeout: Some(Duration::from_mins(5)),
            when: When::Always,
            allow_failure: true,
        }
    }

    /// Whether it is the one named `after_script`.
    pub fn is_after_script(&self) -> bool {
        self.name == "after_script"
    }
}

/// A script of the job that runs around a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where it runs.
    pub name: HookName,
    /// The commands.
    pub script: Vec<String>,
}

/// Where a [`Hook`] runs. The names are those of GitLab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookName {
    /// Before the work tree is made.
    PreGetSourcesScript,
    /// After the work tree is made.
    PostGetSourcesScript,
    /// In the shell of the main step, before its first command.
    PreBuildScript,
    /// In the shell of the main step, after its last command.
    PostBuildScript,
}
