use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::{Finding, Secret, SignedUrl, cache::CacheFormat, job::CachePolicy};

/// Grants under the key `there`, refuses the key `refused`, and never answers for `slow`.
#[derive(Debug)]
struct Store;

fn object(name: &str) -> Object {
    let url = Secret::new(format!("https://store.example/{name}?X-Amz-Signature=s"));
    Object {
        name: name.into(),
        location: Location::Signed(SignedUrl { url, headers: [].into(), expires: u64::MAX }),
    }
}

fn entry(key: &str) -> ReadGrant {
    ReadGrant {
        key: key.into(),
        format: CacheFormat::Packs,
        head: "head".into(),
        objects: vec![object("old")],
    }
}

async fn answer(key: &str) -> Result<Option<ReadGrant>> {
    match key {
        "there" => Ok(Some(entry(key))),
        "refused" => Err(Error::new(ErrorKind::Unauthorized, "read the head of a cache")),
        "slow" => std::future::pending().await,
        _ => Ok(None),
    }
}

#[async_trait]
impl CacheBackend for Store {
    fn lasting(self: Arc<Self>, _lifetime: Duration) -> Arc<dyn CacheBackend> {
        self
    }

    fn authorities(&self) -> Option<&str> {
        Some("PEM")
    }

    async fn check(&self, _create: bool) -> Vec<Finding> {
        Vec::new()
    }

    async fn lookup(
        &self,
        _scope: &CacheScope,
        key: &str,
        fallbacks: &[String],
    ) -> Result<Option<ReadGrant>> {
        match answer(key).await? {
            None if fallbacks.iter().any(|key| key == "there") => Ok(Some(entry("there"))),
            found => Ok(found),
        }
    }

    async fn begin(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<WriteGrant> {
        Ok(WriteGrant {
            scope: scope.clone(),
            key: key.into(),
            id: "id".into(),
            format: CacheFormat::Packs,
            base: self.lookup(scope, key, fallbacks).await?,
            limit: None,
            objects: (0..8).map(|number| object(&number.to_string())).chain([object("head")]).collect(),
        })
    }

    async fn publish(&self, _grant: &WriteGrant) -> Result<()> {
        Ok(())
    }

    async fn abort(&self, _grant: &WriteGrant) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, _unused_for: Duration) -> Result<u64> {
        Ok(0)
    }
}

fn spec(key: &str, policy: CachePolicy) -> CacheSpec {
    CacheSpec { key: key.into(), paths: vec!["a".into()], policy, ..CacheSpec::default() }
}

async fn asked(specs: &[CacheSpec]) -> CacheGrants {
    let scope = CacheScope { runner: String::new(), project: "7".into(), protected: false };
    let limit = Duration::from_secs(3);
    CacheGrants::ask(&Store, &scope, specs, &Variables::default(), limit).await
}

#[tokio::test]
async fn what_is_granted_comes_back_from_its_text() {
    let fallback = CacheSpec { fallback_keys: vec!["there".into()], ..spec("new", CachePolicy::PullPush) };
    let grants = asked(&[fallback, spec("there", CachePolicy::Pull), spec("none", CachePolicy::Push)]).await;
    let text = serde_json::to_string(&grants).unwrap();
    assert_eq!(text.matches("store.example/old?").count(), 2, "an entry is not stored twice: {text}");
    let grants: CacheGrants = serde_json::from_str(&text).unwrap();
    assert_eq!(grants.authorities.as_deref(), Some("PEM"));
    let [both, pull, push] = grants.caches.as_slice() else { panic!("{grants:?}") };
    assert_eq!(both.read(&["new", "there"]).unwrap(), Some(entry("there")));
    assert_eq!(both.read(&["new"]).unwrap(), None, "it was found under a key that is not asked for");
    assert_eq!(both.write().unwrap().base, Some(entry("there")));
    assert_eq!(pull.read(&["there"]).unwrap(), Some(entry("there")));
    assert!(pull.write().is_err());
    assert_eq!(push.write().unwrap().base, None);
    assert!(!format!("{grants:?}").contains("X-Amz-Signature"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_its_cache_and_no_more_time_than_it_may() {
    let began = Instant::now();
    let grants = asked(&[spec("slow", CachePolicy::PullPush), spec("there", CachePolicy::PullPush)]).await;
    assert!(began.elapsed() <= Duration::from_millis(3001));
    let [slow, there] = grants.caches.as_slice() else { panic!("{grants:?}") };
    for error in [slow.read(&["slow"]).unwrap_err(), slow.write().unwrap_err()] {
        assert_eq!(error.chain(), "hear from the cache's store within 3 s");
        assert!(!error.is_retryable());
    }
    assert!(there.read(&["there"]).unwrap().is_some());
}

#[tokio::test]
async fn a_refusal_is_told_where_the_cache_is_used() {
    let grants = asked(&[spec("refused", CachePolicy::PullPush)]).await;
    assert_eq!(grants.caches[0].write().unwrap_err().chain(), "read the head of a cache");
    assert_eq!(grants.caches[0].read(&["refused"]).unwrap_err().chain(), "read the head of a cache");
}

#[tokio::test]
async fn what_does_not_fit_has_fewer_packs_and_keeps_its_head() {
    let mut grants = asked(&[spec("new", CachePolicy::Push)]).await;
    let names = |grants: &CacheGrants| -> Vec<String> {
        grants.caches[0].write().unwrap().objects.into_iter().map(|object| object.name).collect()
    };
    assert!(grants.shrink());
    assert_eq!(names(&grants), ["0", "1", "2", "3", "head"]);
    while grants.shrink() {}
    assert_eq!(names(&grants), ["0", "head"]);
    grants.refuse("grant it");
    assert_eq!(grants.caches[0].write().unwrap_err().chain(), "grant it");
    assert_eq!(grants.lasts(), None);
}
