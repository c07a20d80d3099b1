//! Drives one job from its start to its cleanup: the only place that calls [`RunningJob::cleanup`].

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    RunSummary, RunnerConfig, Shutdown, ShutdownLevel,
    slots::{Credit, Slots},
};
use crate::{
    Error, ErrorKind, EventSink, FailureReason, JobContext, JobEnd, JobEvent, JobHandle, JobLease,
    JobOutcome, JobReport, Result, RunningJob,
    executor::{LogLimits, Stop},
    log::{JobLog, LogSpool, Masks, MemorySpool},
    outcome::LogDigest,
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
}

impl Jobs {
    pub(super) fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Waits for all jobs, or until the loop is told to leave them.
    pub(super) async fn finish(&self, shutdown: &Shutdown) -> RunSummary {
        self.tasks.close();
        tokio::select! {
            biased;
            () = self.tasks.wait() => {}
            () = shutdown.reached(ShutdownLevel::Leave) => {}
        }
        let mut summary = *self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.left = self.tasks.len();
        summary
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

impl Driver {
    /// Runs a new job in a task of its own.
    pub(super) fn spawn(self: &Arc<Self>, runner: &Arc<RunnerConfig>, lease: JobLease, credit: Credit) {
        let (driver, runner, summary) =
            (Arc::clone(self), Arc::clone(runner), Arc::clone(&self.jobs.summary));
        self.jobs.tasks.spawn(async move {
            let end = driver.run_new(&runner, lease, &credit).await;
            Jobs::count(&summary, &end.outcome);
            drop(credit);
        });
    }

    /// Takes over the jobs of an earlier process.
    pub(super) async fn adopt_all(self: &Arc<Self>, runner: &Arc<RunnerConfig>) {
        let handles = match runner.executor.adoptable().await {
            Ok(handles) => handles,
            Err(error) => {
                tracing::warn!(runner = runner.name, error = error.chain(), "cannot list jobs to adopt");
                return;
            }
        };
        for handle in handles {
            if handle.saved.as_ref().is_some_and(|saved| saved.runner == runner.name)
                && let Err(error) = self.adopt(runner, handle).await
            {
                tracing::warn!(runner = runner.name, error = error.chain(), "cannot adopt a job");
            }
        }
    }

    async fn adopt(self: &Arc<Self>, runner: &Arc<RunnerConfig>, handle: JobHandle) -> Result<()> {
        let saved = handle.saved.clone().ok_or_else(|| Error::new(ErrorKind::NotFound, "adopt a job"))?;
        let lease = match runner.source.resume(saved).await {
            Ok(lease) => lease,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::info!(job = %handle.job, error = error.chain(), "a job of an earlier process is removed");
                return runner.executor.discard(handle).await;
            }
            Err(error) => return Err(error),
        };
        let credit = Credit { slot: self.slots.take_over(), _limit: None };
        let report = Arc::clone(&lease.report);
        let job = runner.executor.adopt(handle, lease, self.context(runner, &credit)).await?;
        let (driver, summary) = (Arc::clone(self), Arc::clone(&self.jobs.summary));
        self.jobs.tasks.spawn(async move {
            let end = driver.run_to_end(job.as_ref(), &report).await;
            Jobs::count(&summary, &end.outcome);
            drop(credit);
        });
        Ok(())
    }

    fn context(&self, runner: &RunnerConfig, credit: &Credit) -> JobContext {
        JobContext {
            slot: credit.slot.number,
            runner: runner.name.clone(),
            cache: runner.cache.clone(),
            events: self.events.clone(),
            log: runner.log,
        }
    }

    async fn run_new(&self, runner: &RunnerConfig, lease: JobLease, credit: &Credit) -> JobEnd {
        let (id, report) = (lease.job.id.clone(), Arc::clone(&lease.report));
        self.events.job(&id, JobEvent::Starting { slot: credit.slot.number });
        match runner.executor.start(lease, self.context(runner, credit)).await {
            Ok(job) => self.run_to_end(job.as_ref(), &report).await,
            Err(error) => {
                let end = never_started(&error, &report, &runner.log).await;
                self.events.job(&id, JobEvent::Ended(end.clone()));
                end
            }
        }
    }

    async fn run_to_end(&self, job: &dyn RunningJob, report: &Arc<dyn JobReport>) -> JobEnd {
        let mut end = self.wait(job).await.unwrap_or_else(|error| unknown_end(&error));
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
        end
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
            if let Some(how) = stop_for(level)
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
    let log = log.finish().await;
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
        report_end(&reporter, &end).await
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
        log: LogDigest::default(),
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
