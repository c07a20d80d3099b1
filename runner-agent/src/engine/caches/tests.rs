use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use runner_cache::DirectoryCache;
use runner_core::{
    Error, ErrorKind, Finding, Location, WriteGrant,
    job::{CachePolicy, When},
};

use super::*;
use crate::engine::workplace::tests::Site;

fn scope() -> CacheScope {
    CacheScope { runner: String::new(), project: "p".into(), protected: false }
}

fn spec(key: &str, paths: &[&str]) -> CacheSpec {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    CacheSpec { key: key.into(), paths, ..CacheSpec::default() }
}

fn backend(site: &Site) -> DirectoryCache {
    DirectoryCache::new(site.all.path().join("cache"))
}

async fn save_with(backend: &dyn CacheBackend, site: &Site, specs: &[CacheSpec], succeeded: bool) {
    let (scope, project) = (scope(), site.project());
    let caches = Caches { backend, scope: &scope, attempts: 1 };
    save(specs, succeeded, caches, &site.place(&project), Restored::default()).await;
}

async fn restore_with(backend: &dyn CacheBackend, site: &Site, specs: &[CacheSpec]) {
    let (scope, project) = (scope(), site.project());
    let caches = Caches { backend, scope: &scope, attempts: 1 };
    restore(specs, caches, &site.place(&project), &mut Restored::default()).await;
}

