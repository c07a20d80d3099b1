//! The store that is written to.

use anyhow::{Result, bail};
use runner_cache::{S3Cache, S3Credentials, S3Settings};
use runner_core::{CacheBackend, CacheFormat, CacheScope, Secret};
use runner_testkit::s3_server::S3Server;
use serde::{Deserialize, Serialize};

use super::options::Endpoint;

/// A store, in a form that can be told to another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) address: String,
    is_insecure: bool,
    bucket: String,
    access_key: String,
    secret_key: String,
}

impl Store {
    pub(crate) fn embedded(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            is_insecure: true,
            bucket: "cache".into(),
            access_key: S3Server::ACCESS_KEY.into(),
            secret_key: S3Server::SECRET_KEY.into(),
        }
    }

    pub(crate) fn named(Endpoint { address, is_insecure, bucket, access_key, secret_key }: Endpoint) -> Self {
        Self { address, is_insecure, bucket, access_key, secret_key }
    }

    /// The same store, reached by another address.
    pub(crate) fn through(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    pub(crate) fn cache(&self, format: CacheFormat) -> Result<S3Cache> {
        let credentials = S3Credentials::Keys {
            access_key: Secret::new(&self.access_key),
            secret_key: Secret::new(&self.secret_key),
            session_token: Secret::default(),
        };
        let mut settings = S3Settings::new(&self.address, &self.bucket, credentials);
        settings.is_insecure = self.is_insecure;
        Ok(S3Cache::new(settings, format)?)
    }

    /// Makes the bucket, if it is not there.
    pub(crate) async fn prepare(&self) -> Result<()> {
        match self.cache(CacheFormat::Packs)?.check(true).await.into_iter().next() {
            Some(finding) => bail!("{}", finding.message),
            None => Ok(()),
        }
    }
}

pub(crate) fn scope(project: &str) -> CacheScope {
    CacheScope { runner: String::new(), project: project.to_owned(), protected: false }
}
