//! What is wrong in a config, all at once.

use std::{collections::HashMap, net::IpAddr};

use regex::Regex;

use super::{
    AllowList, Amount, ContainerSecurityContext, KubernetesConfig, LifecycleHandler, Mount, PatchKind,
    PodSpecPatch, Profile, PullPolicies, Remark, RemarkClass,
};

/// Effects of taints; empty stands for all of them.
const EFFECTS: [&str; 4] = ["", "NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Values of `dns_policy`.
const DNS_POLICIES: [&str; 5] = ["", "none", "default", "cluster-first", "cluster-first-with-host-net"];

impl KubernetesConfig {
    /// What is wrong, each with the path of its key. A config with such remarks must not be run.
    pub fn validate(&self) -> Vec<Remark> {
        let mut review = Review::default();
        review.resources(self);
        review.overwrites(self);
        review.images(self);
        review.volumes(self);
        review.network(self);
        review.contexts(self);
        review.patches(self);
        review.services(self);
        review.lifecycle(self);
        review.remarks
    }
}

#[derive(Default)]
struct Review {
    remarks: Vec<Remark>,
}

impl Review {
    fn wrong(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.remarks.push(Remark::new(key, RemarkClass::Invalid, text));
    }

    fn one_of(&mut self, key: String, value: &str, values: &[&str]) {
        if !values.contains(&value) {
            let values: Vec<_> = values.iter().filter(|value| !value.is_empty()).copied().collect();
            self.wrong(key, format!("{value:?} is none of {}", values.join(", ")));
        }
    }

    fn resources(&mut self, config: &KubernetesConfig) {
        let ceilings = config.ceilings();
        for ceiling in &ceilings {
            for (key, text) in [(ceiling.key, ceiling.value), (ceiling.max_key, ceiling.max)] {
                if !text.is_empty() && Amount::parse(text).is_none() {
                    self.wrong(key, format!("{text:?} is no quantity such as 500m or 2Gi"));
                }
            }
        }
        for pair in ceilings.chunks_exact(2) {
            let [limit, request] = pair else { continue };
            let amounts = (Amount::parse(limit.value), Amount::parse(request.value));
            if let (Some(most), Some(least)) = amounts
                && least > most
            {
                let text = format!("{:?} is more than `{}`, {:?}", request.value, limit.key, limit.value);
                self.wrong(request.key, text);
            }
        }
        if let Some(text) = &config.cleanup_resources_timeout
            && !text.as_str().is_empty()
            && text.parse().is_none()
        {
            let text = format!("{:?} is no duration such as 5m or 90s", text.as_str());
            self.wrong("cleanup_resources_timeout", text);
        }
    }

    fn overwrites(&mut self, config: &KubernetesConfig) {
        let patterns = [
            ("namespace_overwrite_allowed", &config.namespace_overwrite_allowed),
            ("service_account_overwrite_allowed", &config.service_account_overwrite_allowed),
            ("node_selector_overwrite_allowed", &config.node_selector_overwrite_allowed),
            ("node_tolerations_overwrite_allowed", &config.node_tolerations_overwrite_allowed),
            ("pod_labels_overwrite_allowed", &config.pod_labels_overwrite_allowed),
            ("pod_annotations_overwrite_allowed", &config.pod_annotations_overwrite_allowed),
        ];
        for (key, pattern) in patterns {
            if Regex::new(pattern).is_err() {
                self.wrong(key, format!("{pattern:?} is no regular expression"));
            }
        }
        for (taint, effect) in &config.node_tolerations {
            self.one_of(format!("node_tolerations.{taint:?}"), effect, &EFFECTS);
        }
    }

    fn images(&mut self, config: &KubernetesConfig) {
        for (key, patterns) in
            [("allowed_images", &config.allowed_images), ("allowed_services", &config.allowed_services)]
        {
            for (index, pattern) in patterns.iter().enumerate() {
                if AllowList::new(std::slice::from_ref(pattern)).is_err() {
                    self.wrong(format!("{key}[{index}]"), format!("{pattern:?} is no pattern"));
                }
            }
        }
        for (key, ids) in
            [("allowed_users", &config.allowed_users), ("allowed_groups", &config.allowed_groups)]
        {
            for (index, id) in ids.iter().enumerate() {
                if id.parse::<u32>().is_err() {
                    self.wrong(format!("{key}[{index}]"), format!("{id:?} is no number"));
                }
            }
        }
        let before = self.remarks.len();
        for (key, policies) in
            [("pull_policy", &config.pull_policy.0), ("allowed_pull_policies", &config.allowed_pull_policies)]
        {
            for policy in policies {
                self.one_of(key.into(), policy, &["always", "if-not-present", "never"]);
            }
        }
        if self.remarks.len() == before
            && let Err(text) = PullPolicies::of(config, &[])
        {
            self.wrong("pull_policy", text);
        }
    }

    fn volumes(&mut self, config: &KubernetesConfig) {
        let mut kinds: HashMap<&str, (&str, String)> = HashMap::new();
        let mut places: HashMap<&str, String> = HashMap::new();
        for mount in config.volumes.mounts() {
            let path = format!("volumes.{}[{}]", mount.kind, mount.index);
            if !mount.path.trim().is_empty()
                && let Some(first) = places.insert(mount.path.trim_end_matches('/'), path.clone())
            {
                self.wrong(format!("{path}.mount_path"), format!("{:?} is that of {first} too", mount.path));
            }
            self.mount(&path, &mount);
            match kinds.get(mount.name) {
                Some((kind, first)) if *kind != mount.kind && !mount.name.is_empty() => {
                    self.wrong(
                        format!("{path}.name"),
                        format!("{:?} is the name of {first} too", mount.name),
                    );
                }
                Some(_) => {}
                None => {
                    kinds.insert(mount.name, (mount.kind, path));
                }
            }
        }
        for (index, volume) in config.volumes.empty_dir.iter().enumerate() {
            let path = format!("volumes.empty_dir[{index}]");
            if !volume.medium.is_empty()
                && volume.medium != "Memory"
                && !volume.medium.starts_with("HugePages")
            {
                self.wrong(format!("{path}.medium"), format!("{:?} is not Memory", volume.medium));
            }
            let limit = volume.size_limit.trim();
            if !limit.is_empty() && Amount::parse(limit).is_none() {
                let text = format!("{limit:?} is no quantity such as 500Mi or 2Gi");
                self.wrong(format!("{path}.size_limit"), text);
            }
        }
        for (index, volume) in config.volumes.csi.iter().enumerate() {
            self.given(format!("volumes.csi[{index}].driver"), &volume.driver);
        }
        for (index, volume) in config.volumes.nfs.iter().enumerate() {
            self.given(format!("volumes.nfs[{index}].server"), &volume.server);
            self.given(format!("volumes.nfs[{index}].path"), &volume.path);
        }
    }

    fn mount(&mut self, path: &str, mount: &Mount<'_>) {
        self.given(format!("{path}.name"), mount.name);
        self.given(format!("{path}.mount_path"), mount.path);
        let is_fixed = mount.kind != "pvc" || !mount.name.contains('$');
        if is_fixed && !mount.name.is_empty() && !is_label(mount.name) {
            let text = format!("{:?} is no name of small letters, digits and hyphens", mount.name);
            self.wrong(format!("{path}.name"), text);
        }
        if let Some(propagation) = mount.propagation {
            let values = ["", "None", "HostToContainer", "Bidirectional"];
            self.one_of(format!("{path}.mount_propagation"), propagation, &values);
        }
    }

    fn given(&mut self, key: String, text: &str) {
        if text.trim().is_empty() {
            self.wrong(key, "it is missing");
        }
    }

    fn network(&mut self, config: &KubernetesConfig) {
        self.one_of("dns_policy".into(), &config.dns_policy, &DNS_POLICIES);
        if config.dns_policy == "none" && config.dns_config.nameservers.is_empty() {
            self.wrong("dns_config.nameservers", "the policy none needs a name server");
        }
        for (index, server) in config.dns_config.nameservers.iter().enumerate() {
            if server.parse::<IpAddr>().is_err() {
                self.wrong(format!("dns_config.nameservers[{index}]"), format!("{server:?} is no address"));
            }
        }
        for (index, alias) in config.host_aliases.iter().enumerate() {
            if alias.ip.parse::<IpAddr>().is_err() {
                self.wrong(format!("host_aliases[{index}].ip"), format!("{:?} is no address", alias.ip));
            }
            if alias.hostnames.is_empty() {
                self.wrong(format!("host_aliases[{index}].hostnames"), "it is missing");
            }
        }
    }

    fn contexts(&mut self, config: &KubernetesConfig) {
        let pod = &config.pod_security_context;
        self.profile("pod_security_context.seccomp_profile", &pod.seccomp_profile);
        self.profile("pod_security_context.app_armor_profile", &pod.app_armor_profile);
        let contexts = [
            ("build_container_security_context", &config.build_container_security_context),
            ("helper_container_security_context", &config.helper_container_security_context),
            ("service_container_security_context", &config.service_container_security_context),
        ];
        for (key, context) in contexts {
            self.context(key, context, config);
        }
    }

    fn context(&mut self, key: &str, context: &ContainerSecurityContext, config: &KubernetesConfig) {
        self.profile(&format!("{key}.seccomp_profile"), &context.seccomp_profile);
        self.profile(&format!("{key}.app_armor_profile"), &context.app_armor_profile);
        let proc_mount = context.proc_mount.trim().to_ascii_lowercase();
        self.one_of(format!("{key}.proc_mount"), &proc_mount, &["", "default", "unmasked"]);
        let privileged = context.privileged.or(config.privileged) == Some(true);
        let escalation = context.allow_privilege_escalation.or(config.allow_privilege_escalation);
        if privileged && escalation == Some(false) {
            let text = "a privileged container can gain privileges: set it to true, or `privileged` to false";
            self.wrong(format!("{key}.allow_privilege_escalation"), text);
        }
    }

    fn profile(&mut self, key: &str, profile: &Profile) {
        let values = ["", "RuntimeDefault", "Localhost", "Unconfined"];
        self.one_of(format!("{key}.type"), &profile.kind, &values);
        if profile.kind == "Localhost" {
            self.given(format!("{key}.localhost_profile"), &profile.localhost_profile);
        }
    }

    fn patches(&mut self, config: &KubernetesConfig) {
        for (index, patch) in config.pod_spec.iter().enumerate() {
            let path = format!("pod_spec[{index}]");
            let kind = patch.kind();
            if kind.is_none() {
                let text = format!("{:?} is none of strategic, merge, json", patch.patch_type);
                self.wrong(format!("{path}.patch_type"), text);
            }
            match (patch.patch.trim().is_empty(), patch.patch_path.is_empty()) {
                (true, true) => self.wrong(format!("{path}.patch"), "both it and `patch_path` are missing"),
                (false, false) => self.wrong(format!("{path}.patch"), "both it and `patch_path` are set"),
                (true, false) => {}
                (false, true) => match PodSpecPatch::parse(&patch.patch) {
                    Err(problem) => self.wrong(format!("{path}.patch"), problem),
                    Ok(value) if kind == Some(PatchKind::Json) && !value.is_array() => {
                        self.wrong(format!("{path}.patch"), "a patch of type json is a list of operations");
                    }
                    Ok(value) if kind != Some(PatchKind::Json) && !value.is_object() => {
                        self.wrong(format!("{path}.patch"), "it is no mapping");
                    }
                    Ok(_) => {}
                },
            }
        }
    }

    fn services(&mut self, config: &KubernetesConfig) {
        for (index, service) in config.services.iter().enumerate() {
            self.given(format!("services[{index}].name"), &service.name);
            for line in &service.environment {
                if line.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
                    self.wrong(
                        format!("services[{index}].environment"),
                        format!("{line:?} is not NAME=value"),
                    );
                }
            }
        }
    }

    fn lifecycle(&mut self, config: &KubernetesConfig) {
        let lifecycle = &config.container_lifecycle;
        for (key, handler) in [("post_start", &lifecycle.post_start), ("pre_stop", &lifecycle.pre_stop)] {
            if let Some(handler) = handler {
                self.handler(&format!("container_lifecycle.{key}"), handler);
            }
        }
    }

    fn handler(&mut self, key: &str, handler: &LifecycleHandler) {
        let LifecycleHandler { exec, http_get, tcp_socket } = handler;
        let actions =
            usize::from(exec.is_some()) + usize::from(http_get.is_some()) + usize::from(tcp_socket.is_some());
        if actions != 1 {
            self.wrong(key, "it needs one of exec, http_get, tcp_socket");
        }
        let ports = [
            ("http_get", http_get.as_ref().map(|action| action.port)),
            ("tcp_socket", tcp_socket.as_ref().map(|action| action.port)),
        ];
        for (action, port) in ports {
            if port.is_some_and(|port| !(1..=65535).contains(&port)) {
                self.wrong(format!("{key}.{action}.port"), "it is not from 1 to 65535");
            }
        }
    }
}

/// Whether Kubernetes takes a text as the name of a volume.
fn is_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.bytes().all(is_inner) && name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-')
}
