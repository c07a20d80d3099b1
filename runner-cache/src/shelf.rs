//! The objects of a store, as upkeep sees them: by scope, and without anything of jobs.

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::Result;

/// What upkeep works on. Names are relative to their scope: `heads/…`, `packs/…`.
#[async_trait]
pub trait Shelf: Send + Sync + fmt::Debug {
    /// The folders of all scopes. Some may be none: a bucket holds what others put there.
    async fn scopes(&self) -> Result<Vec<String>>;

    /// The objects in a folder of a scope.
    async fn list(&self, scope: &str, folder: Folder) -> Result<Vec<Shelved>>;

    /// An object, unless it is longer than `limit`, which is an error. `None` where there is none.
    async fn read(&self, scope: &str, name: &str, limit: usize) -> Result<Option<Bytes>>;

    /// Writes an object as a whole.
    async fn write(&self, scope: &str, name: &str, content: Bytes) -> Result<()>;

    /// Removes an object; one that is not there is no error.
    async fn remove(&self, scope: &str, name: &str) -> Result<()>;
}

/// A folder of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Where the heads of entries are.
    Heads,
    /// Where packs are.
    Packs,
}

impl Folder {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Packs => "packs",
        }
    }
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// Its name within the folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub written: SystemTime,
}
