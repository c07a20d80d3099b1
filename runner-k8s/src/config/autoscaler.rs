//! `[runners.kubernetes.autoscaler]`, which is read so that it can be refused with a sentence.

use serde::Deserialize;

/// Pause pods of GitLab Runner.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Autoscaler {
    /// The most pause pods.
    pub max_pause_pods: i64,
    /// Their image.
    pub pause_pod_image: String,
    /// Their priority class.
    pub pause_pod_priority_class_name: String,
    /// Their pull secrets.
    pub pause_pod_image_pull_secrets: Vec<String>,
    /// How many there are, and when.
    pub policy: Vec<AutoscalerPolicy>,
}

/// How many pause pods there are at some times.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoscalerPolicy {
    /// When it holds, in the form of cron.
    pub periods: Vec<String>,
    /// The time zone of the periods.
    pub timezone: String,
    /// How many are idle at least.
    pub idle_count: i64,
    /// How long one stays idle.
    pub idle_time: String,
    /// How many are idle for each job that runs.
    pub scale_factor: f64,
    /// The most that `scale_factor` makes.
    pub scale_factor_limit: i64,
    /// Whether jobs wait for an idle one.
    pub preemptive_mode: bool,
}
