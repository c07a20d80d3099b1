use std::collections::BTreeSet;

use super::*;

const EVERY_KEY: &str = include_str!("tests/every_key.toml");

const WORKS: [&str; 100] = [
    "host",
    "context",
    "cert_file",
    "key_file",
    "ca_file",
    "bearer_token",
    "bearer_token_overwrite_allowed",
    "image",
    "namespace",
    "namespace_overwrite_allowed",
    "namespace_per_job",
    "privileged",
    "allow_privilege_escalation",
    "runtime_class_name",
    "scheduler_name",
    "priority_class_name",
    "cpu_limit",
    "cpu_limit_overwrite_max_allowed",
    "cpu_request",
    "cpu_request_overwrite_max_allowed",
    "memory_limit",
    "memory_limit_overwrite_max_allowed",
    "memory_request",
    "memory_request_overwrite_max_allowed",
    "ephemeral_storage_limit",
    "ephemeral_storage_limit_overwrite_max_allowed",
    "ephemeral_storage_request",
    "ephemeral_storage_request_overwrite_max_allowed",
    "service_cpu_limit",
    "service_cpu_limit_overwrite_max_allowed",
    "service_cpu_request",
    "service_cpu_request_overwrite_max_allowed",
    "service_memory_limit",
    "service_memory_limit_overwrite_max_allowed",
    "service_memory_request",
    "service_memory_request_overwrite_max_allowed",
    "service_ephemeral_storage_limit",
    "service_ephemeral_storage_limit_overwrite_max_allowed",
    "service_ephemeral_storage_request",
    "service_ephemeral_storage_request_overwrite_max_allowed",
    "helper_cpu_limit",
    "helper_cpu_limit_overwrite_max_allowed",
    "helper_cpu_request",
    "helper_cpu_request_overwrite_max_allowed",
    "helper_memory_limit",
    "helper_memory_limit_overwrite_max_allowed",
    "helper_memory_request",
    "helper_memory_request_overwrite_max_allowed",
    "helper_ephemeral_storage_limit",
    "helper_ephemeral_storage_limit_overwrite_max_allowed",
    "helper_ephemeral_storage_request",
    "helper_ephemeral_storage_request_overwrite_max_allowed",
    "pod_cpu_limit",
    "pod_cpu_limit_overwrite_max_allowed",
    "pod_cpu_request",
    "pod_cpu_request_overwrite_max_allowed",
    "pod_memory_limit",
    "pod_memory_limit_overwrite_max_allowed",
    "pod_memory_request",
    "pod_memory_request_overwrite_max_allowed",
    "allowed_images",
    "allowed_services",
    "allowed_pull_policies",
    "allowed_users",
    "allowed_groups",
    "pull_policy",
    "node_selector",
    "node_selector_overwrite_allowed",
    "node_tolerations",
    "node_tolerations_overwrite_allowed",
    "affinity",
    "image_pull_secrets",
    "use_service_account_image_pull_secrets",
    "helper_image",
    "pod_termination_grace_period_seconds",
    "cleanup_grace_period_seconds",
    "cleanup_resources_timeout",
    "poll_timeout",
    "pod_labels",
    "pod_labels_overwrite_allowed",
    "pod_annotations",
    "pod_annotations_overwrite_allowed",
    "service_account",
    "service_account_overwrite_allowed",
    "automount_service_account_token",
    "pod_security_context",
    "build_container_security_context",
    "helper_container_security_context",
    "service_container_security_context",
    "volumes",
    "host_aliases",
    "services",
    "cap_add",
    "cap_drop",
    "dns_policy",
    "dns_config",
    "container_lifecycle",
    "pod_spec",
    "print_pod_warning_events",
    "pod_disruption_budget",
];

const NO_EFFECT: [&str; 10] = [
    "helper_image_flavor",
    "helper_image_autoset_arch_and_os",
    "poll_interval",
    "resource_availability_check_max_attempts",
    "retry_limit",
    "retry_backoff_max",
    "retry_limits",
    "init_permissions_container_security_context",
    "logs_base_dir",
    "scripts_base_dir",
];

