//! Files as one stream.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use runner_cache::blocking::Interrupt;
use runner_core::{artifact::ByteStream, job::ArtifactFormat};

use super::{Level, body::Body, gzip, raw, zip};

const BUFFER: usize = 128 * 1024;

/// What to pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The folder that `files` are relative to.
    pub folder: PathBuf,
    /// What to pack, as [`select`](super::select()) gives it.
    pub files: Vec<PathBuf>,
    /// How.
    pub format: ArtifactFormat,
    /// How hard to compress.
    pub level: Level,
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
pub fn pack(what: Packed) -> ByteStream {
    Box::new(Body::new(move |sink, interrupt| {
        let Packed { folder, files, format, level } = what;
        match format {
            ArtifactFormat::Zip => zip::write(sink, &folder, &files, level, interrupt),
            ArtifactFormat::Gzip => gzip::write(sink, &folder, &files, level, interrupt),
            ArtifactFormat::Raw => raw::write(sink, &folder, &files, interrupt),
        }
    }))
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

/// The regular files among `files`, with their size.
pub(super) fn regular_files<'a>(
    folder: &'a Path,
    files: &'a [PathBuf],
) -> impl Iterator<Item = io::Result<(&'a Path, std::fs::Metadata)>> {
    files.iter().filter_map(|path| match fs_err::symlink_metadata(folder.join(path)) {
        Ok(found) if found.is_file() => Some(Ok((path.as_path(), found))),
        Ok(_) => None,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => Some(Err(cause)),
    })
}
