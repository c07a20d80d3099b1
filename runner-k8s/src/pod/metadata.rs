//! Labels and annotations.

use std::collections::BTreeMap;

use super::PodPlan;
use crate::settings::{dns_label, label_value};

/// The label by which the objects of a runner are found.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "runner";

/// The label by which the objects of a job are found. Its value is the job's id, cleaned.
pub const JOB_LABEL: &str = "runner.dev/job";

/// The labels that everything of a job has.
pub(super) fn own_labels(plan: &PodPlan<'_>) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MANAGED_BY_LABEL.into(), MANAGED_BY.into()),
        (JOB_LABEL.into(), label_value(plan.job.id.as_str())),
    ])
}

/// Those of the config and the job, then those of GitLab Runner that dashboards and reports of costs go by, then
/// ours, which nothing replaces.
pub(super) fn labels(plan: &PodPlan<'_>) -> BTreeMap<String, String> {
    let variable = |name: &str| label_value(&plan.job.variables.value(name));
    let mut labels = plan.settings.labels.clone();
    let slot =
        format!("runner-{}-project-{}-concurrent-{}", plan.runner_token, plan.job.project.id, plan.slot);
    let pod = dns_label(&slot);
    labels.entry("pod".into()).or_insert_with(|| pod.clone());
    labels.insert("job.runner.gitlab.com/pod".into(), pod);
    labels.insert("project.runner.gitlab.com/id".into(), plan.job.project.id.to_string());
    labels.insert("project.runner.gitlab.com/name".into(), label_value(&plan.job.project.name));
    labels.insert("project.runner.gitlab.com/namespace".into(), variable("CI_PROJECT_NAMESPACE"));
    labels.insert("project.runner.gitlab.com/root-namespace".into(), variable("CI_PROJECT_ROOT_NAMESPACE"));
    labels.insert("manager.runner.gitlab.com/id-short".into(), label_value(plan.runner_token));
    labels.retain(|_, value| !value.is_empty());
    labels.extend(own_labels(plan));
    labels
}

/// GitLab Runner's annotations of a job, then those of the config and the job.
pub(super) fn annotations(plan: &PodPlan<'_>) -> BTreeMap<String, String> {
    let job = plan.job;
    let mut annotations = BTreeMap::from([
        ("job.runner.gitlab.com/id".into(), job.id.to_string()),
        ("job.runner.gitlab.com/url".into(), job.variables.value("CI_JOB_URL")),
        ("job.runner.gitlab.com/name".into(), job.name.clone()),
        ("job.runner.gitlab.com/ref".into(), job.git.reference.clone()),
        ("job.runner.gitlab.com/sha".into(), job.git.sha.clone()),
        ("job.runner.gitlab.com/before_sha".into(), job.git.before_sha.clone()),
        ("job.runner.gitlab.com/timeout".into(), format!("{}s", job.timeout.as_secs())),
        ("project.runner.gitlab.com/id".into(), job.project.id.to_string()),
    ]);
    annotations.retain(|_, value: &mut String| !value.is_empty());
    annotations.extend(plan.settings.annotations.clone());
    annotations
}
