//! The S3 backend keeps the promises of its trait, and says what a store lacks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use runner_cache::{
    Head, PackName, S3Cache, S3Credentials, S3Settings, Transfer,
    head::{Pack, Place},
    transfer::Content,
};
use runner_core::{
    CacheBackend, CacheFormat, CacheScope, Finding, Location, ReadGrant, Secret, WriteGrant, cache::Object,
};
use runner_testkit::{
    cache_suite::{self, Harness},
    s3_server::S3Server,
};

/// Each test has a bucket of its own; a store has one key.
fn settings(server: &S3Server, bucket: &str) -> S3Settings {
    let credentials = S3Credentials::Keys {
        access_key: Secret::new(S3Server::ACCESS_KEY),
        secret_key: Secret::new(S3Server::SECRET_KEY),
        session_token: Secret::default(),
    };
    let address = server.address().to_string();
    S3Settings {
        is_insecure: true,
        prefix: "ci/team".into(),
        ..S3Settings::new(address, bucket, credentials)
    }
}

fn cache(settings: S3Settings) -> Arc<S3Cache> {
    Arc::new(S3Cache::new(settings, CacheFormat::Packs).unwrap())
}

async fn store() -> (S3Server, Arc<S3Cache>) {
    let server = S3Server::start().await.unwrap();
    let cache = cache(settings(&server, "cache"));
    assert_eq!(cache.check(true).await, []);
    (server, cache)
}

fn scope() -> CacheScope {
    CacheScope { runner: String::new(), project: "7".into(), protected: false }
}

/// The head of an entry that is one pack.
fn head(name: &str, size: usize) -> String {
    let name = PackName::parse(name).unwrap();
    let index = Place { pack: 0, offset: 0, length: size as u64, digest: blake3::hash(b"") };
    let packs = vec![Pack { name, size: size as u64, day: 1 }];
    Head { made: 1, files: 1, bytes: size as u64, index, packs }.to_text()
}

async fn put(object: &Object, content: &[u8]) -> Result<(), String> {
    let content = Content::Bytes(content.to_vec().into());
    Transfer::default().write(&object.location, &content).await.map_err(|error| error.chain())
}

#[derive(Debug)]
struct Bucket(S3Server);

