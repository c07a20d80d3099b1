//! The directory, as upkeep sees it.

use std::{
    fs::FileType,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{Error, ErrorKind, Result};

use super::{DirectoryCache, PARTIAL};
use crate::{
    blocking, io_error, name,
    shelf::{Folder, Shelf, Shelved},
    upkeep::Upkeep,
};

/// The objects below a directory.
#[derive(Debug)]
struct Below(PathBuf);

impl DirectoryCache {
    /// Looks after what is in the directory.
    pub fn upkeep(&self) -> Upkeep {
        Upkeep::new(Arc::new(Below(self.root.clone())))
    }
}

#[async_trait]
impl Shelf for Below {
    async fn scopes(&self) -> Result<Vec<String>> {
        let root = self.0.clone();
        blocking::run(move |_| {
            let named = files(&root, FileType::is_dir);
            named
                .map_err(|cause| io_error("list the caches", cause))
                .map(|found| found.into_iter().map(|(name, _)| name).collect())
        })
        .await
    }

    async fn list(&self, scope: &str, folder: Folder) -> Result<Vec<Shelved>> {
        let place = self.0.join(scope).join(folder.name());
        blocking::run(move |_| {
            let listed = files(&place, FileType::is_file).and_then(|found| {
                let published = found.into_iter().filter(|(name, _)| !name.ends_with(PARTIAL));
                published
                    .map(|(name, metadata)| {
                        Ok(Shelved { name, size: metadata.len(), written: metadata.modified()? })
                    })
                    .collect()
            });
            listed.map_err(|cause| io_error("list a cache", cause))
        })
        .await
    }

    async fn read(&self, scope: &str, name: &str, limit: usize) -> Result<Option<Bytes>> {
        let place = self.0.join(scope).join(name);
        blocking::run(move |_| {
            let read = read(&place, limit as u64 + 1).map_err(|cause| io_error("read of a cache", cause))?;
            match read {
                Some(bytes) if bytes.len() > limit => {
                    Err(Error::new(ErrorKind::Corrupt, "read of a cache")
                        .with("it has more bytes than", limit))
                }
                read => Ok(read.map(Bytes::from)),
            }
        })
        .await
    }

    async fn write(&self, scope: &str, name: &str, content: Bytes) -> Result<()> {
        let place = self.0.join(scope).join(name);
        let partial = self.0.join(scope).join(format!("{}{PARTIAL}", name::write_id()?));
        blocking::run(move |_| {
            let written = fs_err::File::create_new(&partial)
                .and_then(|mut file| file.write_all(&content))
                .and_then(|()| fs_err::rename(&partial, &place));
            written.map_err(|cause| io_error("write to a cache", cause))
        })
        .await
    }

    async fn remove(&self, scope: &str, name: &str) -> Result<()> {
        let place = self.0.join(scope).join(name);
        blocking::run(move |_| match fs_err::remove_file(&place) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove from a cache", cause))
            }
            _ => Ok(()),
        })
        .await
    }
}

/// What is in a folder, which need not be there. What vanishes meanwhile is left out.
fn files(folder: &Path, wanted: impl Fn(&FileType) -> bool) -> io::Result<Vec<(String, std::fs::Metadata)>> {
    let entries = match fs_err::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (Ok(kind), Ok(metadata), Ok(name)) =
            (entry.file_type(), entry.metadata(), entry.file_name().into_string())
        else {
            continue;
        };
        if wanted(&kind) {
            found.push((name, metadata));
        }
    }
    Ok(found)
}

fn read(place: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match fs_err::File::open(place) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
