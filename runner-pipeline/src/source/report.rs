//! Takes what a job's executor reports.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    JobId, JobOutcome, JobReport, Result,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish, WishAction},
};
use tokio::sync::Mutex;

use super::shared::Shared;

/// How far a job's log was handed on.
#[derive(Debug, Default)]
pub(super) struct AppliedLog(Mutex<LogPosition>);

#[derive(Debug, Default)]
struct LogPosition {
    applied: u64,
    /// The position from which the log was last asked for again.
    asked_from: Option<u64>,
}

/// Reports one attempt of one job.
pub(super) struct PipelineReport {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) id: JobId,
    pub(super) name: String,
    pub(super) log: Arc<AppliedLog>,
}

impl PipelineReport {
    /// What is wanted, with the next report asked for soon: nobody is disturbed by it.
    fn wish(action: WishAction) -> Wish {
        Wish { action, interval: Some(Duration::ZERO) }
    }

    /// Waits until the job is to stop at once. Cancel safe.
    async fn aborted(&self) {
        loop {
            let changed = self.shared.changed().notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.shared.read(|run| run.wish(self.index, &self.id)) == WishAction::Abort {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl JobReport for PipelineReport {
    async fn accept(&self) -> Result<Wish> {
        let action = self.shared.change(|run| run.accept(self.index, &self.id));
        Ok(Self::wish(action))
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let mut log = self.log.0.lock().await;
        let ack = if offset > log.applied {
            LogAck::Rewind(log.applied)
        } else {
            let known = usize::try_from(log.applied - offset).unwrap_or(usize::MAX).min(bytes.len());
            let new = bytes.slice(known..);
            if !new.is_empty() {
                let length = new.len() as u64;
                // Who reads no more must not hold up a job that is to stop at once.
                tokio::select! {
                    biased;
                    () = self.shared.output().log(&self.name, new) => log.applied += length,
                    () = self.aborted() => {
                        return Ok(LogReply { ack: LogAck::Closed, wish: Self::wish(WishAction::Abort) });
                    }
                }
            }
            LogAck::UpTo(log.applied)
        };
        let action = self.shared.read(|run| run.wish(self.index, &self.id));
        Ok(LogReply { ack, wish: Self::wish(action) })
    }

    async fn heartbeat(&self, _: JobState) -> Result<Wish> {
        Ok(Self::wish(self.shared.read(|run| run.wish(self.index, &self.id))))
    }

    async fn complete(&self, outcome: &JobOutcome, digest: Option<LogDigest>) -> Result<Completion> {
        {
            let mut log = self.log.0.lock().await;
            // Asked for once only: who has not got the bytes any more would be asked for ever.
            if digest.is_some_and(|digest| digest.size > log.applied) && log.asked_from != Some(log.applied) {
                log.asked_from = Some(log.applied);
                return Ok(Completion::ResendLog(log.applied));
            }
        }
        let is_known = self.shared.change(|run| run.complete(self.index, &self.id, outcome));
        Ok(if is_known { Completion::Done } else { Completion::Gone })
    }
}

impl fmt::Debug for PipelineReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PipelineReport")
            .field("job", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
