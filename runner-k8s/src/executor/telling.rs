//! Between a job and its source: what the source wants of it, and the word on its end.

use std::time::Duration;

use runner_core::{JobOutcome, outcome::LogDigest, report::Reporter, source::WishAction};

use super::stop::{Wished, Wishes};

/// How long the end of a job may take to be told that nobody waits for.
pub(super) const LAST_WORD: Duration = Duration::from_secs(5);

/// Does what the source wants of the job.
pub(super) async fn heed(
    reporter: &Reporter,
    wishes: &Wishes,
    timeout: Duration,
) -> std::convert::Infallible {
    let mut wanted = reporter.wishes();
    loop {
        let action = *wanted.borrow_and_update();
        if let Some(wished) = Wished::by_source(action, timeout) {
            wishes.ask(wished);
        }
        if wanted.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Reports the end; tells whether nobody else needs to.
pub(super) async fn report_end(reporter: &Reporter, outcome: &JobOutcome, log: Option<LogDigest>) -> bool {
    let is_aborted = *reporter.wishes().borrow() == WishAction::Abort;
    let reporting = reporter.complete(outcome, log);
    if is_aborted {
        // Nobody waits for it, and the log is not complete. It is no harm to say it once.
        let said = tokio::time::timeout(LAST_WORD, reporting).await;
        tracing::debug!(?said, "a job that its source aborted has ended");
        return true;
    }
    match reporting.await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(error = error.chain(), "the end of a job could not be reported");
            false
        }
    }
}
