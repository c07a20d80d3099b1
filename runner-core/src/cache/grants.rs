//! What is granted to the caches of a job ahead of time, for whoever runs it without a backend.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{CacheBackend, CacheKeys, CacheScope, Location, Object, ReadGrant, WriteGrant};
use crate::{
    Error, ErrorKind, Result,
    job::{CacheSpec, Variables},
};

/// What is granted to the caches of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheGrants {
    /// One for each cache.
    pub caches: Vec<CacheGrant>,
    /// Certificates in PEM that are trusted besides those of the system where the objects are fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
}

/// What is granted to a cache. Each part is `None` where the job has no use for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheGrant {
    /// Its key.
    pub key: String,
    /// The keys to try after it.
    pub fallbacks: Vec<String>,
    /// What may be read, unless it is the base of what may be written.
    read: Option<Granted<Option<ReadGrant>>>,
    /// What may be written.
    write: Option<Granted<WriteGrant>>,
}

/// A grant, or why there is none: what completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Granted<T> {
    Yes(T),
    No(String),
}

impl<T: Clone> Granted<T> {
    fn get(&self) -> Result<T> {
        match self {
            Self::Yes(grant) => Ok(grant.clone()),
            Self::No(why) => Err(Error::new(ErrorKind::Unavailable, why.clone()).retryable(false)),
        }
    }
}

impl CacheGrants {
    /// Asks for everything that the caches of a job may need, all at once. What is not granted within `limit` is not
    /// waited for: it costs the cache, and the job goes on.
    ///
    /// # Cancellation
    /// May be dropped.
    pub async fn ask(
        backend: &dyn CacheBackend,
        scope: &CacheScope,
        specs: &[CacheSpec],
        variables: &Variables,
        limit: Duration,
    ) -> Self {
        let asking = Asking { backend, scope, limit, deadline: Instant::now() + limit };
        let caches = specs.iter().filter(|spec| spec.is_any()).map(|spec| asking.cache(spec, variables));
        let caches = join_all(caches).await.into_iter().flatten().collect();
        Self { caches, authorities: backend.authorities().map(str::to_owned) }
    }

    /// Gives up the last half of the packs that may be written, so that there is less to store; `false` where there is
    /// nothing left to give up.
    pub fn shrink(&mut self) -> bool {
        let mut has_less = false;
        for cache in &mut self.caches {
            if let Some(Granted::Yes(write)) = &mut cache.write
                && write.objects.len() > 2
            {
                let packs = write.objects.len() - 1;
                write.objects.drain(packs.div_ceil(2)..packs);
                has_less = true;
            }
        }
        has_less
    }

    /// Says `why` in place of everything that was granted.
    pub fn refuse(&mut self, why: &str) {
        for cache in &mut self.caches {
            cache.read = cache.read.as_ref().map(|_| Granted::No(why.to_owned()));
            cache.write = cache.write.as_ref().map(|_| Granted::No(why.to_owned()));
        }
    }

    /// How long all that was granted is good for from now on; `None` where nothing ends.
    pub fn lasts(&self) -> Option<Duration> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let ends =
            self.caches.iter().flat_map(CacheGrant::objects).filter_map(|object| match &object.location {
                Location::Signed(signed) => Some(signed.expires),
                Location::Path(_) => None,
            });
        ends.min().map(|end| Duration::from_secs(end.saturating_sub(now)))
    }
}

impl CacheGrant {
    /// What may be read, if it is under one of `keys`.
    ///
    /// # Errors
    /// Why nothing was granted.
    pub fn read(&self, keys: &[&str]) -> Result<Option<ReadGrant>> {
        let read = match (&self.read, &self.write) {
            (Some(read), _) => read.get()?,
            (None, Some(write)) => write.get()?.base,
            (None, None) => return Err(self.unasked("read")),
        };
        Ok(read.filter(|grant| keys.contains(&grant.key.as_str())))
    }

    /// What may be written.
    ///
    /// # Errors
    /// Why nothing was granted.
    pub fn write(&self) -> Result<WriteGrant> {
        self.write.as_ref().map_or_else(|| Err(self.unasked("write")), Granted::get)
    }

    fn objects(&self) -> impl Iterator<Item = &Object> {
        let read = match &self.read {
            Some(Granted::Yes(read)) => read.as_ref(),
            _ => None,
        };
        let write = match &self.write {
            Some(Granted::Yes(write)) => Some(write),
            _ => None,
        };
        let base = write.and_then(|write| write.base.as_ref());
        let grants = [read, base].into_iter().flatten().flat_map(|grant| &grant.objects);
        grants.chain(write.into_iter().flat_map(|write| &write.objects))
    }

    fn unasked(&self, what: &str) -> Error {
        Error::new(ErrorKind::Invalid, format!("{what} a cache that was not asked for"))
            .with("key", &self.key)
    }
}

/// What is asked, and until when.
struct Asking<'a> {
    backend: &'a dyn CacheBackend,
    scope: &'a CacheScope,
    limit: Duration,
    deadline: Instant,
}

impl Asking<'_> {
    /// `None` where nothing is left of the cache's key.
    async fn cache(&self, spec: &CacheSpec, variables: &Variables) -> Option<CacheGrant> {
        let keys = CacheKeys::of(spec, variables);
        let (key, fallbacks) = (keys.key()?, keys.fallbacks());
        let write = if spec.policy.pushes() {
            Some(self.within(self.backend.begin(self.scope, key, fallbacks)).await)
        } else {
            None
        };
        // Who may write has been told what there is to read.
        let read = match (&write, spec.policy.pulls()) {
            (Some(Granted::Yes(_)), _) | (_, false) => None,
            _ => Some(self.within(self.backend.lookup(self.scope, key, fallbacks)).await),
        };
        Some(CacheGrant { key: key.to_owned(), fallbacks: fallbacks.to_owned(), read, write })
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T>>) -> Granted<T> {
        match timeout_at(self.deadline, asked).await {
            Ok(Ok(grant)) => Granted::Yes(grant),
            Ok(Err(error)) => Granted::No(error.chain()),
            Err(_) => Granted::No(format!("hear from the cache's store within {} s", self.limit.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests;
