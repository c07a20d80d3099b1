//! Drives one job from its start to its cleanup: the only place that calls [`RunningJob::cleanup`].

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    RunSummary, RunnerConfig, Shutdown, ShutdownLevel,
    slots::{Credit, Slots},
};
use crate::{
    Error, ErrorKind, EventSink, FailureReason, JobContext, JobEnd, JobEvent, JobId, JobLease, JobOutcome,
    JobReport, Result, RunningJob,
    executor::{LogLimits, Stop},
    log::{JobLog, LogSpool, Masks, MemorySpool},
    report::Reporter,
};

/// How long the removal of one job's environment may take.
const CLEANUP_LIMIT: time::Duration = time::Duration::from_mins(5);

/// What the clock cannot hold is this long.
const A_YEAR: time::Duration = time::Duration::from_hours(24 * 365);

/// What all tasks of a run loop share.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) slots: Slots,
    pub(super) events: EventSink,
    pub(super) shutdown: Shutdown,
    pub(super) jobs: Jobs,
}

/// The jobs that run, and how the others ended.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    tasks: TaskTracker,
    summary: Arc<Mutex<RunSummary>>,
    /// The jobs that this loop runs.
    claims: Arc<Mutex<HashSet<JobId>>>,
    /// How many jobs of an earlier process are known and not taken over.
    unadopted: AtomicUsize,
    /// How many jobs run that cannot outlive this process.
    bound: watch::Sender<usize>,
}

/// The sole right to run a job, given back when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    id: JobId,
    claims: Arc<Mutex<HashSet<JobId>>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Jobs {
    /// How many jobs run; those of an earlier process do, whether they are taken over or not.
    pub(super) fn running(&self) -> usize {
        self.tasks.len() + self.unadopted.load(Ordering::Relaxed)
    }

    /// The right to run a job; `None` where this loop runs it already.
    pub(super) fn claim(&self, id: &JobId) -> Option<Claim> {
        let is_new = self.claims.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        is_new.then(|| Claim { id: id.clone(), claims: Arc::clone(&self.claims) })
    }

    /// Jobs of an earlier process are known that are to be taken over.
    pub(super) fn await_adoption(&self, count: usize) {
        self.unadopted.fetch_add(count, Ordering::Relaxed);
    }

    /// One of them is taken over, or is no more.
    pub(super) fn note_adopted(&self) {
        self.unadopted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits for all jobs, or until the loop is told to leave them.
    pub(super) async fn finish(&self, shutdown: &Shutdown) -> RunSummary {
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => {}
            () = self.can_be_left(shutdown) => {}
        }
        let mut summary = *self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.left = self.running();
        summary
    }

    /// Waits until the loop is told to leave and no job runs that would end with this process.
    async fn can_be_left(&self, shutdown: &Shutdown) {
        shutdown.reached(ShutdownLevel::Leave).await;
        let mut bound = self.bound.subscribe();
        // The sender lives as long as `self`.
        drop(bound.wait_for(|bound| *bound == 0).await);
    }

    fn count(summary: &Mutex<RunSummary>, outcome: &JobOutcome) {
        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            JobOutcome::Succeeded => summary.succeeded += 1,
            JobOutcome::Failed(_) => summary.failed += 1,
            JobOutcome::Canceled => summary.canceled += 1,
        }
    }
}

/// A job that cannot outlive this process.
struct Bound<'a>(&'a watch::Sender<usize>);

impl<'a> Bound<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Driver {
    /// Runs a new job in a task of its own.
    pub(super) fn spawn(self: &Arc<Self>, runner: &Arc<RunnerConfig>, lease: JobLease, credit: Credit) {
        let (driver, runner, summary) =
            (Arc::clone(self), Arc::clone(runner), Arc::clone(&self.jobs.summary));
        let held = (self.jobs.claim(&lease.job.id), credit);
        self.jobs.tasks.spawn(async move {
            if let Some(end) = driver.run_new(&runner, lease, &held.1).await {
                Jobs::count(&summary, &end.outcome);
            }
            drop(held);
        });
    }

    /// Runs a job that was taken over to its end, in a task of its own.
    pub(super) fn spawn_adopted(
        self: &Arc<Self>,
        job: Arc<dyn RunningJob>,
        report: Arc<dyn JobReport>,
        held: (Credit, Claim),
    ) {
        let (driver, summary) = (Arc::clone(self), Arc::clone(&self.jobs.summary));
        self.jobs.tasks.spawn(async move {
            if let Some(end) = driver.run_to_end(job.as_ref(), &report).await {
                Jobs::count(&summary, &end.outcome);
            }
            drop(held);
        });
    }

    pub(super) fn context(&self, runner: &RunnerConfig, credit: &Credit) -> JobContext {
        JobContext {
            slot: credit.slot.number,
            runner: runner.title.clone(),
            cache: runner.cache.clone(),
            events: self.events.clone(),
            log: runner.log,
        }
    }

    async fn run_new(&self, runner: &RunnerConfig, lease: JobLease, credit: &Credit) -> Option<JobEnd> {
        let (id, report) = (lease.job.id.clone(), Arc::clone(&lease.report));
        self.events.job(&id, JobEvent::Starting { slot: credit.slot.number });
        match runner.executor.start(lease, self.context(runner, credit)).await {
            Ok(job) => self.run_to_end(job.as_ref(), &report).await,
            Err(error) => {
                let end = never_started(&error, &report, &runner.log).await;
                self.events.job(&id, JobEvent::Ended(end.clone()));
                Some(end)
            }
        }
    }

    /// `None` where another process has taken the job over: it does the rest.
    async fn run_to_end(&self, job: &dyn RunningJob, report: &Arc<dyn JobReport>) -> Option<JobEnd> {
        let _bound = job.handle().saved.is_none().then(|| Bound::new(&self.jobs.bound));
        let mut end = match self.wait(job).await {
            Ok(end) => end,
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.events.job(&job.handle().job, JobEvent::TakenOver);
                return None;
            }
            Err(error) => unknown_end(&error),
        };
        if !end.reported {
            end.reported = report_for(Arc::clone(report), end.clone()).await;
        }
        let id = job.handle().job;
        match time::timeout(CLEANUP_LIMIT, job.cleanup()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.events.job(&id, JobEvent::Notice(format!("failed to {}", error.chain()))),
            Err(_) => self
                .events
                .job(&id, JobEvent::Notice("the job's environment could not be removed in time".into())),
        }
        self.events.job(&id, JobEvent::Ended(end.clone()));
        Some(end)
    }

    /// Waits for the end, and hands on each sharper level of the shutdown.
    async fn wait(&self, job: &dyn RunningJob) -> Result<JobEnd> {
        let mut level = ShutdownLevel::Drain;
        let ended = job.wait();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                end = &mut ended => return end,
                sharper = self.shutdown.sharper_than(level) => level = sharper,
            }
            let how = match level {
                // The others run on, and are adopted.
                ShutdownLevel::Leave if job.handle().saved.is_none() => Some(Stop::Interrupt),
                level => stop_for(level),
            };
            if let Some(how) = how
                && let Err(error) = job.stop(how).await
            {
                tracing::warn!(error = error.chain(), "cannot stop a job");
            }
        }
    }
}

