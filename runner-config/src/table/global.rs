//! The keys at the top of the file, and the sections that are not a runner's.

use std::collections::BTreeMap;

use runner_k8s::config::DurationText;

use super::{RunnerKeys, runner::OtherExecutor};
use crate::{expansion::EnvText, key::keys};

/// Why there is nothing to tune of terminals.
const NO_TERMINAL: &str = "jobs have no web terminal here";

/// Why usage records are not written.
const NO_USAGE: &str = "usage records are not written; what jobs take is in the metrics of `listen_address`";

keys! {
    /// What counts for all runners.
    pub(crate) struct GlobalKeys {
        /// How many jobs run at once, over all runners. Default 1; with 0 none is taken.
        works "concurrent" concurrent: [u32] = 1;
        /// How long is waited between two requests for jobs, in seconds. Default 3, which 0 means as well.
        works "check_interval" check_interval: [u32] = 3;
        /// Where metrics and health are served, as `host:port`. Default: nowhere.
        works "listen_address" listen_address: [EnvText];
        /// `panic`, `fatal`, `error`, `warning`, `info` or `debug`. Default `info`.
        works "log_level" log_level: [String] = "info".into();
        /// `runner` and `text` for a person, `json` for a machine. Default `runner`.
        works "log_format" log_format: [String] = "runner".into();
        /// The user that jobs of the executor `shell` are run as.
        no_effect("jobs of the executor `shell` run as the user that this program runs as") "user" user: [Option<String>];
        /// Where GitLab Runner sends its own errors.
        no_effect("errors are in the log and nowhere else") "sentry_dsn" sentry_dsn: [Option<String>];
        /// How long a connection to GitLab is used, such as `15m`. Default `15m`.
        works "connection_max_age" connection_max_age: [Option<DurationText>];
        /// How long an orderly end may take once jobs are aborted, in seconds. Default 30, which 0 means as well.
        works "shutdown_timeout" shutdown_timeout: [u32] = 30;
        /// What becomes of jobs in pods when this program is told to end: `leave` has them run on, reported by their agents and adopted by the next program; `abort` fails them as interrupted. Only here, not in GitLab Runner. Default `leave`.
        works "shutdown" shutdown: [String];
        /// Labels that each runner has. Those of a runner count more.
        works "labels" labels: [BTreeMap<String, String>];
        /// The server of web terminals.
        works "session_server" session_server: [SessionServerKeys];
        /// What machines of the executor `docker+machine` do at the end.
        refused("there are no machines here: take the section out") "machine" machine: [Option<OtherExecutor>];
        /// What GitLab Runner tries out.
        works "experimental" experimental: [ExperimentalKeys];
        /// The former name of `listen_address`.
        no_effect("it is called `listen_address` now") "metrics_server" metrics_server: [Option<String>];
        /// The runners.
        works "runners" runners: [Vec<RunnerKeys>];
    }
}

keys! {
    /// The server of web terminals.
    pub(crate) struct SessionServerKeys {
        /// Where the server listens.
        no_effect(NO_TERMINAL) "listen_address" listen_address: [Option<String>];
        /// Where GitLab finds the server.
        no_effect(NO_TERMINAL) "advertise_address" advertise_address: [Option<String>];
        /// How long a terminal stays after its job, in seconds. Nothing is said about it where no address is set:
        /// GitLab Runner writes it into every config.
        no_effect(NO_TERMINAL) "session_timeout" session_timeout: [Option<u32>];
    }
}

keys! {
    /// What GitLab Runner tries out.
    pub(crate) struct ExperimentalKeys {
        /// Records of what jobs took.
        no_effect(NO_USAGE) "usage_logger" usage_logger: [Option<UsageLoggerKeys>];
    }
}

keys! {
    /// Records of what jobs took: without effect as a whole.
    pub(crate) struct UsageLoggerKeys {
        /// Whether records are written.
        works "enabled" enabled: [bool];
        /// `logrotate`, `snowplow_billing` or both.
        works "writers" writers: [Vec<String>];
        /// Records in files.
        works "logrotate" logrotate: [LogrotateKeys];
        /// Records for a collector.
        works "snowplow_billing" snowplow_billing: [SnowplowKeys];
        /// The former place of `logrotate.log_dir`.
        works "log_dir" log_dir: [String];
        /// The former place of `logrotate.max_backup_files`.
        works "max_backup_files" max_backup_files: [Option<i64>];
        /// The former place of `logrotate.max_rotation_age`.
        works "max_rotation_age" max_rotation_age: [Option<DurationText>];
        /// The former place of `logrotate.labels`.
        works "labels" labels: [BTreeMap<String, String>];
    }
}

keys! {
    /// Records in files: without effect as a whole.
    pub(crate) struct LogrotateKeys {
        /// The folder.
        works "log_dir" log_dir: [String];
        /// How many files are kept.
        works "max_backup_files" max_backup_files: [Option<i64>];
        /// How long a file is written to.
        works "max_rotation_age" max_rotation_age: [Option<DurationText>];
        /// Labels of each record.
        works "labels" labels: [BTreeMap<String, String>];
    }
}

keys! {
    /// Records for a collector: without effect as a whole.
    pub(crate) struct SnowplowKeys {
        /// The address of the collector.
        works "collector_uri" collector_uri: [String];
        /// The name of the application.
        works "app_id" app_id: [String];
        /// The category of the records.
        works "category" category: [String];
        /// The realm of the records.
        works "realm" realm: [String];
        /// The kind of the deployment.
        works "deployment_type" deployment_type: [String];
        /// What is added to each record.
        works "metadata" metadata: [BTreeMap<String, toml::Value>];
        /// Whether the collector is shown an identity.
        works "enable_oidc" enable_oidc: [bool];
        /// Steps of a histogram.
        works "batch_delivery_duration_buckets" batch_delivery_duration_buckets: [Vec<f64>];
        /// Whether no identity is shown where the cloud has none.
        works "skip_oidc_if_unsupported_cloud" skip_oidc_if_unsupported_cloud: [bool];
        /// Whether jobs that failed by the runner's fault are left out.
        works "skip_runner_system_failure" skip_runner_system_failure: [bool];
    }
}
