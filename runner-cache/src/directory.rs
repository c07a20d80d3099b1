//! A cache in a directory of this machine.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use runner_core::{
    CacheBackend, CacheFormat, CacheScope, Error, ErrorKind, Finding, Location, ReadGrant, Result, Severity,
    WriteGrant,
    cache::{HEAD, Object},
};

use crate::{
    blocking,
    head::{self, Head, PackName},
    io_error, name,
};

mod sweep;
mod upkeep;

/// The folder of a scope in which heads are.
const HEADS: &str = "heads";
/// The folder of a scope in which packs are.
const PACKS: &str = "packs";
/// How the file of a head ends that is not published.
const PARTIAL: &str = ".partial";
/// So many packs may be written of one entry: as many as where each of them must be signed.
const MOST_WRITTEN: usize = 256;

/// Keeps entries below a directory: a folder per scope, in it a head per key and the packs that heads name.
///
/// ```text
/// <root>/<scope>/heads/<key>                    a head; its time of change is that of its last use
/// <root>/<scope>/heads/<key>.<write>.partial    a head that is not published
/// <root>/<scope>/packs/<write>-<number>         a pack; its time of change is that of the last save that named it
/// ```
/// Names are made of the scope's and the key's text by [`name::unique`]: no key leads out of its scope. An entry is
/// replaced by renaming its head, so a reader sees the old one or the new one. Several processes may use one directory.
#[derive(Debug, Clone)]
pub struct DirectoryCache {
    root: PathBuf,
}

impl DirectoryCache {
    /// A cache below `root`. Nothing is touched before the first call; a root that does not exist is made by the
    /// first [`begin`](CacheBackend::begin).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn entry(&self, scope: &CacheScope, key: &str) -> PathBuf {
        self.scope(scope).join(HEADS).join(name::unique(key))
    }

    fn partial(&self, grant: &WriteGrant) -> Result<PathBuf> {
        if !head::is_write_id(&grant.id) {
            return Err(
                Error::new(ErrorKind::Invalid, "use the right to write a cache").with("id", &grant.id)
            );
        }
        let file = format!("{}.{}{PARTIAL}", name::unique(&grant.key), grant.id);
        Ok(self.scope(&grant.scope).join(HEADS).join(file))
    }

    fn scope(&self, scope: &CacheScope) -> PathBuf {
        self.root.join(name::of_scope(scope))
    }

    fn find(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>> {
        for key in std::iter::once(key).chain(fallbacks.iter().map(String::as_str)) {
            let read =
                read_head(&self.entry(scope, key)).map_err(|cause| io_error("look for a cache", cause))?;
            let Some((text, head)) = read else { continue };
            let packs = self.scope(scope).join(PACKS);
            let objects =
                head.packs.iter().map(|pack| object(pack.name.as_str(), &packs.join(pack.name.as_str())));
            let objects = objects.collect::<Result<_>>()?;
            return Ok(Some(ReadGrant {
                key: key.to_owned(),
                format: CacheFormat::Packs,
                head: text,
                objects,
            }));
        }
        Ok(None)
    }

    fn grant(&self, scope: &CacheScope, key: &str, base: Option<ReadGrant>) -> Result<WriteGrant> {
        let id = name::write_id()?;
        let packs = self.scope(scope).join(PACKS);
        let names = (0..MOST_WRITTEN).filter_map(|number| PackName::new(&id, number));
        let objects = names.map(|name| object(name.as_str(), &packs.join(name.as_str())));
        let objects = objects.collect::<Result<_>>()?;
        let mut grant = WriteGrant {
            scope: scope.clone(),
            key: key.to_owned(),
            id,
            format: CacheFormat::Packs,
            base,
            limit: None,
            objects,
        };
        let partial = self.partial(&grant)?;
        let made = fs_err::create_dir_all(&packs)
            .and_then(|()| partial.parent().map_or(Ok(()), fs_err::create_dir_all))
            // The file is made now, so that a cache that cannot be written is found before anything is packed, and no
            // sweep removes the folder.
            .and_then(|()| fs_err::File::create_new(&partial).map(drop));
        made.map_err(|cause| io_error("begin to write a cache", cause))?;
        grant.objects.push(object(HEAD, &partial)?);
        Ok(grant)
    }
}

#[async_trait]
impl CacheBackend for DirectoryCache {
    fn lasting(self: Arc<Self>, _lifetime: Duration) -> Arc<dyn CacheBackend> {
        self
    }

    fn authorities(&self) -> Option<&str> {
        None
    }

    async fn check(&self, create: bool) -> Vec<Finding> {
        let root = self.root.clone();
        let checked = blocking::run(move |_| Ok(check(&root, create))).await;
        checked.unwrap_or_else(|error| Some(unusable(&self.root, &error.chain()))).into_iter().collect()
    }

    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>> {
        let (cache, scope, key, fallbacks) =
            (self.clone(), scope.clone(), key.to_owned(), fallbacks.to_owned());
        blocking::run(move |_| cache.find(&scope, &key, &fallbacks)).await
    }

