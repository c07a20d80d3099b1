//! Names and name servers.

use k8s_openapi::api::core::v1::{HostAlias, PodDNSConfig};
use runner_core::{Error, ErrorKind, Result};

use super::convert;
use crate::{
    config::{DnsConfig, KubernetesConfig},
    settings::JobSettings,
};

/// The names of the services first: of two lines with the same name the first counts.
pub(super) fn host_aliases(config: &KubernetesConfig, settings: &JobSettings) -> Option<Vec<HostAlias>> {
    let mut aliases = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for name in settings.services.iter().flat_map(|service| &service.host_names) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if !names.is_empty() {
        aliases.push(HostAlias { ip: "127.0.0.1".into(), hostnames: Some(names) });
    }
    for alias in &config.host_aliases {
        aliases.push(HostAlias { ip: alias.ip.clone(), hostnames: Some(alias.hostnames.clone()) });
    }
    (!aliases.is_empty()).then_some(aliases)
}

pub(super) fn dns_config(config: &KubernetesConfig) -> Result<Option<PodDNSConfig>> {
    if config.dns_config == DnsConfig::default() {
        return Ok(None);
    }
    convert("dns_config", &config.dns_config).map(Some)
}

pub(super) fn dns_policy(config: &KubernetesConfig) -> Result<Option<String>> {
    let policy = match config.dns_policy.as_str() {
        "" => return Ok(None),
        "none" => "None",
        "default" => "Default",
        "cluster-first" => "ClusterFirst",
        "cluster-first-with-host-net" => "ClusterFirstWithHostNet",
        other => return Err(Error::new(ErrorKind::Invalid, "read `dns_policy`").with("value", other)),
    };
    Ok(Some(policy.to_owned()))
}
