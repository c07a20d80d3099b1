//! Upkeep of a store: what is in it, and what nobody needs any more.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use runner_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::{
    head::{self, Head},
    name,
    shelf::{Folder, Shelf, Shelved},
};

/// Where a collection keeps since when packs are needed by no entry.
const MARK: &str = "unneeded";
/// The longest mark that is read.
const LONGEST_MARK: usize = 16 << 20;
/// So many requests are under way at a time.
const AT_ONCE: usize = 16;

/// Looks after a store.
#[derive(Debug, Clone)]
pub struct Upkeep {
    shelf: Arc<dyn Shelf>,
}

/// What is in a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeUse {
    /// The name of its folder.
    pub scope: String,
    /// Its entries, by name.
    pub entries: Vec<EntryUse>,
    /// Bytes of all its packs and heads.
    pub stored: u64,
    /// Bytes of packs that no entry needs.
    pub unneeded: u64,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryUse {
    /// Its name: what is readable of its key, and a digest.
    pub name: String,
    /// When it was saved.
    pub saved: SystemTime,
    /// What its head says; `None` where that cannot be read.
    pub head: Option<Head>,
}

/// What a collection does.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// The longest that a job may live. A pack that no entry needs stays for as long: a save that goes on may be about to
    /// name it.
    pub longest_job: Duration,
    /// Entries that were saved longer ago than this go; `None`: none goes.
    pub unsaved_for: Option<Duration>,
    /// Nothing is changed: what would go is counted.
    pub is_rehearsal: bool,
}

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Entries that are gone.
    pub entries: u64,
    /// Packs that are gone.
    pub packs: u64,
    /// Bytes that are free.
    pub bytes: u64,
    /// Packs that go at a later time, if no entry needs them then.
    pub waiting_packs: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Scopes that were left alone, since the head of an entry in them cannot be read.
    pub unreadable_scopes: u64,
}

impl Collected {
    /// This and another one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            packs: self.packs + other.packs,
            bytes: self.bytes + other.bytes,
            waiting_packs: self.waiting_packs + other.waiting_packs,
            waiting_bytes: self.waiting_bytes + other.waiting_bytes,
            unreadable_scopes: self.unreadable_scopes + other.unreadable_scopes,
        }
    }
}

/// Since when, in seconds since 1970, packs are needed by no entry.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    unneeded: BTreeMap<String, u64>,
}

