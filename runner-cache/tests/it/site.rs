//! A tree to save, a cache in a directory, and an empty tree to restore to.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use runner_cache::{
    DirectoryCache, Kept, Restored, SaveOptions, Saved, Source, Transfer,
    reader::{Facts, Kind, OwnFiles, TreeReader},
    restore, save,
};
use runner_core::{CacheBackend, CacheScope, Result};
use tempfile::TempDir;

use crate::tree::{paths, picture};

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) all: TempDir,
    pub(crate) cache: DirectoryCache,
    pub(crate) transfer: Transfer,
    pub(crate) reader: Arc<Counting>,
}

/// Counts the files whose content is read.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicUsize);

impl Counting {
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl TreeReader for Counting {
    fn facts(&self, path: &Path) -> io::Result<Facts> {
        OwnFiles.facts(path)
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        OwnFiles.entries(path)
    }

    fn content(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        OwnFiles.content(path)
    }

    fn file(&self, path: &Path) -> io::Result<Option<File>> {
        OwnFiles.file(path)
    }
}

pub(crate) fn scope() -> CacheScope {
    CacheScope { runner: String::new(), project: "1".into(), protected: false }
}

impl Site {
    pub(crate) fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        for name in ["from", "to"] {
            fs_err::create_dir(all.path().join(name)).unwrap();
        }
        let cache = DirectoryCache::new(all.path().join("cache"));
        Self { all, cache, transfer: Transfer::default(), reader: Arc::default() }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.all.path().join(name)
    }

    /// Writes a file of the tree to save.
    pub(crate) fn put(&self, name: impl AsRef<Path>, content: &[u8]) {
        let place = self.path("from").join(name);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        // As editors and package managers do it: a new file.
        drop(fs_err::remove_file(&place));
        fs_err::File::create_new(place).unwrap().write_all(content).unwrap();
    }

    /// Saves `root` whole.
    pub(crate) async fn save_as(
        &self,
        root: &str,
        key: &str,
        fallbacks: &[&str],
        options: SaveOptions,
    ) -> Result<Saved> {
        let fallbacks: Vec<_> = fallbacks.iter().map(|key| (*key).to_owned()).collect();
        let grant = self.cache.begin(&scope(), key, &fallbacks).await?;
        let root = self.path(root);
        let files = paths(&root);
        let source = Source { root, files, reader: Arc::clone(&self.reader) as Arc<dyn TreeReader> };
        match save(&grant, source, options, &self.transfer).await {
            Ok(saved) => self.cache.publish(&grant).await.map(|()| saved),
            Err(error) => {
                self.cache.abort(&grant).await?;
                Err(error)
            }
        }
    }

    pub(crate) async fn save(&self) -> Result<Saved> {
        self.save_as("from", "key", &[], SaveOptions::default()).await
    }

    /// Saves what was restored, after that was kept in mind.
    pub(crate) async fn save_again(&self, key: &str, fallbacks: &[&str], kept: &Kept) -> Result<Saved> {
        let kept = Some(Arc::new(kept.clone()));
        self.save_as("to", key, fallbacks, SaveOptions { kept, ..SaveOptions::default() }).await
    }

    pub(crate) async fn restore(&self) -> Result<Restored> {
        let grant = self.cache.lookup(&scope(), "key", &[]).await?.unwrap();
        restore(&grant, &self.path("to"), &self.transfer).await
    }

    pub(crate) fn assert_same(&self) {
        assert_eq!(picture(&self.path("from")), picture(&self.path("to")));
    }

    /// All objects of the cache.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        let cache = self.path("cache");
        let mut places: Vec<_> = paths(&cache).into_iter().map(|path| cache.join(path)).collect();
        places.retain(|place| place.is_file());
        places.sort_unstable();
        places
    }
}

/// Bytes that nothing makes smaller, the same for the same seed.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes
}