const REFUSED: [&str; 3] = ["suspend_pvc_size", "suspend_pvc_storage_class", "autoscaler"];

fn parse(text: &str) -> KubernetesConfig {
    toml::from_str(text).unwrap()
}

/// The remark that a config with only this text must get.
fn wrong(text: &str, key: &str, sentence: &str) {
    let remarks: Vec<_> = parse(text).validate().iter().map(ToString::to_string).collect();
    assert_eq!(remarks, [format!("`{key}` is wrong: {sentence}")], "{text}");
}

#[test]
fn every_key_of_gitlab_runner_is_read() {
    let table: toml::Table = toml::from_str(EVERY_KEY).unwrap();
    let written: BTreeSet<_> = table.keys().map(String::as_str).collect();
    let known: BTreeSet<_> = WORKS.iter().chain(&NO_EFFECT).chain(&REFUSED).copied().collect();
    assert_eq!(known.len(), 113);
    assert_eq!(written, known);
    assert_eq!(parse(EVERY_KEY).validate(), []);
}

#[test]
fn every_key_is_in_one_class() {
    let of = |class: KeyClass| -> BTreeSet<&str> {
        KubernetesConfig::KEYS.iter().filter(|(_, own)| *own == class).map(|(key, _)| *key).collect()
    };
    assert_eq!(KubernetesConfig::KEYS.len(), 113);
    assert_eq!(of(KeyClass::Works), BTreeSet::from(WORKS));
    assert_eq!(of(KeyClass::NoEffect), BTreeSet::from(NO_EFFECT));
    assert_eq!(of(KeyClass::Refused), BTreeSet::from(REFUSED));
}

#[test]
fn keys_without_effect_and_refused_ones_are_told_when_they_are_set() {
    let remarks = parse(EVERY_KEY).review();
    let of = |class: RemarkClass| -> BTreeSet<&str> {
        remarks.iter().filter(|remark| remark.class == class).map(|remark| remark.key.as_str()).collect()
    };
    assert_eq!(of(RemarkClass::NoEffect), BTreeSet::from(NO_EFFECT));
    let mut refused = BTreeSet::from(REFUSED);
    refused.insert("services[0].suspend_data_path");
    assert_eq!(of(RemarkClass::Refused), refused);
    assert_eq!(KubernetesConfig::default().review(), []);
    assert_eq!(parse("").validate(), []);
    let text = parse("poll_interval = 3").review().first().map(ToString::to_string).unwrap();
    assert_eq!(text, "`poll_interval` has no effect: pods are watched, nothing is polled");
}

#[test]
fn an_unknown_key_is_an_error_with_its_name() {
    for (text, key) in [
        ("cpu_limits = '1'", "cpu_limits"),
        ("[pod_security_context]\nfsgroup = 1", "fsgroup"),
        ("[[volumes.pvc]]\nname = 'a'\nclaim = 'b'", "claim"),
        ("[[services]]\nimage = 'a'", "image"),
        ("[affinity.node_affinity]\nrequired = {}", "required"),
    ] {
        let error = toml::from_str::<KubernetesConfig>(text).unwrap_err().to_string();
        assert!(error.contains(&format!("unknown field `{key}`")), "{error}");
    }
}

#[test]
fn a_pull_policy_is_a_text_or_a_list() {
    assert_eq!(parse("pull_policy = 'always'").pull_policy.0, ["always"]);
    assert_eq!(parse("pull_policy = ['always', 'never']").pull_policy.0, ["always", "never"]);
    assert!(parse("pull_policy = ''").pull_policy.0.is_empty());
}

