//! A cache in a store that speaks S3.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use reqwest::Method;
use runner_core::{
    CacheBackend, CacheFormat, CacheScope, ErrorKind, Finding, Location, ReadGrant, Result, WriteGrant,
    cache::{HEAD, Object, ZIP},
};

use crate::{
    head::{self, Head, PackName},
    name,
};

mod address;
mod check;
mod client;
mod credentials;
mod list;
mod refusal;
mod settings;
mod sign;
mod upkeep;

pub use settings::{S3Credentials, S3Encryption, S3Settings};

use client::{Answer, Ask, Client};
use sign::Signer;

/// So many packs may be written under one grant. The size of packs is chosen so that they suffice.
const PACKS: usize = 256;

/// How long what is granted may be used where nobody said how long the job may live.
const USUAL: Duration = Duration::from_hours(24);

/// Keeps entries in a bucket.
///
/// ```text
/// <prefix><scope>/heads/<name of key>           the head of an entry; replacing it publishes
/// <prefix><scope>/packs/<write>-<nnnn>          packs, which never change
/// <prefix>runner/<runner>/project/<id>/<key>    an entry in the format of GitLab Runner, under its own key
/// ```
/// Grants are signed addresses: each is for one object and for reading or writing it, and ends.
#[derive(Debug, Clone)]
pub struct S3Cache {
    client: Arc<Client>,
    prefix: String,
    format: CacheFormat,
    lifetime: Duration,
}

impl S3Cache {
    /// A cache in the bucket of `settings`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the prefix or the certificate of an authority cannot be used.
    pub fn new(settings: S3Settings, format: CacheFormat) -> Result<Self> {
        let prefix = address::prefix(&settings.prefix)?;
        Ok(Self { client: Arc::new(Client::new(settings)?), prefix, format, lifetime: USUAL })
    }

    fn head_key(&self, scope: &CacheScope, key: &str) -> String {
        format!("{}{}/heads/{}", self.prefix, name::of_scope(scope), name::unique(key))
    }

    fn pack_key(&self, scope: &CacheScope, pack: &PackName) -> String {
        format!("{}{}/packs/{pack}", self.prefix, name::of_scope(scope))
    }

    /// Where GitLab Runner has its archive of a key.
    fn zip_key(&self, scope: &CacheScope, key: &str) -> String {
        let CacheScope { runner, project, protected: _ } = scope;
        let owner = if runner.is_empty() { String::new() } else { format!("runner/{runner}/") };
        format!("{}{owner}project/{project}/{key}", self.prefix)
    }

    /// The head of an entry, if there is one.
    async fn head(&self, scope: &CacheScope, key: &str) -> Result<Option<Head>> {
        let place = self.head_key(scope, key);
        let ask = Ask { limit: head::LARGEST, ..Ask::new("read the head of a cache", Method::GET, &place) };
        match self.client.send(&ask).await? {
            Answer::Done(bytes) => Head::parse(&bytes).map(Some),
            Answer::Refused(refusal) if refusal.is_missing() || refusal.is_forbidden() => Ok(None),
            Answer::Refused(refusal) => Err(refusal.into_error(ask.doing)),
        }
    }