fn stop_for(level: ShutdownLevel) -> Option<Stop> {
    match level {
        ShutdownLevel::Run | ShutdownLevel::Drain | ShutdownLevel::Leave => None,
        ShutdownLevel::Cancel(patience) => {
            let now = Instant::now();
            Some(Stop::Graceful { deadline: now.checked_add(patience).unwrap_or(now + A_YEAR) })
        }
        ShutdownLevel::Interrupt => Some(Stop::Interrupt),
        ShutdownLevel::Abort => Some(Stop::Abort),
    }
}

/// Reports a job that could not be started: its log holds the reason.
async fn never_started(error: &Error, report: &Arc<dyn JobReport>, limits: &LogLimits) -> JobEnd {
    let reason = match error.kind() {
        ErrorKind::Invalid => FailureReason::ConfigurationError,
        ErrorKind::Unsupported => FailureReason::RunnerUnsupported,
        ErrorKind::ImageUnavailable => FailureReason::ImagePullFailure,
        _ => FailureReason::RunnerSystemFailure,
    };
    let message = format!("failed to {}", error.chain());
    let spool: Arc<dyn LogSpool> = Arc::new(MemorySpool::new());
    let log = JobLog::new(limits, Masks::default(), false, Arc::clone(&spool));
    log.line(&format!("ERROR: Job failed: {message}")).await;
    let log = Some(log.finish().await);
    let reporter = Reporter::new(Arc::clone(report), spool, limits.interval);
    let finished = CancellationToken::new();
    finished.cancel();
    reporter.run(&finished).await;
    let outcome = JobOutcome::failed(reason, message);
    let mut end = JobEnd { outcome, reported: false, script_begun: false, log, phases: Vec::new() };
    end.reported = report_end(&reporter, &end).await;
    end
}

/// Reports the end of a job whose environment did not.
async fn report_for(report: Arc<dyn JobReport>, end: JobEnd) -> bool {
    let mut reporting = JoinSet::new();
    // A task of its own: if a report panics, the job is cleaned up all the same.
    reporting.spawn(async move {
        let reporter = Reporter::new(report, Arc::new(MemorySpool::new()), LogLimits::default().interval);
        // Of a log that is not here nothing can be sent again: a source that does not come to terms with it hears at least of
        // the end.
        report_end(&reporter, &end).await
            || (end.log.is_some() && report_end(&reporter, &JobEnd { log: None, ..end }).await)
    });
    reporting.join_next().await.and_then(std::result::Result::ok).unwrap_or_default()
}

/// The end of a job that nobody knows: never a success.
fn unknown_end(error: &Error) -> JobEnd {
    JobEnd {
        outcome: JobOutcome::failed(
            FailureReason::RunnerSystemFailure,
            format!("failed to {}", error.chain()),
        ),
        reported: false,
        script_begun: true,
        log: None,
        phases: Vec::new(),
    }
}

async fn report_end(reporter: &Reporter, end: &JobEnd) -> bool {
    match reporter.complete(&end.outcome, end.log).await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(error = error.chain(), "cannot report the end of a job");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::{
        outcome::LogDigest,
        source::{Completion, JobState, LogAck, LogReply, Wish},
    };

    /// A source whose log is not the one that any digest is of.
    #[derive(Debug)]
    struct AnotherLog;

    #[async_trait]
    impl JobReport for AnotherLog {
        async fn accept(&self) -> Result<Wish> {
            Ok(Wish::default())
        }

        async fn append_log(&self, _: u64, _: Bytes) -> Result<LogReply> {
            Ok(LogReply { ack: LogAck::Rewind(7), wish: Wish::default() })
        }

        async fn heartbeat(&self, _: JobState) -> Result<Wish> {
            Ok(Wish::default())
        }

        async fn complete(&self, _: &JobOutcome, log: Option<LogDigest>) -> Result<Completion> {
            Ok(if log.is_some() { Completion::ResendLog(0) } else { Completion::Done })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_ends_at_its_source_also_where_that_has_another_log() {
        let end = JobEnd {
            outcome: JobOutcome::Canceled,
            reported: false,
            script_begun: true,
            log: Some(LogDigest { size: 9, crc32: 1 }),
            phases: Vec::new(),
        };
        assert!(report_for(Arc::new(AnotherLog), end).await);
    }
}
