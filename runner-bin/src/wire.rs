//! Makes the parts of a run out of the command line and the environment: the only place that reads the environment.

use std::{
    env,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use etcetera::BaseStrategy;
use runner_agent::{
    local::{LocalConfig, LocalExecutor},
    store::DirectoryArtifacts,
};
use runner_cache::DirectoryCache;
use runner_core::{CacheBackend, Executor, Finding, executor::LogLimits};
use runner_pipeline::ArtifactFactory;
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{Exec, ExecutorName},
    environment,
    fault::Fault,
    home::UserHome,
    plan::Plan,
    stdio::Taste,
};

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// What runs jobs.
    pub(crate) executor: Arc<dyn Executor>,
    /// Where caches are kept, unless they are not wanted.
    pub(crate) cache: Option<Arc<dyn CacheBackend>>,
    /// Where the directories of jobs are.
    pub(crate) builds: PathBuf,
    /// Where the copy of the sources is, while jobs run.
    pub(crate) scratch: PathBuf,
}

impl Parts {
    /// The parts for a run of `plan`.
    pub(crate) fn new(options: &Exec, plan: &Plan) -> Result<Self, Fault> {
        let base = etcetera::choose_base_strategy().map_err(|error| {
            Fault::ours(anyhow::Error::new(error).context("failed to find your cache directory"))
                .help("set HOME, or XDG_CACHE_HOME")
        })?;
        let user = UserHome::below(&base.cache_dir(), plan.repository.root());
        let cache: Option<Arc<dyn CacheBackend>> =
            (!options.no_cache).then(|| Arc::new(DirectoryCache::new(&user.cache)) as Arc<dyn CacheBackend>);
        let ExecutorName::Local = options.executor;
        let executor = LocalExecutor::new(LocalConfig {
            keep: options.keep,
            warns_of_containers: false,
            environment: environment::for_jobs(env::vars_os()),
            ..LocalConfig::new(&user.builds)
        });
        Ok(Self { executor, cache, builds: user.builds, scratch: user.scratch })
    }

    /// What is missing, or will surprise.
    pub(crate) async fn check(&self) -> Vec<Finding> {
        let mut findings = self.executor.check().await;
        if let Some(cache) = &self.cache {
            findings.extend(cache.check(true).await);
        }
        findings
    }
}

/// Stores of artifacts below `directory`, one folder per job.
pub(crate) fn artifacts(directory: &Path) -> ArtifactFactory {
    let directory = directory.to_owned();
    Arc::new(move |job| Arc::new(DirectoryArtifacts::new(&directory, &job.name)))
}

/// Logs come at once and whole: they are on this machine.
pub(crate) fn log_limits() -> LogLimits {
    LogLimits { size: u64::MAX, timestamps: false, interval: Duration::ZERO }
}

/// How many jobs run at a time.
pub(crate) fn jobs_at_once(options: &Exec) -> NonZeroUsize {
    options.jobs_at_once.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// What the environment says about terminals.
pub(crate) fn taste() -> Taste {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    Taste { no_color: is_set("NO_COLOR"), dumb: env::var_os("TERM").is_some_and(|term| term == "dumb") }
}

/// With `RUNNER_LOG=debug` or the like, what the libraries do is traced to stderr; without it, nothing is.
pub(crate) fn listen_to_tracing() {
    if env::var_os("RUNNER_LOG").is_some() {
        let filter = EnvFilter::from_env("RUNNER_LOG");
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}
