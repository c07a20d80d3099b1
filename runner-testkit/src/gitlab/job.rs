//! A job as the server knows it, and its states.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for a runner (`pending` in GitLab).
    Queued,
    /// A runner has it and has not yet acknowledged it (`pending` in GitLab).
    Assigned,
    /// A runner runs it.
    Running,
    /// It was cancelled, and the runner may still run its `after_script`.
    Canceling,
    /// It was cancelled and is over.
    Canceled,
    /// It succeeded.
    Success,
    /// It failed.
    Failed,
}

impl JobState {
    /// GitLab's name of it, as in `Job-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued | Self::Assigned => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more can happen to it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Canceled | Self::Success | Self::Failed)
    }
}

/// A state that a job came into, and when.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The new state.
    pub state: JobState,
    /// When.
    pub at: Instant,
}

/// An artifact that was uploaded.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// `archive`, `junit`, …
    pub kind: String,
    /// `zip`, `gzip` or `raw`.
    pub format: String,
    /// The file's name in the upload.
    pub filename: String,
    /// When it expires, as the runner sent it.
    pub expire_in: Option<String>,
    /// What it holds.
    pub bytes: Bytes,
}

/// What a test can read of a job.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its id.
    pub id: u64,
    /// Its state.
    pub state: JobState,
    /// The trace, as far as it arrived.
    pub trace: Vec<u8>,
    /// Why it failed, as the runner or the server says.
    pub failure_reason: Option<String>,
    /// The exit code that the runner gave.
    pub exit_code: Option<i64>,
    /// Every state so far, with its time. The first one is [`JobState::Queued`].
    pub history: Vec<Change>,
    /// What was uploaded, in this order.
    pub artifacts: Vec<Artifact>,
    /// How often it was handed to a runner.
    pub assignments: usize,
    /// How often a runner began to run it: more than one is a job that ran twice.
    pub runs: usize,
    /// How often the trace was thrown away because a checksum did not match.
    pub trace_restarts: usize,
    /// The longest time between two updates or patches, counted from the assignment: how long its runner was silent.
    pub longest_silence: Duration,
    /// When its runner was last heard of: the last update or patch. None before it is assigned.
    pub heard_at: Option<Instant>,
    /// How many requests came with a token of an earlier assignment.
    pub stale_requests: usize,
}

impl JobRecord {
    /// The trace as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.trace).into_owned()
    }
}

/// A job with what only the server needs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) record: JobRecord,
    pub(super) payload: Value,
    /// The token of the latest assignment; those before it no longer count.
    pub(super) token: Option<String>,
    pub(super) former_tokens: Vec<String>,
    pub(super) acknowledge_by: Option<Instant>,
    pub(super) cancels_gracefully: bool,
    pub(super) is_deleted: bool,
    /// Seconds between two patches, in place of what the settings say.
    pub(super) interval: Option<u64>,
    /// How many final updates are still answered with 202, and how many were.
    pub(super) updates_to_defer: u32,
    pub(super) updates_deferred: u32,
}

impl Job {
    pub(super) fn new(id: u64, payload: Value) -> Self {
        let record = JobRecord {
            id,
            state: JobState::Queued,
            trace: Vec::new(),
            failure_reason: None,
            exit_code: None,
            history: vec![Change { state: JobState::Queued, at: Instant::now() }],
            artifacts: Vec::new(),
            assignments: 0,
            runs: 0,
            trace_restarts: 0,
            longest_silence: Duration::ZERO,
            heard_at: None,
            stale_requests: 0,
        };
        Self {
            record,
            payload,
            token: None,
            former_tokens: Vec::new(),
            acknowledge_by: None,
            cancels_gracefully: false,
            is_deleted: false,
            interval: None,
            updates_to_defer: 0,
            updates_deferred: 0,
        }
    }

    /// Comes into a state, unless it is there or over.
    pub(super) fn enter(&mut self, state: JobState) {
        if self.record.state == state || self.record.state.is_final() {
            return;
        }
        if state == JobState::Running {
            self.record.runs += 1;
        }
        if state != JobState::Assigned {
            self.acknowledge_by = None;
        }
        self.record.state = state;
        self.record.history.push(Change { state, at: Instant::now() });
    }

    /// Notes that its runner was heard of.
    pub(super) fn hear(&mut self) {
        let now = Instant::now();
        if let Some(before) = self.record.heard_at.replace(now) {
            self.record.longest_silence = self.record.longest_silence.max(now - before);
        }
    }

    /// The end that a runner reports; a job that is being cancelled ends as canceled, whatever it says.
    pub(super) fn end(&mut self, state: JobState) {
        self.enter(if self.record.state == JobState::Canceling { JobState::Canceled } else { state });
    }

    /// Whether a runner may speak for it.
    pub(super) fn is_with_a_runner(&self) -> bool {
        matches!(self.record.state, JobState::Assigned | JobState::Running | JobState::Canceling)
    }

    /// Whether its token opens what belongs to the project: artifacts of other jobs, and the repository.
    pub(super) fn has_valid_token(&self) -> bool {
        !self.is_deleted && self.is_with_a_runner()
    }
}
