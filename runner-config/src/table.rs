//! The tables of all keys of a config.toml but those of `[runners.kubernetes]`, and where each table stands.

use runner_k8s::config::{KeyClass, KubernetesConfig};

use crate::key::{Key, Keys};

mod cache;
mod flags;
mod global;
mod runner;

pub(crate) use cache::{AzureKeys, CacheKeys, GcsKeys, NO_AZURE, NO_GCS, S3Keys};
pub use flags::{FLAGS, Flag};
pub(crate) use global::{
    ExperimentalKeys, GlobalKeys, LogrotateKeys, SessionServerKeys, SnowplowKeys, UsageLoggerKeys,
};
pub(crate) use runner::{
    ArtifactKeys, BootVerifyKeys, CustomBuildDirKeys, JobQueuingKeys, MetricsRefereeKeys, MonitoringKeys,
    RefereesKeys, RunnerExperimentalKeys, RunnerKeys,
};

/// A section of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Where it stands: `runners.cache.s3`; empty for the top of the file.
    pub path: &'static str,
    /// How its header is written: `[[runners]]`.
    pub header: &'static str,
    /// The lines of its description.
    pub about: &'static [&'static str],
    /// Its keys.
    pub keys: Vec<Key>,
}

/// All sections, in the order of a reference.
pub fn sections() -> Vec<Section> {
    macro_rules! section {
        ($path:literal, $header:literal, $keys:ident) => {
            Section { path: $path, header: $header, about: $keys::ABOUT, keys: $keys::KEYS.to_vec() }
        };
    }
    vec![
        section!("", "the top of the file", GlobalKeys),
        section!("session_server", "[session_server]", SessionServerKeys),
        section!("experimental", "[experimental]", ExperimentalKeys),
        section!("experimental.usage_logger", "[experimental.usage_logger]", UsageLoggerKeys),
        section!(
            "experimental.usage_logger.logrotate",
            "[experimental.usage_logger.logrotate]",
            LogrotateKeys
        ),
        section!(
            "experimental.usage_logger.snowplow_billing",
            "[experimental.usage_logger.snowplow_billing]",
            SnowplowKeys
        ),
        section!("runners", "[[runners]]", RunnerKeys),
        section!("runners.custom_build_dir", "[runners.custom_build_dir]", CustomBuildDirKeys),
        section!("runners.artifact", "[runners.artifact]", ArtifactKeys),
        section!("runners.referees", "[runners.referees]", RefereesKeys),
        section!("runners.referees.metrics", "[runners.referees.metrics]", MetricsRefereeKeys),
        section!("runners.monitoring", "[runners.monitoring]", MonitoringKeys),
        section!(
            "runners.monitoring.job_queuing_durations",
            "[[runners.monitoring.job_queuing_durations]]",
            JobQueuingKeys
        ),
        section!("runners.experimental", "[runners.experimental]", RunnerExperimentalKeys),
        section!("runners.experimental.boot_verify", "[runners.experimental.boot_verify]", BootVerifyKeys),
        section!("runners.cache", "[runners.cache]", CacheKeys),
        section!("runners.cache.s3", "[runners.cache.s3]", S3Keys),
        section!("runners.cache.gcs", "[runners.cache.gcs]", GcsKeys),
        section!("runners.cache.azure", "[runners.cache.azure]", AzureKeys),
        kubernetes(),
    ]
}

fn kubernetes() -> Section {
    let about = |name: &str| {
        let found = KubernetesConfig::ABOUT.iter().find(|(key, _)| *key == name);
        found.map_or(&[][..], |(_, about)| *about)
    };
    let key = |(name, class): &(&'static str, KeyClass)| Key {
        name,
        class: *class,
        why: KubernetesConfig::why(name),
        about: about(name),
        is_expanded: false,
    };
    Section {
        path: "runners.kubernetes",
        header: "[runners.kubernetes]",
        about: &[" How the pods of jobs are made. An empty string means what an absent key means."],
        keys: KubernetesConfig::KEYS.iter().map(key).collect(),
    }
}

#[cfg(test)]
mod tests;
