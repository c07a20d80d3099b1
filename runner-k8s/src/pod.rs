//! The pod of a job, as a pure function of the config, of what counts for the job, and of the names of things.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{LocalObjectReference, Pod, PodSpec, ResourceRequirements},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use runner_core::{Error, ErrorKind, JobSpec, Result};

use crate::{
    config::KubernetesConfig,
    settings::{JobSettings, Resources},
};

mod container;
mod metadata;
mod name;
mod network;
mod patch;
mod schedule;
mod security;
mod volume;

pub use container::service_key;
pub use metadata::{JOB_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
pub use name::name;

/// The name of the container that orchestrates.
pub const HELPER: &str = "helper";

/// The name of the container with the job's image.
pub const BUILD: &str = "build";

/// How long `after_script` (5 minutes by default), uploads (10) and reporting to a source that is away (10) may take after
/// the job's own timeout, in seconds.
const AFTER_TIMEOUT: u64 = 25 * 60;

/// The names of what a pod belongs to and what it mounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodNames {
    /// The pod.
    pub pod: String,
    /// The Secrets that hold the job, mounted in the helper. The first owns the pod.
    pub secrets: Vec<String>,
    /// The `uid` of the first Secret.
    pub owner_uid: String,
    /// The Secret with the variables of the job for its services, where there is one.
    pub services_secret: Option<String>,
    /// The Secret with the job's logins to registries, where there is one.
    pub pull_secret: Option<String>,
}

/// All that a pod is made of.
#[derive(Debug, Clone, Copy)]
pub struct PodPlan<'plan> {
    /// The config.
    pub config: &'plan KubernetesConfig,
    /// What counts for the job.
    pub settings: &'plan JobSettings,
    /// The job.
    pub job: &'plan JobSpec,
    /// The names.
    pub names: &'plan PodNames,
    /// Which attempt it is, from 1: the agent runs nothing where the job is at another one.
    pub attempt: u32,
    /// Which of the pull policies is tried, from 1.
    pub pull: u32,
    /// The slot of the run loop.
    pub slot: usize,
    /// The first eight letters of the runner's token, which tell runners apart and give no access.
    pub runner_token: &'plan str,
    /// The content of each file that a `patch_path` of the config names.
    pub patch_files: &'plan BTreeMap<String, String>,
    /// Whether the helper has a side channel.
    pub has_channel: bool,
}

/// The pod of a job.
///
/// # Errors
/// [`ErrorKind::Invalid`]: a patch of `pod_spec` cannot be applied, or makes a pod that no job can run in; the error
/// names the patch.
pub fn pod_for(plan: &PodPlan<'_>) -> Result<Pod> {
    let metadata = ObjectMeta {
        name: Some(plan.names.pod.clone()),
        namespace: Some(plan.settings.namespace.clone()),
        labels: Some(metadata::labels(plan)),
        annotations: Some(metadata::annotations(plan)),
        owner_references: Some(vec![owner(plan)]),
        ..ObjectMeta::default()
    };
    let mut spec = spec_of(plan)?;
    if plan.settings.patches_spec {
        spec = patch::apply(spec, &plan.config.pod_spec, plan.patch_files)?;
    }
    Ok(Pod { metadata, spec: Some(spec), status: None })
}

/// The budget that keeps a drain of the node waiting until the job is over, where the config asks for it.
pub fn disruption_budget(plan: &PodPlan<'_>) -> Option<PodDisruptionBudget> {
    let labels = metadata::own_labels(plan);
    let selector = LabelSelector { match_labels: Some(labels.clone()), ..LabelSelector::default() };
    let budget = || PodDisruptionBudget {
        metadata: ObjectMeta {
            name: Some(plan.names.pod.clone()),
            namespace: Some(plan.settings.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![owner(plan)]),
            ..ObjectMeta::default()
        },
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(1)),
            selector: Some(selector),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    plan.config.pod_disruption_budget.then(budget)
}

