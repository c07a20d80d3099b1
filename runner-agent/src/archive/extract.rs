//! Unpacks a zip archive into a work tree.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use runner_cache::{
    blocking::{self, Interrupt},
    ensure_space, io_error,
    tree::{Attributes, TreeError, TreeWriter, relative_path},
};
use runner_core::Result;
use zip::{ExtraField, ZipArchive, read::ZipFile, result::ZipError};

use super::clock::unix_time;

const OPERATION: &str = "unpack the artifacts";
/// The longest target of a link that Linux knows.
const LONGEST: u64 = 4096;
const KINDS: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files, folders and links.
    pub files: u64,
    /// Size of the files, in bytes.
    pub bytes: u64,
}

/// Unpacks the zip archive `archive` into `folder`, which must exist. Files that are there are replaced.
///
/// All names are checked, and that everything fits, before anything is written.
///
/// # Cancellation
/// Dropping the future ends the work soon; what was written until then stays.
///
/// # Errors
/// [`ErrorKind::Corrupt`](runner_core::ErrorKind::Corrupt) where it is no zip archive or is damaged, [`Invalid`](runner_core::ErrorKind::Invalid) where it asks for something
/// outside of `folder` or for a device, [`Exhausted`](runner_core::ErrorKind::Exhausted) where it does not fit.
pub async fn extract(archive: &Path, folder: &Path) -> Result<Summary> {
    let file = archive.to_owned();
    let folder = folder.to_owned();
    blocking::run(move |interrupt| {
        let file = fs_err::File::open(file).map_err(|cause| io_error(OPERATION, cause))?;
        extract_file(file.into_file(), &folder, interrupt)
    })
    .await
}

/// As [`extract`], for an open file, on a thread that may block.
///
/// # Errors
/// Those of [`extract`].
pub fn extract_file(archive: File, folder: &Path, interrupt: &Interrupt) -> Result<Summary> {
    unpack(archive, folder, interrupt, |writer| writer)
}

/// As [`extract_file`], for a folder that a person looks at and removes: no folder in it is read-only.
///
/// # Errors
/// Those of [`extract`].
pub fn extract_to_look_at(archive: File, folder: &Path, interrupt: &Interrupt) -> Result<Summary> {
    unpack(archive, folder, interrupt, TreeWriter::removable)
}

fn unpack(
    archive: File,
    folder: &Path,
    interrupt: &Interrupt,
    prepare: fn(TreeWriter) -> TreeWriter,
) -> Result<Summary> {
    let zip = ZipArchive::new(BufReader::new(archive)).map_err(read_error);
    let mut zip = zip.map_err(|error| error.during(OPERATION))?;
    let plan = plan(&zip, interrupt).map_err(|error| error.during(OPERATION))?;
    let bytes = plan.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size));
    ensure_space(folder, bytes, OPERATION)?;
    let unpacked = TreeWriter::new(folder, interrupt).map(prepare).and_then(|mut writer| {
        let written = plan.iter().try_for_each(|entry| write(&mut zip, entry, &mut writer));
        // Folders get their permissions even after an error.
        let finished = writer.finish();
        written.and(finished)
    });
    unpacked.map_err(|error| error.during(OPERATION))?;
    Ok(Summary { files: plan.len() as u64, bytes })
}

/// An entry whose name is harmless.
struct Planned {
    index: usize,
    path: PathBuf,
    kind: Kind,
    mode: u32,
    size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
}

type Zip = ZipArchive<BufReader<File>>;

fn plan(zip: &Zip, interrupt: &Interrupt) -> Result<Vec<Planned>, TreeError> {
    let mut plan = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        interrupt.check()?;
        let entry = zip.by_index_data(index).map_err(read_error)?;
        let name = entry.name_raw();
        if name == b"./" {
            continue;
        }
        let path = relative_path(name)?;
        let mode = entry.unix_mode().unwrap_or(0);
        let refuse = |reason| Err(TreeError::Refused { path: path.clone(), reason });
        if entry.encrypted() {
            return refuse("is encrypted");
        }
        let kind = match mode & KINDS {
            LINK if entry.size() > LONGEST => return refuse("is a link with too long a target"),
            LINK => Kind::Link,
            FOLDER => Kind::Folder,
            FILE | 0 if name.ends_with(b"/") => Kind::Folder,
            FILE | 0 => Kind::File,
            _ => return refuse("is neither a file, nor a folder, nor a link"),
        };
        let default = if kind == Kind::Folder { 0o755 } else { 0o644 };
        let mode = if mode == 0 { default } else { mode };
        plan.push(Planned { index, path, kind, mode, size: entry.size() });
    }
    Ok(plan)
}

fn write(zip: &mut Zip, planned: &Planned, writer: &mut TreeWriter) -> Result<(), TreeError> {
    let mut entry = zip.by_index(planned.index).map_err(read_error)?;
    let attributes = Attributes { mode: planned.mode, modified: modified(&entry) };
    match planned.kind {
        Kind::Folder => writer.folder(&planned.path, attributes),
        Kind::File => writer.file(&planned.path, attributes, planned.size, &mut entry),
        Kind::Link => {
            let mut target = Vec::new();
            entry.take(LONGEST).read_to_end(&mut target)?;
            writer.symbolic_link(&planned.path, &target)
        }
    }
}

fn modified(entry: &ZipFile<'_, impl Read>) -> Option<SystemTime> {
    let exact = entry.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time().map(u64::from),
        _ => None,
    });
    let old = || u64::try_from(unix_time(entry.last_modified()?)).ok();
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(exact.or_else(old)?))
}

fn read_error(error: ZipError) -> TreeError {
    TreeError::Io(match error {
        ZipError::Io(cause) => cause,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    })
}

#[cfg(test)]
mod tests;
