//! Reads files of a work tree for an archive, also those that only somebody else may read.
//!
//! [`OwnFiles`] reads with the rights of this process. Where a job ran as another user, [`WithDeputy`] has somebody ask
//! who may read what this process may not.

use std::{
    ffi::OsString,
    fmt, fs,
    io::{self, Read},
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::Path,
    sync::Arc,
};

use fs_err::os::unix::fs::OpenOptionsExt;
use nix::fcntl::OFlag;

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A socket, a pipe or a device.
    Other,
}

impl From<fs::FileType> for Kind {
    fn from(kind: fs::FileType) -> Self {
        match kind {
            kind if kind.is_file() => Self::File,
            kind if kind.is_dir() => Self::Folder,
            kind if kind.is_symlink() => Self::Link,
            _ => Self::Other,
        }
    }
}

/// What there is to know of a file, folder or link besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// The lowest nine bits of its permissions.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// How many bytes of the disk it takes.
    pub allocated: u64,
    /// When its content was last changed: seconds since 1970, and nanoseconds.
    pub modified: (i64, i64),
    /// When anything about it was last changed. Nobody can set this time.
    pub changed: (i64, i64),
    /// The device and the number of its content: the same under all names of a file.
    pub identity: (u64, u64),
    /// How many names it has.
    pub names: u64,
    /// Where a link points to; else empty.
    pub target: Vec<u8>,
}

impl Facts {
    pub(crate) fn new(found: &fs::Metadata, target: Vec<u8>) -> Self {
        Self {
            kind: found.file_type().into(),
            mode: found.mode() & 0o777,
            size: found.len(),
            allocated: found.blocks().saturating_mul(512),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            identity: (found.dev(), found.ino()),
            names: found.nlink(),
            target,
        }
    }
}

/// Reads files.
///
/// # Contract
/// It may block. What it tells may come from whoever made the files: names in a folder are single names, and nothing
/// else is certain; nothing is promised to be there a moment later. Errors name the path and keep their kind.
pub trait TreeReader: Send + Sync + fmt::Debug {
    /// What is at `path`. A link is itself, and not what it points to.
    ///
    /// # Errors
    /// Those of the file system.
    fn facts(&self, path: &Path) -> io::Result<Facts>;

    /// What is in the folder at `path`, in any order.
    ///
    /// # Errors
    /// Those of the file system.
    fn entries(&self, path: &Path) -> io::Result<Vec<(OsString, Kind)>>;

    /// The content of the regular file at `path`. A link is not followed.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::InvalidInput`] where it is no regular file.
    fn content(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// The same as a file of this process, in which holes can be found; `None` where the reader has none.
    ///
    /// # Errors
    /// Those of [`content`](Self::content).
    fn file(&self, path: &Path) -> io::Result<Option<fs::File>>;
}

/// Reads with the rights of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnFiles;

impl TreeReader for OwnFiles {
    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let found = fs_err::symlink_metadata(path)?;
        let target = if found.is_symlink() {
            fs_err::read_link(path)?.into_os_string().into_vec()
        } else {
            Vec::new()
        };
        Ok(Facts::new(&found, target))
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        let entries = fs_err::read_dir(path)?;
        entries
            .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?.into()))))
            .collect()
    }

    fn content(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(open(path)?))
    }

    fn file(&self, path: &Path) -> io::Result<Option<fs::File>> {
        Ok(Some(open(path)?.into_file()))
    }
}

fn open(path: &Path) -> io::Result<fs_err::File> {
    // What was a file a moment ago may be a link by now, or a pipe, at which opening it would wait.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        let message = format!("{} is no regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(file)
}

/// Reads what `own` may read, and has `deputy` read what it may not.
#[derive(Debug, Clone)]
pub struct WithDeputy {
    /// Asked first.
    pub own: Arc<dyn TreeReader>,
    /// Asked where the other one has no right to.
    pub deputy: Arc<dyn TreeReader>,
}

impl WithDeputy {
    fn read<T>(&self, read: impl Fn(&dyn TreeReader) -> io::Result<T>) -> io::Result<T> {
        let denied = match read(&*self.own) {
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => cause,
            read => return read,
        };
        read(&*self.deputy).map_err(|cause| match cause.kind() {
            io::ErrorKind::PermissionDenied => denied,
            io::ErrorKind::NotFound => cause,
            kind => io::Error::new(kind, format!("{denied}, and for those who may read it: {cause}")),
        })
    }
}

impl TreeReader for WithDeputy {
    fn facts(&self, path: &Path) -> io::Result<Facts> {
        self.read(|reader| reader.facts(path))
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(OsString, Kind)>> {
        self.read(|reader| reader.entries(path))
    }

    fn content(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.read(|reader| reader.content(path))
    }

    fn file(&self, path: &Path) -> io::Result<Option<fs::File>> {
        self.read(|reader| reader.file(path))
    }
}

#[cfg(test)]
mod tests {
    use io::ErrorKind::{NotFound, PermissionDenied, TimedOut};

    use super::*;

    /// Fails at everything.
    #[derive(Debug)]
    struct Failing(io::ErrorKind);

    impl TreeReader for Failing {
        fn facts(&self, _: &Path) -> io::Result<Facts> {
            Err(self.0.into())
        }

        fn entries(&self, _: &Path) -> io::Result<Vec<(OsString, Kind)>> {
            Err(self.0.into())
        }

        fn content(&self, _: &Path) -> io::Result<Box<dyn Read + Send>> {
            Err(self.0.into())
        }

        fn file(&self, _: &Path) -> io::Result<Option<fs::File>> {
            Err(self.0.into())
        }
    }

    #[test]
    fn the_deputy_is_asked_for_what_is_denied_and_for_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let reader = |own, deputy: Arc<dyn TreeReader>| WithDeputy { own: Arc::new(Failing(own)), deputy };
        let helped = reader(PermissionDenied, Arc::new(OwnFiles));
        assert_eq!(helped.facts(folder.path()).unwrap().kind, Kind::Folder);
        assert_eq!(helped.entries(folder.path()).unwrap(), []);
        let kind =
            |own, deputy| reader(own, Arc::new(Failing(deputy))).facts(folder.path()).unwrap_err().kind();
        assert_eq!(kind(PermissionDenied, PermissionDenied), PermissionDenied);
        assert_eq!(kind(PermissionDenied, NotFound), NotFound);
        assert_eq!(kind(PermissionDenied, TimedOut), TimedOut);
        assert_eq!(kind(TimedOut, NotFound), TimedOut);
    }

    #[test]
    fn only_the_content_of_files_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name| folder.path().join(name);
        fs_err::write(place("file"), "content").unwrap();
        fs_err::os::unix::fs::symlink("file", place("link")).unwrap();
        nix::unistd::mkfifo(&place("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut text = String::new();
        OwnFiles.content(&place("file")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
        for name in ["link", "pipe", ""] {
            assert!(OwnFiles.content(&place(name)).is_err(), "{name}");
        }
        assert_eq!(OwnFiles.facts(&place("link")).unwrap().target, b"file");
    }
}
