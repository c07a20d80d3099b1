//! The keys of requests and limits, each with what a job may ask for in its place.

use super::KubernetesConfig;

/// Whose resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The build container.
    Build,
    /// Each service.
    Service,
    /// The helper.
    Helper,
    /// The pod as a whole.
    Pod,
}

/// A request or a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceiling<'config> {
    pub(crate) part: Part,
    /// The name of the resource in Kubernetes.
    pub(crate) resource: &'static str,
    pub(crate) is_limit: bool,
    pub(crate) key: &'static str,
    /// What the config says; empty: nothing.
    pub(crate) value: &'config str,
    pub(crate) max_key: &'static str,
    /// The most that a job may ask for; empty: it may not ask.
    pub(crate) max: &'config str,
}

impl Ceiling<'_> {
    /// The variable by which a job asks.
    pub(crate) fn variable(&self) -> String {
        format!("KUBERNETES_{}", self.key.to_ascii_uppercase())
    }
}

macro_rules! ceilings {
    ($config:ident; $( $part:ident $resource:literal $limit:ident $limit_max:ident $request:ident $request_max:ident; )*) => {
        vec![$(
            Ceiling {
                part: Part::$part, resource: $resource, is_limit: true, key: stringify!($limit),
                value: $config.$limit.trim(), max_key: stringify!($limit_max), max: $config.$limit_max.trim(),
            },
            Ceiling {
                part: Part::$part, resource: $resource, is_limit: false, key: stringify!($request),
                value: $config.$request.trim(), max_key: stringify!($request_max), max: $config.$request_max.trim(),
            },
        )*]
    };
}

impl KubernetesConfig {
    /// All requests and limits; the limit of a resource comes right before its request.
    pub(crate) fn ceilings(&self) -> Vec<Ceiling<'_>> {
        ceilings! { self;
            Build "cpu" cpu_limit cpu_limit_overwrite_max_allowed cpu_request cpu_request_overwrite_max_allowed;
            Build "memory" memory_limit memory_limit_overwrite_max_allowed
                memory_request memory_request_overwrite_max_allowed;
            Build "ephemeral-storage" ephemeral_storage_limit ephemeral_storage_limit_overwrite_max_allowed
                ephemeral_storage_request ephemeral_storage_request_overwrite_max_allowed;
            Service "cpu" service_cpu_limit service_cpu_limit_overwrite_max_allowed
                service_cpu_request service_cpu_request_overwrite_max_allowed;
            Service "memory" service_memory_limit service_memory_limit_overwrite_max_allowed
                service_memory_request service_memory_request_overwrite_max_allowed;
            Service "ephemeral-storage" service_ephemeral_storage_limit
                service_ephemeral_storage_limit_overwrite_max_allowed
                service_ephemeral_storage_request service_ephemeral_storage_request_overwrite_max_allowed;
            Helper "cpu" helper_cpu_limit helper_cpu_limit_overwrite_max_allowed
                helper_cpu_request helper_cpu_request_overwrite_max_allowed;
            Helper "memory" helper_memory_limit helper_memory_limit_overwrite_max_allowed
                helper_memory_request helper_memory_request_overwrite_max_allowed;
            Helper "ephemeral-storage" helper_ephemeral_storage_limit
                helper_ephemeral_storage_limit_overwrite_max_allowed
                helper_ephemeral_storage_request helper_ephemeral_storage_request_overwrite_max_allowed;
            Pod "cpu" pod_cpu_limit pod_cpu_limit_overwrite_max_allowed
                pod_cpu_request pod_cpu_request_overwrite_max_allowed;
            Pod "memory" pod_memory_limit pod_memory_limit_overwrite_max_allowed
                pod_memory_request pod_memory_request_overwrite_max_allowed;
        }
    }
}
