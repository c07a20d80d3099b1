//! The keys of `[[runners]]` and of the small sections in it.

use std::collections::BTreeMap;

use runner_k8s::config::{DurationText, KubernetesConfig};
use serde::Deserialize;

use super::CacheKeys;
use crate::{expansion::EnvText, key::keys};

/// A section of an executor that does not exist here. What is in it is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
pub(crate) struct OtherExecutor;

impl From<serde::de::IgnoredAny> for OtherExecutor {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

/// Why there are no groups for slots.
const NO_SLOT_GROUPS: &str = "each job has a group of processes of its own: its container";

/// Why sections of other executors do nothing.
const OTHER: &str = "it is for another executor";

keys! {
    /// A runner: the account at GitLab that jobs are asked for, and how they are run.
    pub(crate) struct RunnerKeys {
        /// The name, for people. Default: `RUNNER_NAME`.
        works "name" name: [EnvText];
        /// The address of GitLab. Default: `CI_SERVER_URL`.
        works "url" url: [EnvText];
        /// The number of the runner at GitLab, for people.
        works "id" id: [u64];
        /// The authentication token, `glrt-…`. Default: the file that `CI_SERVER_TOKEN_FILE` names, else `CI_SERVER_TOKEN`, else `RUNNER_TOKEN`, else `runner-token` in the folder of secrets.
        works "token" token: [EnvText];
        /// When the token was given out.
        works "token_obtained_at" token_obtained_at: [Option<toml::value::Datetime>];
        /// When the token ends; absent or in the year 1: never.
        works "token_expires_at" token_expires_at: [Option<toml::value::Datetime>];
        /// The file with the authorities that GitLab's certificate is checked against, in PEM. Default: `CI_SERVER_TLS_CA_FILE`, else those of the system.
        works "tls-ca-file" tls_ca_file: [EnvText];
        /// The file with the certificate that is shown to GitLab, in PEM. Default: `CI_SERVER_TLS_CERT_FILE`.
        works "tls-cert-file" tls_cert_file: [EnvText];
        /// The file with the key of that certificate, in PEM. Default: `CI_SERVER_TLS_KEY_FILE`.
        works "tls-key-file" tls_key_file: [EnvText];
        /// How many jobs of this runner run at once; 0: as many as `concurrent` lets. Default 0.
        works "limit" limit: [u32];
        /// How much of a job's log is kept, in KiB. Default 4096, which 0 means as well.
        works "output_limit" output_limit: [u32] = 4096;
        /// How many requests for jobs there are at once. Default 1, which 0 means as well.
        works "request_concurrency" request_concurrency: [u32] = 1;
        /// Whether the next job is asked for only after `check_interval`, even if there was one just now. Default false.
        works "strict_check_interval" strict_check_interval: [bool];
        /// After how many refused requests in a row the runner pauses. Default 3, which 0 means as well.
        works "unhealthy_requests_limit" unhealthy_requests_limit: [u32] = 3;
        /// How long it pauses then, such as `1h`. Default `1h`.
        works "unhealthy_interval" unhealthy_interval: [Option<DurationText>];
        /// How often the end of a job is reported.
        no_effect("the end of a job is reported until GitLab has it") "job_status_final_update_retry_limit" job_status_final_update_retry_limit: [Option<u32>];
        /// Labels of the runner.
        works "labels" labels: [BTreeMap<String, String>];
        /// `kubernetes` or `shell`. Default: `RUNNER_EXECUTOR`, else `kubernetes` where that section is there.
        works "executor" executor: [EnvText];
        /// The shell of scripts: `bash` or `sh`. Default: `bash` where the image has it, else `sh`.
        works "shell" shell: [String];
        /// Where work trees are. Default `/builds` in pods. Variables of the job are expanded.
        works "builds_dir" builds_dir: [String];
        /// Where caches are kept on the machine that the job runs on. Variables of the job are expanded.
        works "cache_dir" cache_dir: [String];
        /// The address that sources are cloned from, if it is not the one that GitLab gives.
        works "clone_url" clone_url: [EnvText];
        /// Who reports jobs in pods to GitLab: `agent`, or `relay` where pods cannot reach it or must not; then this program does. Only here, not in GitLab Runner. Default `agent`.
        works "report" report: [String];
        /// Variables of each job, `KEY=VALUE`. The job's own count more. Variables of the job are expanded.
        works "environment" environment: [Vec<String>];
        /// Whether commands run through the helper, so that it masks what they ask for.
        no_effect("all commands run through the agent anyway") "proxy_exec" proxy_exec: [Option<bool>];
        /// The former name of `pre_get_sources_script`.
        works "pre_clone_script" pre_clone_script: [String];
        /// The former name of `post_get_sources_script`.
        works "post_clone_script" post_clone_script: [String];
        /// A script before the sources are there.
        works "pre_get_sources_script" pre_get_sources_script: [String];
        /// A script after the sources are there.
        works "post_get_sources_script" post_get_sources_script: [String];
        /// A script before that of the job.
        works "pre_build_script" pre_build_script: [String];
        /// A script after that of the job, before `after_script`.
        works "post_build_script" post_build_script: [String];
        /// How long preparing a job may take, such as `10m`. Default: as long as the job.
        works "prepare_timeout" prepare_timeout: [Option<DurationText>];
        /// How long fetching its sources may take. Default: as long as the job.
        works "get_sources_timeout" get_sources_timeout: [Option<DurationText>];
        /// Whether jobs cannot turn on `CI_DEBUG_TRACE`. Default false.
        works "debug_trace_disabled" debug_trace_disabled: [bool];
        /// Whether git is told that the work tree is safe. Default: as it is needed.
        works "safe_directory_checkout" safe_directory_checkout: [Option<bool>];
        /// Whether the git configuration of the work tree is made anew. Default: true but for the executor `shell`.
        works "clean_git_config" clean_git_config: [Option<bool>];
        /// Whether jobs choose their directory.
        works "custom_build_dir" custom_build_dir: [CustomBuildDirKeys];
        /// Measurements beside a job.
        no_effect("measurements of other programs are not attached to jobs") "referees" referees: [Option<RefereesKeys>];
        /// Uploads of artifacts.
        works "artifact" artifact: [ArtifactKeys];
        /// Feature flags; see below.
        works "feature_flags" feature_flags: [BTreeMap<String, bool>];
        /// What is measured of this runner.
        works "monitoring" monitoring: [MonitoringKeys];
        /// Whether each slot has a control group.
        no_effect(NO_SLOT_GROUPS) "use_slot_cgroups" use_slot_cgroups: [Option<bool>];
        /// The name of that group.
        no_effect(NO_SLOT_GROUPS) "slot_cgroup_template" slot_cgroup_template: [Option<String>];
        /// The image that GitLab Runner takes its step runner from.
        no_effect("the agent is in the helper image") "step_runner_image" step_runner_image: [Option<String>];
        /// What GitLab Runner tries out.
        works "experimental" experimental: [RunnerExperimentalKeys];
        /// Where caches of jobs are kept.
        works "cache" cache: [Option<CacheKeys>];
        /// How the pods of jobs are made.
        works "kubernetes" kubernetes: [Option<Box<KubernetesConfig>>];
        /// The executor `instance`.
        no_effect(OTHER) "instance" instance: [Option<OtherExecutor>];
        /// The executor `ssh`.
        no_effect(OTHER) "ssh" ssh: [Option<OtherExecutor>];
        /// The executor `docker`.
        no_effect(OTHER) "docker" docker: [Option<OtherExecutor>];
        /// The executor `parallels`.
        no_effect(OTHER) "parallels" parallels: [Option<OtherExecutor>];
        /// The executor `virtualbox`.
        no_effect(OTHER) "virtualbox" virtualbox: [Option<OtherExecutor>];
        /// The executor `docker+machine`.
        no_effect(OTHER) "machine" machine: [Option<OtherExecutor>];
        /// The executor `custom`.
        no_effect(OTHER) "custom" custom: [Option<OtherExecutor>];
        /// The executors `docker-autoscaler` and `instance`.
        no_effect(OTHER) "autoscaler" autoscaler: [Option<OtherExecutor>];
    }
}

keys! {
    /// Whether jobs choose their directory.
    pub(crate) struct CustomBuildDirKeys {
        /// Whether `GIT_CLONE_PATH` may be set. Default: true on Kubernetes, where each job has its own volume.
        works "enabled" enabled: [Option<bool>];
    }
}

keys! {
    /// Measurements beside a job: without effect as a whole.
    pub(crate) struct RefereesKeys {
        /// Measurements of Prometheus.
        works "metrics" metrics: [MetricsRefereeKeys];
    }
}

keys! {
    /// Measurements of Prometheus: without effect as a whole.
    pub(crate) struct MetricsRefereeKeys {
        /// The address of Prometheus.
        works "prometheus_address" prometheus_address: [String];
        /// Seconds between two values.
        works "query_interval" query_interval: [u32];
        /// What is asked.
        works "queries" queries: [Vec<String>];
    }
}

keys! {
    /// Uploads of artifacts.
    pub(crate) struct ArtifactKeys {
        /// How long an upload may take. Default `1h`.
        works "upload_timeout" upload_timeout: [Option<DurationText>];
        /// How long GitLab may take to answer once it has everything. Default `10m`.
        works "response_header_timeout" response_header_timeout: [Option<DurationText>];
    }
}

keys! {
    /// What is measured of this runner.
    pub(crate) struct MonitoringKeys {
        /// How long jobs wait before they come here.
        works "job_queuing_durations" job_queuing_durations: [Vec<JobQueuingKeys>];
    }
}

keys! {
    /// Times at which waiting too long is counted. Of several that apply the last one counts.
    pub(crate) struct JobQueuingKeys {
        /// When it applies, each in the form of cron with seconds and years: `* * 8-18 * * mon-fri *`. Default: always.
        works "periods" periods: [Vec<String>];
        /// The time zone of the periods. Default: that of the machine.
        works "timezone" timezone: [String];
        /// What is too long, such as `5m`.
        works "threshold" threshold: [Option<DurationText>];
        /// A regular expression of how many jobs of the project run already. Default: any number.
        works "jobs_running_for_project" jobs_running_for_project: [String];
    }
}

keys! {
    /// What GitLab Runner tries out.
    pub(crate) struct RunnerExperimentalKeys {
        /// A trial job at the start.
        no_effect("what the executor needs is checked at every start") "boot_verify" boot_verify: [Option<BootVerifyKeys>];
    }
}

keys! {
    /// A trial job at the start: without effect as a whole.
    pub(crate) struct BootVerifyKeys {
        /// Whether there is one.
        works "enabled" enabled: [bool];
        /// How long it may take.
        works "timeout" timeout: [Option<DurationText>];
        /// The shortest pause before it is tried again.
        works "acquire_min_backoff" acquire_min_backoff: [Option<DurationText>];
        /// The longest pause before it is tried again.
        works "acquire_max_backoff" acquire_max_backoff: [Option<DurationText>];
    }
}
