//! How a job ended, and what its phases took.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// How a job ended. A missing end record is never [`Succeeded`](Self::Succeeded).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobOutcome {
    /// Every step that decides the result succeeded.
    Succeeded,
    /// Something failed: the script, its environment, or we.
    Failed(Failure),
    /// Somebody asked for the job to stop.
    Canceled,
}

impl JobOutcome {
    /// A failure of `reason`, without an exit code.
    pub fn failed(reason: FailureReason, message: impl Into<String>) -> Self {
        Self::Failed(Failure { reason, exit_code: None, message: message.into() })
    }

    /// A script that ended with `exit_code`, which is not 0.
    pub fn script_failed(exit_code: i32) -> Self {
        Self::Failed(Failure {
            reason: FailureReason::ScriptFailure,
            exit_code: Some(exit_code),
            message: format!("exit code {exit_code}"),
        })
    }

    /// Whether the job succeeded.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }

    /// The value of `CI_JOB_STATUS` for this outcome.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Succeeded => "success",
            Self::Failed(_) => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of the failure.
    pub reason: FailureReason,
    /// The script's exit code, where a script ended with one.
    pub exit_code: Option<i32>,
    /// One line for a person.
    pub message: String,
}

/// Classes of failures, named as GitLab names them on the wire (`failure_reason` of `PUT /jobs/:id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureReason {
    /// The script ended with a code other than 0, or was killed.
    ScriptFailure,
    /// The job took longer than its timeout.
    JobExecutionTimeout,
    /// We could not do our work.
    RunnerSystemFailure,
    /// The job asks for what this runner does not do.
    RunnerUnsupported,
    /// The configuration of the runner or of the job cannot work.
    ConfigurationError,
    /// An image could not be had.
    ImagePullFailure,
    /// The environment was taken away: eviction, drain, a lost node, a runner that was stopped.
    RunnerInterrupted,
    /// A store, a registry or a server that the job needs does not work.
    ExternalDependencyFailure,
    /// None of these, or not known.
    UnknownFailure,
}

impl FailureReason {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScriptFailure => "script_failure",
            Self::JobExecutionTimeout => "job_execution_timeout",
            Self::RunnerSystemFailure => "runner_system_failure",
            Self::RunnerUnsupported => "runner_unsupported",
            Self::ConfigurationError => "configuration_error",
            Self::ImagePullFailure => "image_pull_failure",
            Self::RunnerInterrupted => "runner_interrupted",
            Self::ExternalDependencyFailure => "external_dependency_failure",
            Self::UnknownFailure => "unknown_failure",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The phases of a job, in the order in which they run. Those with nothing to do are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The environment is made.
    Prepare,
    /// The work tree is made.
    GetSources,
    /// Caches are restored.
    RestoreCache,
    /// Artifacts of earlier jobs are fetched.
    DownloadArtifacts,
    /// `before_script` and `script` run, in one shell, and further steps such as a release.
    Script,
    /// `after_script` runs, in a shell of its own.
    AfterScript,
    /// Caches are saved, as their `when` asks.
    SaveCache,
    /// Artifacts are sent, as their `when` asks.
    UploadArtifacts,
    /// Everything of the job is removed.
    Cleanup,
}

impl Phase {
    /// The name of the phase's section in the log, as GitLab's pages know it.
    pub fn section(self) -> &'static str {
        match self {
            Self::Prepare => "prepare_executor",
            Self::GetSources => "get_sources",
            Self::RestoreCache => "restore_cache",
            Self::DownloadArtifacts => "download_artifacts",
            Self::Script => "step_script",
            Self::AfterScript => "after_script",
            Self::SaveCache => "archive_cache",
            Self::UploadArtifacts => "upload_artifacts_on_success",
            Self::Cleanup => "cleanup_file_variables",
        }
    }
}

/// What processes used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Resident memory of the largest single process, in bytes; 0 where it is not known.
    pub peak_memory: u64,
    /// CPU time of user and system, over all processes that ended.
    pub cpu: Duration,
}

impl Usage {
    /// Both together: the larger peak, the sum of the times.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { peak_memory: self.peak_memory.max(other.peak_memory), cpu: self.cpu + other.cpu }
    }
}

/// What one phase took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// Which phase.
    pub phase: Phase,
    /// When it began, by the clock of the machine that it ran on, to the millisecond.
    #[serde(with = "milliseconds")]
    pub began: SystemTime,
    /// From its start to its end.
    pub duration: Duration,
    /// What its processes used.
    pub usage: Usage,
}

/// A time as milliseconds since 1970: an end record has little room.
mod milliseconds {
    use std::time::{Duration, SystemTime};

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let since = Duration::from_millis(u64::deserialize(deserializer)?);
        Ok(SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

/// The end of a job, as its environment recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// How it ended.
    pub outcome: JobOutcome,
    /// Whether the environment itself completed the job at the source. Where not, the run loop does.
    pub reported: bool,
    /// Whether a line of the user's script may have run. Only `false` allows a second start.
    pub script_begun: bool,
    /// Size and checksum of the log as sent; `None` where nobody knows them, since not all of the log could be read.
    pub log: Option<LogDigest>,
    /// What each phase took, in the order in which they ran.
    pub phases: Vec<PhaseRecord>,
}

/// Size and checksum of a job's log. The default is that of an empty one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDigest {
    /// Bytes of the log, notices included.
    pub size: u64,
    /// CRC-32 (IEEE) of these bytes.
    pub crc32: u32,
}

impl LogDigest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, crc32: crc32fast::hash(bytes) }
    }

    /// That of a log which begins with what `self` is of, and goes on with what `next` is of.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        let mut whole = crc32fast::Hasher::new_with_initial_len(self.crc32, self.size);
        whole.combine(&crc32fast::Hasher::new_with_initial_len(next.crc32, next.size));
        Self { size: self.size + next.size, crc32: whole.finalize() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_digest_of_two_parts_is_that_of_the_whole(first: Vec<u8>, second: Vec<u8>) {
            let whole = [first.as_slice(), &second].concat();
            prop_assert_eq!(LogDigest::of(&first).followed_by(LogDigest::of(&second)), LogDigest::of(&whole));
        }
    }
}
