//! A cache of which everything was granted ahead of time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runner_core::{
    CacheBackend, CacheScope, Error, ErrorKind, Finding, ReadGrant, Result, WriteGrant,
    cache::{CacheGrant, CacheGrants},
};

/// The grants of one job, as the backend of whoever runs it: it finds what was granted, and holds no credentials.
#[derive(Debug)]
pub struct GrantedCache {
    grants: CacheGrants,
    /// Those whose right to write is used up: the names of packs are in it, and a pack never changes.
    written: Mutex<HashSet<usize>>,
}

impl GrantedCache {
    /// A cache that has what `grants` grant.
    pub fn new(grants: CacheGrants) -> Self {
        Self { grants, written: Mutex::default() }
    }

    fn unknown(key: &str) -> Error {
        let why = "nothing was granted for it: its key depends on what only the place of the job knows";
        Error::new(ErrorKind::Invalid, "use the cache").with("key", key).because(why)
    }
}

#[async_trait]
impl CacheBackend for GrantedCache {
    /// The same: what was granted ends when it ends.
    fn lasting(self: Arc<Self>, _lifetime: Duration) -> Arc<dyn CacheBackend> {
        self
    }

    fn authorities(&self) -> Option<&str> {
        self.grants.authorities.as_deref()
    }

    /// Nothing: who granted has checked.
    async fn check(&self, _create: bool) -> Vec<Finding> {
        Vec::new()
    }

    async fn lookup(
        &self,
        _scope: &CacheScope,
        key: &str,
        fallbacks: &[String],
    ) -> Result<Option<ReadGrant>> {
        let keys: Vec<&str> = std::iter::once(key).chain(fallbacks.iter().map(String::as_str)).collect();
        // A restore that goes on with a later key still is about the same cache.
        let is_of =
            |cache: &&CacheGrant| cache.key == key || cache.fallbacks.iter().any(|other| other == key);
        let by_key = self.grants.caches.iter().find(|cache| cache.key == key);
        match by_key.or_else(|| self.grants.caches.iter().find(is_of)) {
            Some(cache) => cache.read(&keys),
            None => Err(Self::unknown(key)),
        }
    }

    async fn begin(&self, _scope: &CacheScope, key: &str, _fallbacks: &[String]) -> Result<WriteGrant> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_key =
            self.grants.caches.iter().enumerate().filter(|(_, cache)| cache.key == key).peekable();
        if of_key.peek().is_none() {
            return Err(Self::unknown(key));
        }
        match of_key.find(|(number, _)| written.insert(*number)) {
            Some((_, cache)) => cache.write(),
            None => Err(Error::new(ErrorKind::Invalid, "write a cache twice").with("key", key)),
        }
    }

    /// Nothing: only what publishes with its head is granted.
    async fn publish(&self, _grant: &WriteGrant) -> Result<()> {
        Ok(())
    }

    /// Nothing: packs that no head names are swept by who granted them.
    async fn abort(&self, _grant: &WriteGrant) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, _unused_for: Duration) -> Result<u64> {
        Ok(0)
    }
}
