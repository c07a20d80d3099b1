//! What counts for one job: the config, with what the job's image, services and variables may change in it.

use std::{collections::BTreeMap, time::Duration};

use runner_core::{
    Error, ErrorKind, JobSpec, Result, Secret,
    job::{PullPolicy, Variables},
};

use crate::config::{DurationText, KubernetesConfig, PullPolicies};

mod container;
mod flags;
mod host_name;
mod image;
mod label;
mod overwrite;
mod platform;
mod resources;
mod user;

pub use image::is_gitlab_helper;
pub(crate) use label::{MOST_LETTERS, dns_label, label_value};
pub use resources::Resources;

/// How long removing what belongs to a job may take, where the config does not say.
const CLEANUP_TIMEOUT: Duration = Duration::from_mins(5);

/// What a runner is set to outside of `[runners.kubernetes]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerSettings {
    /// `[runners.feature_flags]`: they count more than variables of the same name.
    pub flags: BTreeMap<String, bool>,
    /// The helper image that is used unless `helper_image` names one of its own.
    pub helper_image: String,
    /// Where work trees are, in the containers.
    pub builds_dir: String,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            flags: BTreeMap::new(),
            helper_image: concat!("localhost/runner-helper:", env!("CARGO_PKG_VERSION")).into(),
            builds_dir: "/builds".into(),
        }
    }
}

/// What counts for a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSettings {
    /// The image.
    pub image: String,
    /// Replaces the image's entrypoint; empty: it does not.
    pub entrypoint: Vec<String>,
    /// The pull policies, in the order of the attempts.
    pub pull_policies: PullPolicies,
    /// The user id that the container's own security context says or the job asks for.
    pub user: Option<i64>,
    /// The group id, likewise.
    pub group: Option<i64>,
    /// Requests and limits.
    pub resources: Resources,
}

/// What counts for a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Its container.
    pub container: ContainerSettings,
    /// Replaces the image's command; empty: it does not.
    pub command: Vec<String>,
    /// The names that it is reachable by.
    pub host_names: Vec<String>,
    /// Variables of this service alone.
    pub variables: Variables,
    /// The port of `HEALTHCHECK_TCP_PORT`: the service is up when it can be connected to.
    pub health_port: Option<u16>,
}

/// What counts for one job.
#[expect(clippy::struct_excessive_bools, reason = "the switches are independent of each other")]
#[derive(Debug, Clone, PartialEq)]
pub struct JobSettings {
    /// The namespace of the pod.
    pub namespace: String,
    /// Whether the namespace is made for this job and removed after it.
    pub namespace_is_own: bool,
    /// The service account; empty: the namespace's default one.
    pub service_account: String,
    /// The token of the job itself for the API server, where it may bring one.
    pub bearer_token: Option<Secret>,
    /// Labels that the config and the job ask for, expanded and cleaned.
    pub labels: BTreeMap<String, String>,
    /// Annotations that the config and the job ask for, expanded.
    pub annotations: BTreeMap<String, String>,
    /// Labels that the node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated, in the form of `node_tolerations`.
    pub tolerations: BTreeMap<String, String>,
    /// The build container.
    pub build: ContainerSettings,
    /// The helper.
    pub helper: ContainerSettings,
    /// The services: those of the config, then those of the job.
    pub services: Vec<ServiceSettings>,
    /// Requests and limits of the pod as a whole.
    pub pod_resources: Resources,
    /// Where work trees are.
    pub builds_dir: String,
    /// Whether work trees are on a volume that outlives the pod, so that two jobs can meet there.
    pub builds_are_shared: bool,
    /// Whether the image's entrypoint is run.
    pub honors_entrypoint: bool,
    /// Whether the patches of `pod_spec` are applied.
    pub patches_spec: bool,
    /// Whether Kubernetes itself ends a pod that runs for far too long.
    pub has_deadline: bool,
    /// Whether warning events of the pod are to be shown.
    pub shows_events: bool,
    /// How long the pod may take to start.
    pub start_budget: Duration,
    /// How long removing what belongs to the job may take.
    pub cleanup_timeout: Duration,
    /// How long the pod has to end when it is removed after the job, in seconds; `None`: as its spec says.
    pub delete_grace: Option<u32>,
    /// GitLab Runner's helper image that ours is used in place of, for one line in the manager's log.
    pub replaced_helper: Option<String>,
    /// Sentences for the job's log: what was asked for and is not done.
    pub warnings: Vec<String>,
}

