//! An artifact store in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use runner_core::{
    ArtifactStore, ArtifactUpload, Error, ErrorKind, Result, artifact::ByteStream, job::Dependency,
};
use tokio::io::AsyncReadExt;

/// An [`ArtifactStore`] in memory, shared by all jobs of a test. [`ArtifactStore::download`] finds an archive that was
/// [put](Self::put) under the name of the job.
#[derive(Debug, Default)]
pub struct MemoryArtifacts {
    uploads: Mutex<Vec<(ArtifactUpload, Vec<u8>)>>,
    archives: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryArtifacts {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes `archive` the artifacts of the job of that name.
    pub fn put(&self, job: &str, archive: Vec<u8>) {
        self.archives.lock().unwrap_or_else(PoisonError::into_inner).insert(job.to_owned(), archive);
    }

    /// What was uploaded, in order.
    pub fn uploads(&self) -> Vec<(ArtifactUpload, Vec<u8>)> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl ArtifactStore for MemoryArtifacts {
    async fn upload(&self, artifact: &ArtifactUpload, mut body: ByteStream) -> Result<()> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)
            .await
            .map_err(|error| Error::new(ErrorKind::Internal, "read an artifact").because(error))?;
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).push((artifact.clone(), bytes));
        Ok(())
    }

    async fn download(&self, dependency: &Dependency) -> Result<ByteStream> {
        let archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        match archives.get(&dependency.name) {
            Some(archive) => Ok(Box::new(std::io::Cursor::new(archive.clone()))),
            None => Err(Error::new(ErrorKind::NotFound, "find the artifacts").with("job", &dependency.name)),
        }
    }
}
