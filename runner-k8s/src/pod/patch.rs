//! Patches of the pod's spec.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use runner_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::{BUILD, HELPER};
use crate::config::{PatchKind, PodSpecPatch};

mod strategic;

/// Applies patches in order.
pub(super) fn apply(
    spec: PodSpec,
    patches: &[PodSpecPatch],
    files: &BTreeMap<String, String>,
) -> Result<PodSpec> {
    let mut value = serde_json::to_value(&spec).map_err(internal)?;
    let mut result = spec;
    for patch in patches {
        value = one(value, patch, files).map_err(|problem| refused(patch, problem))?;
        result = serde_json::from_value(value.clone())
            .map_err(|cause| refused(patch, "it makes no pod").because(cause))?;
        check(&result).map_err(|problem| refused(patch, problem))?;
        // What Kubernetes does not know is not in the structure and is left out here, as its own patch does.
        value = serde_json::to_value(&result).map_err(internal)?;
    }
    Ok(result)
}

fn one(mut spec: Value, patch: &PodSpecPatch, files: &BTreeMap<String, String>) -> Result<Value, String> {
    let text = match (patch.patch.trim().is_empty(), patch.patch_path.is_empty()) {
        (false, false) => return Err("both `patch` and `patch_path` are set".into()),
        (false, true) => &patch.patch,
        (true, false) => {
            files.get(&patch.patch_path).ok_or_else(|| format!("{} cannot be read", patch.patch_path))?
        }
        (true, true) => return Err("both `patch` and `patch_path` are missing".into()),
    };
    let change = PodSpecPatch::parse(text)?;
    match patch.kind().ok_or_else(|| format!("there is no patch type {:?}", patch.patch_type))? {
        PatchKind::Strategic => return strategic::merge(spec, &change),
        PatchKind::Merge if change.is_object() => json_patch::merge(&mut spec, &change),
        PatchKind::Merge => return Err("it is no mapping".into()),
        PatchKind::Json => {
            let operations: json_patch::Patch =
                serde_json::from_value(change).map_err(|error| error.to_string())?;
            json_patch::patch(&mut spec, &operations).map_err(|error| error.to_string())?;
        }
    }
    Ok(spec)
}

/// What a pod must be whatever patches say.
fn check(spec: &PodSpec) -> Result<(), String> {
    if spec.share_process_namespace == Some(true) {
        return Err("`shareProcessNamespace` would let the job read the helper's memory".into());
    }
    let place = |name: &str| spec.containers.iter().position(|container| container.name == name);
    match (place(HELPER), place(BUILD)) {
        (Some(helper), Some(build)) if helper < build => Ok(()),
        (Some(_), Some(_)) => Err("the container helper must come before build".into()),
        _ => Err("it takes away the container helper or build".into()),
    }
}

fn refused(patch: &PodSpecPatch, problem: impl std::fmt::Display) -> Error {
    let name = if patch.name.is_empty() { "without a name" } else { &patch.name };
    Error::new(ErrorKind::Invalid, format!("apply the patch {name} of `pod_spec`: {problem}"))
}

fn internal(cause: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "write a pod as JSON").because(cause)
}