#[async_trait]
impl Harness for Bucket {
    async fn backend(&self) -> Arc<dyn CacheBackend> {
        // Nothing else of a store is empty.
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let bucket = format!("b{:02}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        // This server's own files have names that are longer than those of objects, and may not have 256 letters.
        let cache = cache(S3Settings { prefix: String::new(), ..settings(&self.0, &bucket) });
        assert_eq!(cache.check(true).await, []);
        cache
    }

    async fn write(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        self.write_half(grant, content).await?;
        let pack = grant.objects.first().ok_or("no pack")?;
        // A pack has a byte at least.
        put(grant.objects.last().ok_or("no head")?, head(&pack.name, content.len() + 1).as_bytes()).await
    }

    async fn write_half(&self, grant: &WriteGrant, content: &[u8]) -> Result<(), String> {
        let content = [content, b"."].concat();
        put(grant.objects.first().ok_or("no pack")?, &content).await
    }

    async fn write_again(&self, grant: &WriteGrant) -> Result<(), String> {
        let base = grant.base.as_ref().ok_or("no base")?;
        put(grant.objects.last().ok_or("no head")?, base.head.as_bytes()).await
    }

    async fn read(&self, grant: &ReadGrant) -> Result<Vec<u8>, String> {
        let head = Head::parse(grant.head.as_bytes()).map_err(|error| error.chain())?;
        let object = grant.objects.first().ok_or("no pack")?;
        let mut content = Transfer::default()
            .read_all(&object.location, 0..head.packs[0].size)
            .await
            .map_err(|error| error.chain())?;
        content.pop();
        Ok(content)
    }
}

#[tokio::test]
async fn the_s3_backend_keeps_its_promises() {
    let harness = Bucket(S3Server::start().await.unwrap());
    cache_suite::check(&harness).await.unwrap();
}

fn url(object: &Object) -> &str {
    let Location::Signed(signed) = &object.location else { panic!("a store grants addresses") };
    signed.url.expose()
}

async fn found(findings: impl Future<Output = Vec<Finding>>) -> Finding {
    let mut findings = findings.await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[tokio::test]
async fn a_missing_bucket_is_told_with_what_makes_it_and_made_if_asked() {
    let server = S3Server::start().await.unwrap();
    let cache = cache(settings(&server, "cache"));
    let Finding { message, mend, .. } = found(cache.check(false)).await;
    assert!(message.contains("There is no bucket cache at http://127.0.0.1:"), "{message}");
    assert!(
        mend.contains(&format!("aws --endpoint-url http://{} s3 mb s3://cache", server.address())),
        "{mend}"
    );
    assert!(mend.contains("create_bucket = true"), "{mend}");
    assert_eq!(cache.check(true).await, []);
    assert_eq!(cache.check(false).await, []);
    assert!(!server.folder().join("cache/ci/team/check").exists());
}

#[tokio::test]
async fn wrong_keys_are_told_apart() {
    let (server, _cache) = store().await;
    let with = |access_key: &str, secret_key: &str| {
        let (access_key, secret_key) = (Secret::new(access_key), Secret::new(secret_key));
        let credentials = S3Credentials::Keys { access_key, secret_key, session_token: Secret::default() };
        cache(S3Settings { credentials, ..settings(&server, "cache") })
    };
    let unknown = found(with("nobody", S3Server::SECRET_KEY).check(false)).await;
    assert!(unknown.mend.contains("AccessKey"), "{unknown:?}");
    let wrong = found(with(S3Server::ACCESS_KEY, "hunter2").check(false)).await;
    assert!(wrong.mend.contains("SecretKey"), "{wrong:?}");
    assert!(!format!("{unknown:?}{wrong:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_with_its_address() {
    let server = S3Server::start().await.unwrap();
    let settings = settings(&server, "cache");
    let address = server.address();
    drop(server);
    let finding = found(cache(settings).check(false)).await;
    assert_eq!(finding.mend, format!("look whether it answers from here: curl -v http://{address}"));
}

#[tokio::test]
async fn without_credentials_nothing_is_asked_and_the_mend_is_said() {
    let server = S3Server::start().await.unwrap();
    let nobody = S3Settings { credentials: S3Credentials::Machine, ..settings(&server, "cache") };
    // Names of files that lead nowhere, and no service of metadata.
    let nowhere = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"]
        .map(|name| (name.to_owned(), "/nowhere".to_owned()));
    let off = ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned());
    let environment = nowhere.into_iter().chain([off]).collect();
    let finding = found(cache(S3Settings { environment, ..nobody }).check(false)).await;
    assert!(finding.mend.contains("give the machine or the service account a role"), "{finding:?}");
}

#[tokio::test]
async fn credentials_of_the_environment_are_found() {
    let server = S3Server::start().await.unwrap();
    let keys = [("AWS_ACCESS_KEY_ID", S3Server::ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", S3Server::SECRET_KEY)];
    let environment = keys.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let machine =
        S3Settings { credentials: S3Credentials::Machine, environment, ..settings(&server, "cache") };
    assert_eq!(cache(machine).check(true).await, []);
}

#[tokio::test]
async fn a_head_is_as_hostile_as_any_input() {
    let (server, cache) = store().await;
    let put_head = |text: Vec<u8>| {
        let cache = Arc::clone(&cache);
        async move {
            let grant = cache.begin(&scope(), "k", &[]).await.unwrap();
            put(grant.objects.last().unwrap(), &text).await.unwrap();
            cache.lookup(&scope(), "k", &[]).await.unwrap()
        }
    };
    let good = head(&format!("{}-0000", "0".repeat(32)), 5);
    assert!(put_head(good.clone().into()).await.is_some());
    let other_scope = good.replace(&"0".repeat(32), "../other/packs/0000000000000000");
    for (text, what) in [
        (other_scope.into_bytes(), "a pack of another scope"),
        (vec![b'x'; 1 << 20], "one that is long"),
        (Vec::new(), "one that is nothing"),
        (b"runner-cache 1\n".to_vec(), "one that is cut short"),
    ] {
        assert_eq!(put_head(text).await, None, "{what}");
    }
    // Whoever writes then begins anew.
    assert_eq!(cache.begin(&scope(), "k", &[]).await.unwrap().base, None);
    drop(server);
}

#[tokio::test]
async fn a_grant_is_for_one_object_and_one_way_of_the_own_scope() {
    let (server, cache) = store().await;
    let grant = cache.begin(&scope(), "k", &[]).await.unwrap();
    let below = format!("http://{}/cache/ci/team/7-open-", server.address());
    assert_eq!(grant.objects.len(), 257);
    assert!(grant.objects.iter().all(|object| url(object).starts_with(&below)));
    assert!(!format!("{grant:?}").contains("X-Amz-Signature"), "an address is a secret");
    let pack = &grant.objects[0];
    put(pack, b"content").await.unwrap();
    // It may be written and not read, and no other one with it.
    assert!(Transfer::default().read_all(&pack.location, 0..7).await.is_err());
    let Location::Signed(signed) = &pack.location else { panic!("a store grants addresses") };
    let mut other = signed.clone();
    other.url = Secret::new(signed.url.expose().replace("-0000?", "-0001?"));
    let other = Object { name: "other".into(), location: Location::Signed(other) };
    assert!(put(&other, b"content").await.is_err());
}

#[tokio::test]
async fn what_is_granted_lasts_as_long_as_the_job_may_and_a_week_at_most() {
    let (server, cache) = store().await;
    let expires = async |lifetime| {
        let lasting = Arc::clone(&cache).lasting(lifetime);
        let grant = lasting.begin(&scope(), "k", &[]).await.unwrap();
        url(&grant.objects[0]).split("X-Amz-Expires=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    assert_eq!(expires(Duration::from_hours(2)).await, "7200");
    assert_eq!(expires(Duration::from_hours(1000)).await, "604800");
    drop(server);
}

#[tokio::test]
async fn a_zip_is_where_gitlab_runner_has_it() {
    let server = S3Server::start().await.unwrap();
    let cache = S3Cache::new(settings(&server, "cache"), CacheFormat::Zip).unwrap();
    assert_eq!(cache.check(true).await, []);
    let owned = CacheScope { runner: "abc".into(), ..scope() };
    assert_eq!(cache.lookup(&owned, "main/x", &[]).await.unwrap(), None);
    let grant = cache.begin(&owned, "main/x", &[]).await.unwrap();
    put(&grant.objects[0], b"zip").await.unwrap();
    assert!(server.folder().join("cache/ci/team/runner/abc/project/7/main/x").is_file());
    let found = cache.lookup(&owned, "other", &["main/x".to_owned()]).await.unwrap().unwrap();
    assert_eq!((found.key.as_str(), found.format), ("main/x", CacheFormat::Zip));
    assert_eq!(cache.lookup(&scope(), "main/x", &[]).await.unwrap(), None);
}
