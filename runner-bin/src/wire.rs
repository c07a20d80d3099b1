//! Makes the parts of a run out of the command line and the environment: the only place that reads the environment.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    io,
    num::NonZeroUsize,
    os::unix::fs::MetadataExt,
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
use runner_core::{CacheBackend, Executor, Finding, JobSource, executor::LogLimits};
use runner_k8s::config::KubernetesConfig;
use runner_pipeline::{ArtifactFactory, PipelineJob, PipelineSource, Snapshot};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{Exec, ExecutorName},
    configured::ConfiguredSource,
    containers, environment,
    fault::Fault,
    home::UserHome,
    kubernetes::{self, ClusterParts},
    plan::Plan,
    stdio::Taste,
};

/// How many jobs run on a cluster at a time.
const JOBS_ON_A_CLUSTER: usize = 10;

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
    /// What only jobs on a cluster need.
    pub(crate) cluster: Option<ClusterParts>,
    /// What has no effect where the jobs run, a sentence each.
    pub(crate) left_out: Vec<String>,
}

impl Parts {
    /// The parts for a run of `jobs`, which are of `plan`.
    pub(crate) async fn new(options: &Exec, plan: &Plan, jobs: &[PipelineJob]) -> Result<Self, Fault> {
        let base = etcetera::choose_base_strategy().map_err(|error| {
            Fault::ours(anyhow::Error::new(error).context("failed to find your cache directory"))
                .help("set HOME, or XDG_CACHE_HOME")
        })?;
        let user = UserHome::below(&base.cache_dir(), plan.repository.root());
        let UserHome { builds, scratch, cache } = user;
        match options.executor {
            ExecutorName::Local => {
                let cache = || Arc::new(DirectoryCache::new(&cache)) as Arc<dyn CacheBackend>;
                let executor = LocalExecutor::new(LocalConfig {
                    keep: options.keep,
                    warns_of_containers: false,
                    environment: environment::for_jobs(env::vars_os()),
                    ..LocalConfig::new(&builds)
                });
                let cache = (!options.no_cache).then(cache);
                let left_out = containers::left_out(jobs);
                Ok(Self { executor, cache, builds, scratch, cluster: None, left_out })
            }
            ExecutorName::Kubernetes => {
                let cluster = ClusterParts::new(options, plan, jobs).await?;
                let left_out = kubernetes::left_out(options, jobs, cluster.cache.is_some());
                let executor = Arc::clone(&cluster.executor) as Arc<dyn Executor>;
                Ok(Self {
                    executor,
                    cache: cluster.cache.clone(),
                    builds,
                    scratch,
                    cluster: Some(cluster),
                    left_out,
                })
            }
        }
    }

    /// Gives the sources to whatever brings them to the jobs.
    pub(crate) fn load(&self, snapshot: &Arc<Snapshot>) {
        if let Some(cluster) = &self.cluster {
            cluster.shipper.load(snapshot);
        }
    }

    /// The jobs of `source` as the executor is to have them.
    pub(crate) fn configured(&self, source: PipelineSource) -> Arc<dyn JobSource> {
        match &self.cluster {
            Some(cluster) => Arc::new(ConfiguredSource::new(Arc::new(source), cluster.additions.clone())),
            None => Arc::new(source),
        }
    }

    /// How logs are treated.
    pub(crate) fn log_limits(&self) -> LogLimits {
        self.cluster.as_ref().map_or_else(log_limits, |cluster| cluster.log)
    }

    /// Whether jobs run on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.cluster.is_none()
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

/// The variables of the environment that are text.
pub(crate) fn variables() -> BTreeMap<String, String> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    env::vars_os().filter_map(text).collect()
}

/// Whether this program runs as root.
pub(crate) fn is_root() -> bool {
    fs_err::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The name of this host; in a pod the name of the pod.
pub(crate) fn host_name() -> String {
    fs_err::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// How many jobs run at a time.
pub(crate) fn jobs_at_once(options: &Exec) -> NonZeroUsize {
    let usual = || match options.executor {
        ExecutorName::Local => thread::available_parallelism().ok(),
        ExecutorName::Kubernetes => NonZeroUsize::new(JOBS_ON_A_CLUSTER),
    };
    options.jobs_at_once.or_else(usual).unwrap_or(NonZeroUsize::MIN)
}

/// The content of each file that a `patch_path` names.
pub(crate) fn patch_files(config: &KubernetesConfig) -> io::Result<BTreeMap<String, String>> {
    let paths = config.pod_spec.iter().map(|patch| &patch.patch_path).filter(|path| !path.is_empty());
    paths.map(|path| Ok((path.clone(), fs_err::read_to_string(path)?))).collect()
}

/// What tells this machine apart from others, as far as that is known.
pub(crate) fn machine() -> String {
    let files = ["/etc/machine-id", "/proc/sys/kernel/hostname"];
    let user = env::var_os("USER").unwrap_or_default().to_string_lossy().into_owned();
    files.iter().map(|file| fs_err::read_to_string(file).unwrap_or_default()).chain([user]).collect()
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
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    }
}
