//! The dependency cache's contract: grants, not byte pumps.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Finding, Result};

/// Keeps caches of jobs.
///
/// A backend holds the store's credentials and gives *grants*: what a holder without credentials needs to read or
/// write one entry. The bytes flow between the holder and the store, never through the backend.
///
/// # Lifecycle
/// 1. [`check`](Self::check) before the first job.
/// 2. [`lookup`](Self::lookup) before the script, [`begin`](Self::begin) for what will be saved.
/// 3. The holder writes the objects of a [`WriteGrant`]; then [`publish`](Self::publish) makes them the entry, or
///    [`abort`](Self::abort) drops them.
///
/// # Contract
/// Scopes share nothing. An entry is replaced as a whole: a reader sees the old one or the new one. What is not
/// published is never read. Keys are any text; the backend makes safe names of them.
///
/// # Cancellation
/// Every call may be dropped and repeated.
///
/// # Errors
/// An error here never fails a job: it costs the cache, and one line in the log.
///
/// Check yours with `runner_testkit::cache_suite`.
#[async_trait]
pub trait CacheBackend: Send + Sync + fmt::Debug {
    /// What is missing for it to work. With `create`, what can be made is made.
    async fn check(&self, create: bool) -> Vec<Finding>;

    /// The entry under `key`, or under the first of `fallbacks` that has one.
    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>>;

    /// The right to write an entry under `key`.
    async fn begin(&self, scope: &CacheScope, key: &str) -> Result<WriteGrant>;

    /// Makes what was written under `grant` the entry of its key. Repeating it is no error.
    async fn publish(&self, grant: &WriteGrant) -> Result<()>;

    /// Drops what was written under `grant`. Repeating it is no error.
    async fn abort(&self, grant: &WriteGrant) -> Result<()>;

    /// Removes what nobody needs: writes that were never published, entries unused for longer than `unused_for`.
    /// Returns how many bytes became free.
    async fn sweep(&self, unused_for: Duration) -> Result<u64>;
}

/// Who shares a cache. Two scopes that differ share nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CacheScope {
    /// The runner's short name, or empty where all runners share.
    pub runner: String,
    /// The project.
    pub project: String,
    /// Whether it is the cache of protected refs.
    pub protected: bool,
}

/// What a holder needs to read an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadGrant {
    /// The key under which it was found: the one asked for, or a fallback.
    pub key: String,
    /// The entry's objects, by name.
    pub objects: Vec<Object>,
}

/// What a holder needs to write an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteGrant {
    /// Whose entry it will be.
    pub scope: CacheScope,
    /// Its key.
    pub key: String,
    /// Names this write among all others.
    pub id: String,
    /// The objects that may be written, by name.
    pub objects: Vec<Object>,
}

/// One object of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name within the entry.
    pub name: String,
    /// Where it is.
    pub location: Location,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Location {
    /// A file that the holder can reach.
    Path(String),
}
