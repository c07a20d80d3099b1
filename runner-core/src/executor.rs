//! What runs jobs.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{CacheBackend, EventSink, Finding, JobEnd, JobId, JobLease, Result, SavedLease};

mod job_table;

pub use job_table::JobTable;

/// Runs jobs, each in an environment made for it alone.
///
/// # Lifecycle
/// 1. [`check`](Self::check) before the first job; then [`adoptable`](Self::adoptable), and [`adopt`](Self::adopt) for
///    the jobs of an earlier process, or [`discard`](Self::discard) for those that their source has given up.
/// 2. [`start`](Self::start) for each new job.
/// 3. [`RunningJob::wait`] until it ended, [`RunningJob::stop`] at any time.
/// 4. [`RunningJob::cleanup`] on every path, after the end is reported, but for a job that another process has taken over.
/// 5. [`leave`](Self::leave) at the end of the run loop. Where several processes share their jobs, [`orphaned`](Self::orphaned)
///    meanwhile tells when there may be more to adopt.
///
/// # Contract
/// The caller gives ids that are unique among all jobs that exist at a time. The implementer:
/// - makes `start` find-or-create: called twice with one id, one job runs (a [`JobTable`] does that);
/// - stores [`JobLease::saved`] where a restart finds it *before* it [accepts](crate::JobReport::accept) the job, and
///   accepts it *before* it starts it; an executor that cannot outlive its process stores nothing;
/// - never runs a line of a script twice: `adopt` attaches, it never starts again;
/// - reports the truth: what it does not know is an error or a failure, never a success.
///
/// # Cancellation
/// Dropping a future, or a [`RunningJob`], never stops a job. Stopping is a call.
///
/// # Errors
/// `start` fails only where the job was not started and nothing of it is left. How a script ended is a value in
/// [`JobEnd`].
///
/// Check yours with `runner_testkit::executor_suite`.
#[async_trait]
pub trait Executor: Send + Sync + fmt::Debug {
    /// What is missing or will surprise, said before the first job.
    async fn check(&self) -> Vec<Finding>;

    /// Starts a job, or finds the one that runs under its id.
    async fn start(&self, lease: JobLease, context: JobContext) -> Result<Arc<dyn RunningJob>>;

    /// The jobs of an earlier process that can be taken over. May be called at any time; those that this executor runs
    /// are not among them.
    ///
    /// # Errors
    /// Where they cannot be listed now; the run loop asks again.
    async fn adoptable(&self) -> Result<Vec<JobHandle>>;

    /// Takes over a job of an earlier process, whether it still runs or has ended.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is nothing of it any more. After any other error
    /// the run loop tries again, later each time, so nothing of the job may be harmed by one that failed.
    async fn adopt(
        &self,
        handle: JobHandle,
        lease: JobLease,
        context: JobContext,
    ) -> Result<Arc<dyn RunningJob>>;

    /// Removes everything of a job of an earlier process that its source knows no more: nobody waits for its end.
    /// Repeating it is no error.
    async fn discard(&self, handle: JobHandle) -> Result<()>;

    /// Waits until [`adoptable`](Self::adoptable) may have jobs that it did not have when it was last asked, since
    /// another process that shares them has ended. By default that never happens.
    ///
    /// # Cancellation
    /// May be dropped and called again: what happened meanwhile is told by the next call.
    async fn orphaned(&self) {
        std::future::pending::<()>().await;
    }

    /// Gives the jobs that still run here to whoever shares them, and has nothing more to do with them: the run loop is
    /// about to end. By default nothing is shared.
    async fn leave(&self) {}
}

/// A job that runs or has ended.
#[async_trait]
pub trait RunningJob: Send + Sync + fmt::Debug {
    /// What finds the job again.
    fn handle(&self) -> JobHandle;

    /// Waits for the end. May be called again, and from several places; all get the same end.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where another process has taken the job over: then it is that
    /// one's to report and to clean up. Any other where the end cannot be known; the caller reports that as a failure.
    async fn wait(&self) -> Result<JobEnd>;

    /// Asks the job to stop. Returns as soon as it is asked; [`wait`](Self::wait) tells when it has. A later call may
    /// only be sharper.
    async fn stop(&self, how: Stop) -> Result<()>;

    /// Removes everything of the job, also one that never ended. Repeating it is no error. It is never cancelled by
    /// what stops the job.
    async fn cleanup(&self) -> Result<()>;
}

/// How a job is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The script is stopped, `after_script` runs, the job ends as canceled; what is left at the deadline is aborted.
    Graceful {
        /// When patience ends.
        deadline: Instant,
    },
    /// The script is stopped, and so is everything else; the job ends as interrupted by us.
    Interrupt,
    /// Everything is stopped at once.
    Abort,
}

/// Finds a job again: in the same process, after a restart, or in another replica of the manager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobHandle {
    /// The job.
    pub job: JobId,
    /// The stored lease; `None` from an executor that cannot outlive its process.
    pub saved: Option<SavedLease>,
}

/// What a job gets from whoever runs it.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// The number of the slot that the job runs in, from 0 (`CI_CONCURRENT_ID`).
    pub slot: usize,
    /// The name of the runner.
    pub runner: String,
    /// The cache; without one, caches are neither restored nor saved.
    pub cache: Option<Arc<dyn CacheBackend>>,
    /// Takes what happens.
    pub events: EventSink,
    /// How the log is treated.
    pub log: LogLimits,
}

impl Default for JobContext {
    fn default() -> Self {
        Self {
            slot: 0,
            runner: "runner".into(),
            cache: None,
            events: EventSink::default(),
            log: LogLimits::default(),
        }
    }
}

/// Bounds of a job's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes of the log after masking; what comes later is dropped, but for a tail. Default 4 MiB, GitLab's.
    pub size: u64,
    /// Each line starts with a timestamp and a stream's name (`FF_TIMESTAMPS`).
    pub timestamps: bool,
    /// How long between two reports where the source does not say.
    pub interval: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { size: 4 << 20, timestamps: true, interval: Duration::from_secs(3) }
    }
}