fn owner(plan: &PodPlan<'_>) -> OwnerReference {
    OwnerReference {
        api_version: "v1".into(),
        kind: "Secret".into(),
        name: plan.names.secrets.first().cloned().unwrap_or_default(),
        uid: plan.names.owner_uid.clone(),
        ..OwnerReference::default()
    }
}

fn spec_of(plan: &PodPlan<'_>) -> Result<PodSpec> {
    let PodPlan { config, settings, .. } = plan;
    let volumes = volume::Layout::of(plan)?;
    let account = text(&settings.service_account);
    let mounts_token = config.automount_service_account_token.unwrap_or(account.is_some());
    Ok(PodSpec {
        active_deadline_seconds: settings.has_deadline.then(|| deadline(plan)),
        affinity: schedule::affinity(config)?,
        automount_service_account_token: Some(mounts_token),
        containers: container::all(plan, &volumes)?,
        dns_config: network::dns_config(config)?,
        dns_policy: network::dns_policy(config)?,
        // The variables that they make would be those of every Service of the namespace.
        enable_service_links: Some(false),
        host_aliases: network::host_aliases(config, settings),
        image_pull_secrets: pull_secrets(plan),
        node_selector: Some(settings.node_selector.clone()).filter(|selector| !selector.is_empty()),
        priority_class_name: text(&config.priority_class_name),
        resources: resources(&settings.pod_resources),
        restart_policy: Some("Never".into()),
        runtime_class_name: text(&config.runtime_class_name),
        scheduler_name: text(&config.scheduler_name),
        security_context: security::pod(&config.pod_security_context),
        service_account_name: account,
        termination_grace_period_seconds: config.pod_termination_grace_period_seconds.map(i64::from),
        tolerations: schedule::tolerations(&settings.tolerations),
        volumes: Some(volumes.volumes),
        ..PodSpec::default()
    })
}

/// When Kubernetes ends a pod that nobody has ended: the agent and the manager are both gone or stuck by then.
fn deadline(plan: &PodPlan<'_>) -> i64 {
    let budget = plan.settings.start_budget.as_secs();
    let seconds = budget.saturating_add(plan.job.timeout.as_secs()).saturating_add(AFTER_TIMEOUT);
    // Kubernetes takes no more than an `int32`.
    i64::from(i32::try_from(seconds).unwrap_or(i32::MAX))
}

/// With any secret in the pod, Kubernetes adds none of the service account.
fn pull_secrets(plan: &PodPlan<'_>) -> Option<Vec<LocalObjectReference>> {
    if plan.config.use_service_account_image_pull_secrets {
        return None;
    }
    let names = plan.config.image_pull_secrets.iter().chain(&plan.names.pull_secret);
    let secrets: Vec<_> = names.map(|name| LocalObjectReference { name: name.clone() }).collect();
    (!secrets.is_empty()).then_some(secrets)
}

fn resources(resources: &Resources) -> Option<ResourceRequirements> {
    let list = |amounts: &BTreeMap<String, String>| {
        let list: BTreeMap<_, _> =
            amounts.iter().map(|(name, amount)| (name.clone(), Quantity(amount.clone()))).collect();
        (!list.is_empty()).then_some(list)
    };
    let (limits, requests) = (list(&resources.limits), list(&resources.requests));
    (limits.is_some() || requests.is_some()).then_some(ResourceRequirements {
        limits,
        requests,
        claims: None,
    })
}

/// A text, unless it is empty.
fn text(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

/// Part of the config as the structure of the same form that Kubernetes has.
fn convert<From: serde::Serialize, To: serde::de::DeserializeOwned>(what: &str, from: &From) -> Result<To> {
    let value = serde_json::to_value(from).and_then(serde_json::from_value);
    value.map_err(|cause| Error::new(ErrorKind::Invalid, format!("read `{what}`")).because(cause))
}

#[cfg(test)]
mod tests;
