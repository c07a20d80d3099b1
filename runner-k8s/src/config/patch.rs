//! `[[runners.kubernetes.pod_spec]]`: patches of the pod's spec.

use serde::Deserialize;
use serde_json::Value;

use super::yaml;

/// A patch of the pod's spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PodSpecPatch {
    /// What it is called in messages.
    pub name: String,
    /// The patch, in YAML or JSON.
    pub patch: String,
    /// A file with the patch, in place of `patch`.
    pub patch_path: String,
    /// `strategic`, `merge` or `json`; empty: `strategic`.
    pub patch_type: String,
}

/// How a patch is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    /// As `kubectl patch` does: lists of objects are merged by a key.
    Strategic,
    /// RFC 7386: lists are replaced.
    Merge,
    /// RFC 6902: a list of operations.
    Json,
}

impl PodSpecPatch {
    /// How it is applied. `None`: there is no such way.
    pub(crate) fn kind(&self) -> Option<PatchKind> {
        match self.patch_type.as_str() {
            "" | "strategic" => Some(PatchKind::Strategic),
            "merge" => Some(PatchKind::Merge),
            "json" => Some(PatchKind::Json),
            _ => None,
        }
    }

    /// Reads the text of a patch.
    ///
    /// # Errors
    /// It is neither YAML nor JSON; the text says where.
    pub(crate) fn parse(text: &str) -> Result<Value, String> {
        serde_json::from_str(text).or_else(|_| yaml::to_json(text))
    }
}
