//! Ends a job that cannot be run as it is, so that whoever wrote it sees why.

use std::sync::Arc;

use runner_core::{
    ErrorKind, FailureReason, JobOutcome, JobReport,
    executor::LogLimits,
    log::{JobLog, LogSpool, MemorySpool, mask::Masks},
    report::{ACCEPTANCE, Reporter, accept},
};
use tokio_util::sync::CancellationToken;

use crate::{client::Client, payload::Unusable, report::GitLabReport};

/// Takes the job, writes the reason into its log, and ends it as failed.
pub(super) async fn end(client: Client, unusable: Unusable) {
    let Unusable { job, error } = unusable;
    let report: Arc<dyn JobReport> = Arc::new(GitLabReport::new(client, &job));
    let message = format!("failed to {}", error.chain());
    if let Err(error) = accept(&*report, ACCEPTANCE).await {
        tracing::debug!(job = %job.id, error = error.chain(), "a job that cannot be run was not accepted");
        return;
    }
    let limits = LogLimits::default();
    let spool: Arc<dyn LogSpool> = Arc::new(MemorySpool::new());
    let log = JobLog::new(&limits, Masks::of_job(&job), false, Arc::clone(&spool));
    log.line(&format!("ERROR: Job failed: {message}")).await;
    let digest = log.finish().await;
    let reporter = Reporter::new(report, spool, limits.interval);
    let finished = CancellationToken::new();
    finished.cancel();
    reporter.run(&finished).await;
    let reason = match error.kind() {
        ErrorKind::Unsupported => FailureReason::RunnerUnsupported,
        _ => FailureReason::RunnerSystemFailure,
    };
    if let Err(error) = reporter.complete(&JobOutcome::failed(reason, message), Some(digest)).await {
        tracing::warn!(job = %job.id, error = error.chain(), "the end of a job that cannot be run is not reported");
    }
}
