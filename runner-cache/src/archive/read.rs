//! From an entry to files.

use std::{
    io::{self, Read},
    path::Path,
    time::{Duration, SystemTime},
};

use fs_err::File;
use runner_core::{Error, ErrorKind, Result};
use tar::{Archive, Entry, EntryType};
use zstd::stream::read::Decoder;

use super::{
    Summary,
    seal::{SIZE, Seal},
    space::ensure_space,
};
use crate::{
    blocking::Interrupt,
    io_error,
    tree::{Attributes, TreeError, TreeWriter, relative_path},
};

const OPERATION: &str = "restore the cache";
/// The largest window that is accepted, as a power of two: 16 MB of memory.
const WINDOW: u32 = 24;

pub(super) fn read(place: &Path, root: &Path, interrupt: &Interrupt) -> Result<Summary> {
    let mut file = File::open(place).map_err(|cause| io_error(OPERATION, cause))?;
    let size = file.metadata().map_err(|cause| io_error(OPERATION, cause))?.len();
    let seal = Seal::verify(&mut file, interrupt).map_err(|cause| io_error(OPERATION, cause))?;
    let seal = seal.ok_or_else(|| damaged(place, size))?;
    ensure_space(root, seal.bytes, OPERATION)?;
    let unpacked = unpack(file.take(size - SIZE), root, interrupt);
    unpacked.map_err(|cause| cause.during(OPERATION).with("file", place.display()))?;
    Ok(Summary { files: seal.files, bytes: seal.bytes, archive_bytes: size, left_out: 0 })
}

fn damaged(place: &Path, size: u64) -> Error {
    let what = match size {
        0 => "it is empty",
        _ => "it is damaged or not complete",
    };
    let cause = format!("{what}; remove the file, or let a job save the cache again");
    Error::new(ErrorKind::Corrupt, OPERATION).with("file", place.display()).because(cause)
}

fn unpack(content: impl Read, root: &Path, interrupt: &Interrupt) -> Result<(), TreeError> {
    let mut decoder = Decoder::new(content)?;
    decoder.window_log_max(WINDOW)?;
    let mut writer = TreeWriter::new(root, interrupt)?;
    let written = write_entries(&mut Archive::new(decoder), &mut writer);
    // Folders get their permissions back even after an error.
    let finished = writer.finish();
    written.and(finished)
}

fn write_entries(archive: &mut Archive<impl Read>, writer: &mut TreeWriter) -> Result<(), TreeError> {
    for entry in archive.entries()? {
        write_entry(entry?, writer)?;
    }
    Ok(())
}

fn write_entry(mut entry: Entry<'_, impl Read>, writer: &mut TreeWriter) -> Result<(), TreeError> {
    let path = relative_path(&entry.path_bytes())?;
    let attributes = Attributes { mode: entry.header().mode()?, modified: modified(&mut entry)? };
    let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
    match entry.header().entry_type() {
        EntryType::Regular => writer.file(&path, attributes, entry.size(), &mut entry),
        EntryType::Directory => writer.folder(&path, attributes),
        EntryType::Symlink => writer.symbolic_link(&path, &target),
        EntryType::Link => writer.hard_link(&path, &relative_path(&target)?),
        _ => Err(TreeError::Refused { path, reason: "is neither a file, nor a folder, nor a link" }),
    }
}

fn modified(entry: &mut Entry<'_, impl Read>) -> io::Result<Option<SystemTime>> {
    let seconds = entry.header().mtime()?;
    let mut nanoseconds = 0;
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if extension.key_bytes() == b"mtime" {
            let fraction = extension.value().ok().and_then(|value| value.split_once('.')?.1.parse().ok());
            nanoseconds = fraction.filter(|fraction| *fraction < 1_000_000_000).unwrap_or(0);
        }
    }
    Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds)))
}
