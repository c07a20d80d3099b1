//! The local executor: each job in a directory of its own on this machine.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use runner_core::{
    Error, ErrorKind, Executor, Finding, JobContext, JobHandle, JobLease, Result, RunningJob,
    executor::JobTable,
};
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
    jobs: JobTable<LocalJob>,
    tasks: TaskTracker,
}

impl LocalExecutor {
    /// An executor that does as `config` says.
    pub fn new(config: LocalConfig) -> Arc<Self> {
        let shared = Shared { config, jobs: JobTable::default(), tasks: TaskTracker::new() };
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
        let start = async move { start::start(&shared, lease, context).await };
        let Shared { jobs, tasks, .. } = &*self.shared;
        Ok(jobs.find_or_start(tasks, (id, "start the job"), start).await? as Arc<dyn RunningJob>)
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
