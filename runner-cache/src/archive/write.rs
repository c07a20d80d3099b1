//! From files to an entry.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    thread,
};

use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

use super::{Summary, seal::Sealing};
use crate::{
    blocking::Interrupt,
    reader::{Facts, Kind, TreeReader},
};

/// As fast as a disk on two cores, at two thirds of the size that the fastest level gives.
const LEVEL: i32 = 3;
/// More threads than these only cost memory: some 20 MB each.
const THREADS: usize = 4;

pub(super) fn write(
    output: impl Write,
    root: &Path,
    files: &[PathBuf],
    reader: &dyn TreeReader,
    interrupt: &Interrupt,
) -> io::Result<Summary> {
    let mut encoder = Encoder::new(Sealing::new(output), LEVEL)?;
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(THREADS));
    encoder.multithread(u32::try_from(threads).unwrap_or(1))?;
    let mut packer = Packer {
        tar: Builder::new(encoder),
        reader,
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
    reader: &'a dyn TreeReader,
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
        let found = match self.reader.facts(&place) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                self.summary.left_out += 1;
                return Ok(());
            }
            found => found?,
        };
        match found.kind {
            Kind::Link => {
                let target = Path::new(OsStr::from_bytes(&found.target));
                self.link(path, &found, EntryType::Symlink, target)?;
            }
            Kind::Folder => {
                let mut header = header_for(&found, EntryType::Directory);
                self.times(&found)?;
                self.tar.append_data(&mut header, path, io::empty())?;
            }
            Kind::File => self.file(path, &place, &found)?,
            Kind::Other => {
                self.summary.left_out += 1;
                return Ok(());
            }
        }
        self.summary.files += 1;
        Ok(())
    }

    fn file(&mut self, path: &Path, place: &Path, found: &Facts) -> io::Result<()> {
        if found.names > 1 {
            let first = self.first_names.get(&found.identity).cloned();
            if let Some(first) = first {
                return self.link(path, found, EntryType::Link, &first);
            }
            self.first_names.insert(found.identity, path.to_owned());
        }
        let file = self.reader.content(place)?;
        let mut header = header_for(found, EntryType::Regular);
        header.set_size(found.size);
        self.times(found)?;
        let mut content = Watched { content: file.take(found.size), interrupt: self.interrupt, read: 0 };
        self.tar.append_data(&mut header, path, &mut content)?;
        if content.read < found.size {
            let message = format!("{} became shorter while it was read", place.display());
            return Err(io::Error::other(message));
        }
        self.summary.bytes += found.size;
        Ok(())
    }

    fn link(&mut self, path: &Path, found: &Facts, kind: EntryType, target: &Path) -> io::Result<()> {
        let mut header = header_for(found, kind);
        // As it is: `append_link` leaves out what looks doubled in a short target, such as a second slash.
        if header.set_link_name_literal(target.as_os_str().as_bytes()).is_ok() {
            return self.tar.append_data(&mut header, path, io::empty());
        }
        self.tar.append_link(&mut header, path, target)
    }

    /// The time of the last change to the nanosecond, which the header of an entry has no room for. Build tools compare it.
    fn times(&mut self, found: &Facts) -> io::Result<()> {
        let (seconds, nanoseconds) = found.modified;
        if seconds < 0 || nanoseconds == 0 {
            return Ok(());
        }
        let time = format!("{seconds}.{nanoseconds:09}");
        self.tar.append_pax_extensions([("mtime", time.as_bytes())])
    }
}

fn header_for(found: &Facts, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.mode);
    header.set_mtime(u64::try_from(found.modified.0).unwrap_or(0));
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
