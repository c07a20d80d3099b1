//! The promises of [`CacheBackend`].

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use runner_core::{CacheBackend, CacheScope, ReadGrant, WriteGrant};

use crate::verdict::{Broken, Check, Verdict, same, worked};

/// Makes the backends to check, and moves bytes as a holder of their grants does.
#[async_trait]
pub trait Harness: Send + Sync + fmt::Debug {
    /// An empty backend.
    async fn backend(&self) -> Arc<dyn CacheBackend>;

    /// Writes an entry with `content`: as a pack of the grant, and then its head.
    async fn write(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String>;

    /// Writes a pack of the grant with `content`, and no head.
    async fn write_half(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String>;

    /// Writes an entry that is nothing but the pack of the grant's base, which [`write`](Self::write) wrote.
    async fn write_again(&self, grant: &WriteGrant) -> Result<(), String>;

    /// Reads what [`write`](Self::write) wrote.
    async fn read(&self, grant: &ReadGrant) -> Result<Vec<u8>, String>;
}

/// Checks all promises.
///
/// # Errors
/// Those that are broken.
pub async fn check(harness: &dyn Harness) -> Result<(), Broken> {
    let mut verdict = Verdict::default();
    verdict.add("a self-check of a working backend finds nothing fatal", nothing_fatal(harness).await);
    verdict.add("what was published is found", round_trip(harness).await);
    verdict.add("what was not published is not found", unpublished(harness).await);
    verdict.add("what was aborted is not found", aborted(harness).await);
    verdict.add("a later entry replaces the earlier one", replaced(harness).await);
    verdict.add("the key comes before its fallbacks, in order", fallbacks(harness).await);
    verdict.add("scopes share nothing", scopes(harness).await);
    verdict.add("any text is a key, and no two are one", odd_keys(harness).await);
    verdict.add(
        "a write begins with the entry of its key, or of the first fallback that has one",
        base(harness).await,
    );
    verdict.add("packs may be named under another key, and outlive the first one", packs(harness).await);
    verdict.add("a sweep keeps what is used", sweep(harness).await);
    verdict.finish()
}

fn scope() -> CacheScope {
    CacheScope { runner: "r".into(), project: "group/project".into(), protected: false }
}

async fn store(
    harness: &dyn Harness,
    cache: &dyn CacheBackend,
    scope: &CacheScope,
    key: &str,
    content: &str,
) -> Check {
    let grant = worked(cache.begin(scope, key, &[]).await)?;
    harness.write(&grant, content.as_bytes()).await?;
    worked(cache.publish(&grant).await)?;
    worked(cache.publish(&grant).await)
}

async fn find(
    harness: &dyn Harness,
    cache: &dyn CacheBackend,
    scope: &CacheScope,
    keys: (&str, &[String]),
) -> Result<Found, String> {
    match worked(cache.lookup(scope, keys.0, keys.1).await)? {
        Some(grant) => {
            let content = harness.read(&grant).await?;
            Ok(Some((grant.key, String::from_utf8_lossy(&content).into_owned())))
        }
        None => Ok(None),
    }
}

type Found = Option<(String, String)>;

fn entry(key: &str, content: &str) -> (String, String) {
    (key.to_owned(), content.to_owned())
}

async fn nothing_fatal(harness: &dyn Harness) -> Check {
    let findings = harness.backend().await.check(true).await;
    match findings.into_iter().find(|finding| finding.severity == runner_core::Severity::Fatal) {
        Some(finding) => Err(finding.message),
        None => Ok(()),
    }
}

async fn round_trip(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &[])).await?, &None)?;
    store(harness, cache.as_ref(), &scope(), "k", "content").await?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &[])).await?, &Some(entry("k", "content")))
}

async fn unpublished(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    let grant = worked(cache.begin(&scope(), "k", &[]).await)?;
    harness.write_half(&grant, b"half").await?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &[])).await?, &None)
}

