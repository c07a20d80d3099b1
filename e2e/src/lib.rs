//! What the tests on a real cluster share: a namespace for each, and executors in it.

pub mod counted;
pub mod git;
pub mod gitlab;
pub mod name_server;
pub mod pipeline;
pub mod program;
pub mod registry;

pub mod soak;
pub mod source;
pub mod store;

use std::{
    fmt::Debug,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, Pod, Secret, ServiceAccount},
        rbac::v1::{Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::{reflector, watcher},
};
use runner_core::{
    Executor, JobContext, JobEnd, JobLease, JobSpec, RunningJob, SavedLease, Secret as SecretText,
    job::{Image, Step},
};
use runner_k8s::{KubernetesExecutor, KubernetesSettings};
use runner_testkit::{MemoryArtifacts, RecordingReport};
use serde::de::DeserializeOwned;

/// The role that is shipped, which every test runs with.
const ROLE: &str = include_str!("../../runner-k8s/deploy/role.yaml");

/// The image of most jobs.
pub const BUSYBOX: &str = "docker.io/library/busybox:1.36";

/// A namespace of its own on the cluster of `KUBECONFIG`, with the shipped role. It is removed with all that is in it
/// when this is [closed](Self::close).
#[derive(Clone)]
pub struct Bed {
    /// May do everything.
    pub admin: Client,
    /// May do what the role says.
    pub client: Client,
    /// The token of [`client`](Self::client).
    pub token: String,
    /// The namespace.
    pub namespace: String,
}

impl Bed {
    /// Makes the namespace.
    ///
    /// # Errors
    /// Where there is no cluster: these tests have nothing to say without one.
    pub async fn new(name: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let config =
            Config::infer().await.context("these tests need a cluster: set KUBECONFIG, or run dev/setup")?;
        let admin = Client::try_from(config.clone())?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("e2e-{name}-{}-{number}", std::process::id());
        let object = Namespace { metadata: named(&namespace), ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        namespaces.create(&PostParams::default(), &object).await.context("the cluster does not answer")?;
        let token = give_role(&admin, &namespace).await?;
        let mut config = config;
        config.auth_info = kube::config::AuthInfo { token: Some(token.clone().into()), ..Default::default() };
        Ok(Self { admin, client: Client::try_from(config)?, token, namespace })
    }

    /// What an executor of this namespace is told.
    pub fn settings(&self) -> KubernetesSettings {
        let mut settings = KubernetesSettings::new("e2e");
        settings.token = "e2etoken".into();
        settings.grace = Duration::from_secs(2);
        settings.config.namespace.clone_from(&self.namespace);
        settings.config.image = BUSYBOX.into();
        settings
    }

    /// An executor as told.
    pub fn executor_with(&self, settings: KubernetesSettings) -> Arc<KubernetesExecutor> {
        KubernetesExecutor::new(self.client.clone(), settings)
    }

    /// An executor.
    pub fn executor(&self) -> Arc<KubernetesExecutor> {
        self.executor_with(self.settings())
    }

    /// An executor that shares its jobs with others of other names.
    pub fn replica(&self, client: &Client, name: &str) -> Arc<KubernetesExecutor> {
        let settings = KubernetesSettings { replica: Some(name.into()), ..self.settings() };
        KubernetesExecutor::new(client.clone(), settings)
    }

    /// What is left of jobs: one line each.
    pub async fn leftovers(&self) -> Result<Vec<String>> {
        let all = ListParams::default();
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), &self.namespace);
        let secrets: Api<Secret> = Api::namespaced(self.admin.clone(), &self.namespace);
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=runner");
        let pods = pods.list(&all).await?.items.into_iter().map(|pod| format!("pod {}", pod.name_any()));
        let secrets = secrets.list(&ours).await?.items;
        let secrets = secrets.into_iter().map(|secret| format!("secret {}", secret.name_any()));
        Ok(pods.chain(secrets).collect())
    }

    /// Deletes all pods, as a drain or a person would, with so many seconds to end.
    ///
    /// # Errors
    /// Where the cluster does not answer.
    pub async fn delete_pods(&self, grace: u32) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), &self.namespace);
        for pod in pods.list(&ListParams::default()).await?.items {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(grace)).await?;
        }
        Ok(())
    }

    /// Waits until the objects of a kind are as `wanted`, as the API server tells of them.
    ///
    /// # Errors
    /// Where they are not within two minutes.
    pub async fn until<K>(&self, wanted: impl Fn(&[Arc<K>]) -> bool) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let objects: Api<K> = Api::namespaced(self.admin.clone(), &self.namespace);
        let (known, writer) = reflector::store();
        let mut events = pin!(reflector(writer, watcher(objects, watcher::Config::default())));
        let seen = async {
            loop {
                let event = events.try_next().await?.context("the watch has ended")?;
                // Before the first list is complete, nothing is known.
                let is_known = !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_));
                if is_known && wanted(&known.state()) {
                    return anyhow::Ok(());
                }
            }
        };
        let kind = K::kind(&());
        tokio::time::timeout(Duration::from_mins(2), seen)
            .await
            .with_context(|| format!("{kind} never came to be as wanted"))?
    }

    /// Checks that no job left anything, and removes the namespace.
    ///
    /// # Errors
    /// Where something is left.
    pub async fn close(self) -> Result<()> {
        let left = self.leftovers().await?;
        let namespaces: Api<Namespace> = Api::all(self.admin.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        ensure!(left.is_empty(), "left in {}: {left:?}", self.namespace);
        Ok(())
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

/// Makes an account with the role, and a token of it. Also waits for the account that pods get.
async fn give_role(admin: &Client, namespace: &str) -> Result<String> {
    let parameters = PostParams::default();
    let roles: Api<Role> = Api::namespaced(admin.clone(), namespace);
    let role: Role = serde_yaml_of(ROLE)?;
    let name = role.name_any();
    roles.create(&parameters, &role).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let account = ServiceAccount { metadata: named(&name), ..ServiceAccount::default() };
    accounts.create(&parameters, &account).await?;
    let bindings: Api<RoleBinding> = Api::namespaced(admin.clone(), namespace);
    let binding = RoleBinding {
        metadata: named(&name),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "Role".into(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: name.clone(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        }]),
    };
    bindings.create(&parameters, &binding).await?;
    let exists = kube::runtime::wait::await_condition(
        accounts.clone(),
        "default",
        |account: Option<&ServiceAccount>| account.is_some(),
    );
    tokio::time::timeout(Duration::from_secs(30), exists)
        .await
        .context("the namespace gets no account")??;
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let token = accounts.create_token_request(&name, &parameters, &request).await?;
    Ok(token.status.context("no token")?.token)
}

/// The one document of a YAML text. Kubernetes' own manifests are the only YAML here.
fn serde_yaml_of<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_saphyr::from_str(text).context("the manifest cannot be read")
}

