//! A cache in a directory of this machine.

use std::{
    io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use runner_core::{
    CacheBackend, CacheScope, Error, ErrorKind, Finding, Location, ReadGrant, Result, Severity, WriteGrant,
    cache::Object,
};

use crate::{archive::OBJECT, blocking, io_error, name};

mod sweep;

/// How the file of an entry ends.
const ENDING: &str = ".tar.zst";
/// How the file of a write that is not published ends.
const PARTIAL: &str = ".partial";

/// Keeps entries below a directory: a folder per scope, in it one archive per key.
///
/// ```text
/// <root>/<scope>/<key>.tar.zst            an entry; its time of change is that of its last use
/// <root>/<scope>/<key>.<write>.partial    a write that is not published
/// ```
/// Names are made of the scope's and the key's text by [`name::unique`]: no key leads out of its scope. An entry is
/// replaced by renaming, so a reader sees the old one or the new one. Several processes may use one directory.
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
        self.scope(scope).join(format!("{}{ENDING}", name::unique(key)))
    }

    fn partial(&self, grant: &WriteGrant) -> Result<PathBuf> {
        let is_ours = grant.id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if !is_ours || grant.id.is_empty() {
            return Err(
                Error::new(ErrorKind::Invalid, "use the right to write a cache").with("id", &grant.id)
            );
        }
        let file = format!("{}.{}{PARTIAL}", name::unique(&grant.key), grant.id);
        Ok(self.scope(&grant.scope).join(file))
    }

    fn scope(&self, scope: &CacheScope) -> PathBuf {
        let CacheScope { runner, project, protected } = scope;
        // Zero bytes are in neither name, so two scopes never become the same text.
        let text = format!("{runner}\0{project}\0{}", if *protected { "protected" } else { "open" });
        self.root.join(name::unique(&text))
    }
}

#[async_trait]
impl CacheBackend for DirectoryCache {
    async fn check(&self, create: bool) -> Vec<Finding> {
        let root = self.root.clone();
        let checked = blocking::run(move |_| Ok(check(&root, create))).await;
        checked.unwrap_or_else(|error| Some(unusable(&self.root, &error.chain()))).into_iter().collect()
    }

    async fn lookup(&self, scope: &CacheScope, key: &str, fallbacks: &[String]) -> Result<Option<ReadGrant>> {
        let keys = std::iter::once(key).chain(fallbacks.iter().map(String::as_str));
        let places: Vec<_> = keys.map(|key| (key.to_owned(), self.entry(scope, key))).collect();
        blocking::run(move |_| {
            for (key, place) in places {
                if is_there(&place).map_err(|cause| io_error("look for a cache", cause))? {
                    return Ok(Some(ReadGrant { key, objects: vec![object(&place)?] }));
                }
            }
            Ok(None)
        })
        .await
    }

    async fn begin(&self, scope: &CacheScope, key: &str) -> Result<WriteGrant> {
        let mut grant =
            WriteGrant { scope: scope.clone(), key: key.to_owned(), id: write_id(), objects: Vec::new() };
        let place = self.partial(&grant)?;
        grant.objects.push(object(&place)?);
        blocking::run(move |_| {
            let made = place.parent().map_or(Ok(()), fs_err::create_dir_all);
            // The file is made now, so that a cache that cannot be written is found before anything is packed, and
            // no sweep removes the folder.
            let made = made.and_then(|()| fs_err::File::create_new(&place).map(drop));
            made.map_err(|cause| io_error("begin to write a cache", cause))
        })
        .await?;
        Ok(grant)
    }

    async fn publish(&self, grant: &WriteGrant) -> Result<()> {
        let (partial, entry) = (self.partial(grant)?, self.entry(&grant.scope, &grant.key));
        blocking::run(move |_| publish(&partial, &entry)).await
    }

    async fn abort(&self, grant: &WriteGrant) -> Result<()> {
        let partial = self.partial(grant)?;
        blocking::run(move |_| match fs_err::remove_file(&partial) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error("drop a cache", cause)),
            _ => Ok(()),
        })
        .await
    }

    async fn sweep(&self, unused_for: Duration) -> Result<u64> {
        let root = self.root.clone();
        blocking::run(move |interrupt| sweep::sweep(&root, unused_for, interrupt)).await
    }
}

/// Whether there is an entry; if so, it was used now. That it could not be noted is no reason not to use it.
fn is_there(place: &Path) -> io::Result<bool> {
    match fs_err::File::open(place) {
        Ok(file) => {
            drop(file.set_modified(SystemTime::now()));
            Ok(true)
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

fn publish(partial: &Path, entry: &Path) -> Result<()> {
    let failed = |cause| io_error("publish a cache", cause);
    // Not synced to the disk first: that costs seconds, and an entry that a power cut cut short is found by its seal.
    match fs_err::rename(partial, entry) {
        // Published before, or aborted: then the entry, if there is one, is that of another write.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && entry.exists() => Ok(()),
        renamed => renamed.map_err(failed),
    }
}

fn check(root: &Path, create: bool) -> Option<Finding> {
    if create && let Err(cause) = fs_err::create_dir_all(root) {
        return Some(unusable(root, &cause.to_string()));
    }
    if let Err(cause) = fs_err::read_dir(root) {
        return Some(unusable(root, &cause.to_string()));
    }
    let probe = root.join(format!("check.{}{PARTIAL}", write_id()));
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

fn object(place: &Path) -> Result<Object> {
    let Some(path) = place.to_str() else {
        return Err(
            Error::new(ErrorKind::Invalid, "name a cache's file in UTF-8").with("path", place.display())
        );
    };
    Ok(Object { name: OBJECT.into(), location: Location::Path(path.into()) })
}

/// Different for each write of this process, and of others: their id, or the time of their start, differs.
fn write_id() -> String {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{:x}-{now:x}-{:x}", process::id(), WRITES.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests;
