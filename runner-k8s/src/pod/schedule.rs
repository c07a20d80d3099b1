//! Which node a pod runs on.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use runner_core::Result;

use super::{convert, text};
use crate::config::{Affinity as AffinityConfig, KubernetesConfig};

pub(super) fn affinity(config: &KubernetesConfig) -> Result<Option<Affinity>> {
    if config.affinity == AffinityConfig::default() {
        return Ok(None);
    }
    convert("affinity", &config.affinity).map(Some)
}

/// `key=value` tolerates that value, `key` any, and an empty key all taints.
pub(super) fn tolerations(taints: &BTreeMap<String, String>) -> Option<Vec<Toleration>> {
    let toleration = |(taint, effect): (&String, &String)| {
        let (key, value) =
            taint.split_once('=').map_or((taint.as_str(), None), |(key, value)| (key, Some(value)));
        Toleration {
            key: text(key),
            operator: Some(if value.is_some() { "Equal" } else { "Exists" }.into()),
            value: value.and_then(text),
            effect: text(effect),
            toleration_seconds: None,
        }
    };
    (!taints.is_empty()).then(|| taints.iter().map(toleration).collect())
}
