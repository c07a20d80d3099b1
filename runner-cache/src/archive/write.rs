//! From files to an entry.

use std::{
    collections::HashMap,
    fs::Metadata,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
};

use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

use super::{Summary, seal::Sealing};
use crate::blocking::Interrupt;

/// As fast as a disk on two cores, at two thirds of the size that the fastest level gives.
const LEVEL: i32 = 3;
/// More threads than these only cost memory: some 20 MB each.
const THREADS: usize = 4;

pub(super) fn write(
    output: impl Write,
    root: &Path,
    files: &[PathBuf],
    interrupt: &Interrupt,
) -> io::Result<Summary> {
    let mut encoder = Encoder::new(Sealing::new(output), LEVEL)?;
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(THREADS));
    encoder.multithread(u32::try_from(threads).unwrap_or(1))?;
    let mut packer = Packer {
        tar: Builder::new(encoder),
        root,
        interrupt,
        first_names: HashMap::new(),
        summary: Summary::default(),
    };
    for file in files {
        packer.add(file)?;
    }
    let mut summary = packer.summary;
    let sealing = packer.tar.into_inner()?.finish()?;
    summary.archive_bytes = sealing.finish(summary.files, summary.bytes)?;
    Ok(summary)
}

struct Packer<'a, W: Write> {
    tar: Builder<W>,
    root: &'a Path,
    interrupt: &'a Interrupt,
    /// By device and inode: the name under which a file with several names is stored.
    first_names: HashMap<(u64, u64), PathBuf>,
    summary: Summary,
}

impl<W: Write> Packer<'_, W> {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        self.interrupt.check()?;
        let place = self.root.join(path);
        let found = match fs_err::symlink_metadata(&place) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                self.summary.left_out += 1;
                return Ok(());
            }
            found => found?,
        };
        let kind = found.file_type();
        if kind.is_symlink() {
            self.link(path, &found, EntryType::Symlink, &fs_err::read_link(&place)?)?;
        } else if kind.is_dir() {
            let mut header = header_for(&found, EntryType::Directory);
            self.times(&found)?;
            self.tar.append_data(&mut header, path, io::empty())?;
        } else if kind.is_file() {
            self.file(path, &place, &found)?;
        } else {
            self.summary.left_out += 1;
            return Ok(());
        }
        self.summary.files += 1;
        Ok(())
    }

    fn file(&mut self, path: &Path, place: &Path, found: &Metadata) -> io::Result<()> {
        if found.nlink() > 1 {
            let first = self.first_names.get(&(found.dev(), found.ino())).cloned();
            if let Some(first) = first {
                return self.link(path, found, EntryType::Link, &first);
            }
            self.first_names.insert((found.dev(), found.ino()), path.to_owned());
        }
        let file = fs_err::File::open(place)?;
        let mut header = header_for(found, EntryType::Regular);
        header.set_size(found.len());
        self.times(found)?;
        let mut content = Watched { content: file.take(found.len()), interrupt: self.interrupt, read: 0 };
        self.tar.append_data(&mut header, path, &mut content)?;
        if content.read < found.len() {
            let message = format!("{} became shorter while it was read", place.display());
            return Err(io::Error::other(message));
        }
        self.summary.bytes += found.len();
        Ok(())
    }

    fn link(&mut self, path: &Path, found: &Metadata, kind: EntryType, target: &Path) -> io::Result<()> {
        let mut header = header_for(found, kind);
        // As it is: `append_link` leaves out what looks doubled in a short target, such as a second slash.
        if header.set_link_name_literal(target.as_os_str().as_bytes()).is_ok() {
            return self.tar.append_data(&mut header, path, io::empty());
        }
        self.tar.append_link(&mut header, path, target)
    }

    /// The time of the last change to the nanosecond, which the header of an entry has no room for. Build tools compare it.
    fn times(&mut self, found: &Metadata) -> io::Result<()> {
        if found.mtime() < 0 || found.mtime_nsec() == 0 {
            return Ok(());
        }
        let time = format!("{}.{:09}", found.mtime(), found.mtime_nsec());
        self.tar.append_pax_extensions([("mtime", time.as_bytes())])
    }
}

fn header_for(found: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.mode() & 0o777);
    header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

/// Counts what is read, and ends when nobody waits any more.
struct Watched<'a, R> {
    content: R,
    interrupt: &'a Interrupt,
    read: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        let count = self.content.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}
