//! How a job in a pod is reported: by its manager, who reads frames, or by the agent itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    ArtifactStore, JobReport, RemoteReport, Result,
    agent::{LogStart, Order, Reports},
    log::{LogSpool, MemorySpool},
    outcome::LogDigest,
    report::Reporter,
};

use runner_gitlab::RemoteJob;

use super::{output::Output, report::FrameReport};
use crate::kept_log;

/// The log waits here while the standard output is slower than the job.
const SPOOL: usize = 2 << 20;

/// The source of a job, as an agent reaches it by itself.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) report: Arc<dyn JobReport>,
    pub(super) artifacts: Arc<dyn ArtifactStore>,
}

impl Remote {
    /// The source that `remote` names; `None` where this agent does not know its kind.
    pub(super) fn of(remote: &RemoteReport) -> Result<Option<Self>> {
        if remote.kind != runner_gitlab::KIND {
            return Ok(None);
        }
        let RemoteJob { report, artifacts } = runner_gitlab::remote(&remote.state)?;
        Ok(Some(Self { report, artifacts }))
    }
}

/// Where the log goes, and who sends it.
pub(super) struct Reporting {
    pub(super) spool: Arc<dyn LogSpool>,
    pub(super) reporter: Reporter,
    /// Of the part of the log that is before the first byte of this agent.
    pub(super) log_start: LogDigest,
}

impl Reporting {
    /// As `order` says. Without a way to the source, the manager reports everything.
    pub(super) async fn of(order: &Order, remote: Option<&Remote>, output: &Output) -> Self {
        match remote {
            Some(remote) if order.reports != Reports::Nothing => Self::by_agent(order, remote, output).await,
            _ => Self::by_manager(output),
        }
    }

    fn by_manager(output: &Output) -> Self {
        let spool: Arc<dyn LogSpool> = Arc::new(MemorySpool::bounded(SPOOL));
        let report = Arc::new(FrameReport(output.clone()));
        let reporter = Reporter::new(report, Arc::clone(&spool), Duration::ZERO);
        Self { spool, reporter, log_start: LogDigest::default() }
    }

    async fn by_agent(order: &Order, remote: &Remote, output: &Output) -> Self {
        let LogStart { before, text } = order.log_start.clone();
        let kept = Arc::new(kept_log::spool(order.log.size).starting_at(before.size));
        let log_start = before.followed_by(LogDigest::of(text.as_bytes()));
        if !text.is_empty()
            && let Err(error) = kept.append(text.into()).await
        {
            tracing::warn!(error = error.chain(), "what the manager said in the log is not sent again");
        }
        let reporter = Reporter::new(Arc::clone(&remote.report), Arc::clone(&kept) as _, order.log.interval)
            .resumed(before.size);
        let spool = Arc::new(FramedSpool { kept, start: log_start.size, output: output.clone() });
        Self { spool, reporter, log_start }
    }
}

/// Writes the log of an agent as frames as well, for whoever must go on with it: the first byte of the agent is number 0
/// here, and number `start` of what is kept for the source.
#[derive(Debug)]
struct FramedSpool {
    kept: Arc<MemorySpool>,
    start: u64,
    output: Output,
}

#[async_trait]
impl LogSpool for FramedSpool {
    async fn append(&self, bytes: Bytes) -> Result<()> {
        if self.output.log(self.end(), bytes.clone()).await.is_err() {
            tracing::warn!("the log is not written to the standard output");
        }
        self.kept.append(bytes).await
    }

    async fn read(&self, from: u64, most: usize) -> Result<Bytes> {
        self.kept.read(self.start + from, most).await
    }

    async fn acknowledge(&self, upto: u64) {
        self.kept.acknowledge(self.start + upto).await;
    }

    async fn discard(&self) {
        self.kept.discard().await;
    }

    fn end(&self) -> u64 {
        self.kept.end() - self.start
    }

    async fn wait_beyond(&self, number: u64) -> u64 {
        self.kept.wait_beyond(self.start + number).await - self.start
    }
}
