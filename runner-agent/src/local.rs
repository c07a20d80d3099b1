//! The local executor: each job in a directory of its own on this machine.

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runner_core::{
    Error, ErrorKind, Executor, Finding, JobContext, JobHandle, JobId, JobLease, Result, RunningJob,
};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::{supervise::SupervisorProgram, workspace::Workspace};

mod check;
mod job;
mod start;

use job::LocalJob;

/// What a [`LocalExecutor`] is told.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Where the directories of jobs are made. It is made if it is not there.
    pub builds: PathBuf,
    /// What the supervisors of jobs are started from. Default: the program that runs now, whose `main` must call
    /// [`run_if_asked`](crate::supervise::run_if_asked) first.
    pub supervisor: SupervisorProgram,
    /// The directories of jobs stay when the jobs are cleaned up, until the next job of that name. Default no.
    pub keep: bool,
    /// What all processes of jobs get besides the job's variables, such as `PATH`, `HOME` and `LANG`; nothing is
    /// inherited. Without a `HOME`, a job gets an empty one of its own; without a `PATH`, the usual directories.
    pub environment: Vec<(String, String)>,
    /// How long a process has between TERM and KILL. Default 10 seconds.
    pub grace: Duration,
    /// The log of each job with an image or with services says that they have no effect. Default yes; a program that
    /// says it once for all jobs turns it off.
    pub warns_of_containers: bool,
}

impl LocalConfig {
    /// Everything by default, with the directories of jobs in `builds`.
    pub fn new(builds: impl Into<PathBuf>) -> Self {
        Self {
            builds: builds.into(),
            supervisor: SupervisorProgram::ThisProgram,
            keep: false,
            environment: Vec::new(),
            grace: Duration::from_secs(10),
            warns_of_containers: true,
        }
    }
}

/// Runs each job in a directory of its own on this machine, without containers.
///
/// It reports each job's end itself. It cannot outlive its process: when that is killed, the jobs' processes are as
/// well, and what is left of their directories is removed when the next job of that name starts.
#[derive(Debug)]
pub struct LocalExecutor {
    shared: Arc<Shared>,
}

/// What an executor and its jobs share.
#[derive(Debug)]
struct Shared {
    config: LocalConfig,
    jobs: Jobs,
    tasks: TaskTracker,
}

/// The jobs that were started and not cleaned up.
#[derive(Default)]
struct Jobs(Mutex<HashMap<JobId, Slot>>);

/// Filled by the first start that succeeds.
type Slot = Arc<OnceCell<Arc<LocalJob>>>;

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, id: &JobId) -> Slot {
        Arc::clone(self.lock().entry(id.clone()).or_default())
    }

    /// Forgets a slot that was not filled and that nobody else is about to fill.
    fn forget_empty(&self, id: &JobId, slot: &Slot) {
        let mut jobs = self.lock();
        let is_mine = jobs.get(id).is_some_and(|found| Arc::ptr_eq(found, slot));
        // One holder is the table and one is the caller.
        if is_mine && slot.get().is_none() && Arc::strong_count(slot) <= 2 {
            jobs.remove(id);
        }
    }

    /// Forgets a job that was cleaned up.
    fn forget(&self, job: &LocalJob) {
        let mut jobs = self.lock();
        let found = jobs.get(&job.id).and_then(|slot| slot.get());
        if found.is_some_and(|found| std::ptr::eq(&raw const **found, job)) {
            jobs.remove(&job.id);
        }
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.lock().keys()).finish()
    }
}

impl LocalExecutor {
    /// An executor that does as `config` says.
    pub fn new(config: LocalConfig) -> Arc<Self> {
        let shared = Shared { config, jobs: Jobs::default(), tasks: TaskTracker::new() };
        Arc::new(Self { shared: Arc::new(shared) })
    }
}

#[async_trait]
impl Executor for LocalExecutor {
    async fn check(&self) -> Vec<Finding> {
        check::check(&self.shared.config).await
    }

    async fn start(&self, lease: JobLease, context: JobContext) -> Result<Arc<dyn RunningJob>> {
        let (shared, id) = (Arc::clone(&self.shared), lease.job.id.clone());
        // A task of its own, so that a job that was accepted is started even if the caller goes away.
        let started = self.shared.tasks.spawn(async move {
            let slot = shared.jobs.slot(&id);
            let started =
                slot.get_or_try_init(|| Box::pin(start::start(&shared, lease, context))).await.cloned();
            if started.is_err() {
                shared.jobs.forget_empty(&id, &slot);
            }
            started
        });
        match started.await {
            Ok(started) => Ok(started? as Arc<dyn RunningJob>),
            Err(panicked) => Err(Error::new(ErrorKind::Internal, "start the job").because(panicked)),
        }
    }

    /// None: no job outlives the process that started it. Its directory may, where that was killed: it is removed.
    async fn adoptable(&self) -> Result<Vec<JobHandle>> {
        Workspace::sweep(&self.shared.config.builds).await?;
        Ok(Vec::new())
    }

    async fn adopt(
        &self,
        handle: JobHandle,
        _lease: JobLease,
        _context: JobContext,
    ) -> Result<Arc<dyn RunningJob>> {
        Err(Error::new(ErrorKind::NotFound, "take over a job").with("job", handle.job))
    }

    /// Nothing: no job outlives the process that started it.
    async fn discard(&self, _handle: JobHandle) -> Result<()> {
        Ok(())
    }
}
