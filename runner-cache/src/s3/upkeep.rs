//! The bucket, as upkeep sees it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::Method;
use runner_core::Result;

use super::{
    S3Cache,
    client::{Answer, Ask},
};
use crate::{
    shelf::{Folder, Shelf, Shelved},
    upkeep::Upkeep,
};

/// The objects of a bucket below a prefix.
#[derive(Debug)]
struct Bucket(S3Cache);

impl S3Cache {
    /// Looks after what is in the bucket. Entries in the format of GitLab Runner are not seen by it.
    pub fn upkeep(&self) -> Upkeep {
        Upkeep::new(Arc::new(Bucket(self.clone())))
    }
}

impl Bucket {
    fn key(&self, scope: &str, name: &str) -> String {
        format!("{}{scope}/{name}", self.0.prefix)
    }
}

#[async_trait]
impl Shelf for Bucket {
    async fn scopes(&self) -> Result<Vec<String>> {
        let prefix = &self.0.prefix;
        let folders = self.0.client.folders(prefix).await?;
        let names = folders.iter().filter_map(|folder| folder.strip_prefix(prefix.as_str()));
        Ok(names.map(|name| name.trim_end_matches('/').to_owned()).collect())
    }

    async fn list(&self, scope: &str, folder: Folder) -> Result<Vec<Shelved>> {
        let prefix = self.key(scope, &format!("{}/", folder.name()));
        let mut found = Vec::new();
        self.0
            .client
            .list(&prefix, |page| {
                found.extend(page.into_iter().filter_map(|listed| {
                    let name = listed.key.strip_prefix(&prefix)?.to_owned();
                    Some(Shelved { name, size: listed.size, written: listed.written })
                }));
            })
            .await?;
        Ok(found)
    }

    async fn read(&self, scope: &str, name: &str, limit: usize) -> Result<Option<Bytes>> {
        let key = self.key(scope, name);
        let ask = Ask { limit, ..Ask::new("read an object of the cache", Method::GET, &key) };
        match self.0.client.send(&ask).await? {
            Answer::Done(content) => Ok(Some(content)),
            Answer::Refused(refusal) if refusal.is_missing() => Ok(None),
            Answer::Refused(refusal) => Err(refusal.into_error(ask.doing)),
        }
    }

    async fn write(&self, scope: &str, name: &str, content: Bytes) -> Result<()> {
        let key = self.key(scope, name);
        let ask = Ask { body: content, ..Ask::new("write an object of the cache", Method::PUT, &key) };
        self.0.client.must(&ask).await.map(drop)
    }

    async fn remove(&self, scope: &str, name: &str) -> Result<()> {
        let key = self.key(scope, name);
        let ask = Ask::new("remove an object of the cache", Method::DELETE, &key);
        match self.0.client.send(&ask).await? {
            Answer::Refused(refusal) if !refusal.is_missing() => Err(refusal.into_error(ask.doing)),
            _ => Ok(()),
        }
    }
}
