//! The dependency cache's contract: grants, not byte pumps.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Finding, Result, Secret};

mod grants;
mod key;

pub use grants::{CacheGrant, CacheGrants};
pub use key::CacheKeys;

/// Keeps caches of jobs.
///
/// A backend holds the store's credentials and gives *grants*: what a holder without credentials needs to read or
/// write one entry. The bytes flow between the holder and the store, never through the backend.
///
/// # Lifecycle
/// 1. [`check`](Self::check) before the first job.
/// 2. [`lookup`](Self::lookup) before the script, [`begin`](Self::begin) for what will be saved.
/// 3. The holder writes some of the packs of a [`WriteGrant`], in order, and the object [`HEAD`] last, which names
///    them and those of the base that it still needs. Then [`publish`](Self::publish), or [`abort`](Self::abort).
///
/// # Contract
/// Scopes share nothing. An entry is replaced as a whole: a reader sees the old one or the new one. A write without its
/// head is never read. Keys are any text; the backend makes safe names of them.
///
/// A pack belongs to its scope and not to a key, and never changes. A backend removes none that an entry names, and none
/// that is younger than a day, since a save that goes on may be about to name it.
///
/// A head was written by a job, so it is hostile: a backend reads at most 64 KiB of it, and grants only objects of the
/// head's own scope.
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
    /// The same cache, for a job that lives for at most `lifetime`: grants that end are good for as long, where that can be.
    fn lasting(self: Arc<Self>, lifetime: Duration) -> Arc<dyn CacheBackend>;

    /// Certificates in PEM that a holder of its grants is to trust besides those of the system.
    fn authorities(&self) -> Option<&str>;

    /// What is missing for it to work. With `create`, what can be made is made.
    async fn check(&self, create: bool) -> Vec<Finding>;

    /// The entry under `key`, or under the first of `fallbacks` that has one.
    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>>;

    /// The right to write an entry under `key`. Its base is the entry under `key`, or else under the first of
    /// `fallbacks` that has one.
    async fn begin(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<WriteGrant>;

    /// Makes what was written under `grant` the entry of its key. Where the head's object is the entry itself, it is
    /// that already. Repeating it is no error.
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

/// The name of the object of a [`WriteGrant`] that is written last.
pub const HEAD: &str = "head";

/// The name of the one object of an entry in the format [`CacheFormat::Zip`].
pub const ZIP: &str = "cache.zip";

/// How an entry is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheFormat {
    /// A head that names packs of chunks, so that only what changed is sent.
    #[default]
    Packs,
    /// One archive, as GitLab Runner has it.
    Zip,
}

/// What a holder needs to read an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadGrant {
    /// The key under which it was found: the one asked for, or a fallback.
    pub key: String,
    /// How the entry is stored.
    pub format: CacheFormat,
    /// The text of the entry's head. Empty in the format [`CacheFormat::Zip`].
    pub head: String,
    /// The packs that the head names, by name; or the one archive.
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
    /// How the entry will be stored.
    pub format: CacheFormat,
    /// An entry of the same scope, whose packs may be named again.
    pub base: Option<ReadGrant>,
    /// An entry that needs more bytes in the store than this is not saved.
    #[serde(default)]
    pub limit: Option<u64>,
    /// The packs that may be written, in order, and last the one of the name [`HEAD`]; or the one archive.
    pub objects: Vec<Object>,
}

/// One object of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name within the scope.
    pub name: String,
    /// Where it is.
    pub location: Location,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Location {
    /// A file that the holder can reach.
    Path(String),
    /// An address that carries the right to read or to write this one object.
    Signed(SignedUrl),
}

/// An address with a signature, for one object and for either reading or writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedUrl {
    /// The address. Whoever has it has the right, so it is secret.
    pub url: Secret,
    /// Headers that were signed with it, and must be sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}
