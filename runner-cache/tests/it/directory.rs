//! Runs the conformance suite of `CacheBackend`.

use std::sync::Arc;

use async_trait::async_trait;
use runner_cache::{
    DirectoryCache,
    head::{Head, Pack, PackName, Place},
};
use runner_core::{CacheBackend, Location, ReadGrant, WriteGrant, cache::Object};
use runner_testkit::cache_suite::{self, Harness};
use tempfile::TempDir;

#[derive(Debug)]
struct Directory {
    root: TempDir,
}

fn path(object: Option<&Object>) -> Result<&str, String> {
    match object.map(|object| &object.location) {
        Some(Location::Path(path)) => Ok(path),
        other => Err(format!("{other:?} is no path")),
    }
}

fn text(cause: impl std::fmt::Display) -> String {
    cause.to_string()
}

#[async_trait]
impl Harness for Directory {
    async fn backend(&self) -> Arc<dyn CacheBackend> {
        let empty = tempfile::tempdir_in(self.root.path()).map(TempDir::keep);
        Arc::new(DirectoryCache::new(empty.unwrap_or_default()))
    }

    async fn write(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        self.write_half(grant, content).await?;
        let size = content.len().max(1) as u64;
        let name = grant.objects.first().and_then(|pack| PackName::parse(&pack.name)).ok_or("no pack")?;
        let index = Place { pack: 0, offset: 0, length: size, digest: blake3::hash(content) };
        let head = Head { made: 1, files: 0, bytes: 0, index, packs: vec![Pack { name, size, day: 1 }] };
        tokio::fs::write(path(grant.objects.last())?, head.to_text()).await.map_err(text)
    }

    async fn write_half(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        tokio::fs::write(path(grant.objects.first())?, content).await.map_err(text)
    }

    async fn write_again(&self, grant: &WriteGrant) -> Result<(), String> {
        let base = grant.base.as_ref().ok_or("no base")?;
        tokio::fs::write(path(grant.objects.last())?, &base.head).await.map_err(text)
    }

    async fn read(&self, grant: &ReadGrant) -> Result<Vec<u8>, String> {
        tokio::fs::read(path(grant.objects.first())?).await.map_err(text)
    }
}

#[tokio::test]
async fn the_directory_backend_keeps_its_promises() {
    let harness = Directory { root: tempfile::tempdir().unwrap() };
    cache_suite::check(&harness).await.unwrap();
}
