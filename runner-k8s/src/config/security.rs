//! Security contexts of the pod and of its containers.

use serde::Deserialize;

/// `[runners.kubernetes.pod_security_context]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PodSecurityContext {
    /// The group that volumes belong to.
    pub fs_group: Option<i64>,
    /// The group id of processes.
    pub run_as_group: Option<i64>,
    /// Whether the kubelet refuses to run anything as root.
    pub run_as_non_root: Option<bool>,
    /// The user id of processes; a job cannot choose another one.
    pub run_as_user: Option<i64>,
    /// Further groups of processes.
    pub supplemental_groups: Vec<i64>,
    /// The `SELinux` type; empty: the runtime's.
    pub selinux_type: String,
    /// The seccomp profile.
    pub seccomp_profile: Profile,
    /// The `AppArmor` profile.
    pub app_armor_profile: Profile,
}

/// `[runners.kubernetes.build_container_security_context]` and its like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContainerSecurityContext {
    /// Capabilities, in place of those of `cap_add` and `cap_drop`.
    pub capabilities: Capabilities,
    /// In place of `privileged`.
    pub privileged: Option<bool>,
    /// The user id; a job cannot choose another one.
    pub run_as_user: Option<i64>,
    /// The group id; a job cannot choose another one.
    pub run_as_group: Option<i64>,
    /// Whether the kubelet refuses to run it as root.
    pub run_as_non_root: Option<bool>,
    /// Whether the image's own files cannot be written.
    pub read_only_root_filesystem: Option<bool>,
    /// In place of `allow_privilege_escalation`.
    pub allow_privilege_escalation: Option<bool>,
    /// The `SELinux` type; empty: the pod's.
    pub selinux_type: String,
    /// `default` or `unmasked`; empty: `default`.
    pub proc_mount: String,
    /// The seccomp profile.
    pub seccomp_profile: Profile,
    /// The `AppArmor` profile.
    pub app_armor_profile: Profile,
}

/// Capabilities without the prefix `CAP_`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// In place of those of `cap_add`.
    pub add: Option<Vec<String>>,
    /// In place of `NET_RAW` and those of `cap_drop`.
    pub drop: Option<Vec<String>>,
}

/// A profile of seccomp or of `AppArmor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// `RuntimeDefault`, `Localhost` or `Unconfined`; empty: none is asked for.
    #[serde(rename = "type")]
    pub kind: String,
    /// The profile on the node, with `Localhost`.
    pub localhost_profile: String,
}
