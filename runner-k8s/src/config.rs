//! `[runners.kubernetes]` of a `config.toml`: its keys, what each means and whether it works, and what is wrong in one.
//!
//! The names and forms are those of GitLab Runner, so that the configs which people have go on working.

use std::fmt;

mod affinity;
mod allow;
mod autoscaler;
mod ceiling;
mod duration;
mod keys;
mod lifecycle;
mod network;
mod patch;
mod pull;
mod quantity;
mod review;
mod security;
mod service;
mod table;
mod text_or_list;
mod volumes;
mod yaml;

pub use affinity::{
    Affinity, LabelRequirement, LabelSelector, NodeAffinity, NodeSelector, NodeSelectorTerm, PodAffinity,
    PodAffinityTerm, PreferredNodeTerm, WeightedPodAffinityTerm,
};
pub(crate) use allow::AllowList;
pub use autoscaler::{Autoscaler, AutoscalerPolicy};
pub(crate) use ceiling::{Ceiling, Part};
pub use duration::DurationText;
pub use lifecycle::{
    ContainerLifecycle, ExecAction, HttpGetAction, HttpHeader, LifecycleHandler, TcpSocketAction,
};
pub use network::{DnsConfig, DnsOption, HostAlias};
pub(crate) use patch::PatchKind;
pub use patch::PodSpecPatch;
pub use pull::PullPolicies;
pub(crate) use quantity::Amount;
pub use security::{Capabilities, ContainerSecurityContext, PodSecurityContext, Profile};
pub use service::ServiceEntry;
pub(crate) use service::split_aliases;
pub use table::KubernetesConfig;
pub use text_or_list::TextOrList;
pub(crate) use volumes::Mount;
pub use volumes::{Csi, EmptyDir, FileMap, HostPath, Nfs, Pvc, Volumes};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyClass {
    /// It does what it does in GitLab Runner.
    Works,
    /// It tunes a mechanism that does not exist here; said once.
    NoEffect,
    /// It asks for something that is not done here.
    Refused,
}

/// What a [`Remark`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemarkClass {
    /// The key has no effect; everything works without it.
    NoEffect,
    /// The key asks for something that is not done here.
    Refused,
    /// The value is wrong.
    Invalid,
}

/// Something to say about a key of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The key, as a path below `[runners.kubernetes]`: `volumes.pvc[0].mount_path`.
    pub key: String,
    /// What it is about.
    pub class: RemarkClass,
    /// The sentence, without the key.
    pub text: String,
}

impl Remark {
    pub(crate) fn new(key: impl Into<String>, class: RemarkClass, text: impl Into<String>) -> Self {
        Self { key: key.into(), class, text: text.into() }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, class, text } = self;
        match class {
            RemarkClass::NoEffect => write!(formatter, "`{key}` has no effect: {text}"),
            RemarkClass::Refused => write!(formatter, "`{key}` is refused: {text}"),
            RemarkClass::Invalid => write!(formatter, "`{key}` is wrong: {text}"),
        }
    }
}

#[cfg(test)]
mod tests;
