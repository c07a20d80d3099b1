//! The executor: a pod per job.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use kube::Client;
use runner_core::{
    Executor, Finding, JobContext, JobHandle, JobId, JobLease, RemoteReport, Result, RunningJob,
    executor::JobTable,
};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::{
    api::Cluster,
    channel::SourceShipper,
    config::KubernetesConfig,
    pointer::Pointer,
    record::{Stored, secret_name, selector_of_pods},
    replicas::Replicas,
    settings::{JobSettings, RunnerSettings},
    watch::PodWatches,
};

mod adopt;
mod attempt;
mod caches;
mod course;
mod end;
mod job;
mod keeping;
mod missing;
mod pods;
mod services;
mod sharing;
mod start;
mod stop;
mod telling;
mod view;

use job::KubernetesJob;

/// What a [`KubernetesExecutor`] is told.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// `[runners.kubernetes]`.
    pub config: KubernetesConfig,
    /// What else of a runner's configuration decides about pods.
    pub runner: RunnerSettings,
    /// Whose jobs these are: a label of everything that is made. It stays the same over restarts, and no two managers
    /// that run at a time have the same, but for replicas. Letters, digits, `-`, `_` and `.`, at most 63.
    pub manager: String,
    /// What this process is called among several that share the jobs of `manager`: when one ends, another goes on with its
    /// jobs within 15 seconds. No two that run at a time have the same; a process under the name of an ended one goes on
    /// with that one's jobs at once. It needs the right to Leases; without it there must be one process at a time, as there
    /// must with the default, none.
    pub replica: Option<String>,
    /// The beginning of the runner's token, for the names of pods.
    pub token: String,
    /// How long a process has between TERM and KILL. Default 10 seconds.
    pub grace: Duration,
    /// `CI_DEBUG_TRACE` has no effect.
    pub debug_trace_disabled: bool,
    /// The content of each file that a `patch_path` names.
    pub patch_files: BTreeMap<String, String>,
    /// The manager reports jobs also where their agents could: pods that do not reach the source, or must not. Default
    /// false.
    pub relays: bool,
    /// The kinds of [`RemoteReport`] that the agent in the helper image knows. Jobs of others are
    /// reported by the manager. Default `gitlab`, as the agent that is shipped.
    pub remote_kinds: Vec<String>,
    /// Brings sources, and has artifacts travel, over a side channel that is opened by executing in the pod. It needs
    /// the right to do so, which the role of a manager does not grant: without this, nothing executes in pods. Default
    /// none.
    pub channel: Option<Arc<dyn SourceShipper>>,
}

impl KubernetesSettings {
    /// Everything by default, for the manager of that name.
    pub fn new(manager: impl Into<String>) -> Self {
        Self {
            config: KubernetesConfig::default(),
            runner: RunnerSettings::default(),
            manager: manager.into(),
            replica: None,
            token: String::new(),
            grace: Duration::from_secs(10),
            debug_trace_disabled: false,
            patch_files: BTreeMap::new(),
            relays: false,
            remote_kinds: vec!["gitlab".into()],
            channel: None,
        }
    }
}

impl KubernetesSettings {
    /// Whether agents report jobs in this way by themselves.
    fn can_report(&self, remote: &RemoteReport) -> bool {
        !self.relays && self.remote_kinds.contains(&remote.kind)
    }
}

/// Runs each job in a pod of its own.
///
/// All that it knows of a job is in the cluster: a Secret that holds the job, and the pod. So a later process goes on
/// where this one was, at whatever moment it ended.
#[derive(Debug)]
pub struct KubernetesExecutor {
    shared: Arc<Shared>,
}

/// What an executor and its jobs share.
#[derive(Debug)]
struct Shared {
    cluster: Cluster,
    watches: PodWatches,
    settings: KubernetesSettings,
    jobs: JobTable<KubernetesJob>,
    /// What was listed for adoption.
    listed: Mutex<HashMap<JobId, Stored>>,
    /// Those who share the jobs with this process.
    replicas: Option<Arc<Replicas>>,
    /// Shows them that this process lives.
    keeping: OnceLock<JoinSet<()>>,
    tasks: TaskTracker,
}

/// The namespace of the config, where a later process looks for jobs.
fn home(settings: &KubernetesSettings) -> &str {
    match settings.config.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    }
}

