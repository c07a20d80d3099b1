//! A job that runs on this machine, or has ended.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use runner_core::{
    Error, ErrorKind, JobEnd, JobHandle, JobId, Result, RunningJob, executor::Stop, log::LogSpool,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::{engine::StopSender, host::Host, workspace::Workspace};

/// A job of a [`LocalExecutor`](super::LocalExecutor).
#[derive(Debug)]
pub(super) struct LocalJob {
    pub(super) id: JobId,
    pub(super) shared: Weak<Shared>,
    pub(super) workspace: Arc<Workspace>,
    pub(super) keep: bool,
    pub(super) hosts: Vec<Arc<dyn Host>>,
    pub(super) stop: StopSender,
    pub(super) spool: Arc<dyn LogSpool>,
    /// Triggered when nothing of the job runs any more. Its end may still be on the way to the source.
    pub(super) done: CancellationToken,
    pub(super) end: watch::Receiver<Option<JobEnd>>,
}

#[async_trait]
impl RunningJob for LocalJob {
    fn handle(&self) -> JobHandle {
        JobHandle { job: self.id.clone(), saved: None }
    }

    async fn wait(&self) -> Result<JobEnd> {
        let lost = || Error::new(ErrorKind::Internal, "learn how the job ended").with("job", &self.id);
        let mut receiver = self.end.clone();
        let end = receiver.wait_for(Option::is_some).await.map_err(|_| lost())?;
        end.clone().ok_or_else(lost)
    }

    async fn stop(&self, how: Stop) -> Result<()> {
        self.stop.stop(how);
        Ok(())
    }

    async fn cleanup(&self) -> Result<()> {
        self.stop.stop(Stop::Abort);
        // Whoever cleans up has the end, or gave it up: a job must not wait for somebody to read its log.
        self.spool.discard().await;
        for host in &self.hosts {
            host.close().await;
        }
        self.done.cancelled().await;
        if self.keep {
            self.workspace.keep().await?;
        } else {
            self.workspace.remove().await?;
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.jobs.forget(&self.id, self);
        }
        Ok(())
    }
}