    /// The same. A head that is none counts as not there: the next save replaces it.
    async fn usable_head(&self, scope: &CacheScope, key: &str) -> Result<Option<Head>> {
        match self.head(scope, key).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(
                    project = scope.project,
                    key,
                    error = error.chain(),
                    "an entry of the cache is none"
                );
                Ok(None)
            }
            found => found,
        }
    }

    /// Whether there is an archive of GitLab Runner's.
    async fn has_zip(&self, scope: &CacheScope, key: &str) -> Result<bool> {
        let place = self.zip_key(scope, key);
        let ask = Ask::new("look for a cache", Method::HEAD, &place);
        match self.client.send(&ask).await? {
            Answer::Done(_) => Ok(true),
            Answer::Refused(refusal) if refusal.is_missing() || refusal.is_forbidden() => Ok(false),
            Answer::Refused(refusal) => Err(refusal.into_error(ask.doing)),
        }
    }

    /// The right to read the entry under the first of `keys` that has one. All are asked for at once.
    async fn find(&self, scope: &CacheScope, keys: &[&str]) -> Result<Option<ReadGrant>> {
        match self.format {
            CacheFormat::Zip => {
                let found = join_all(keys.iter().map(|key| self.has_zip(scope, key))).await;
                for (key, found) in keys.iter().zip(found) {
                    if found? {
                        return self.zip_grant(scope, key).await.map(Some);
                    }
                }
            }
            CacheFormat::Packs => {
                let found = join_all(keys.iter().map(|key| self.usable_head(scope, key))).await;
                for (key, found) in keys.iter().zip(found) {
                    if let Some(head) = found? {
                        return self.grant(scope, key, &head).await.map(Some);
                    }
                }
            }
        }
        Ok(None)
    }

    async fn grant(&self, scope: &CacheScope, key: &str, head: &Head) -> Result<ReadGrant> {
        let signer = self.client.signer(&Method::GET, self.lifetime).await?;
        let packs = head.packs.iter().map(|pack| {
            let place = self.pack_key(scope, &pack.name);
            self.object(&signer, Method::GET, pack.name.to_string(), place)
        });
        let objects = try_join_all(packs).await?;
        Ok(ReadGrant { key: key.to_owned(), format: CacheFormat::Packs, head: head.to_text(), objects })
    }

    async fn zip_grant(&self, scope: &CacheScope, key: &str) -> Result<ReadGrant> {
        let signer = self.client.signer(&Method::GET, self.lifetime).await?;
        let object = self.object(&signer, Method::GET, ZIP.into(), self.zip_key(scope, key)).await?;
        Ok(ReadGrant {
            key: key.to_owned(),
            format: CacheFormat::Zip,
            head: String::new(),
            objects: vec![object],
        })
    }

    async fn object(&self, signer: &Signer, method: Method, name: String, place: String) -> Result<Object> {
        let headers = if method == Method::PUT { self.client.write_headers() } else { Vec::new() };
        let url = signer.url(&method, &self.client.address().of(&place, &[]), &headers).await?;
        Ok(Object { name, location: Location::Signed(url) })
    }
}

#[async_trait]
impl CacheBackend for S3Cache {
    fn lasting(self: Arc<Self>, lifetime: Duration) -> Arc<dyn CacheBackend> {
        Arc::new(Self { lifetime, ..Self::clone(&self) })
    }

    fn authorities(&self) -> Option<&str> {
        self.client.settings().ca.as_deref()
    }

    async fn check(&self, create: bool) -> Vec<Finding> {
        check::check(&self.client, &self.prefix, create).await
    }

    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>> {
        let keys: Vec<&str> = std::iter::once(key).chain(fallbacks.iter().map(String::as_str)).collect();
        self.find(scope, &keys).await
    }

    async fn begin(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<WriteGrant> {
        let id = name::write_id()?;
        let signer = self.client.signer(&Method::PUT, self.lifetime).await?;
        let mut places = Vec::new();
        let base = match self.format {
            CacheFormat::Zip => {
                places.push((ZIP.to_owned(), self.zip_key(scope, key)));
                None
            }
            CacheFormat::Packs => {
                let names = (0..PACKS).filter_map(|number| PackName::new(&id, number));
                places.extend(names.map(|name| (name.to_string(), self.pack_key(scope, &name))));
                places.push((HEAD.to_owned(), self.head_key(scope, key)));
                self.lookup(scope, key, fallbacks).await?
            }
        };
        let objects = places.into_iter().map(|(name, place)| self.object(&signer, Method::PUT, name, place));
        let objects = try_join_all(objects).await?;
        Ok(WriteGrant {
            scope: scope.clone(),
            key: key.to_owned(),
            id,
            format: self.format,
            base,
            limit: None,
            objects,
        })
    }

    /// Nothing: who wrote the head has published.
    async fn publish(&self, _grant: &WriteGrant) -> Result<()> {
        Ok(())
    }

    /// Nothing: packs that no head names are swept.
    async fn abort(&self, _grant: &WriteGrant) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, unused_for: Duration) -> Result<u64> {
        self.upkeep().sweep(unused_for).await
    }
}
