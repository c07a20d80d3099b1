//! Real stores that speak S3: MinIO of `dev/minio` and Versity's gateway of `dev/versitygw`, or those that the environment
//! names.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use runner_cache::{S3Cache, S3Credentials, S3Settings};
use runner_core::{CacheBackend, CacheFormat, Secret};

/// A store.
#[derive(Debug, Clone)]
pub struct Store {
    /// `host:port`.
    pub address: String,
    /// Its access key.
    pub access_key: String,
    /// Its secret key.
    pub secret_key: String,
}

impl Store {
    /// The store of a name: that of the variables `<NAME>_ENDPOINT`, `<NAME>_ACCESS_KEY` and `<NAME>_SECRET_KEY`.
    ///
    /// # Errors
    /// Where they are not set: these tests have nothing to say without a store.
    pub fn named(name: &str) -> Result<Self> {
        let script = name.to_lowercase();
        let variable = |part: &str| {
            let key = format!("{name}_{part}");
            std::env::var(&key).with_context(|| format!("{key} is not set: eval \"$(dev/{script} up)\""))
        };
        let endpoint = variable("ENDPOINT")?;
        let address = endpoint.strip_prefix("http://").context("the store is spoken to without TLS")?;
        Ok(Self {
            address: address.to_owned(),
            access_key: variable("ACCESS_KEY")?,
            secret_key: variable("SECRET_KEY")?,
        })
    }

    /// What a cache in one of its buckets is told.
    pub fn settings(&self, bucket: &str) -> S3Settings {
        let credentials = S3Credentials::Keys {
            access_key: Secret::new(&self.access_key),
            secret_key: Secret::new(&self.secret_key),
            session_token: Secret::default(),
        };
        S3Settings { is_insecure: true, ..S3Settings::new(&self.address, bucket, credentials) }
    }

    /// A cache in a bucket of that name, which is made.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub async fn cache(&self, bucket: &str) -> Result<Arc<dyn CacheBackend>> {
        let cache = S3Cache::new(self.settings(bucket), CacheFormat::Packs)?;
        let findings = cache.check(true).await;
        ensure!(findings.is_empty(), "{findings:?}");
        Ok(Arc::new(cache))
    }

    /// Whether there is no bucket of that name, or none that can be used.
    pub async fn cache_is_missing(&self, bucket: &str) -> bool {
        match S3Cache::new(self.settings(bucket), CacheFormat::Packs) {
            Ok(cache) => !cache.check(false).await.is_empty(),
            Err(_) => true,
        }
    }
}
