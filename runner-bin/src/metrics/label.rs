//! The labels of metrics. All of them have few values.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};

/// A runner of the config.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RunnerLabels {
    /// The beginning of its token.
    pub(super) runner: String,
    /// Its name.
    pub(super) runner_name: String,
    /// Which of its managers this is.
    pub(super) system_id: String,
}

/// Jobs that run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct JobLabels {
    #[prometheus(flatten)]
    pub(super) runner: RunnerLabels,
    pub(super) executor: &'static str,
    pub(super) state: &'static str,
    pub(super) stage: &'static str,
}

/// Jobs that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FailureLabels {
    #[prometheus(flatten)]
    pub(super) runner: RunnerLabels,
    pub(super) failure_reason: &'static str,
}

/// A phase of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PhaseLabels {
    pub(super) phase: &'static str,
}

/// What jobs wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WaitLabels {
    pub(super) reason: &'static str,
}

/// How bad it is what was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    pub(super) level: ErrorLevel,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the name of the value is that of the label's")]
pub(crate) enum ErrorLevel {
    /// Something did not work.
    error,
    /// Something may not work.
    warning,
}

/// What this program is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabels {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// The version of GitLab Runner whose side of the protocol it has.
    pub(super) compatible_version: &'static str,
    pub(super) os: &'static str,
    pub(super) architecture: &'static str,
}