impl Upkeep {
    /// Upkeep of what is on `shelf`.
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self { shelf }
    }

    /// The folders that are scopes, or may be.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn scopes(&self) -> Result<Vec<String>> {
        let mut scopes = self.shelf.scopes().await?;
        scopes.sort_unstable();
        Ok(scopes)
    }

    /// What is in a scope; `None` where it is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn usage(&self, scope: &str) -> Result<Option<ScopeUse>> {
        let (heads, packs) = self.list(scope).await?;
        if heads.is_empty() && packs.is_empty() {
            return Ok(None);
        }
        let entries = self.entries(scope, &heads).await?;
        let needed = needed(&entries);
        let bytes = |objects: &[Shelved]| objects.iter().map(|object| object.size).sum::<u64>();
        let unneeded =
            packs.iter().filter(|pack| !needed.contains(pack.name.as_str())).map(|pack| pack.size).sum();
        let stored = bytes(&heads) + bytes(&packs);
        Ok(Some(ScopeUse { scope: scope.to_owned(), entries, stored, unneeded }))
    }

    /// Removes the entry of that name or of that key. Its packs go with a later collection.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none, and those of the store.
    pub async fn remove(&self, scope: &str, entry: &str) -> Result<String> {
        let heads = self.shelf.list(scope, Folder::Heads).await?;
        let of_key = name::unique(entry);
        let found = heads.into_iter().find(|head| head.name == entry || head.name == of_key);
        let Some(Shelved { name, .. }) = found else {
            return Err(Error::new(ErrorKind::NotFound, "find the entry").with("entry", entry));
        };
        self.shelf.remove(scope, &format!("{}/{name}", Folder::Heads.name())).await?;
        Ok(name)
    }

    /// Removes what nobody needs from a scope. A pack goes when an earlier collection, longer ago than the longest job, has
    /// seen already that no entry needs it.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Cancellation
    /// May be dropped: the next one does the rest.
    pub async fn collect(&self, scope: &str, what: &Collection) -> Result<Collected> {
        let mut collected = Collected::default();
        let (heads, packs) = self.list(scope).await?;
        if heads.is_empty() && packs.is_empty() {
            return Ok(collected);
        }
        let now = SystemTime::now();
        let is_old = |head: &Shelved| {
            what.unsaved_for.is_some_and(|span| now.duration_since(head.written).is_ok_and(|age| age > span))
        };
        let (old, kept): (Vec<_>, Vec<_>) = heads.into_iter().partition(is_old);
        collected.entries = amount(&old);
        collected.bytes += old.iter().map(|head| head.size).sum::<u64>();
        self.remove_all(scope, Folder::Heads, &old, what).await?;
        let entries = self.entries(scope, &kept).await?;
        if entries.iter().any(|entry| entry.head.is_none()) {
            collected.unreadable_scopes = 1;
            return Ok(collected);
        }
        let needed = needed(&entries);
        let mark = self.mark(scope).await?;
        let now = seconds(now);
        let is_ripe = |pack: &Shelved| {
            // A pack that is young may be one of a save whose mark is yet to come, whatever an old mark says.
            let since = mark.unneeded.get(&pack.name).map(|since| (*since).max(seconds(pack.written)));
            since.is_some_and(|since| since.saturating_add(what.longest_job.as_secs()) <= now)
        };
        let unneeded = packs.into_iter().filter(|pack| !needed.contains(pack.name.as_str()));
        let (ripe, waiting): (Vec<_>, Vec<_>) = unneeded.partition(is_ripe);
        collected.packs = amount(&ripe);
        collected.bytes += ripe.iter().map(|pack| pack.size).sum::<u64>();
        collected.waiting_packs = amount(&waiting);
        collected.waiting_bytes = waiting.iter().map(|pack| pack.size).sum();
        self.remove_all(scope, Folder::Packs, &ripe, what).await?;
        if !what.is_rehearsal {
            let since = |pack: Shelved| {
                let since = mark.unneeded.get(&pack.name).copied().unwrap_or(now);
                (pack.name, since)
            };
            self.set_mark(scope, Mark { unneeded: waiting.into_iter().map(since).collect() }).await?;
        }
        Ok(collected)
    }

    /// The same for all scopes, of entries that were not saved for so long. Returns how many bytes became free.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, unsaved_for: Duration) -> Result<u64> {
        let what = Collection {
            longest_job: Duration::from_hours(24),
            unsaved_for: Some(unsaved_for),
            is_rehearsal: false,
        };
        let mut bytes = 0;
        for scope in self.scopes().await? {
            bytes += self.collect(&scope, &what).await?.bytes;
        }
        Ok(bytes)
    }

    async fn list(&self, scope: &str) -> Result<(Vec<Shelved>, Vec<Shelved>)> {
        // In this order: a save that ends in between writes packs first, and its head names none that is not seen here as
        // one that is young.
        let heads = self.shelf.list(scope, Folder::Heads).await?;
        let packs = self.shelf.list(scope, Folder::Packs).await?;
        Ok((heads, packs))
    }

    async fn entries(&self, scope: &str, heads: &[Shelved]) -> Result<Vec<EntryUse>> {
        let read = heads.iter().cloned().map(|head| {
            let (store, scope) = (Arc::clone(&self.shelf), scope.to_owned());
            async move { entry(&*store, &scope, head).await }
        });
        let all: Vec<Result<Option<EntryUse>>> = stream::iter(read).buffered(AT_ONCE).collect().await;
        all.into_iter().filter_map(Result::transpose).collect()
    }

    async fn remove_all(
        &self,
        scope: &str,
        folder: Folder,
        objects: &[Shelved],
        what: &Collection,
    ) -> Result<()> {
        if what.is_rehearsal {
            return Ok(());
        }
        let removed = objects.iter().cloned().map(|object| {
            let (store, scope) = (Arc::clone(&self.shelf), scope.to_owned());
            async move { store.remove(&scope, &format!("{}/{}", folder.name(), object.name)).await }
        });
        let all: Vec<Result<()>> = stream::iter(removed).buffer_unordered(AT_ONCE).collect().await;
        all.into_iter().collect()
    }

    /// What the last collection has seen. A mark that cannot be read is none: packs wait once more.
    async fn mark(&self, scope: &str) -> Result<Mark> {
        let content = self.shelf.read(scope, MARK, LONGEST_MARK).await?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default())
    }

    async fn set_mark(&self, scope: &str, mark: Mark) -> Result<()> {
        if mark.unneeded.is_empty() {
            return self.shelf.remove(scope, MARK).await;
        }
        let text = serde_json::to_vec(&mark)
            .map_err(|cause| Error::new(ErrorKind::Internal, "write what a collection saw").because(cause))?;
        self.shelf.write(scope, MARK, Bytes::from(text)).await
    }
}

/// The entry of a head; `None` where it is gone by now.
async fn entry(shelf: &dyn Shelf, scope: &str, head: Shelved) -> Result<Option<EntryUse>> {
    let name = format!("{}/{}", Folder::Heads.name(), head.name);
    let content = match shelf.read(scope, &name, head::LARGEST).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        Ok(None) => return Ok(None),
        read => read?,
    };
    let parsed = content.and_then(|content| Head::parse(&content).ok());
    Ok(Some(EntryUse { name: head.name, saved: head.written, head: parsed }))
}

/// The packs that entries name.
fn needed(entries: &[EntryUse]) -> HashSet<&str> {
    let heads = entries.iter().filter_map(|entry| entry.head.as_ref());
    heads.flat_map(|head| &head.packs).map(|pack| pack.name.as_str()).collect()
}

fn amount(objects: &[Shelved]) -> u64 {
    u64::try_from(objects.len()).unwrap_or(u64::MAX)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs())
}

#[cfg(test)]
mod tests;