impl Shared {
    fn home(&self) -> &str {
        home(&self.settings)
    }

    /// Where it stands where the job of a Secret is, if that is not at home.
    fn pointer_to(&self, namespace: &str, secret: &str) -> Option<(String, String)> {
        (namespace != self.home()).then(|| (self.home().to_owned(), Pointer::name(secret)))
    }
}

impl KubernetesExecutor {
    /// An executor that does as `settings` say, on the cluster of `client`.
    pub fn new(client: Client, settings: KubernetesSettings) -> Arc<Self> {
        let cluster = Cluster::new(client);
        let watches = PodWatches::new(cluster.clone(), selector_of_pods(&settings.manager));
        let replicas = settings
            .replica
            .as_ref()
            .map(|name| Arc::new(Replicas::new(cluster.clone(), home(&settings), &settings.manager, name)));
        let shared = Shared {
            cluster,
            watches,
            settings,
            jobs: JobTable::default(),
            listed: Mutex::default(),
            replicas,
            keeping: OnceLock::new(),
            tasks: TaskTracker::new(),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// Which replica has the jobs of this process, where there may be several.
    fn owner(&self) -> Option<&str> {
        self.replicas.as_ref().and_then(|replicas| replicas.owner())
    }

    /// Shows those who share the jobs that this process lives, before it has any.
    async fn begin_sharing(self: &Arc<Self>) -> Result<()> {
        let Some(replicas) = &self.replicas else { return Ok(()) };
        replicas.begin().await?;
        self.keeping.get_or_init(|| {
            let mut keeping = JoinSet::new();
            keeping.spawn(sharing::keep(Arc::downgrade(self)));
            keeping
        });
        Ok(())
    }

    /// The names of the Secrets that are jobs of this process, or point to them.
    fn secrets(&self) -> HashSet<String> {
        let names = |id| {
            let name = secret_name(&self.settings.manager, &id);
            [Pointer::name(&name), name]
        };
        self.jobs.ids().into_iter().flat_map(names).collect()
    }

    /// The cluster, with the job's own token where it brings one.
    async fn cluster_of(&self, settings: &JobSettings) -> Result<Cluster> {
        let Some(token) = &settings.bearer_token else { return Ok(self.cluster.clone()) };
        let config = KubernetesConfig { bearer_token: token.clone(), ..self.settings.config.clone() };
        Ok(Cluster::new(crate::client::connect(&config).await?))
    }
}

#[async_trait]
impl Executor for KubernetesExecutor {
    async fn check(&self) -> Vec<Finding> {
        crate::check::check(&self.shared.cluster, &self.shared.settings).await
    }

    async fn start(&self, lease: JobLease, context: JobContext) -> Result<Arc<dyn RunningJob>> {
        let (shared, id) = (Arc::clone(&self.shared), lease.job.id.clone());
        let start = async move { start::start(&shared, lease, context).await };
        let Shared { jobs, tasks, .. } = &*self.shared;
        Ok(jobs.find_or_start(tasks, (id, "start the job"), start).await? as Arc<dyn RunningJob>)
    }

    async fn adoptable(&self) -> Result<Vec<JobHandle>> {
        self.shared.begin_sharing().await?;
        adopt::list(&self.shared).await
    }

    async fn adopt(
        &self,
        handle: JobHandle,
        lease: JobLease,
        context: JobContext,
    ) -> Result<Arc<dyn RunningJob>> {
        let (shared, id) = (Arc::clone(&self.shared), handle.job.clone());
        let adopt = async move { adopt::adopt(&shared, &id, lease, (context, adopt::ONE_TRY)).await };
        let Shared { jobs, tasks, .. } = &*self.shared;
        Ok(jobs.find_or_start(tasks, (handle.job, "take over the job"), adopt).await? as Arc<dyn RunningJob>)
    }

    async fn discard(&self, handle: JobHandle) -> Result<()> {
        adopt::discard(&self.shared, handle).await
    }

    async fn orphaned(&self) {
        match &self.shared.replicas {
            Some(replicas) => replicas.wait_for_orphans().await,
            None => std::future::pending().await,
        }
    }

    async fn leave(&self) {
        sharing::leave(&self.shared).await;
    }
}
