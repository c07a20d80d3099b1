//! Bytes on their way that must be read from the end, in a file without a name.

use std::{
    fs::File,
    io::{self, Seek},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use runner_cache::{blocking, io_error};
use runner_core::{Result, artifact::ByteStream};
use tokio::io::AsyncWriteExt;

const OPERATION: &str = "download the artifacts";

/// A file that is gone when it is dropped, also where we are killed.
#[derive(Debug)]
pub(super) struct Spool(File);

impl Spool {
    /// Reads `stream` to its end, into a file in `folder`.
    ///
    /// # Errors
    /// Those of the stream, which may pass, and of the file system.
    pub(super) async fn fill(folder: &Path, mut stream: ByteStream) -> Result<Self> {
        let place = unused_name(folder);
        let file =
            blocking::run(move |_| nameless(&place).map_err(|cause| io_error(OPERATION, cause))).await?;
        let mut file = tokio::fs::File::from_std(file);
        tokio::io::copy(&mut stream, &mut file).await.map_err(interrupted)?;
        file.flush().await.map_err(interrupted)?;
        let mut file = file.into_std().await;
        file.rewind().map_err(interrupted)?;
        Ok(Self(file))
    }

    pub(super) fn into_file(self) -> File {
        self.0
    }
}

fn nameless(place: &Path) -> io::Result<File> {
    let file = fs_err::OpenOptions::new().read(true).write(true).create_new(true).open(place)?;
    fs_err::remove_file(place)?;
    Ok(file.into_file())
}

fn unused_name(folder: &Path) -> PathBuf {
    static SPOOLS: AtomicU64 = AtomicU64::new(0);
    folder.join(format!(".artifacts-{}-{}", process::id(), SPOOLS.fetch_add(1, Ordering::Relaxed)))
}

/// A connection that breaks may hold next time; a disk that is full will not.
fn interrupted(cause: io::Error) -> runner_core::Error {
    let error = io_error(OPERATION, cause);
    let may_pass = matches!(
        error.kind(),
        runner_core::ErrorKind::Internal | runner_core::ErrorKind::TimedOut | runner_core::ErrorKind::Corrupt
    );
    error.retryable(may_pass)
}
