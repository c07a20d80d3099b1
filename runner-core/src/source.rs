//! Where jobs come from, and where the truth about them is reported.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{ArtifactStore, JobOutcome, JobSpec, Result, Secret, outcome::LogDigest};

/// Hands out jobs.
///
/// # Lifecycle
/// 1. The run loop calls [`next`](Self::next) while it has room.
/// 2. An executor stores [`JobLease::saved`], then [accepts](JobReport::accept) the job, then runs it.
/// 3. After a crash the stored lease becomes a [`JobLease`] again by [`resume`](Self::resume).
///
/// # Contract
/// The caller never asks for more than it has room for. The implementer hands out each job once: a job that was
/// given is not given again unless it was never accepted.
///
/// # Cancellation
/// `next` ends soon after `stop` is triggered. It is cancel safe: a job that was taken from the wire when the future
/// is dropped or stopped is kept and returned by a later call, or handed back, and never lost.
///
/// # Errors
/// `next` fails where the source could not be asked; the run loop asks again, later each time.
///
/// Check yours with `runner_testkit::source_suite`.
#[async_trait]
pub trait JobSource: Send + Sync + fmt::Debug {
    /// Waits for a job.
    ///
    /// Behaviour:
    /// - returns a job that fits into `capacity`;
    /// - returns `None` where there is none now and `stop` was triggered, or where there will never be another
    ///   one ([`is_exhausted`](Self::is_exhausted) tells which);
    /// - may return `None` early, as a long poll does; the caller then asks again.
    async fn next(&self, capacity: Capacity, stop: &CancellationToken) -> Result<Option<JobLease>>;

    /// Makes a lease of a stored one: after a restart, or in another replica. It neither accepts nor starts anything.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where the source knows the job to be gone.
    async fn resume(&self, saved: SavedLease) -> Result<JobLease>;

    /// Whether there will never be another job: a finite source, such as one pipeline, has given all it had.
    fn is_exhausted(&self) -> bool {
        false
    }
}

/// How many jobs the caller has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Jobs that could start at once; at least 1.
    pub free: usize,
}

/// A job that was handed out, with what is needed to run and to report it.
#[derive(Debug, Clone)]
pub struct JobLease {
    /// The job.
    pub job: Arc<JobSpec>,
    /// Where the truth about it is reported.
    pub report: Arc<dyn JobReport>,
    /// Where its artifacts go to and come from.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// What to store before the job is accepted.
    pub saved: SavedLease,
    /// What an agent elsewhere needs to report the job by itself; `None` where only this process can.
    pub remote: Option<RemoteReport>,
}

/// What an agent elsewhere needs to report one job, and to carry its artifacts, without this process. A secret as a
/// whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteReport {
    /// The kind of source, such as `gitlab`. An agent that does not know it reports to whoever started it.
    pub kind: String,
    /// What the source needs; only it reads this.
    pub state: Secret,
}

/// A lease as it is stored: serde, and a secret as a whole, since it holds the job's token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedLease {
    /// The name of the runner whose source gave the job.
    pub runner: String,
    /// The job.
    pub job: Arc<JobSpec>,
    /// What else the source needs to go on; only it reads this.
    pub state: Secret,
}

/// Reports one job to its source.
///
/// Exactly one holder writes the log at a time. All calls may be repeated.
///
/// # Contract
/// The caller numbers the log's bytes from 0 and repeats a call until it is answered. The implementer applies each
/// byte once: bytes before what it has are ignored or lead to [`LogAck::Rewind`], never to a double.
///
/// # Cancellation
/// Dropping a future leaves it open whether the call was applied; the caller repeats it.
///
/// # Errors
/// Those that [may be retried](crate::Error::is_retryable) say that the source does not answer now: the caller goes
/// on trying, for hours where need be. Others are final for this call.
///
/// Check yours with `runner_testkit::report_suite`.
#[async_trait]
pub trait JobReport: Send + Sync + fmt::Debug {
    /// Takes the job for good: from here on the source does not give it to anybody else. Called only after
    /// [`JobLease::saved`] is stored, so that a crash before it hands the job back.
    async fn accept(&self) -> Result<Wish>;

    /// Appends `bytes` to the log, the first of which is number `offset`.
    ///
    /// Behaviour:
    /// - in order: [`LogAck::UpTo`] the end of what is now applied;
    /// - `offset` differs from what the source has: [`LogAck::Rewind`] to the number that it wants next;
    /// - the source takes no more of this log: [`LogAck::Closed`]; the job goes on.
    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply>;

    /// Tells that the job still is, and learns what the source wants of it.
    async fn heartbeat(&self, state: JobState) -> Result<Wish>;

    /// Reports the end. Repeated by the caller until it is [`Completion::Done`] or [`Completion::Gone`]; a repeated
    /// report of the same end is done, not an error.
    ///
    /// Behaviour:
    /// - `log` is of what the source has: the end is applied;
    /// - it is of another log: the source may ask for it again, with [`Completion::ResendLog`];
    /// - it is `None`, since nobody knows the log as a whole: the source has nothing to compare, applies the end and keeps
    ///   what it has of the log.
    async fn complete(&self, outcome: &JobOutcome, log: Option<LogDigest>) -> Result<Completion>;
}

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Handed out, not accepted yet.
    Pending,
    /// Accepted.
    Running,
}

/// The answer to [`JobReport::append_log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogReply {
    /// What became of the bytes.
    pub ack: LogAck,
    /// What the source wants of the job.
    pub wish: Wish,
}

/// What became of log bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogAck {
    /// All bytes before this number are applied.
    UpTo(u64),
    /// Nothing was applied; the source wants the byte of this number next.
    Rewind(u64),
    /// The source takes no more of this log.
    Closed,
}

/// What the source wants of a job, as it says with each answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// What to do.
    pub action: WishAction,
    /// How long to wait before the next report, where it says so.
    pub interval: Option<Duration>,
}

/// What a source may want of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WishAction {
    /// Go on.
    #[default]
    GoOn,
    /// Stop the script, run `after_script`, end as canceled.
    CancelGracefully,
    /// Stop everything at once; nobody waits for a report.
    Abort,
}

/// The answer to [`JobReport::complete`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The source has applied the end.
    Done,
    /// It has not yet; ask again after this time.
    NotYet(Duration),
    /// Its log is not the one that the digest is of: send it again from this byte, then complete again.
    ResendLog(u64),
    /// The source knows the job no more, or has ended it otherwise.
    Gone,
}
