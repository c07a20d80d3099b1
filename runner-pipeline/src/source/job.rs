//! One job of a pipeline that runs, in its present attempt.

use std::{sync::Arc, time::Duration};

use runner_core::{
    Failure, JobId,
    job::{DependencyFile, Variable},
    source::WishAction,
};
use tokio::time::Instant;

use super::{JobStatus, report::AppliedLog};
use crate::pipeline::{AllowFailure, PipelineJob};

/// One job, and what it left for others.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) attempt: u32,
    pub(super) log: Arc<AppliedLog>,
    pub(super) wish: WishAction,
    /// Variables of its dotenv report.
    pub(super) dotenv: Vec<Variable>,
    pub(super) archive: Option<DependencyFile>,
    pub(super) status: JobStatus,
    pub(super) previous: Option<Failure>,
    /// Somebody asked for it by name.
    pub(super) asked: bool,
    pub(super) handed_out: bool,
    pub(super) ready: Option<Instant>,
    pub(super) started: Option<Instant>,
    pub(super) ended: Option<Instant>,
}

impl Job {
    /// The first attempt of a job.
    pub(super) fn new(id: JobId, asked: bool) -> Self {
        Self {
            id,
            attempt: 1,
            log: Arc::default(),
            wish: WishAction::GoOn,
            dotenv: Vec::new(),
            archive: None,
            status: JobStatus::Waiting,
            previous: None,
            asked,
            handed_out: false,
            ready: None,
            started: None,
            ended: None,
        }
    }

    /// How long it waited for a slot so far.
    pub(super) fn queued(&self) -> Option<Duration> {
        self.ready.map(|ready| ready.elapsed())
    }
}

/// Whether the pipeline goes on after that failure.
pub(super) fn is_allowed(allow: &AllowFailure, failure: &Failure) -> bool {
    match allow {
        AllowFailure::No => false,
        AllowFailure::Yes => true,
        AllowFailure::ExitCodes(codes) => failure.exit_code.is_some_and(|code| codes.contains(&code)),
    }
}

/// Whether a job that failed for the `attempts`th time is started again.
pub(super) fn is_retried(job: &PipelineJob, failure: &Failure, attempts: u32) -> bool {
    let retry = &job.retry;
    let reason = failure.reason.as_str();
    let by_reason = retry.when.iter().any(|when| when == "always" || when == reason);
    let by_code = failure.exit_code.is_some_and(|code| retry.exit_codes.contains(&code));
    let matches = match (retry.when.is_empty(), retry.exit_codes.is_empty()) {
        (true, true) => true,
        (true, false) => by_code,
        (false, true) => by_reason,
        (false, false) => by_reason || by_code,
    };
    attempts <= retry.max && matches
}
