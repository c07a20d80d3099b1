//! The cache that a runner's config names, in the store that it names.

use std::{path::PathBuf, sync::Arc};

use runner_cache::{DirectoryCache, OwnedCache, S3Cache, S3Settings, Upkeep};
use runner_config::{CacheConfig, CacheStore, RunnerConfig, S3Config, S3Credentials, S3Encryption};
use runner_core::{CacheBackend, Result};

use crate::cli::accounts::Variables;

/// What the cache of a runner is made of, besides its config.
#[derive(Debug, Clone)]
pub(crate) struct StoreSurrounding<'a> {
    /// What tells the runner apart from others.
    pub(crate) identity: &'a str,
    /// Variables of the environment.
    pub(crate) variables: &'a Variables,
    /// Authorities that the runner trusts besides those of the system, in PEM.
    pub(crate) ca: Option<String>,
}

/// The backend of the store that `[runners.cache]` names.
///
/// # Errors
/// Where the names of entries or an authority cannot be used.
pub(crate) fn backend(
    cache: &CacheConfig,
    surrounding: &StoreSurrounding<'_>,
) -> Result<Arc<dyn CacheBackend>> {
    let inner: Arc<dyn CacheBackend> = match &cache.store {
        CacheStore::S3(s3) => {
            let StoreSurrounding { variables, ca, .. } = surrounding;
            Arc::new(S3Cache::new(settings(s3, cache, variables, ca.clone()), cache.format)?)
        }
        CacheStore::Directory(path) => Arc::new(DirectoryCache::new(path)),
    };
    let owner = if cache.is_shared { "" } else { surrounding.identity };
    Ok(Arc::new(OwnedCache::new(inner, owner, cache.max_uploaded_archive_size)))
}

/// What looks after the store that `[runners.cache]` names.
///
/// # Errors
/// The same.
pub(crate) fn upkeep(cache: &CacheConfig, surrounding: &StoreSurrounding<'_>) -> Result<Upkeep> {
    match &cache.store {
        CacheStore::S3(s3) => {
            let settings = settings(s3, cache, surrounding.variables, surrounding.ca.clone());
            Ok(S3Cache::new(settings, cache.format)?.upkeep())
        }
        CacheStore::Directory(path) => Ok(DirectoryCache::new(path).upkeep()),
    }
}

fn settings(s3: &S3Config, cache: &CacheConfig, variables: &Variables, ca: Option<String>) -> S3Settings {
    let credentials = match &s3.credentials {
        S3Credentials::Keys { access_key, secret_key, session_token } => runner_cache::S3Credentials::Keys {
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
            session_token: session_token.clone(),
        },
        S3Credentials::Machine => runner_cache::S3Credentials::Machine,
    };
    let encryption = s3.encryption.as_ref().map(|encryption| match encryption {
        S3Encryption::S3 => runner_cache::S3Encryption::S3,
        S3Encryption::Kms(key) => runner_cache::S3Encryption::Kms(key.clone()),
        S3Encryption::KmsTwice(key) => runner_cache::S3Encryption::KmsTwice(key.clone()),
    });
    let is_of_credentials = |name: &str| name.starts_with("AWS_") || name == "HOME";
    S3Settings {
        address: s3.server_address.clone(),
        is_insecure: s3.is_insecure,
        path_style: s3.path_style,
        dual_stack: s3.dual_stack,
        accelerate: s3.accelerate,
        region: s3.region.clone(),
        prefix: cache.path.clone(),
        role: s3.role.clone(),
        upload_role: s3.upload_role.clone(),
        encryption,
        ca,
        environment: variables
            .iter()
            .filter(|(name, _)| is_of_credentials(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..S3Settings::new("", &s3.bucket, credentials)
    }
}

/// Where a runner for jobs on this machine keeps caches whose config names no store.
pub(crate) fn folder(config: &RunnerConfig, usual: impl FnOnce() -> PathBuf) -> Arc<dyn CacheBackend> {
    let folder = config.cache_dir.as_ref().map_or_else(usual, PathBuf::from);
    Arc::new(DirectoryCache::new(&folder))
}
