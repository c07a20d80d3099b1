//! Carries a job's log and end to its source.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    JobOutcome, JobReport, Result,
    log::LogSpool,
    outcome::LogDigest,
    source::{Completion, LogAck, WishAction},
};

/// Sends a job's log to its source, with heartbeats where there is nothing to send, and at last its end.
#[derive(Debug)]
pub struct Reporter {
    report: Arc<dyn JobReport>,
    spool: Arc<dyn LogSpool>,
    interval: Duration,
    wishes: watch::Sender<WishAction>,
}

impl Reporter {
    /// A reporter of what is in `spool`. `interval` is how long it waits between two reports where the source does
    /// not say.
    pub fn new(report: Arc<dyn JobReport>, spool: Arc<dyn LogSpool>, interval: Duration) -> Self {
        Self { report, spool, interval, wishes: watch::Sender::new(WishAction::GoOn) }
    }

    /// What the source wants of the job. It never becomes milder.
    pub fn wishes(&self) -> watch::Receiver<WishAction> {
        self.wishes.subscribe()
    }

    /// Sends until `finished` is triggered and all of the log is sent, or the source takes no more of it.
    pub async fn run(&self, finished: &CancellationToken) {
        let mut next = 0;
        loop {
            let done = finished.is_cancelled();
            while let Ok(bytes) = self.spool.read(next, 1 << 20).await
                && !bytes.is_empty()
            {
                match self.report.append_log(next, bytes).await.map(|reply| reply.ack) {
                    Ok(LogAck::UpTo(upto) | LogAck::Rewind(upto)) => next = upto,
                    Ok(LogAck::Closed) | Err(_) => return,
                }
            }
            if done {
                return;
            }
            tokio::select! {
                _ = self.spool.wait_beyond(next) => tokio::time::sleep(self.interval).await,
                () = finished.cancelled() => {}
            }
        }
    }

    /// Reports the end, again and again until the source has applied it or knows the job no more.
    ///
    /// # Errors
    /// What the source refuses for good.
    pub async fn complete(&self, outcome: &JobOutcome, log: LogDigest) -> Result<Completion> {
        self.report.complete(outcome, log).await
    }
}
