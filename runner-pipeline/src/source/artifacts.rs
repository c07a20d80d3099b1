//! Watches a job's uploads: a dotenv report sets variables of later jobs, an archive is told to them.

use std::{
    io::{self, Read},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use runner_core::{
    ArtifactStore, ArtifactUpload, Error, ErrorKind, JobId, Result,
    artifact::ByteStream,
    job::{ArtifactFormat, Dependency, DependencyFile, Variable},
};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::shared::Shared;
use crate::dotenv::{self, DotenvError};

/// So far a dotenv report is unpacked, in bytes; what fits into the limit of the packed file is far smaller.
const UNPACKED_LIMIT: u64 = 1 << 20;

/// The artifacts of one attempt of one job.
#[derive(Debug)]
pub(super) struct WatchedArtifacts {
    pub(super) inner: Arc<dyn ArtifactStore>,
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) id: JobId,
}

#[async_trait]
impl ArtifactStore for WatchedArtifacts {
    async fn upload(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
        match artifact.kind.as_str() {
            "dotenv" => self.upload_dotenv(artifact, body).await,
            "archive" => self.upload_archive(artifact, body).await,
            _ => self.inner.upload(artifact, body).await,
        }
    }

    async fn download(&self, dependency: &Dependency) -> Result<ByteStream> {
        self.inner.download(dependency).await
    }
}

impl WatchedArtifacts {
    async fn upload_dotenv(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
        let refused =
            || Error::new(ErrorKind::Invalid, "read the dotenv report").with("file", &artifact.filename);
        let mut bytes = Vec::new();
        body.take(UNPACKED_LIMIT)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| Error::new(ErrorKind::Internal, "read the dotenv report").because(error))?;
        let variables = variables(artifact.format, &bytes).map_err(|error| refused().because(error))?;
        self.inner.upload(artifact, Box::new(io::Cursor::new(bytes))).await?;
        self.shared.change(|run| {
            if let Some(job) = run.attempt(self.index, &self.id) {
                job.dotenv.extend(variables);
            }
        });
        Ok(())
    }

    async fn upload_archive(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
        let count = Arc::new(AtomicU64::new(0));
        let body = Counted { body, count: Arc::clone(&count) };
        self.inner.upload(artifact, Box::new(body)).await?;
        let file =
            DependencyFile { filename: artifact.filename.clone(), size: count.load(Ordering::Relaxed) };
        self.shared.change(|run| {
            if let Some(job) = run.attempt(self.index, &self.id) {
                job.archive = Some(file);
            }
        });
        Ok(())
    }
}

/// The variables of a report as it was sent.
fn variables(format: ArtifactFormat, bytes: &[u8]) -> Result<Vec<Variable>, DotenvError> {
    if bytes.len() >= dotenv::SIZE_LIMIT {
        return Err(DotenvError::TooLarge(bytes.len()));
    }
    match format {
        ArtifactFormat::Raw => dotenv::parse(bytes),
        ArtifactFormat::Gzip => {
            let mut text = Vec::new();
            let unpacked =
                flate2::read::MultiGzDecoder::new(bytes).take(UNPACKED_LIMIT).read_to_end(&mut text);
            unpacked.map_err(|_| DotenvError::Packing)?;
            dotenv::parse(&text)
        }
        ArtifactFormat::Zip => Err(DotenvError::Packing),
    }
}

/// Counts what is read.
struct Counted {
    body: ByteStream,
    count: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.body).poll_read(context, buffer);
        let length = buffer.filled().len() - before;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        poll
    }
}
