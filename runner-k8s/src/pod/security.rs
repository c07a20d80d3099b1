//! Security contexts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};

use super::text;
use crate::{
    config::{ContainerSecurityContext, KubernetesConfig, PodSecurityContext as PodContext, Profile},
    settings::ContainerSettings,
};

/// The capability that no container has unless the config adds it: with it a job could forge packets of its
/// neighbours.
const DROPPED: &str = "NET_RAW";

pub(super) fn pod(context: &PodContext) -> Option<PodSecurityContext> {
    if *context == PodContext::default() {
        return None;
    }
    let groups = &context.supplemental_groups;
    Some(PodSecurityContext {
        app_armor_profile: app_armor(&context.app_armor_profile),
        fs_group: context.fs_group,
        run_as_group: context.run_as_group,
        run_as_non_root: context.run_as_non_root,
        run_as_user: context.run_as_user,
        se_linux_options: selinux(&context.selinux_type),
        seccomp_profile: seccomp(&context.seccomp_profile),
        supplemental_groups: (!groups.is_empty()).then(|| groups.clone()),
        ..PodSecurityContext::default()
    })
}

pub(super) fn container(
    config: &KubernetesConfig,
    context: &ContainerSecurityContext,
    settings: &ContainerSettings,
) -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: context.allow_privilege_escalation.or(config.allow_privilege_escalation),
        app_armor_profile: app_armor(&context.app_armor_profile),
        capabilities: capabilities(config, context),
        privileged: context.privileged.or(config.privileged),
        proc_mount: proc_mount(&context.proc_mount),
        read_only_root_filesystem: context.read_only_root_filesystem,
        run_as_group: settings.group,
        run_as_non_root: context.run_as_non_root,
        run_as_user: settings.user,
        se_linux_options: selinux(&context.selinux_type),
        seccomp_profile: seccomp(&context.seccomp_profile),
        windows_options: None,
    }
}

/// The lists of the config, each replaced as a whole by that of the container's own context. What is dropped by
/// `cap_drop` counts more than what is added by `cap_add`.
fn capabilities(config: &KubernetesConfig, context: &ContainerSecurityContext) -> Option<Capabilities> {
    let mut is_added = BTreeMap::from([(DROPPED, false)]);
    is_added.extend(config.cap_add.iter().map(|name| (name.as_str(), true)));
    is_added.extend(config.cap_drop.iter().map(|name| (name.as_str(), false)));
    let list = |added: bool| {
        let names = is_added.iter().filter(|(_, is_added)| **is_added == added);
        let names: Vec<_> = names.map(|(name, _)| (*name).to_owned()).collect();
        (!names.is_empty()).then_some(names)
    };
    let add = context.capabilities.add.clone().or_else(|| list(true)).filter(|names| !names.is_empty());
    let drop = context.capabilities.drop.clone().or_else(|| list(false)).filter(|names| !names.is_empty());
    (add.is_some() || drop.is_some()).then_some(Capabilities { add, drop })
}

fn selinux(kind: &str) -> Option<SELinuxOptions> {
    text(kind).map(|kind| SELinuxOptions { type_: Some(kind), ..SELinuxOptions::default() })
}

fn seccomp(profile: &Profile) -> Option<SeccompProfile> {
    let localhost_profile = localhost(profile);
    text(&profile.kind).map(|type_| SeccompProfile { localhost_profile, type_ })
}

fn app_armor(profile: &Profile) -> Option<AppArmorProfile> {
    let localhost_profile = localhost(profile);
    text(&profile.kind).map(|type_| AppArmorProfile { localhost_profile, type_ })
}

/// Kubernetes refuses the name of a profile with another type.
fn localhost(profile: &Profile) -> Option<String> {
    text(&profile.localhost_profile).filter(|_| profile.kind == "Localhost")
}

fn proc_mount(text: &str) -> Option<String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "default" => Some("Default".into()),
        "unmasked" => Some("Unmasked".into()),
        _ => None,
    }
}