impl JobSettings {
    /// What counts for `job`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: the job asks for more than the config allows, for something that makes no sense, or
    /// there is no image. The error names the variable, the value and the limit.
    pub fn for_job(config: &KubernetesConfig, runner: &RunnerSettings, job: &JobSpec) -> Result<Self> {
        let mut warnings = Vec::new();
        let variables = &job.variables;
        let flag = |name, default| flags::is_on(name, default, &runner.flags, variables);
        let mut overwrites = overwrite::Overwrites::new(config, variables, &mut warnings);
        let namespace = overwrites.namespace()?;
        let service_account = overwrites.service_account()?;
        let bearer_token = overwrites.bearer_token();
        let labels = overwrites.labels()?;
        let annotations = overwrites.annotations()?;
        let mut node_selector = overwrites.node_selector()?;
        let tolerations = overwrites.tolerations()?;
        if let Some(platform) = job.image.as_ref().and_then(|image| image.platform.as_deref()) {
            platform::select(&variables.expand(platform), &mut node_selector, &mut warnings);
        }
        let (helper_image, replaced_helper) = image::helper(config, runner, variables);
        let containers = container::Containers { config, job, helper_image: &helper_image };
        let build = containers.build(&mut warnings)?;
        let services = containers.services(&mut warnings)?;
        let helper = containers.helper(&mut warnings)?;
        let patches_spec = flag("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION", false);
        if !patches_spec && !config.pod_spec.is_empty() {
            warnings.push(
                "The runner's `pod_spec` is not applied: FF_USE_ADVANCED_POD_SPEC_CONFIGURATION is off."
                    .into(),
            );
        }
        Ok(Self {
            namespace: if config.namespace_per_job { own_namespace(job) } else { namespace },
            namespace_is_own: config.namespace_per_job,
            service_account,
            bearer_token,
            labels,
            annotations,
            node_selector,
            tolerations,
            build,
            helper,
            services,
            pod_resources: Resources::pod(config, variables, &mut warnings)?,
            builds_are_shared: outlives_the_pod(config, variables, &runner.builds_dir),
            builds_dir: runner.builds_dir.clone(),
            honors_entrypoint: flag("FF_KUBERNETES_HONOR_ENTRYPOINT", false),
            patches_spec,
            has_deadline: flag("FF_USE_POD_ACTIVE_DEADLINE_SECONDS", true),
            shows_events: config.print_pod_warning_events == Some(true),
            start_budget: Duration::from_secs(config.start_budget()),
            cleanup_timeout: cleanup_timeout(config),
            delete_grace: config.cleanup_grace_period_seconds,
            replaced_helper,
            warnings,
        })
    }

    /// What a pod of `job` that is there is followed and removed with, where no other one can be made since
    /// [`for_job`](Self::for_job) fails.
    pub(crate) fn to_follow(config: &KubernetesConfig, runner: &RunnerSettings, job: &JobSpec) -> Self {
        let mut warnings = Vec::new();
        let bearer_token = overwrite::Overwrites::new(config, &job.variables, &mut warnings).bearer_token();
        Self {
            namespace: config.namespace.clone(),
            namespace_is_own: false,
            service_account: String::new(),
            bearer_token,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            tolerations: BTreeMap::new(),
            build: ContainerSettings::default(),
            helper: ContainerSettings::default(),
            services: Vec::new(),
            pod_resources: Resources::default(),
            builds_dir: runner.builds_dir.clone(),
            builds_are_shared: false,
            honors_entrypoint: false,
            patches_spec: false,
            has_deadline: false,
            shows_events: config.print_pod_warning_events == Some(true),
            start_budget: Duration::from_secs(config.start_budget()),
            cleanup_timeout: cleanup_timeout(config),
            delete_grace: config.cleanup_grace_period_seconds,
            replaced_helper: None,
            warnings,
        }
    }
}

fn cleanup_timeout(config: &KubernetesConfig) -> Duration {
    let timeout = config.cleanup_resources_timeout.as_ref().and_then(DurationText::parse);
    timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(CLEANUP_TIMEOUT)
}

fn own_namespace(job: &JobSpec) -> String {
    format!("ci-job-{}", dns_label(job.id.as_str()))
}

/// Whether the volume at `builds_dir` is one that the next job sees too.
fn outlives_the_pod(config: &KubernetesConfig, variables: &Variables, builds_dir: &str) -> bool {
    let mounts = config.volumes.mounts();
    let at_builds = mounts.iter().find(|mount| is_same_path(&variables.expand(mount.path), builds_dir));
    at_builds.is_some_and(|mount| mount.kind != "empty_dir")
}

/// Whether two paths are the same, apart from a slash at the end.
pub(crate) fn is_same_path(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// The name that Kubernetes has for a pull policy.
pub(crate) fn policy_name(policy: PullPolicy) -> &'static str {
    match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
}

/// An error that says that the job or the config asks for something that cannot be.
fn invalid(operation: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, operation)
}

#[cfg(test)]
mod tests;