    async fn begin(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<WriteGrant> {
        let (cache, scope, key, fallbacks) =
            (self.clone(), scope.clone(), key.to_owned(), fallbacks.to_owned());
        blocking::run(move |_| {
            let base = cache.find(&scope, &key, &fallbacks)?;
            cache.grant(&scope, &key, base)
        })
        .await
    }

    async fn publish(&self, grant: &WriteGrant) -> Result<()> {
        let (partial, entry) = (self.partial(grant)?, self.entry(&grant.scope, &grant.key));
        let packs = self.scope(&grant.scope).join(PACKS);
        blocking::run(move |_| publish(&partial, &entry, &packs)).await
    }

    async fn abort(&self, grant: &WriteGrant) -> Result<()> {
        let partial = self.partial(grant)?;
        let packs = self.scope(&grant.scope).join(PACKS);
        let id = grant.id.clone();
        blocking::run(move |_| abort(&partial, &packs, &id).map_err(|cause| io_error("drop a cache", cause)))
            .await
    }

    async fn sweep(&self, unused_for: Duration) -> Result<u64> {
        let root = self.root.clone();
        blocking::run(move |interrupt| sweep::sweep(&root, unused_for, interrupt)).await
    }
}

/// The head at `place`, if there is one; if so, it was used now. That this could not be noted is no reason not to use it.
fn read_head(place: &Path) -> io::Result<Option<(String, Head)>> {
    let read = read_without_use(place)?;
    if read.is_some() {
        drop(fs_err::File::open(place).and_then(|file| file.set_modified(SystemTime::now())));
    }
    Ok(read.map(|head| (head.to_text(), head)))
}

/// The head at `place`. One that is none counts as not there: the next save replaces it.
fn read_without_use(place: &Path) -> io::Result<Option<Head>> {
    let file = match fs_err::File::open(place) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(head::LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Head::parse(&bytes).ok())
}

fn publish(partial: &Path, entry: &Path, packs: &Path) -> Result<()> {
    let failed = |cause| io_error("publish a cache", cause);
    match read_head(partial) {
        Ok(Some((_, head))) => {
            // From now on they are as young as this entry, so that no sweep takes them between two saves that name them.
            for pack in &head.packs {
                let place = packs.join(pack.name.as_str());
                let touched = fs_err::File::open(place).and_then(|file| file.set_modified(SystemTime::now()));
                touched.map_err(failed)?;
            }
        }
        // Published before, or nothing had to be written.
        _ if entry.exists() => return remove_if_there(partial).map_err(failed),
        Ok(None) => return Err(failed(io::ErrorKind::NotFound.into())),
        Err(cause) => return Err(failed(cause)),
    }
    // Not synced to the disk first: that costs seconds, and what a power cut cut short is found by its digests.
    match fs_err::rename(partial, entry) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && entry.exists() => Ok(()),
        renamed => renamed.map_err(failed),
    }
}

fn abort(partial: &Path, packs: &Path, id: &str) -> io::Result<()> {
    for number in 0..MOST_WRITTEN {
        let Some(name) = PackName::new(id, number) else { break };
        remove_if_there(&packs.join(name.as_str()))?;
    }
    remove_if_there(partial)
}

fn remove_if_there(place: &Path) -> io::Result<()> {
    match fs_err::remove_file(place) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn check(root: &Path, create: bool) -> Option<Finding> {
    if create && let Err(cause) = fs_err::create_dir_all(root) {
        return Some(unusable(root, &cause.to_string()));
    }
    if let Err(cause) = fs_err::read_dir(root) {
        return Some(unusable(root, &cause.to_string()));
    }
    let id = name::write_id().unwrap_or_default();
    let probe = root.join(format!("check.{id}{PARTIAL}"));
    let written = fs_err::write(&probe, "x").and_then(|()| fs_err::remove_file(&probe));
    written.err().map(|cause| unusable(root, &cause.to_string()))
}

fn unusable(root: &Path, cause: &str) -> Finding {
    let root = root.display();
    Finding {
        severity: Severity::Warning,
        message: format!("The cache directory {root} cannot be used, so jobs run without a cache: {cause}."),
        mend: format!("mkdir -p '{root}', and let the user that runs jobs write to it"),
    }
}

fn object(name: &str, place: &Path) -> Result<Object> {
    let Some(path) = place.to_str() else {
        return Err(
            Error::new(ErrorKind::Invalid, "name a cache's file in UTF-8").with("path", place.display())
        );
    };
    Ok(Object { name: name.into(), location: Location::Path(path.into()) })
}

#[cfg(test)]
mod tests;
