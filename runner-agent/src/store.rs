//! Artifacts in a directory: for people to look at, and for later jobs.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use runner_cache::{blocking, ensure_space, io_error, name};
use runner_core::{
    ArtifactStore, ArtifactUpload, Error, ErrorKind, Result,
    artifact::ByteStream,
    job::{ArtifactFormat, Dependency},
};
use tokio::{io::AsyncWriteExt, sync::OnceCell};

use crate::archive::{extract_to_look_at, unpack_members};

const OPERATION: &str = "store the artifacts";
/// The folder of the archives, hidden from people.
const ARCHIVES: &str = ".archives";
/// The folder of a job's reports, beside the files of its archive.
const REPORTS: &str = "reports";
/// More than a gzip member may unpack to is a mistake, or an attack.
const LARGEST_REPORT: u64 = 1 << 34;

/// Keeps the artifacts of one job below a directory that all jobs share:
///
/// ```text
/// <root>/<job>/                       the files of its archive
/// <root>/<job>/reports/<kind>/        its reports, unpacked
/// <root>/.archives/<job>.zip          the archive itself, for later jobs
/// ```
/// The name of a job's folder is [`name::folder`] of its name. What an earlier run of the job left is removed before the
/// first upload.
#[derive(Debug)]
pub struct DirectoryArtifacts {
    root: PathBuf,
    job: String,
    cleared: OnceCell<()>,
}

impl DirectoryArtifacts {
    /// The artifacts of the job of that name, below `root`. Nothing is touched before the first call.
    pub fn new(root: impl Into<PathBuf>, job: impl Into<String>) -> Self {
        Self { root: root.into(), job: job.into(), cleared: OnceCell::new() }
    }

    /// The folder with the files of the job's archive and its reports. Made by the first upload.
    pub fn folder(&self) -> PathBuf {
        self.root.join(name::folder(&self.job))
    }

    /// Removes what an earlier run of the job left, once. Called before the first upload; a caller that wants no
    /// artifacts of an earlier run to be downloaded calls it before the job starts.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub async fn clear(&self) -> Result<()> {
        let (folder, archive) = (self.folder(), self.archive(&self.job));
        let (archives, job) = (self.root.join(ARCHIVES), name::folder(&self.job));
        let clear = || {
            blocking::run(move |_| {
                let removed = absent_is_fine(fs_err::remove_file(archive))
                    .and_then(|()| absent_is_fine(fs_err::remove_dir_all(folder)))
                    .and_then(|()| absent_is_fine(remove_partials(&archives, &job)));
                removed.map_err(|cause| io_error("remove artifacts of an earlier run", cause))
            })
        };
        self.cleared.get_or_try_init(clear).await.map(drop)
    }

    fn archive(&self, job: &str) -> PathBuf {
        self.root.join(ARCHIVES).join(format!("{}.zip", name::folder(job)))
    }

    /// Where a body is spooled to. What is left there is removed when the job has its next upload.
    fn partial(&self) -> Partial {
        static UPLOADS: AtomicU64 = AtomicU64::new(0);
        let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
        let file = format!(".{}.{}-{number}.partial", name::folder(&self.job), process::id());
        Partial(self.root.join(ARCHIVES).join(file))
    }
}

#[async_trait]
impl ArtifactStore for DirectoryArtifacts {
    async fn upload(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
        self.clear().await?;
        let partial = self.partial();
        receive(&partial.0, body).await?;
        let is_archive = artifact.kind == "archive" && artifact.format == ArtifactFormat::Zip;
        let folder = match artifact.kind.as_str() {
            "archive" => self.folder(),
            kind => self.folder().join(REPORTS).join(name::folder(kind)),
        };
        let (artifact, archive) = (artifact.clone(), self.archive(&self.job));
        blocking::run(move |interrupt| {
            let failed = |cause| io_error(OPERATION, cause);
            let file = fs_err::File::open(&partial.0).map_err(failed)?.into_file();
            fs_err::create_dir_all(&folder).map_err(failed)?;
            unpack(file, &artifact, &folder, interrupt)?;
            // Only now can it be downloaded.
            if is_archive { fs_err::rename(&partial.0, archive).map_err(failed) } else { Ok(()) }
        })
        .await
    }

    async fn download(&self, dependency: &Dependency) -> Result<ByteStream> {
        let place = self.archive(&dependency.name);
        let opened = blocking::run(move |_| {
            fs_err::File::open(place).map_err(|cause| io_error("find the artifacts", cause))
        });
        let file = opened.await.map_err(|error| error.with("job", &dependency.name))?;
        Ok(Box::new(tokio::fs::File::from_std(file.into_file())))
    }
}

/// Removes what uploads of the job with this folder left in processes that were killed.
fn remove_partials(archives: &Path, job: &str) -> io::Result<()> {
    for entry in fs_err::read_dir(archives)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| process_of_partial(name, job));
        if process.is_some_and(|process| process != process::id()) {
            absent_is_fine(fs_err::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// The number of the process that spooled to the file `name`, if that is a spool of the job with this folder.
fn process_of_partial(name: &str, job: &str) -> Option<u32> {
    let numbers = name.strip_prefix('.')?.strip_prefix(job)?.strip_prefix('.')?.strip_suffix(".partial")?;
    let (process, upload) = numbers.split_once('-')?;
    upload.parse::<u64>().ok()?;
    process.parse().ok()
}

/// A file that is removed when it is dropped, unless it was renamed.
#[derive(Debug)]
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn receive(place: &Path, mut body: ByteStream) -> Result<()> {
    let failed = |cause| io_error(OPERATION, cause);
    let path = place.to_owned();
    let file = blocking::run(move |_| {
        let made = path.parent().map_or(Ok(()), fs_err::create_dir_all);
        made.and_then(|()| fs_err::File::create_new(path)).map_err(failed)
    });
    let mut file = tokio::fs::File::from_std(file.await?.into_file());
    tokio::io::copy(&mut body, &mut file).await.map_err(failed)?;
    file.flush().await.map_err(failed)
}

fn unpack(
    file: File,
    artifact: &ArtifactUpload,
    folder: &Path,
    interrupt: &blocking::Interrupt,
) -> Result<()> {
    match artifact.format {
        ArtifactFormat::Zip => extract_to_look_at(file, folder, interrupt).map(drop),
        ArtifactFormat::Gzip => {
            let unpacked = unpack_members(BufReader::new(file), folder, LARGEST_REPORT, interrupt);
            unpacked.map(drop).map_err(|error| error.during("unpack the report"))
        }
        ArtifactFormat::Raw => keep_raw(file, &artifact.filename, folder),
    }
}

fn keep_raw(mut file: File, filename: &str, folder: &Path) -> Result<()> {
    let failed = |cause| io_error(OPERATION, cause);
    let Some(filename) = Path::new(filename).file_name() else {
        return Err(Error::new(ErrorKind::Invalid, OPERATION).with("name", filename));
    };
    ensure_space(folder, file.metadata().map_err(failed)?.len(), OPERATION)?;
    let place = folder.join(filename);
    absent_is_fine(fs_err::remove_file(&place)).map_err(failed)?;
    let mut kept = fs_err::File::create_new(place).map_err(failed)?;
    io::copy(&mut file, &mut kept).map(drop).map_err(failed)
}

fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests;
