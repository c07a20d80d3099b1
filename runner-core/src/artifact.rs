//! Where artifacts go to and come from.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;

use crate::{
    Error, ErrorKind, Result,
    job::{ArtifactFormat, Dependency},
};

/// Bytes that are read as a stream.
pub type ByteStream = Box<dyn AsyncRead + Send + Unpin>;

/// Stores and hands out the artifacts of one job.
///
/// # Contract
/// The implementer streams: it never holds a whole artifact in memory. An upload counts only when
/// [`upload`](Self::upload) returned `Ok`; half of one is never handed out.
///
/// # Cancellation
/// A dropped upload leaves nothing that anybody can download.
///
/// # Errors
/// Those that [may be retried](crate::Error::is_retryable) are; the caller makes a new stream for each try.
#[async_trait]
pub trait ArtifactStore: Send + Sync + fmt::Debug {
    /// Stores one artifact. `body` ends with an error where the caller could not read a file: then nothing is stored.
    async fn upload(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()>;

    /// The archive of an earlier job, as a zip file.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where it is gone.
    async fn download(&self, dependency: &Dependency) -> Result<ByteStream>;
}

/// What is uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactUpload {
    /// The file's name, with its ending.
    pub filename: String,
    /// `archive`, or the kind of a report.
    pub kind: String,
    /// How the body is packed.
    pub format: ArtifactFormat,
    /// How long it is kept, as in [`ArtifactSpec`](crate::job::ArtifactSpec).
    pub expire_in: Option<Duration>,
}

/// Keeps nothing: a job that has artifacts fails where this is its store.
#[derive(Debug)]
pub struct NoArtifacts;

fn no_artifacts() -> Error {
    Error::new(ErrorKind::Unsupported, "keep artifacts: nobody is there who takes them")
}

#[async_trait]
impl ArtifactStore for NoArtifacts {
    async fn upload(&self, _artifact: &ArtifactUpload, _body: ByteStream) -> Result<()> {
        Err(no_artifacts())
    }

    async fn download(&self, _dependency: &Dependency) -> Result<ByteStream> {
        Err(no_artifacts())
    }
}
