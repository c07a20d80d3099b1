//! What a pipeline's jobs are doing, for whoever shows it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{Failure, JobId};

/// Takes what a pipeline has to show.
#[async_trait]
pub trait PipelineOutput: Send + Sync + std::fmt::Debug {
    /// Takes bytes of the log of the job named `job`, in order, each byte once.
    ///
    /// # Cancellation
    /// A future that is dropped before it is ready has taken none of the bytes; they are given again.
    async fn log(&self, job: &str, bytes: Bytes);

    /// The job named `job` is in another state now. Called in order, from the task in which that happens: it must
    /// return at once.
    fn changed(&self, job: &str, progress: &JobProgress);
}

/// What one job of a pipeline is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobProgress {
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// Its id, which each attempt has anew.
    pub id: JobId,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Its state.
    pub status: JobStatus,
    /// How the attempt before ended, where this is not the first.
    pub previous: Option<Failure>,
    /// From when it could run to when it ran, or to now. Zero where it never could.
    pub queued: Duration,
    /// From when it ran to its end, or to now; `None` where it never ran.
    pub ran: Option<Duration>,
}

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    /// It waits for other jobs.
    Waiting,
    /// It could run, and waits for a free slot.
    Ready,
    /// It runs.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether the pipeline goes on, by `allow_failure`.
        allowed: bool,
    },
    /// It was canceled, before or while it ran.
    Canceled,
    /// It does not run.
    Skipped {
        /// Why not, such as "`build` failed".
        because: String,
    },
    /// It runs only if a person asks for it by name.
    Manual,
}

impl JobStatus {
    /// Whether it stays as it is.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Ready | Self::Running)
    }

    /// Whether it fails the pipeline.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { allowed: false, .. })
    }

    /// The name, as GitLab writes it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "created",
            Self::Ready => "pending",
            Self::Running => "running",
            Self::Succeeded => "success",
            Self::Failed { .. } => "failed",
            Self::Canceled => "canceled",
            Self::Skipped { .. } => "skipped",
            Self::Manual => "manual",
        }
    }
}