async fn aborted(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    store(harness, cache.as_ref(), &scope(), "k", "old").await?;
    let grant = worked(cache.begin(&scope(), "k", &[]).await)?;
    harness.write_half(&grant, b"new").await?;
    worked(cache.abort(&grant).await)?;
    worked(cache.abort(&grant).await)?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &[])).await?, &Some(entry("k", "old")))
}

async fn replaced(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    store(harness, cache.as_ref(), &scope(), "k", "old").await?;
    store(harness, cache.as_ref(), &scope(), "k", "new").await?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &[])).await?, &Some(entry("k", "new")))
}

async fn fallbacks(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    let fallbacks = ["first".to_owned(), "second".to_owned()];
    store(harness, cache.as_ref(), &scope(), "second", "2").await?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &fallbacks)).await?, &Some(entry("second", "2")))?;
    store(harness, cache.as_ref(), &scope(), "first", "1").await?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &fallbacks)).await?, &Some(entry("first", "1")))?;
    store(harness, cache.as_ref(), &scope(), "k", "0").await?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &fallbacks)).await?, &Some(entry("k", "0")))
}

async fn scopes(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    store(harness, cache.as_ref(), &scope(), "k", "mine").await?;
    for other in [
        CacheScope { protected: true, ..scope() },
        CacheScope { project: "group".into(), ..scope() },
        CacheScope { project: "group/project/k".into(), ..scope() },
        CacheScope { runner: String::new(), ..scope() },
    ] {
        same(&find(harness, cache.as_ref(), &other, ("k", &[])).await?, &None)?;
    }
    Ok(())
}

async fn odd_keys(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    let long = "x".repeat(1000);
    let keys = [
        "",
        ".",
        "..",
        "../../k",
        "/k",
        "a/b",
        "a_b",
        "a b",
        "A",
        "a",
        "ä\n\u{0}\"'$",
        "con",
        &long,
        long.get(1..).unwrap_or_default(),
    ];
    for key in keys {
        store(harness, cache.as_ref(), &scope(), key, key)
            .await
            .map_err(|seen| format!("{key:?}: {seen}"))?;
    }
    for key in keys {
        same(&find(harness, cache.as_ref(), &scope(), (key, &[])).await?, &Some(entry(key, key)))?;
    }
    Ok(())
}

async fn base(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    let fallbacks = ["first".to_owned(), "second".to_owned()];
    let base = async |expected: Option<&str>| {
        let grant = worked(cache.begin(&scope(), "k", &fallbacks).await)?;
        worked(cache.abort(&grant).await)?;
        same(&grant.base.map(|base| base.key), &expected.map(str::to_owned))
    };
    base(None).await?;
    store(harness, cache.as_ref(), &scope(), "second", "2").await?;
    base(Some("second")).await?;
    store(harness, cache.as_ref(), &scope(), "first", "1").await?;
    base(Some("first")).await?;
    store(harness, cache.as_ref(), &scope(), "k", "0").await?;
    base(Some("k")).await
}

async fn packs(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    store(harness, cache.as_ref(), &scope(), "old", "shared").await?;
    let grant = worked(cache.begin(&scope(), "new", &["old".to_owned()]).await)?;
    harness.write_again(&grant).await?;
    worked(cache.publish(&grant).await)?;
    store(harness, cache.as_ref(), &scope(), "old", "other").await?;
    worked(cache.sweep(Duration::from_hours(1)).await)?;
    same(&find(harness, cache.as_ref(), &scope(), ("new", &[])).await?, &Some(entry("new", "shared")))
}

async fn sweep(harness: &dyn Harness) -> Check {
    let cache = harness.backend().await;
    store(harness, cache.as_ref(), &scope(), "k", "content").await?;
    worked(cache.sweep(Duration::from_hours(1)).await)?;
    same(&find(harness, cache.as_ref(), &scope(), ("k", &[])).await?, &Some(entry("k", "content")))
}
