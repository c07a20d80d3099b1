//! A GitLab server that pods reach, and a runner that takes its jobs.

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc};

use anyhow::{Context, Result, bail};
use runner_core::{
    Executor, JobSource, Runner, Secret,
    run::{RunSummary, RunnerConfig, Shutdown, ShutdownLevel},
};
use runner_gitlab::{Connection, GitLabSource, RunnerInfo, SourceSettings};
use runner_k8s::KubernetesSettings;
use runner_testkit::gitlab::{GitLab, JobPayload, JobRecord, Repository, Settings};
use tokio::task::JoinSet;

use crate::{BUSYBOX, Bed, soak::host};

/// How many jobs run at once.
const CONCURRENT: NonZeroUsize = NonZeroUsize::new(20).unwrap();

/// A server with one repository.
pub struct Server {
    /// The server.
    pub gitlab: GitLab,
    repository: Repository,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// Where there is no address that pods reach, or git is missing.
    pub async fn start(bed: &Bed) -> Result<Self> {
        Self::start_with(bed, Settings::default()).await
    }

    /// Starts one that is otherwise set as told.
    ///
    /// # Errors
    /// Where there is no address that pods reach, or git is missing.
    pub async fn start_with(bed: &Bed, settings: Settings) -> Result<Self> {
        let repository = Repository::new(&[("README", b"a readme from git\n")]).await?;
        Self::of_repository(bed, repository, settings).await
    }

    /// Starts one that serves this repository.
    ///
    /// # Errors
    /// Where there is no address that pods reach.
    pub async fn of_repository(bed: &Bed, repository: Repository, settings: Settings) -> Result<Self> {
        let address: IpAddr = host(&bed.admin).await?.parse().context("the address of this machine")?;
        let settings = Settings {
            address: (address, 0).into(),
            repositories: Some(repository.folder().to_owned()),
            has_object_store: true,
            ..settings
        };
        Ok(Self { gitlab: GitLab::start_with(settings).await?, repository })
    }

    /// A job of the repository that runs `script` in busybox.
    pub fn job(&self, name: &str, script: &str) -> JobPayload {
        JobPayload::new(name).image(BUSYBOX).script([script]).commit(
            Repository::PROJECT,
            "main",
            self.repository.sha(),
        )
    }

    /// Where jobs come from, for a runner.
    ///
    /// # Errors
    /// Those of the source.
    pub fn source(&self) -> Result<Arc<GitLabSource>> {
        let connection = Connection::new(self.gitlab.url());
        let token = Secret::new(self.gitlab.runner_token());
        let info = RunnerInfo::new("kubernetes");
        Ok(Arc::new(GitLabSource::new(SourceSettings::new("e2e", connection, token, "s_e2e", info))?))
    }

    /// Runs jobs of this server until it is [ended](Running::end).
    ///
    /// # Errors
    /// Those of the source.
    pub fn run(&self, bed: &Bed, settings: KubernetesSettings) -> Result<Running> {
        Ok(Self::run_jobs_of(self.source()?, bed, settings))
    }

    /// Runs jobs of `source` until it is [ended](Running::end).
    pub fn run_jobs_of(source: Arc<dyn JobSource>, bed: &Bed, settings: KubernetesSettings) -> Running {
        let executor: Arc<dyn Executor> = bed.executor_with(settings);
        let config = RunnerConfig::new("e2e", source, executor);
        let runner = Runner::builder().concurrent(CONCURRENT).runner(config).build();
        let shutdown = Shutdown::new();
        let mut task = JoinSet::new();
        let told = shutdown.clone();
        task.spawn(async move { runner.run(&told).await });
        Running { shutdown, task }
    }

    /// Queues a job, and waits until it is over.
    pub async fn run_job(&self, job: JobPayload) -> JobRecord {
        let id = self.gitlab.queue(job);
        self.gitlab.wait_until_over(id).await
    }
}

/// A runner.
pub struct Running {
    shutdown: Shutdown,
    task: JoinSet<RunSummary>,
}

impl Running {
    /// Takes no more jobs, and waits for those that run.
    ///
    /// # Errors
    /// Where the runner failed.
    pub async fn end(mut self) -> Result<RunSummary> {
        self.shutdown.raise(ShutdownLevel::Drain);
        match self.task.join_next().await {
            Some(summary) => Ok(summary?),
            None => bail!("there is no runner"),
        }
    }
}
