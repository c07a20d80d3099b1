//! Caches of a job.

use serde::{Deserialize, Serialize};

use super::When;

/// Whether a cache is restored, saved, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CachePolicy {
    /// Restored before the script and saved after it.
    #[default]
    PullPush,
    /// Only restored.
    Pull,
    /// Only saved.
    Push,
}

impl CachePolicy {
    /// Whether the cache is restored.
    pub fn pulls(self) -> bool {
        self != Self::Push
    }

    /// Whether the cache is saved.
    pub fn pushes(self) -> bool {
        self != Self::Pull
    }
}

/// One cache of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheSpec {
    /// The key, before variable expansion.
    pub key: String,
    /// Keys to try in order where nothing is stored under `key`.
    pub fallback_keys: Vec<String>,
    /// Patterns of what to store, relative to the work tree.
    pub paths: Vec<String>,
    /// Also what git does not track, ignored files included.
    pub untracked: bool,
    /// Restore, save, or both.
    pub policy: CachePolicy,
    /// When to save.
    pub when: When,
}

impl CacheSpec {
    /// Whether it can hold anything.
    pub fn is_any(&self) -> bool {
        self.untracked || !self.paths.is_empty()
    }
}
