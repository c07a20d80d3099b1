//! What a pod refers to and what is not there, where no status says so: Kubernetes tells of a volume that cannot be
//! mounted in events alone, and of a pull secret that does not exist not at all.

use k8s_openapi::api::core::v1::{Pod, Volume};
use runner_core::FailureReason;

use super::course::Course;
use crate::status::{StartTrouble, WaitCause, Waiting};

/// What keeps the volumes of a pod from being mounted.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// What does not exist.
    pub(super) missing: Option<Waiting>,
    /// What may not exist, in words: the role does not let the runner look.
    pub(super) unknown: Option<String>,
}

/// Looks for what the volumes of `pod` refer to.
pub(super) async fn of_volumes(course: &Course, pod: &Pod) -> Volumes {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    let (cluster, namespace) = (&course.cluster, &course.stored.namespace);
    for name in volumes.iter().filter_map(secret) {
        // Where it cannot be looked at, the pod's own trouble tells enough.
        if matches!(cluster.secret(namespace, name).await, Ok(None)) {
            return Volumes { missing: Some(absent("secret", name, StartTrouble::NoSecret)), unknown: None };
        }
    }
    let mut unknown = Vec::new();
    for name in volumes.iter().filter_map(config_map) {
        match cluster.has_config_map(namespace, name).await {
            Ok(true) => {}
            Ok(false) => {
                let missing = Some(absent("config map", name, StartTrouble::NoConfigMap));
                return Volumes { missing, unknown: None };
            }
            Err(_) => unknown.push(name),
        }
    }
    let unknown = (!unknown.is_empty()).then(|| {
        let names = unknown.join(", ");
        format!(
            "whether the config map {names} exists is not known, since the runner may not get config maps"
        )
    });
    Volumes { missing: None, unknown }
}

/// The pull secrets that `pod` names and that do not exist, in words.
pub(super) async fn pull_secrets(course: &Course, pod: &Pod) -> Option<String> {
    let named = pod.spec.as_ref().and_then(|spec| spec.image_pull_secrets.as_deref()).unwrap_or_default();
    let mut missing = Vec::new();
    for name in named.iter().map(|reference| reference.name.as_str()) {
        let found = course.cluster.secret(&course.stored.namespace, name).await;
        if matches!(found, Ok(None)) {
            missing.push(name);
        }
    }
    (!missing.is_empty()).then(|| format!("the pull secret {} does not exist", missing.join(", ")))
}

fn absent(kind: &str, name: &str, trouble: StartTrouble) -> Waiting {
    Waiting {
        cause: WaitCause::Start(trouble),
        line: format!("cannot mount the volumes of the pod: the {kind} {name} does not exist"),
        permanent: true,
        reason: FailureReason::ConfigurationError,
        container: None,
    }
}

fn secret(volume: &Volume) -> Option<&str> {
    let source = volume.secret.as_ref().filter(|source| source.optional != Some(true))?;
    source.secret_name.as_deref()
}

fn config_map(volume: &Volume) -> Option<&str> {
    let source = volume.config_map.as_ref().filter(|source| source.optional != Some(true))?;
    Some(source.name.as_str())
}
