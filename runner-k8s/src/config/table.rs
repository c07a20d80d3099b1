//! The table of all keys of `[runners.kubernetes]`, in the order of GitLab Runner's documentation.

use std::collections::BTreeMap;

use runner_core::Secret;
use serde::Deserialize;

use super::{
    Affinity, Autoscaler, ContainerLifecycle, ContainerSecurityContext, DnsConfig, DurationText, HostAlias,
    KeyClass, PodSecurityContext, PodSpecPatch, Remark, RemarkClass, ServiceEntry, TextOrList, Volumes,
    keys::keys,
};

/// How long a pod may take to start, in seconds, where the config does not say.
const START_BUDGET: u64 = 180;

/// Why settings of a suspended environment are refused.
const NO_SUSPENSION: &str = "environments are not suspended here; keep files between jobs with `cache:` or with a \
                             volume of `[[runners.kubernetes.volumes.pvc]]`";

/// Why settings of requests that are repeated have no effect.
const NO_RETRIES: &str = "requests are repeated with a growing pause until the start budget is used up";

/// Why directories of scripts and logs have no effect.
const NO_DIRECTORIES: &str = "scripts and logs are not kept in files of the build container";

keys! {
    /// `[runners.kubernetes]`.
    ///
    /// An empty string means what an absent key means, as configs made from templates need it.
    #[derive(Debug, Clone, PartialEq, Deserialize)]
    pub struct KubernetesConfig {
        /// The address of the API server; empty: the one of the cluster that the manager runs in, else of the
        /// kubeconfig.
        works host: String;
        /// The context of the kubeconfig; empty: its current one.
        works context: String;
        /// The path of the client certificate, in PEM.
        works cert_file: String;
        /// The path of the client certificate's key, in PEM.
        works key_file: String;
        /// The path of the API server's certificate authority, in PEM.
        works ca_file: String;
        /// The token for the API server.
        works bearer_token: Secret;
        /// Whether a job may bring its own token in `KUBERNETES_BEARER_TOKEN`.
        works bearer_token_overwrite_allowed: bool;
        /// The image of jobs that name none. Variables of the job are expanded.
        works image: String;
        /// The namespace of the pods.
        works namespace: String = "default".into();
        /// A regular expression of the namespaces that `KUBERNETES_NAMESPACE_OVERWRITE` may name; empty: none.
        works namespace_overwrite_allowed: String;
        /// Whether each job has a namespace of its own, `ci-job-<id>`.
        works namespace_per_job: bool;
        /// Whether all containers are privileged.
        works privileged: Option<bool>;
        /// Whether processes of all containers may gain privileges.
        works allow_privilege_escalation: Option<bool>;
        /// The runtime class of the pods; empty: the cluster's.
        works runtime_class_name: String;
        /// The scheduler of the pods; empty: the cluster's.
        works scheduler_name: String;
        /// The priority class of the pods; empty: the cluster's.
        works priority_class_name: String;
        /// The most CPU that the build container may use, in cores; empty: what the cluster says.
        works cpu_limit: String;
        /// The highest `cpu_limit` that a job may ask for by a variable; empty: a job may not.
        works cpu_limit_overwrite_max_allowed: String;
        /// CPU that is kept free for the build container, in cores; empty: what the cluster says.
        works cpu_request: String;
        /// The highest `cpu_request` that a job may ask for by a variable; empty: a job may not.
        works cpu_request_overwrite_max_allowed: String;
        /// The most memory that the build container may use, in bytes; empty: what the cluster says.
        works memory_limit: String;
        /// The highest `memory_limit` that a job may ask for by a variable; empty: a job may not.
        works memory_limit_overwrite_max_allowed: String;
        /// memory that is kept free for the build container, in bytes; empty: what the cluster says.
        works memory_request: String;
        /// The highest `memory_request` that a job may ask for by a variable; empty: a job may not.
        works memory_request_overwrite_max_allowed: String;
        /// The most disk that the build container may use, in bytes; empty: what the cluster says.
        works ephemeral_storage_limit: String;
        /// The highest `ephemeral_storage_limit` that a job may ask for by a variable; empty: a job may not.
        works ephemeral_storage_limit_overwrite_max_allowed: String;
        /// disk that is kept free for the build container, in bytes; empty: what the cluster says.
        works ephemeral_storage_request: String;
        /// The highest `ephemeral_storage_request` that a job may ask for by a variable; empty: a job may not.
        works ephemeral_storage_request_overwrite_max_allowed: String;
        /// The most CPU that the container of each service may use, in cores; empty: what the cluster says.
        works service_cpu_limit: String;
        /// The highest `service_cpu_limit` that a job may ask for by a variable; empty: a job may not.
        works service_cpu_limit_overwrite_max_allowed: String;
        /// CPU that is kept free for the container of each service, in cores; empty: what the cluster says.
        works service_cpu_request: String;
        /// The highest `service_cpu_request` that a job may ask for by a variable; empty: a job may not.
        works service_cpu_request_overwrite_max_allowed: String;
        /// The most memory that the container of each service may use, in bytes; empty: what the cluster says.
        works service_memory_limit: String;
        /// The highest `service_memory_limit` that a job may ask for by a variable; empty: a job may not.
        works service_memory_limit_overwrite_max_allowed: String;
        /// memory that is kept free for the container of each service, in bytes; empty: what the cluster says.
        works service_memory_request: String;
        /// The highest `service_memory_request` that a job may ask for by a variable; empty: a job may not.
        works service_memory_request_overwrite_max_allowed: String;
        /// The most disk that the container of each service may use, in bytes; empty: what the cluster says.
        works service_ephemeral_storage_limit: String;
        /// The highest `service_ephemeral_storage_limit` that a job may ask for by a variable; empty: a job may not.
        works service_ephemeral_storage_limit_overwrite_max_allowed: String;
        /// disk that is kept free for the container of each service, in bytes; empty: what the cluster says.
        works service_ephemeral_storage_request: String;
        /// The highest `service_ephemeral_storage_request` that a job may ask for by a variable; empty: a job may not.
        works service_ephemeral_storage_request_overwrite_max_allowed: String;
        /// The most CPU that the helper may use, in cores; empty: what the cluster says.
        works helper_cpu_limit: String;
        /// The highest `helper_cpu_limit` that a job may ask for by a variable; empty: a job may not.
        works helper_cpu_limit_overwrite_max_allowed: String;
        /// CPU that is kept free for the helper, in cores; empty: what the cluster says.
        works helper_cpu_request: String;
        /// The highest `helper_cpu_request` that a job may ask for by a variable; empty: a job may not.
        works helper_cpu_request_overwrite_max_allowed: String;
        /// The most memory that the helper may use, in bytes; empty: what the cluster says.
        works helper_memory_limit: String;
        /// The highest `helper_memory_limit` that a job may ask for by a variable; empty: a job may not.
        works helper_memory_limit_overwrite_max_allowed: String;
        /// memory that is kept free for the helper, in bytes; empty: what the cluster says.
        works helper_memory_request: String;
        /// The highest `helper_memory_request` that a job may ask for by a variable; empty: a job may not.
        works helper_memory_request_overwrite_max_allowed: String;
        /// The most disk that the helper may use, in bytes; empty: what the cluster says.
        works helper_ephemeral_storage_limit: String;
        /// The highest `helper_ephemeral_storage_limit` that a job may ask for by a variable; empty: a job may not.
        works helper_ephemeral_storage_limit_overwrite_max_allowed: String;
        /// disk that is kept free for the helper, in bytes; empty: what the cluster says.
        works helper_ephemeral_storage_request: String;
        /// The highest `helper_ephemeral_storage_request` that a job may ask for by a variable; empty: a job may not.
        works helper_ephemeral_storage_request_overwrite_max_allowed: String;
        /// The most CPU that the pod as a whole may use, in cores; empty: what the cluster says.
        works pod_cpu_limit: String;
        /// The highest `pod_cpu_limit` that a job may ask for by a variable; empty: a job may not.
        works pod_cpu_limit_overwrite_max_allowed: String;
        /// CPU that is kept free for the pod as a whole, in cores; empty: what the cluster says.
        works pod_cpu_request: String;
        /// The highest `pod_cpu_request` that a job may ask for by a variable; empty: a job may not.
        works pod_cpu_request_overwrite_max_allowed: String;
        /// The most memory that the pod as a whole may use, in bytes; empty: what the cluster says.
        works pod_memory_limit: String;
        /// The highest `pod_memory_limit` that a job may ask for by a variable; empty: a job may not.
        works pod_memory_limit_overwrite_max_allowed: String;
        /// memory that is kept free for the pod as a whole, in bytes; empty: what the cluster says.
        works pod_memory_request: String;
        /// The highest `pod_memory_request` that a job may ask for by a variable; empty: a job may not.
        works pod_memory_request_overwrite_max_allowed: String;
        /// Patterns of the images that jobs may use; empty: all. The image of this config is always allowed.
        works allowed_images: Vec<String>;
        /// Patterns of the images that services of jobs may use; empty: all.
        works allowed_services: Vec<String>;
        /// The pull policies that may be used; empty: those of `pull_policy`, or all where that is empty too.
        works allowed_pull_policies: Vec<String>;
        /// The user ids that jobs may ask for; empty: all but 0.
        works allowed_users: Vec<String>;
        /// The group ids that jobs may ask for; empty: all but 0.
        works allowed_groups: Vec<String>;
        /// `always`, `if-not-present` or `never`, or a list of them, tried in order; empty: what the cluster says.
        works pull_policy: TextOrList;
        /// Labels that a node must have.
        works node_selector: BTreeMap<String, String>;
        /// A regular expression of what variables `KUBERNETES_NODE_SELECTOR_*` may hold; empty: nothing.
        works node_selector_overwrite_allowed: String;
        /// Taints that the pods tolerate: `"key=value" = "Effect"`, or `"key" = "Effect"` for any value.
        works node_tolerations: BTreeMap<String, String>;
        /// A regular expression of what variables `KUBERNETES_NODE_TOLERATIONS_*` may hold; empty: nothing.
        works node_tolerations_overwrite_allowed: String;
        /// Which nodes and which other pods the pods are drawn to.
        works affinity: Affinity;
        /// Names of Secrets with logins to registries.
        works image_pull_secrets: Vec<String>;
        /// Whether the pods name no pull secrets, so that those of the service account are used.
        works use_service_account_image_pull_secrets: bool;
        /// The image of the helper; empty or GitLab Runner's own: ours. Any other must hold our agent.
        works helper_image: String;
        /// The flavour of GitLab Runner's helper image.
        no_effect("there is one flavour of the helper image") helper_image_flavor: Option<String>;
        /// Whether GitLab Runner's helper image is of the manager's architecture.
        no_effect("the helper image has all architectures under one name") helper_image_autoset_arch_and_os: Option<bool>;
        /// How long the containers have to end, in seconds; absent: 30, as Kubernetes has it.
        works pod_termination_grace_period_seconds: Option<u32>;
        /// How long the pod has to end when it is removed after the job, in seconds; absent: as the pod says.
        works cleanup_grace_period_seconds: Option<u32>;
        /// How long removing what belongs to a job may take, such as `5m`; absent: five minutes.
        works cleanup_resources_timeout: Option<DurationText>;
        /// How often GitLab Runner looks at a pod, in seconds.
        no_effect("pods are watched, nothing is polled") poll_interval: Option<u64>;
        /// The start budget: how long a pod may take to start, in seconds; 0: 180.
        works poll_timeout: u64 = START_BUDGET;
        /// How often GitLab Runner looks for a service account and for secrets before it makes a pod.
        no_effect("a missing account or secret is told by the cluster itself") resource_availability_check_max_attempts: Option<i64>;
        /// How often GitLab Runner repeats a request to the API server.
        no_effect(NO_RETRIES) retry_limit: Option<i64>;
        /// The longest pause between two requests, in milliseconds.
        no_effect(NO_RETRIES) retry_backoff_max: Option<i64>;
        /// How often GitLab Runner repeats a request after an error of some text.
        no_effect(NO_RETRIES) retry_limits: Option<BTreeMap<String, i64>>;
        /// Labels of the pods. Variables of the job are expanded in the values.
        works pod_labels: BTreeMap<String, String>;
        /// A regular expression of what variables `KUBERNETES_POD_LABELS_*` may hold; empty: nothing.
        works pod_labels_overwrite_allowed: String;
        /// Annotations of the pods. Variables of the job are expanded in the values.
        works pod_annotations: BTreeMap<String, String>;
        /// A regular expression of what variables `KUBERNETES_POD_ANNOTATIONS_*` may hold; empty: nothing.
        works pod_annotations_overwrite_allowed: String;
        /// The service account of the pods; empty: the namespace's default one, without its token.
        works service_account: String;
        /// A regular expression of the accounts that `KUBERNETES_SERVICE_ACCOUNT_OVERWRITE` may name; empty: none.
        works service_account_overwrite_allowed: String;
        /// Whether the account's token is mounted; absent: only if an account is named.
        works automount_service_account_token: Option<bool>;
        /// The security context of the pods.
        works pod_security_context: PodSecurityContext;
        /// The security context of GitLab Runner's init container.
        no_effect("there is no init container") init_permissions_container_security_context: Option<ContainerSecurityContext>;
        /// The security context of the build container.
        works build_container_security_context: ContainerSecurityContext;
        /// The security context of the helper.
        works helper_container_security_context: ContainerSecurityContext;
        /// The security context of each service.
        works service_container_security_context: ContainerSecurityContext;
        /// Volumes, mounted in all containers.
        works volumes: Volumes;
        /// Lines of the hosts file.
        works host_aliases: Vec<HostAlias>;
        /// Services beside every job.
        works services: Vec<ServiceEntry>;
        /// Capabilities that all containers get.
        works cap_add: Vec<String>;
        /// Capabilities that all containers lose, besides `NET_RAW`.
        works cap_drop: Vec<String>;
        /// The size of the volume of a suspended environment.
        refused(NO_SUSPENSION) suspend_pvc_size: Option<String>;
        /// The storage class of the volume of a suspended environment.
        refused(NO_SUSPENSION) suspend_pvc_storage_class: Option<String>;
        /// `none`, `default`, `cluster-first` or `cluster-first-with-host-net`; empty: `cluster-first`.
        works dns_policy: String;
        /// Name servers, search domains and options of the resolver.
        works dns_config: DnsConfig;
        /// What Kubernetes does in the build container after its start and before its end.
        works container_lifecycle: ContainerLifecycle;
        /// Patches of the pod's spec, applied last and in order, with `FF_USE_ADVANCED_POD_SPEC_CONFIGURATION`.
        works pod_spec: Vec<PodSpecPatch>;
        /// Where GitLab Runner keeps logs in the build container.
        no_effect(NO_DIRECTORIES) logs_base_dir: Option<String>;
        /// Where GitLab Runner keeps scripts in the build container.
        no_effect(NO_DIRECTORIES) scripts_base_dir: Option<String>;
        /// Whether warning events of the pod are shown, where the role grants them; absent: what the pod's own status
        /// says is shown.
        works print_pod_warning_events: Option<bool>;
        /// Whether each pod has a budget that keeps drains of its node waiting.
        works pod_disruption_budget: bool;
        /// Pause pods that keep nodes ready.
        refused(
            "pause pods are not made here; a Deployment of pause containers with a priority class below that of the \
             jobs (`priority_class_name`) keeps nodes ready in the same way"
        ) autoscaler: Option<Autoscaler>;
    }
}

impl KubernetesConfig {
    /// The keys that are set and have no effect or are refused, each with a sentence.
    pub fn review(&self) -> Vec<Remark> {
        let mut remarks = self.remarks_on_keys();
        for (index, service) in self.services.iter().enumerate() {
            if service.suspend_data_path.is_some() {
                let key = format!("services[{index}].suspend_data_path");
                remarks.push(Remark::new(key, RemarkClass::Refused, NO_SUSPENSION));
            }
        }
        remarks
    }

    /// The start budget, in seconds.
    pub fn start_budget(&self) -> u64 {
        if self.poll_timeout == 0 { START_BUDGET } else { self.poll_timeout }
    }
}
