//! Files as one stream.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use runner_cache::{
    blocking::{self, Interrupt},
    io_error,
    reader::{Facts, Kind, TreeReader},
};
use runner_core::{Result, artifact::ByteStream, job::ArtifactFormat};

use super::{Level, body::Body, gzip, raw, zip};

const BUFFER: usize = 128 * 1024;

/// What to pack.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The folder that `files` are relative to.
    pub folder: PathBuf,
    /// What to pack, as [`select`](super::select()) gives it.
    pub files: Vec<PathBuf>,
    /// How.
    pub format: ArtifactFormat,
    /// How hard to compress.
    pub level: Level,
    /// What reads them.
    pub reader: Arc<dyn TreeReader>,
}

/// Why a stream that [`pack`] gave ended early. Known when the stream has failed.
#[derive(Debug, Clone, Default)]
pub struct Fault(Arc<Mutex<Option<io::Error>>>);

impl Fault {
    /// The reason, once. `None` where the packing did not fail, or its reader went away first.
    pub fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the reason, and gives a copy to whoever reads the stream.
    fn keep(&self, cause: io::Error) -> io::Error {
        if cause.kind() == io::ErrorKind::BrokenPipe {
            return cause;
        }
        let copy = io::Error::new(cause.kind(), cause.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
        copy
    }
}

/// Packs files while the stream is read, with memory that does not depend on their size.
///
/// A file that vanished meanwhile is left out, as are sockets, pipes and devices. In the formats other than zip,
/// which hold no folders and links, so are these.
///
/// The stream ends with an error that names the file where one cannot be read, and where [`ArtifactFormat::Raw`] is
/// asked for with several files.
///
/// # Cancellation
/// Dropping the stream ends the work.
pub fn pack(what: Packed) -> (ByteStream, Fault) {
    let fault = Fault::default();
    let keeper = fault.clone();
    let body = Body::new(move |sink, interrupt| {
        let Packed { folder, files, format, level, reader } = what;
        let tree = Tree { folder: &folder, files: &files, reader: &*reader };
        let packed = match format {
            ArtifactFormat::Zip => zip::write(sink, tree, level, interrupt),
            ArtifactFormat::Gzip => gzip::write(sink, tree, level, interrupt),
            ArtifactFormat::Raw => raw::write(sink, tree, interrupt),
        };
        packed.map_err(|cause| keeper.keep(cause))
    });
    (Box::new(body), fault)
}

/// Those of `files` that are files themselves: what the formats other than zip can hold.
///
/// # Errors
/// Where one cannot be looked at.
pub async fn only_regular(
    folder: &Path,
    files: Vec<PathBuf>,
    reader: Arc<dyn TreeReader>,
) -> Result<Vec<PathBuf>> {
    let folder = folder.to_owned();
    blocking::run(move |_| {
        let tree = Tree { folder: &folder, files: &files, reader: &*reader };
        let found = tree.regular_files().map(|file| file.map(|(path, _)| path.to_owned()));
        found.collect::<io::Result<_>>().map_err(|cause| io_error("look at the files", cause))
    })
    .await
}

/// Copies at most `size` bytes: what a process adds to a file meanwhile is not awaited.
pub(super) fn copy(
    from: impl Read,
    size: u64,
    to: &mut (impl Write + ?Sized),
    interrupt: &Interrupt,
) -> io::Result<()> {
    let mut from = from.take(size);
    let mut buffer = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER))];
    loop {
        interrupt.check()?;
        let count = match from.read(&mut buffer) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        match buffer.get(..count) {
            Some(bytes) if count > 0 => to.write_all(bytes)?,
            _ => return Ok(()),
        }
    }
}

/// Files, and what reads them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree<'a> {
    pub(super) folder: &'a Path,
    pub(super) files: &'a [PathBuf],
    pub(super) reader: &'a dyn TreeReader,
}

impl<'a> Tree<'a> {
    /// What is at `path`; `None` where nothing is any more.
    pub(super) fn facts(&self, path: &Path) -> io::Result<Option<Facts>> {
        match self.reader.facts(&self.folder.join(path)) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// The content of a file.
    pub(super) fn content(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.reader.content(&self.folder.join(path))
    }

    /// Those of the files that are files themselves.
    pub(super) fn regular_files(self) -> impl Iterator<Item = io::Result<(&'a Path, Facts)>> {
        self.files.iter().filter_map(move |path| match self.facts(path) {
            Ok(Some(found)) if found.kind == Kind::File => Some(Ok((path.as_path(), found))),
            Ok(_) => None,
            Err(cause) => Some(Err(cause)),
        })
    }
}
