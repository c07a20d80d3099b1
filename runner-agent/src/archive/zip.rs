//! A zip archive, written as a stream.

use std::{
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use runner_cache::{
    blocking::Interrupt,
    reader::{Facts, Kind},
};
use zip::{
    CompressionMethod, ZipWriter,
    result::ZipError,
    write::{FullFileOptions, StreamWriter},
};

use super::{
    Level,
    clock::dos_time,
    pack::{Tree, copy},
};

/// From here on sizes take the 64-bit form; with room for what deflate adds to what it cannot compress.
const LARGE: u64 = 0xF000_0000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
/// The mark of a folder for readers that know no Unix modes.
const DOS_FOLDER: u32 = 0x10;

pub(super) fn write(
    output: &mut impl Write,
    tree: Tree<'_>,
    level: Level,
    interrupt: &Interrupt,
) -> io::Result<()> {
    let output = Quiet { output, has_failed: false };
    let mut packer = Packer { zip: ZipWriter::new_stream(output), tree, level, interrupt };
    for path in tree.files {
        packer.add(path)?;
    }
    packer.zip.finish().map_err(into_io)?.into_inner().flush()
}

/// Takes whatever comes after a first failure, because a [`ZipWriter`] that is dropped ends its archive, and complains on
/// the standard error of the whole program where it cannot.
struct Quiet<W> {
    output: W,
    has_failed: bool,
}

impl<W> Quiet<W> {
    fn note<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.has_failed |= done.as_ref().is_err_and(|cause| cause.kind() != io::ErrorKind::Interrupted);
        done
    }
}

impl<W: Write> Write for Quiet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let done = self.output.write_all(bytes);
        self.note(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let done = self.output.flush();
        self.note(done)
    }
}

struct Packer<'a, W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    tree: Tree<'a>,
    level: Level,
    interrupt: &'a Interrupt,
}

impl<W: Write> Packer<'_, W> {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        self.interrupt.check()?;
        let Some(found) = self.tree.facts(path)? else { return Ok(()) };
        let name = path.as_os_str().as_bytes();
        match found.kind {
            Kind::Link => {
                let options = stored(&found)?.external_attributes((LINK | 0o777) << 16);
                self.start(name, options)?;
                self.zip.write_all(&found.target)
            }
            Kind::Folder => {
                let name = [name, b"/"].concat();
                // Without the bits for "folder", which would have the writer go back in the stream; the slash says it.
                let options = stored(&found)?.external_attributes((found.mode << 16) | DOS_FOLDER);
                self.start(&name, options)
            }
            Kind::File => self.file(path, &found),
            Kind::Other => Ok(()),
        }
    }

    fn file(&mut self, path: &Path, found: &Facts) -> io::Result<()> {
        let content = match self.tree.content(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            content => content?,
        };
        let options =
            stored(found)?.external_attributes((FILE | found.mode) << 16).large_file(found.size >= LARGE);
        let level = self.level.deflate();
        self.start(
            path.as_os_str().as_bytes(),
            match level {
                0 => options,
                _ if found.size == 0 => options,
                level => options
                    .compression_method(CompressionMethod::Deflated)
                    .compression_level(Some(i64::from(level))),
            },
        )?;
        copy(content, found.size, &mut self.zip, self.interrupt)
    }

    fn start(&mut self, name: &[u8], options: FullFileOptions<'_, '_>) -> io::Result<()> {
        self.zip.start_file_with_options(options.name(name)).map_err(into_io)
    }
}

fn stored(found: &Facts) -> io::Result<FullFileOptions<'static, 'static>> {
    let options = FullFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .system(zip::System::Unix)
        .last_modified_time(dos_time(found.modified.0));
    match u32::try_from(found.modified.0) {
        Ok(seconds) => options.with_extended_timestamp(Some(seconds), None, None).map_err(into_io),
        Err(_) => Ok(options),
    }
}

fn into_io(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(cause) => cause,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use runner_cache::reader::OwnFiles;

    use super::*;

    /// An output whose reader has gone.
    struct Broken(usize);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_archive_that_nobody_reads_is_an_error_once() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("file"), "content").unwrap();
        let mut output = Broken(0);
        let files = [PathBuf::from("file")];
        let tree = Tree { folder: folder.path(), files: &files, reader: &OwnFiles };
        let error = write(&mut output, tree, Level::default(), &Interrupt::default());
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        // Another one would be complained about where people read.
        assert_eq!(output.0, 1);
    }
}