#[test]
fn wrong_resources_are_told() {
    wrong("cpu_limit = '2 cores'", "cpu_limit", "\"2 cores\" is no quantity such as 500m or 2Gi");
    wrong(
        "helper_memory_request_overwrite_max_allowed = '1gb'",
        "helper_memory_request_overwrite_max_allowed",
        "\"1gb\" is no quantity such as 500m or 2Gi",
    );
    wrong(
        "memory_limit = '1G'\nmemory_request = '1Gi'",
        "memory_request",
        "\"1Gi\" is more than `memory_limit`, \"1G\"",
    );
    wrong(
        "cleanup_resources_timeout = '5 min'",
        "cleanup_resources_timeout",
        "\"5 min\" is no duration such as 5m or 90s",
    );
}

#[test]
fn wrong_patterns_and_lists_are_told() {
    wrong(
        "namespace_overwrite_allowed = '('",
        "namespace_overwrite_allowed",
        "\"(\" is no regular expression",
    );
    wrong(
        "pod_labels_overwrite_allowed = '*'",
        "pod_labels_overwrite_allowed",
        "\"*\" is no regular expression",
    );
    wrong("allowed_images = ['a', '[']", "allowed_images[1]", "\"[\" is no pattern");
    wrong("allowed_users = ['root']", "allowed_users[0]", "\"root\" is no number");
    wrong(
        "pull_policy = 'sometimes'",
        "pull_policy",
        "\"sometimes\" is none of always, if-not-present, never",
    );
    wrong(
        "allowed_pull_policies = ['IfNotPresent']",
        "allowed_pull_policies",
        "\"IfNotPresent\" is none of always, if-not-present, never",
    );
    wrong(
        "pull_policy = 'always'\nallowed_pull_policies = ['never']",
        "pull_policy",
        "`pull_policy` of the runner asks for pull policy always, and the runner allows only never",
    );
    wrong(
        "[node_tolerations]\n\"a=b\" = \"No\"",
        "node_tolerations.\"a=b\"",
        "\"No\" is none of NoSchedule, PreferNoSchedule, NoExecute",
    );
}

#[test]
fn wrong_volumes_are_told() {
    wrong("[[volumes.pvc]]\nname = 'a'", "volumes.pvc[0].mount_path", "it is missing");
    wrong("[[volumes.secret]]\nmount_path = '/a'", "volumes.secret[0].name", "it is missing");
    let two = "[[volumes.pvc]]\nname = 'a'\nmount_path = '/a'\n[[volumes.nfs]]\nname = 'a'\nmount_path = '/b'\n\
               server = 's'\npath = '/'";
    wrong(two, "volumes.nfs[0].name", "\"a\" is the name of volumes.pvc[0] too");
    let two =
        "[[volumes.pvc]]\nname = 'a'\nmount_path = '/a'\n[[volumes.pvc]]\nname = 'b'\nmount_path = '/a/'";
    wrong(two, "volumes.pvc[1].mount_path", "\"/a/\" is that of volumes.pvc[0] too");
    wrong(
        "[[volumes.secret]]\nname = 'a_b'\nmount_path = '/a'",
        "volumes.secret[0].name",
        "\"a_b\" is no name of small letters, digits and hyphens",
    );
    wrong("[[volumes.csi]]\nname = 'a'\nmount_path = '/a'", "volumes.csi[0].driver", "it is missing");
    wrong(
        "[[volumes.nfs]]\nname = 'a'\nmount_path = '/a'\nserver = 's'",
        "volumes.nfs[0].path",
        "it is missing",
    );
    let dir = "[[volumes.empty_dir]]\nname = 'a'\nmount_path = '/a'\n";
    wrong(&format!("{dir}medium = 'RAM'"), "volumes.empty_dir[0].medium", "\"RAM\" is not Memory");
    wrong(
        &format!("{dir}size_limit = 'big'"),
        "volumes.empty_dir[0].size_limit",
        "\"big\" is no quantity such as 500Mi or 2Gi",
    );
    wrong(
        &format!("{dir}mount_propagation = 'Both'"),
        "volumes.empty_dir[0].mount_propagation",
        "\"Both\" is none of None, HostToContainer, Bidirectional",
    );
}

