//! The jobs that an executor has: found by their ids, or started once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::{Error, ErrorKind, JobId, Result};

/// The jobs that an executor started and did not clean up, for its [`start`](crate::Executor::start) and
/// [`adopt`](crate::Executor::adopt): of calls for one job, one starts it and all get it.
///
/// Cheap to clone; all clones are one table.
pub struct JobTable<J>(Arc<Mutex<HashMap<JobId, Slot<J>>>>);

/// Filled by the first start that succeeds.
type Slot<J> = Arc<OnceCell<Arc<J>>>;

impl<J: Send + Sync + 'static> JobTable<J> {
    /// The job of that id. Where there is none `start` makes it; where that fails, the next call may make it.
    ///
    /// # Cancellation
    /// It runs as one of `tasks`: a job that was accepted is started even if the caller goes away.
    ///
    /// # Errors
    /// Those of `start`; [`ErrorKind::Internal`] where it panicked, during `operation`.
    pub async fn find_or_start(
        &self,
        tasks: &TaskTracker,
        (id, operation): (JobId, &'static str),
        start: impl Future<Output = Result<Arc<J>>> + Send + 'static,
    ) -> Result<Arc<J>> {
        let table = self.clone();
        let start = Box::pin(start);
        let started = tasks.spawn(async move {
            let slot = table.slot(&id);
            let started = slot.get_or_try_init(|| start).await.cloned();
            if started.is_err() {
                table.forget_empty(&id, &slot);
            }
            started
        });
        started
            .await
            .unwrap_or_else(|panicked| Err(Error::new(ErrorKind::Internal, operation).because(panicked)))
    }

    /// Forgets a job that was cleaned up. Another one of that id, which was started meanwhile, stays.
    pub fn forget(&self, id: &JobId, job: &J) {
        let mut jobs = self.lock();
        let found = jobs.get(id).and_then(|slot| slot.get());
        if found.is_some_and(|found| std::ptr::eq(&raw const **found, job)) {
            jobs.remove(id);
        }
    }

    /// The job of that id, if it is started.
    pub fn find(&self, id: &JobId) -> Option<Arc<J>> {
        self.lock().get(id).and_then(|slot| slot.get()).cloned()
    }

    /// The ids of all jobs in it, also of those that are about to be started.
    pub fn ids(&self) -> Vec<JobId> {
        self.lock().keys().cloned().collect()
    }

    fn slot(&self, id: &JobId) -> Slot<J> {
        Arc::clone(self.lock().entry(id.clone()).or_default())
    }

    /// Forgets a slot that was not filled and that nobody else is about to fill.
    fn forget_empty(&self, id: &JobId, slot: &Slot<J>) {
        let mut jobs = self.lock();
        let is_mine = jobs.get(id).is_some_and(|found| Arc::ptr_eq(found, slot));
        // One holder is the table and one is the caller.
        if is_mine && slot.get().is_none() && Arc::strong_count(slot) <= 2 {
            jobs.remove(id);
        }
    }
}

impl<J> JobTable<J> {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Slot<J>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> Default for JobTable<J> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<J> Clone for JobTable<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J> fmt::Debug for JobTable<J> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.lock().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Debug, Default)]
    struct Table {
        jobs: JobTable<u32>,
        tasks: TaskTracker,
        starts: Arc<AtomicU32>,
    }

    impl Table {
        /// Finds the job, or starts it: the number of the start, or a failure.
        async fn start(&self, works: bool) -> Result<Arc<u32>> {
            let starts = Arc::clone(&self.starts);
            let start = async move {
                let number = starts.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if works { Ok(Arc::new(number)) } else { Err(Error::new(ErrorKind::Unavailable, "start")) }
            };
            self.jobs.find_or_start(&self.tasks, (id(), "start the job"), start).await
        }
    }

    fn id() -> JobId {
        JobId::new("1")
    }

    #[tokio::test]
    async fn calls_for_one_job_start_it_once() {
        let table = Table::default();
        let (one, other) = tokio::join!(table.start(true), table.start(true));
        let one = one.unwrap();
        assert!(Arc::ptr_eq(&one, &other.unwrap()));
        assert!(Arc::ptr_eq(&one, &table.jobs.find(&id()).unwrap()));
        assert_eq!(table.starts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_start_that_fails_leaves_the_next_one_its_chance() {
        let table = Table::default();
        let (failed, started) = tokio::join!(table.start(false), table.start(true));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(*started.unwrap(), 1);
        let panicked = Table::default();
        let start = async { panic!("no") };
        let error = panicked.jobs.find_or_start(&panicked.tasks, (id(), "start the job"), start).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(*panicked.start(true).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_could_not_be_started_is_forgotten() {
        let table = Table::default();
        drop(table.start(false).await);
        assert_eq!(format!("{:?}", table.jobs), "[]");
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_job_started() {
        let table = Table::default();
        let (go, begun) = oneshot::channel();
        let start = async move {
            begun.await.ok();
            Ok(Arc::new(7))
        };
        let jobs = &table.jobs;
        tokio::select! {
            biased;
            _ = jobs.find_or_start(&table.tasks, (id(), "start the job"), start) => panic!("it waits"),
            () = tokio::task::yield_now() => {}
        }
        go.send(()).unwrap();
        table.tasks.close();
        table.tasks.wait().await;
        assert_eq!(*table.start(true).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn only_the_job_itself_is_forgotten() {
        let table = Table::default();
        let first = table.start(true).await.unwrap();
        table.jobs.forget(&id(), &first);
        let second = table.start(true).await.unwrap();
        assert_eq!((*first, *second), (0, 1));
        table.jobs.forget(&id(), &first);
        assert!(Arc::ptr_eq(&second, &table.start(true).await.unwrap()));
    }
}