async fn entry_of(backend: &DirectoryCache, key: &str) -> Option<String> {
    let grant = backend.lookup(&scope(), key, &[]).await.unwrap()?;
    match &grant.objects.first()?.location {
        Location::Path(path) => Some(path.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn a_cache_is_saved_and_restored_under_its_expanded_key() {
    let site = Site::new(&["deps/a", "deps/b", "other"]).with("REF", "main");
    let cache = backend(&site);
    let specs = [spec("$REF-deps", &["deps/"]), spec("", &["other"])];
    save_with(&cache, &site, &specs, true).await;
    assert!(entry_of(&cache, "main-deps").await.is_some());
    assert!(entry_of(&cache, "default").await.is_some());
    site.reset();
    restore_with(&cache, &site, &specs).await;
    assert_eq!(site.read("deps/b").as_deref(), Some("deps/b"));
    assert_eq!(site.read("other").as_deref(), Some("other"));
    let said = site.said().await;
    for line in [
        "Saving cache main-deps…",
        "Cache saved: 3 files, 12 bytes; ",
        "Restoring cache main-deps…",
        "Cache main-deps restored: 3 files, 12 bytes; ",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(!said.contains("WARNING"), "{said}");
}

#[tokio::test]
async fn policy_and_when_are_heeded() {
    let site = Site::new(&["f"]);
    let cache = backend(&site);
    let pull = CacheSpec { policy: CachePolicy::Pull, ..spec("pull", &["f"]) };
    let on_failure = CacheSpec { when: When::OnFailure, ..spec("failed", &["f"]) };
    let always = CacheSpec { when: When::Always, ..spec("always", &["f"]) };
    let push = CacheSpec { policy: CachePolicy::Push, ..spec("push", &["f"]) };
    let specs = [pull, on_failure, always, push];
    save_with(&cache, &site, &specs, true).await;
    for (key, is_there) in [("pull", false), ("failed", false), ("always", true), ("push", true)] {
        assert_eq!(entry_of(&cache, key).await.is_some(), is_there, "{key}");
    }
    save_with(&cache, &site, &specs, false).await;
    assert!(entry_of(&cache, "failed").await.is_some());
    site.reset();
    restore_with(&cache, &site, specs.get(3..).unwrap()).await;
    assert_eq!(site.read("f"), None);
    let said = site.said().await;
    assert!(said.contains("Cache push is not restored: its policy is push"), "{said}");
    assert!(any_to_save(&specs, true) && any_to_restore(&specs) && !any_to_restore(&[spec("k", &[])]));
}

#[tokio::test]
async fn fallbacks_are_tried_in_order_and_the_protected_one_never() {
    let site = Site::new(&["f"]).with("CACHE_FALLBACK_KEY", "common").with("B", "second");
    let cache = backend(&site);
    save_with(&cache, &site, &[spec("second", &["f"])], true).await;
    site.put("f", "common");
    save_with(&cache, &site, &[spec("common", &["f"])], true).await;
    let wanted = CacheSpec { fallback_keys: vec!["first".into(), "$B".into()], ..spec("key", &["f"]) };
    restore_with(&cache, &site, &[wanted]).await;
    assert_eq!(site.read("f").as_deref(), Some("f"));
    restore_with(&cache, &site, &[spec("key", &["f"])]).await;
    assert_eq!(site.read("f").as_deref(), Some("common"));

    let site = Site::new(&["f"]).with("CACHE_FALLBACK_KEY", "main-protected. ");
    save_with(&cache, &site, &[spec("main-protected.", &["f"])], true).await;
    site.reset();
    restore_with(&cache, &site, &[spec("none", &["f"])]).await;
    assert_eq!(site.read("f"), None);
    let said = site.said().await;
    assert!(said.contains("WARNING: CACHE_FALLBACK_KEY is ignored"), "{said}");
    assert!(said.contains("No cache found under none\n"), "{said}");
}

#[tokio::test]
async fn a_damaged_cache_is_one_line_and_the_next_key_is_tried() {
    let site = Site::new(&["f"]);
    let cache = backend(&site);
    save_with(&cache, &site, &[spec("key", &["f"]), spec("fallback", &["f"])], true).await;
    let entry = entry_of(&cache, "key").await.unwrap();
    fs_err::write(&entry, "garbage").unwrap();
    site.reset();
    let wanted = CacheSpec { fallback_keys: vec!["fallback".into()], ..spec("key", &["f"]) };
    restore_with(&cache, &site, &[wanted]).await;
    assert_eq!(site.read("f").as_deref(), Some("f"));
    let said = site.said().await;
    let warnings: Vec<_> = said.lines().filter(|line| line.contains("WARNING")).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].contains("the next job that saves it replaces it; it cost "), "{said}");
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_is_a_line_each_time() {
    let site = Site::new(&["f"]);
    fs_err::write(site.all.path().join("cache"), "a file in the place of the directory").unwrap();
    let cache = backend(&site);
    save_with(&cache, &site, &[spec("key", &["f"])], true).await;
    restore_with(&cache, &site, &[spec("key", &["f"])]).await;
    let said = site.said().await;
    assert_eq!(said.lines().filter(|line| line.contains("WARNING: ")).count(), 2, "{said}");
    assert!(said.contains("cache key is not saved: failed to look for a cache"), "{said}");
    assert!(said.contains("no cache is restored: failed to look for a cache"), "{said}");
}

#[tokio::test]
async fn nothing_is_not_saved() {
    let site = Site::new(&["f"]);
    let cache = backend(&site);
    save_with(&cache, &site, &[spec("key", &["none/"]), spec("no paths", &[])], true).await;
    assert!(entry_of(&cache, "key").await.is_none());
    let said = site.said().await;
    assert!(said.contains("WARNING: no files to cache, so cache key is not saved"), "{said}");
    assert!(!said.contains("no paths"), "{said}");
}

#[tokio::test]
async fn untracked_files_are_cached() {
    let site = Site::new(&["a", "b", "c"]).with_untracked(b"a\0c\0");
    let cache = backend(&site);
    let specs = [CacheSpec { untracked: true, ..spec("key", &[]) }];
    save_with(&cache, &site, &specs, true).await;
    site.reset();
    restore_with(&cache, &site, &specs).await;
    assert_eq!(
        (site.read("a").is_some(), site.read("b").is_some(), site.read("c").is_some()),
        (true, false, true)
    );
}

#[tokio::test]
async fn odd_keys_are_cleaned_and_said() {
    let site = Site::new(&["f"]);
    let cache = backend(&site);
    let specs = [spec("../../up", &["f"]), spec("..", &["f"])];
    restore_with(&cache, &site, &specs).await;
    save_with(&cache, &site, &specs, true).await;
    assert!(entry_of(&cache, "up").await.is_some());
    let said = site.said().await;
    assert!(said.contains("WARNING: the cache's key \"../../up\" is used as \"up\""), "{said}");
    assert!(said.contains("there is nothing left of the cache's key \"..\""), "{said}");
}

/// A cache whose disk is full.
#[derive(Debug)]
struct Full(DirectoryCache);

#[async_trait]
impl CacheBackend for Full {
    fn lasting(self: Arc<Self>, _lifetime: Duration) -> Arc<dyn CacheBackend> {
        self
    }

    fn authorities(&self) -> Option<&str> {
        None
    }

    async fn check(&self, create: bool) -> Vec<Finding> {
        self.0.check(create).await
    }

    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>> {
        self.0.lookup(scope, key, fallbacks).await
    }

    async fn begin(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<WriteGrant> {
        let mut grant = self.0.begin(scope, key, fallbacks).await?;
        for object in &mut grant.objects {
            object.location = Location::Path("/dev/full".into());
        }
        Ok(grant)
    }

    async fn publish(&self, _: &WriteGrant) -> Result<()> {
        Err(Error::new(ErrorKind::Internal, "publish what was not written"))
    }

    async fn abort(&self, grant: &WriteGrant) -> Result<()> {
        self.0.abort(grant).await
    }

    async fn sweep(&self, unused_for: Duration) -> Result<u64> {
        self.0.sweep(unused_for).await
    }
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_cache_and_no_rest() {
    let site = Site::new(&["f"]);
    let cache = backend(&site);
    save_with(&cache, &site, &[spec("key", &["f"])], true).await;
    site.put("f", "newer");
    save_with(&Full(cache.clone()), &site, &[spec("key", &["f"])], true).await;
    assert!(Path::new("/dev/full").exists());
    let entry = entry_of(&cache, "key").await.unwrap();
    assert_eq!(fs_err::read_dir(Path::new(&entry).parent().unwrap()).unwrap().count(), 1);
    site.reset();
    restore_with(&cache, &site, &[spec("key", &["f"])]).await;
    assert_eq!(site.read("f").as_deref(), Some("f"));
    let said = site.said().await;
    assert!(said.contains("WARNING: cache key is not saved: failed to write to the cache"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}

#[tokio::test]
async fn a_cache_of_protected_refs_is_another_one() {
    let site = Site::new(&["f"]);
    let cache: Arc<dyn CacheBackend> = Arc::new(backend(&site));
    save_with(&*cache, &site, &[spec("key", &["f"])], true).await;
    let (scope, project) = (CacheScope { protected: true, ..scope() }, site.project());
    site.reset();
    restore(
        &[spec("key", &["f"])],
        Caches { backend: &*cache, scope: &scope, attempts: 1 },
        &site.place(&project),
        &mut Restored::default(),
    )
    .await;
    assert_eq!(site.read("f"), None);
}