#[test]
fn wrong_networks_are_told() {
    wrong(
        "dns_policy = 'ClusterFirst'",
        "dns_policy",
        "\"ClusterFirst\" is none of none, default, cluster-first, cluster-first-with-host-net",
    );
    wrong("dns_policy = 'none'", "dns_config.nameservers", "the policy none needs a name server");
    wrong("dns_config.nameservers = ['ns']", "dns_config.nameservers[0]", "\"ns\" is no address");
    wrong("host_aliases = [{ ip = 'x', hostnames = ['a'] }]", "host_aliases[0].ip", "\"x\" is no address");
    wrong("host_aliases = [{ ip = '192.0.2.1' }]", "host_aliases[0].hostnames", "it is missing");
}

#[test]
fn wrong_security_contexts_are_told() {
    wrong(
        "[pod_security_context]\nseccomp_profile.type = 'runtime'",
        "pod_security_context.seccomp_profile.type",
        "\"runtime\" is none of RuntimeDefault, Localhost, Unconfined",
    );
    wrong(
        "[helper_container_security_context]\napp_armor_profile.type = 'Localhost'",
        "helper_container_security_context.app_armor_profile.localhost_profile",
        "it is missing",
    );
    wrong(
        "[build_container_security_context]\nproc_mount = 'all'",
        "build_container_security_context.proc_mount",
        "\"all\" is none of default, unmasked",
    );
    wrong(
        "allow_privilege_escalation = false\n[service_container_security_context]\nprivileged = true",
        "service_container_security_context.allow_privilege_escalation",
        "a privileged container can gain privileges: set it to true, or `privileged` to false",
    );
}

#[test]
fn wrong_patches_services_and_hooks_are_told() {
    wrong("[[pod_spec]]\nname = 'a'", "pod_spec[0].patch", "both it and `patch_path` are missing");
    wrong(
        "[[pod_spec]]\npatch = 'a: 1'\npatch_path = '/a'",
        "pod_spec[0].patch",
        "both it and `patch_path` are set",
    );
    wrong(
        "[[pod_spec]]\npatch = 'a: 1'\npatch_type = 'diff'",
        "pod_spec[0].patch_type",
        "\"diff\" is none of strategic, merge, json",
    );
    wrong(
        "[[pod_spec]]\npatch = 'a: 1'\npatch_type = 'json'",
        "pod_spec[0].patch",
        "a patch of type json is a list of operations",
    );
    wrong("[[pod_spec]]\npatch = '[]'", "pod_spec[0].patch", "it is no mapping");
    wrong("[[services]]\nalias = 'a'", "services[0].name", "it is missing");
    wrong(
        "[[services]]\nname = 'a'\nenvironment = ['A']",
        "services[0].environment",
        "\"A\" is not NAME=value",
    );
    wrong(
        "[container_lifecycle.post_start]",
        "container_lifecycle.post_start",
        "it needs one of exec, http_get, tcp_socket",
    );
    wrong(
        "[container_lifecycle.pre_stop.tcp_socket]\nport = 0",
        "container_lifecycle.pre_stop.tcp_socket.port",
        "it is not from 1 to 65535",
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let config = parse("cpu_limit = 'x'\ndns_policy = 'y'\n[[volumes.pvc]]\n[[pod_spec]]\npatch_type = 'z'");
    let keys: Vec<_> = config.validate().into_iter().map(|remark| remark.key).collect();
    assert_eq!(
        keys,
        [
            "cpu_limit",
            "volumes.pvc[0].name",
            "volumes.pvc[0].mount_path",
            "dns_policy",
            "pod_spec[0].patch_type",
            "pod_spec[0].patch",
        ]
    );
}

#[test]
fn the_token_does_not_show() {
    let config = parse("bearer_token = 'hunter2'");
    assert!(!format!("{config:?}").contains("hunter2"));
}
