//! The executor: a pod per job.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kube::Client;
use runner_core::{
    Error, ErrorKind, Executor, Finding, JobContext, JobHandle, JobId, JobLease, Result, RunningJob,
};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::{
    api::Cluster,
    channel::SourceShipper,
    config::KubernetesConfig,
    pointer::Pointer,
    record::{Stored, selector_of_pods},
    settings::{JobSettings, RunnerSettings},
    watch::PodWatches,
};

mod adopt;
mod attempt;
mod course;
mod end;
mod job;
mod missing;
mod services;
mod start;
mod stop;
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
    /// that run at a time have the same. Letters, digits, `-`, `_` and `.`, at most 63.
    pub manager: String,
    /// The beginning of the runner's token, for the names of pods.
    pub token: String,
    /// How long a process has between TERM and KILL. Default 10 seconds.
    pub grace: Duration,
    /// `CI_DEBUG_TRACE` has no effect.
    pub debug_trace_disabled: bool,
    /// The content of each file that a `patch_path` names.
    pub patch_files: BTreeMap<String, String>,
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
            token: String::new(),
            grace: Duration::from_secs(10),
            debug_trace_disabled: false,
            patch_files: BTreeMap::new(),
            channel: None,
        }
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
    jobs: Jobs,
    /// What was listed for adoption.
    listed: Mutex<HashMap<JobId, Stored>>,
    tasks: TaskTracker,
}

impl Shared {
    /// The namespace of the config, where a later process looks for jobs.
    fn home(&self) -> &str {
        match self.settings.config.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        }
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
        let shared = Shared {
            cluster,
            watches,
            settings,
            jobs: Jobs::default(),
            listed: Mutex::default(),
            tasks: TaskTracker::new(),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// The cluster, with the job's own token where it brings one.
    async fn cluster_of(&self, settings: &JobSettings) -> Result<Cluster> {
        let Some(token) = &settings.bearer_token else { return Ok(self.cluster.clone()) };
        let config = KubernetesConfig { bearer_token: token.clone(), ..self.settings.config.clone() };
        Ok(Cluster::new(crate::client::connect(&config).await?))
    }
}

/// The jobs that were started and not cleaned up.
#[derive(Default)]
struct Jobs(Mutex<HashMap<JobId, Slot>>);

/// Filled by the first start that succeeds.
type Slot = Arc<OnceCell<Arc<KubernetesJob>>>;

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
    fn forget(&self, id: &JobId) {
        self.lock().remove(id);
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.lock().keys()).finish()
    }
}

#[async_trait]
impl Executor for KubernetesExecutor {
    async fn check(&self) -> Vec<Finding> {
        crate::check::check(&self.shared.cluster, &self.shared.settings).await
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

    async fn adoptable(&self) -> Result<Vec<JobHandle>> {
        adopt::list(&self.shared).await
    }

    async fn adopt(
        &self,
        handle: JobHandle,
        lease: JobLease,
        context: JobContext,
    ) -> Result<Arc<dyn RunningJob>> {
        let (shared, id) = (Arc::clone(&self.shared), handle.job);
        let adopted = self.shared.tasks.spawn(async move {
            let slot = shared.jobs.slot(&id);
            let adopted =
                slot.get_or_try_init(|| Box::pin(adopt::adopt(&shared, &id, lease, context))).await.cloned();
            if adopted.is_err() {
                shared.jobs.forget_empty(&id, &slot);
            }
            adopted
        });
        match adopted.await {
            Ok(adopted) => Ok(adopted? as Arc<dyn RunningJob>),
            Err(panicked) => Err(Error::new(ErrorKind::Internal, "take over the job").because(panicked)),
        }
    }

    async fn discard(&self, handle: JobHandle) -> Result<()> {
        adopt::discard(&self.shared, handle).await
    }
}
