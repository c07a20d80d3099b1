//! Runs the conformance suite of `CacheBackend`.

use std::sync::Arc;

use async_trait::async_trait;
use runner_cache::DirectoryCache;
use runner_core::{CacheBackend, Location, ReadGrant, WriteGrant, cache::Object};
use runner_testkit::cache_suite::{self, Harness};
use tempfile::TempDir;

#[derive(Debug)]
struct Directory {
    root: TempDir,
}

fn path(objects: &[Object]) -> Result<&str, String> {
    match objects.first().map(|object| &object.location) {
        Some(Location::Path(path)) => Ok(path),
        other => Err(format!("{other:?} is no path")),
    }
}

#[async_trait]
impl Harness for Directory {
    async fn backend(&self) -> Arc<dyn CacheBackend> {
        let empty = tempfile::tempdir_in(self.root.path()).map(TempDir::keep);
        Arc::new(DirectoryCache::new(empty.unwrap_or_default()))
    }

    async fn write(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        tokio::fs::write(path(&grant.objects)?, content).await.map_err(|cause| cause.to_string())
    }

    async fn read(&self, grant: &ReadGrant) -> Result<Vec<u8>, String> {
        tokio::fs::read(path(&grant.objects)?).await.map_err(|cause| cause.to_string())
    }
}

#[tokio::test]
async fn the_directory_backend_keeps_its_promises() {
    let harness = Directory { root: tempfile::tempdir().unwrap() };
    cache_suite::check(&harness).await.unwrap();
}
