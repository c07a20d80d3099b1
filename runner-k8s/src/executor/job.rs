//! A job that runs in a pod, or has ended.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use runner_core::{
    Error, ErrorKind, JobEnd, JobHandle, JobId, Result, RunningJob, SavedLease, executor::Stop, log::LogSpool,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    stop::{Wished, Wishes},
};
use crate::{
    api::Cluster,
    removal::{Leftovers, remove},
};

/// A job of a [`KubernetesExecutor`](super::KubernetesExecutor).
#[derive(Debug)]
pub(super) struct KubernetesJob {
    pub(super) id: JobId,
    /// The namespace and the name of its first Secret.
    pub(super) secret: (String, String),
    pub(super) saved: SavedLease,
    pub(super) shared: Weak<Shared>,
    pub(super) cluster: Cluster,
    pub(super) wishes: Wishes,
    pub(super) spool: Arc<dyn LogSpool>,
    /// What is to be removed; the task of the job keeps it up to date.
    pub(super) leftovers: Arc<Mutex<Leftovers>>,
    /// Triggered when the task of the job makes nothing any more.
    pub(super) done: CancellationToken,
    /// Triggered when the job is another manager's.
    pub(super) given_up: CancellationToken,
    pub(super) end: watch::Receiver<Option<JobEnd>>,
}

#[async_trait]
impl RunningJob for KubernetesJob {
    fn handle(&self) -> JobHandle {
        JobHandle { job: self.id.clone(), saved: Some(self.saved.clone()) }
    }

    async fn wait(&self) -> Result<JobEnd> {
        let lost = || {
            let kind = if self.given_up.is_cancelled() { ErrorKind::Conflict } else { ErrorKind::Internal };
            Error::new(kind, "learn how the job ended").with("job", &self.id)
        };
        let mut receiver = self.end.clone();
        let end = receiver.wait_for(Option::is_some).await.map_err(|_| lost())?;
        end.clone().ok_or_else(lost)
    }

    async fn stop(&self, how: Stop) -> Result<()> {
        self.wishes.ask(Wished::by_call(how));
        Ok(())
    }

    async fn cleanup(&self) -> Result<()> {
        if self.given_up.is_cancelled() {
            return Ok(());
        }
        self.wishes.ask(Wished::by_call(Stop::Abort));
        // Whoever cleans up has the end, or gave it up: a job must not wait for somebody to read its log.
        self.spool.discard().await;
        self.done.cancelled().await;
        let Some(shared) = self.shared.upgrade() else {
            return Err(Error::new(ErrorKind::Internal, "clean up after the executor is gone"));
        };
        let leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        remove(&self.cluster, &shared.watches, &leftovers).await?;
        shared.jobs.forget(&self.id, self);
        Ok(())
    }
}
