//! The cache of one runner in a store that others may use as well.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use runner_core::{CacheBackend, CacheScope, Finding, ReadGrant, Result, WriteGrant};

/// A backend as one runner has it: its entries are its own, and have a size at most.
#[derive(Debug, Clone)]
pub struct OwnedCache {
    inner: Arc<dyn CacheBackend>,
    runner: String,
    limit: Option<u64>,
}

impl OwnedCache {
    /// The cache of `runner`, whose entries no other one finds; of all runners where it is empty. No entry that needs more
    /// than `limit` bytes in the store is saved.
    pub fn new(inner: Arc<dyn CacheBackend>, runner: impl Into<String>, limit: Option<u64>) -> Self {
        Self { inner, runner: runner.into(), limit }
    }

    fn own(&self, scope: &CacheScope) -> CacheScope {
        CacheScope { runner: self.runner.clone(), ..scope.clone() }
    }
}

#[async_trait]
impl CacheBackend for OwnedCache {
    fn lasting(self: Arc<Self>, lifetime: Duration) -> Arc<dyn CacheBackend> {
        Arc::new(Self { inner: Arc::clone(&self.inner).lasting(lifetime), ..Self::clone(&self) })
    }

    fn authorities(&self) -> Option<&str> {
        self.inner.authorities()
    }

    async fn check(&self, create: bool) -> Vec<Finding> {
        self.inner.check(create).await
    }

    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>> {
        self.inner.lookup(&self.own(scope), key, fallbacks).await
    }

    async fn begin(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<WriteGrant> {
        let grant = self.inner.begin(&self.own(scope), key, fallbacks).await?;
        Ok(WriteGrant { limit: self.limit, ..grant })
    }

    async fn publish(&self, grant: &WriteGrant) -> Result<()> {
        self.inner.publish(grant).await
    }

    async fn abort(&self, grant: &WriteGrant) -> Result<()> {
        self.inner.abort(grant).await
    }

    async fn sweep(&self, unused_for: Duration) -> Result<u64> {
        self.inner.sweep(unused_for).await
    }
}
