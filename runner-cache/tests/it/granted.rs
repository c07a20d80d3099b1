//! What was granted ahead of time is a backend like any other, for the caches that it was granted for.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use runner_cache::{GrantedCache, S3Cache, S3Credentials, S3Settings};
use runner_core::{
    CacheBackend, CacheFormat, CacheScope, Location, Secret,
    cache::CacheGrants,
    job::{CacheSpec, Variables},
};
use runner_testkit::s3_server::S3Server;

fn scope() -> CacheScope {
    CacheScope { runner: String::new(), project: "7".into(), protected: false }
}

fn spec(key: &str, fallbacks: &[&str]) -> CacheSpec {
    let fallback_keys = fallbacks.iter().map(|key| (*key).to_owned()).collect();
    CacheSpec { key: key.into(), fallback_keys, paths: vec!["a".into()], ..CacheSpec::default() }
}

async fn store(server: &S3Server) -> S3Cache {
    let credentials = S3Credentials::Keys {
        access_key: Secret::new(S3Server::ACCESS_KEY),
        secret_key: Secret::new(S3Server::SECRET_KEY),
        session_token: Secret::default(),
    };
    let settings = S3Settings::new(server.address().to_string(), "cache", credentials);
    let cache = S3Cache::new(S3Settings { is_insecure: true, ..settings }, CacheFormat::Packs).unwrap();
    assert_eq!(cache.check(true).await, []);
    cache
}

async fn ask(backend: &dyn CacheBackend, specs: &[CacheSpec]) -> CacheGrants {
    CacheGrants::ask(backend, &scope(), specs, &Variables::default(), Duration::from_secs(30)).await
}

#[tokio::test]
async fn what_was_granted_is_found_and_nothing_else() {
    let server = S3Server::start().await.unwrap();
    let specs = [spec("k", &["f", "g"]), spec("k", &[])];
    let granted = GrantedCache::new(ask(&store(&server).await, &specs).await);
    let fallbacks = ["f".to_owned(), "g".to_owned()];
    assert_eq!(granted.lookup(&scope(), "k", &fallbacks).await.unwrap(), None);
    // A restore that found the first one broken goes on with the next.
    assert_eq!(granted.lookup(&scope(), "f", &fallbacks[1..]).await.unwrap(), None);
    for error in
        [granted.lookup(&scope(), "other", &[]).await.err(), granted.begin(&scope(), "f", &[]).await.err()]
    {
        assert!(error.unwrap().chain().contains("nothing was granted for it"));
    }
    let first = granted.begin(&scope(), "k", &[]).await.unwrap();
    let second = granted.begin(&scope(), "k", &[]).await.unwrap();
    assert_ne!(first.id, second.id, "the names of packs are used once");
    assert!(granted.begin(&scope(), "k", &[]).await.is_err());
    granted.publish(&first).await.unwrap();
    granted.abort(&second).await.unwrap();
}

#[tokio::test]
async fn four_caches_with_temporary_credentials_fit_beside_a_job() {
    let server = S3Server::start().await.unwrap();
    let specs = ["a", "b", "c", "d"].map(|key| spec(key, &[]));
    let mut grants = ask(&store(&server).await, &specs).await;
    // The addresses of temporary credentials are longer by their token.
    let token = "x".repeat(1200);
    let longer = serde_json::to_string(&grants)
        .unwrap()
        .replace("X-Amz-Date", &format!("X-Amz-Security-Token={token}&X-Amz-Date"));
    grants = serde_json::from_str(&longer).unwrap();
    let Location::Signed(signed) = &grants.caches[0].write().unwrap().objects[0].location else {
        panic!("an address")
    };
    assert!(signed.url.expose().contains(&token));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(longer.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap().len();
    assert!(packed < 200 << 10, "{packed} bytes of {}", longer.len());
}