/// A job that runs `script` in busybox.
pub fn job(id: &str, script: &str) -> JobSpec {
    let mut job = JobSpec::new(id, "e2e");
    job.project.id = 7;
    job.image = Some(Image { name: BUSYBOX.into(), ..Image::default() });
    job.steps.push(Step::script(vec![script.to_owned()]));
    job
}

/// A job that was started, and what was reported of it.
pub struct Started {
    /// The job.
    pub job: Arc<dyn RunningJob>,
    /// What was reported.
    pub report: Arc<RecordingReport>,
}

/// Starts a job.
///
/// # Errors
/// Those of the executor.
pub async fn start(executor: &dyn Executor, job: JobSpec) -> runner_core::Result<Started> {
    start_in(executor, job, JobContext::default()).await
}

/// Starts a job in a context.
///
/// # Errors
/// Those of the executor.
pub async fn start_in(
    executor: &dyn Executor,
    job: JobSpec,
    mut context: JobContext,
) -> runner_core::Result<Started> {
    let (job, report) = (Arc::new(job), RecordingReport::new());
    let state = SecretText::default();
    let saved = SavedLease { runner: "e2e".into(), job: Arc::clone(&job), state };
    let lease = JobLease {
        job,
        report: Arc::clone(&report) as _,
        artifacts: MemoryArtifacts::new(),
        saved,
        remote: None,
    };
    context.log.timestamps = false;
    context.log.interval = Duration::ZERO;
    Ok(Started { job: executor.start(lease, context).await?, report })
}

impl Started {
    /// Waits for the end, and cleans up.
    ///
    /// # Errors
    /// Where the end cannot be known, or something is left.
    pub async fn finish(&self) -> Result<JobEnd> {
        let end = self.job.wait().await?;
        self.job.cleanup().await?;
        Ok(end)
    }

    /// Waits until the log shows `mark`.
    ///
    /// # Errors
    /// Where it does not within two minutes.
    pub async fn printed(&self, mark: &str) -> Result<()> {
        let seen = async {
            while !self.report.text().contains(mark) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_mins(2), seen).await;
        seen.with_context(|| format!("{mark:?} never showed in the log: {}", self.report.text()))
    }
}
