//! Runs a job to its end and reports it: the engine and the reporter at once, then the end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use runner_core::{
    FailureReason, JobEnd, JobOutcome, JobSpec, executor::Stop, log::JobLog, outcome::LogDigest,
    report::Reporter, source::WishAction,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    engine::{Engine, EngineEnd, StopSender},
    host::Host,
};

/// How long a job that its source cancels has at least, for `after_script` and what is sent after it.
const PATIENCE: Duration = Duration::from_mins(15);

/// What the clock cannot hold is this long.
const A_YEAR: Duration = Duration::from_hours(24 * 365);

/// How long a source that does not answer is asked to take the rest of the log and the end, where somebody else can go on
/// with it.
const REPORTING: Duration = Duration::from_mins(10);

/// How long the end of a job may take to be said that its source aborted.
const LAST_WORD: Duration = Duration::from_secs(5);

/// A job on its way.
pub(crate) struct JobRun {
    pub(crate) job: Arc<JobSpec>,
    pub(crate) engine: Engine,
    /// Closed as soon as the engine is done.
    pub(crate) hosts: Vec<Arc<dyn Host>>,
    pub(crate) log: JobLog,
    pub(crate) reporter: Reporter,
    pub(crate) stop: StopSender,
    /// Of the part of the log before the first byte of this run.
    pub(crate) log_start: LogDigest,
    /// Where somebody else says the end if this run cannot.
    pub(crate) successor: Option<Successor>,
}

/// Somebody who says the end of a job where the run of it does not.
pub(crate) struct Successor {
    /// Whether this run is to leave an end like this one to it.
    pub(crate) leaves: Box<dyn Fn(&JobOutcome) -> bool + Send + Sync>,
    /// Hears the end as soon as it is known: this run may not live to report it.
    pub(crate) hears: Box<dyn Fn(&JobEnd) + Send + Sync>,
    /// Triggered where this run is to end soon.
    pub(crate) hurry: CancellationToken,
}

impl Successor {
    /// Waits until this run has had its time to report.
    async fn is_due(&self) {
        tokio::select! {
            () = sleep(REPORTING) => {}
            () = async { self.hurry.cancelled().await; sleep(LAST_WORD).await } => {}
        }
    }
}

impl JobRun {
    /// Runs the job to its end and reports it. `done` is triggered as soon as nothing of it runs any more.
    pub(crate) async fn run(
        self,
        tasks: TaskTracker,
        done: CancellationToken,
        end: watch::Sender<Option<JobEnd>>,
    ) {
        let Self { job, engine, hosts, log, reporter, stop, log_start, successor } = self;
        let finished = CancellationToken::new();
        let done = done.drop_guard();
        let processes = hosts.clone();
        // A task of its own, so that a panic in it ends the job and not its report, and one in a report does not leave
        // it behind: the job is done when this is.
        let engine = tasks.spawn(async move {
            let _done = done;
            let end = engine.run().await;
            close(&processes).await;
            end
        });
        let work = async {
            let ended = engine.await;
            // It is open still where the engine has panicked.
            close(&hosts).await;
            let engine_end = match ended {
                Ok(end) => end,
                Err(panicked) => lost(&panicked.to_string(), &log).await,
            };
            let end = unreported(engine_end, log_start.followed_by(log.finish().await));
            if let Some(successor) = &successor {
                (successor.hears)(&end);
            }
            finished.cancel();
            end
        };
        let work = async {
            tokio::select! {
                ended = work => ended,
                never = heed(&reporter, &stop, &job) => match never {},
            }
        };
        let due = async {
            finished.cancelled().await;
            match &successor {
                Some(successor) => successor.is_due().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(due);
        let sent = async {
            tokio::select! {
                () = reporter.run(&finished) => true,
                () = &mut due => false,
            }
        };
        let (mut ended, is_sent) = tokio::join!(work, sent);
        let is_left = successor.as_ref().is_some_and(|successor| (successor.leaves)(&ended.outcome));
        ended.reported = is_sent
            && !is_left
            && tokio::select! {
                reported = report_end(&reporter, &job, &ended.outcome, ended.log) => reported,
                () = &mut due => false,
            };
        end.send_replace(Some(ended));
    }
}

fn unreported(end: EngineEnd, log: LogDigest) -> JobEnd {
    let EngineEnd { outcome, script_begun, phases } = end;
    JobEnd { outcome, reported: false, script_begun, log: Some(log), phases }
}

async fn close(hosts: &[Arc<dyn Host>]) {
    for host in hosts {
        host.close().await;
    }
}

/// Reports the end; tells whether nobody else needs to.
async fn report_end(
    reporter: &Reporter,
    job: &JobSpec,
    outcome: &JobOutcome,
    log: Option<LogDigest>,
) -> bool {
    let is_aborted = *reporter.wishes().borrow() == WishAction::Abort;
    let reporting = reporter.complete(outcome, log);
    if is_aborted {
        // Nobody waits for it, and the log is not complete. It is no harm to say it once.
        let said = timeout(LAST_WORD, reporting).await;
        tracing::debug!(job = %job.id, ?said, "a job that its source aborted has ended");
        return true;
    }
    match reporting.await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(job = %job.id, error = error.chain(), "the end of a job could not be reported");
            false
        }
    }
}

/// Does what the source wants of the job.
async fn heed(reporter: &Reporter, stop: &StopSender, job: &JobSpec) -> Infallible {
    let mut wishes = reporter.wishes();
    loop {
        let wish = *wishes.borrow_and_update();
        if let Some(how) = stop_for(wish, job) {
            stop.stop(how);
        }
        if wishes.changed().await.is_err() {
            // The reporter has ended, and with it the job is about to.
            std::future::pending::<()>().await;
        }
    }
}

/// The end of a job whose engine has failed: never a success.
async fn lost(reason: &str, log: &JobLog) -> EngineEnd {
    let message = format!("the engine that ran the job failed: {reason}");
    log.line(&format!("ERROR: Job failed (system failure): {message}")).await;
    EngineEnd {
        outcome: JobOutcome::failed(FailureReason::RunnerSystemFailure, message),
        script_begun: true,
        phases: Vec::new(),
    }
}

/// How a job stops because its source wants it to.
pub(crate) fn stop_for(wish: WishAction, job: &JobSpec) -> Option<Stop> {
    match wish {
        WishAction::GoOn => None,
        WishAction::CancelGracefully => {
            let now = Instant::now();
            let longest = now.checked_add(job.timeout.max(PATIENCE));
            Some(Stop::Graceful { deadline: longest.unwrap_or(now + A_YEAR) })
        }
        WishAction::Abort => Some(Stop::Abort),
    }
}

#[cfg(test)]
mod tests;
