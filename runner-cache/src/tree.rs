//! Writes what an archive holds into a work tree, and never outside of it.
//!
//! Archives are made by jobs, so their names are hostile: a name may climb out (`../x`), be absolute, or lead
//! through a symbolic link that is in the work tree already or that the archive itself brings. [`TreeWriter`] refuses
//! the first two, follows a link only to a place within the tree, and makes the archive's own links last.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::{OsStr, OsString},
    fs::{FileTimes, Permissions},
    io::{self, Read, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
    },
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use fs_err::os::unix::fs::OpenOptionsExt;
use runner_core::{Error, ErrorKind};

use crate::{blocking::Interrupt, io_error};

const BUFFER: usize = 128 * 1024;
/// Read, write and search for the owner: what it takes to work in a folder.
const OWNER: u32 = 0o700;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The archive asks for something that is never done.
    #[error("the archive's entry {path:?} {reason}")]
    Refused {
        /// The entry's name.
        path: PathBuf,
        /// Why: completes "the entry …".
        reason: &'static str,
    },
    /// An entry is longer or shorter than the archive says.
    #[error("the archive's entry {path:?} has another size than the archive says")]
    Size {
        /// The entry's name.
        path: PathBuf,
    },
    /// A file could not be written, or the archive could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl TreeError {
    /// The error of all traits, for what was being done.
    pub fn during(self, operation: impl Into<String>) -> Error {
        match self {
            Self::Io(cause) => io_error(operation, cause),
            Self::Size { .. } => Error::new(ErrorKind::Corrupt, operation).because(self),
            Self::Refused { .. } => Error::new(ErrorKind::Invalid, operation).because(self),
        }
    }
}

/// What is kept of a file or folder besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The permissions; only the lowest nine bits count, so that no archive brings a set-user-id program.
    pub mode: u32,
    /// When it was last changed.
    pub modified: Option<SystemTime>,
}

/// An entry's name as a relative path without `.` and `..`.
///
/// # Errors
/// [`TreeError::Refused`] for a name that is absolute, climbs, is empty or holds a zero byte.
pub fn relative_path(name: &[u8]) -> Result<PathBuf, TreeError> {
    let path = Path::new(OsStr::from_bytes(name));
    let refuse = |reason| Err(TreeError::Refused { path: path.to_owned(), reason });
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) if part.as_bytes().contains(&0) => {
                return refuse("has a zero byte in its name");
            }
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            Component::ParentDir => return refuse("leads out of its folder by \"..\""),
            Component::RootDir | Component::Prefix(_) => return refuse("has an absolute name"),
        }
    }
    if clean.as_os_str().is_empty() { refuse("has no name") } else { Ok(clean) }
}

/// Writes entries below a folder. Existing files are replaced, never written through.
///
/// [`finish`](Self::finish) must be called at the end, also after an error: it makes the symbolic links, and
/// gives folders their permissions.
#[derive(Debug)]
pub struct TreeWriter {
    /// Without symbolic links.
    root: PathBuf,
    interrupt: Interrupt,
    buffer: Vec<u8>,
    /// Folders that are known to be within the root.
    known: HashSet<PathBuf>,
    /// What folders get at the end, since one that is read-only could not be filled.
    folders: BTreeMap<PathBuf, Attributes>,
    links: Vec<(PathBuf, OsString)>,
    /// Bits that every folder gets besides its own.
    always: u32,
}

impl TreeWriter {
    /// Writes below `root`, which must exist.
    ///
    /// # Errors
    /// Where it does not.
    pub fn new(root: &Path, interrupt: &Interrupt) -> Result<Self, TreeError> {
        Ok(Self {
            root: fs_err::canonicalize(root)?,
            interrupt: interrupt.clone(),
            buffer: vec![0; BUFFER],
            known: HashSet::new(),
            folders: BTreeMap::new(),
            links: Vec::new(),
            always: 0,
        })
    }

    /// Leaves folders so that their owner can remove them, whatever the archive says.
    #[must_use]
    pub fn removable(mut self) -> Self {
        self.always = OWNER;
        self
    }

    /// Makes a folder, or gives an existing one the attributes.
    ///
    /// # Errors
    /// [`TreeError::Refused`] where that would leave the root; else those of the file system.
    pub fn folder(&mut self, path: &Path, attributes: Attributes) -> Result<(), TreeError> {
        self.enter(path)?;
        let mode = attributes.mode | self.always;
        self.folders.insert(path.to_owned(), Attributes { mode, ..attributes });
        Ok(())
    }

    /// Writes a file of exactly `size` bytes.
    ///
    /// # Errors
    /// [`TreeError::Size`] where `content` has another size; else as [`folder`](Self::folder).
    pub fn file(
        &mut self,
        path: &Path,
        attributes: Attributes,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), TreeError> {
        let written = self.file_up_to(path, attributes, size, content)?;
        if written < size { Err(TreeError::Size { path: path.to_owned() }) } else { Ok(()) }
    }

    /// Writes a file of at most `size` bytes. Returns how many it has.
    ///
    /// # Errors
    /// [`TreeError::Size`] where `content` has more; else as [`folder`](Self::folder).
    pub fn file_up_to(
        &mut self,
        path: &Path,
        attributes: Attributes,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<u64, TreeError> {
        let place = self.clear(path)?;
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&place)?;
        let mut written = 0;
        loop {
            self.interrupt.check()?;
            let count = match content.read(&mut self.buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let Some(bytes) = self.buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            written += bytes.len() as u64;
            if written > size {
                return Err(TreeError::Size { path: path.to_owned() });
            }
            file.write_all(bytes)?;
        }
        file.set_permissions(Permissions::from_mode(attributes.mode & 0o777))?;
        if let Some(modified) = attributes.modified {
            file.file().set_times(FileTimes::new().set_modified(modified))?;
        }
        Ok(written)
    }

    /// Notes a symbolic link. It is made at the end, so that no other entry is written through it, and kept as it
    /// is, wherever it points.
    ///
    /// # Errors
    /// [`TreeError::Refused`] for a target that cannot be one.
    pub fn symbolic_link(&mut self, path: &Path, target: &[u8]) -> Result<(), TreeError> {
        if target.is_empty() || target.contains(&0) {
            return Err(TreeError::Refused { path: path.to_owned(), reason: "is a link to nothing" });
        }
        self.links.push((path.to_owned(), OsString::from_vec(target.to_vec())));
        Ok(())
    }

    /// Makes a second name for a file that is in the tree already.
    ///
    /// # Errors
    /// [`TreeError::Refused`] where either leaves the root or `target` is no file; else as [`folder`](Self::folder).
    pub fn hard_link(&mut self, path: &Path, target: &Path) -> Result<(), TreeError> {
        self.enter_parent(target)?;
        let source = self.root.join(target);
        if path == target || !fs_err::symlink_metadata(&source)?.is_file() {
            return Err(TreeError::Refused { path: path.to_owned(), reason: "is a hard link to no file" });
        }
        let place = self.clear(path)?;
        Ok(fs_err::hard_link(source, place)?)
    }

    /// Makes the links, and gives folders their attributes.
    ///
    /// # Errors
    /// Those of the file system; the first one, after everything was tried.
    pub fn finish(mut self) -> Result<(), TreeError> {
        let mut result = Ok(());
        for (path, target) in std::mem::take(&mut self.links) {
            let made = self.clear(&path).and_then(|place| Ok(fs_err::os::unix::fs::symlink(target, place)?));
            result = result.and(made);
        }
        // Children sort after their folder, and must come first: it may become read-only.
        for (path, attributes) in std::mem::take(&mut self.folders).into_iter().rev() {
            result = result.and(set_folder(&self.root.join(path), attributes));
        }
        result
    }

    /// Makes room at `path`, and returns the place where something can be created.
    fn clear(&mut self, path: &Path) -> Result<PathBuf, TreeError> {
        self.interrupt.check()?;
        self.enter_parent(path)?;
        let place = self.root.join(path);
        match fs_err::symlink_metadata(&place) {
            Ok(found) if found.is_dir() => {
                // Only an empty one: files that the archive does not hold are nobody's to remove.
                fs_err::remove_dir(&place)?;
                self.known.remove(path);
                self.folders.remove(path);
            }
            Ok(_) => fs_err::remove_file(&place)?,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause.into()),
        }
        Ok(place)
    }

    fn enter_parent(&mut self, path: &Path) -> Result<(), TreeError> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.enter(parent),
            _ => Ok(()),
        }
    }

    /// Makes sure that the folder `path` exists, is within the root and can be written to.
    fn enter(&mut self, path: &Path) -> Result<(), TreeError> {
        if self.known.contains(path) {
            return Ok(());
        }
        self.enter_parent(path)?;
        let place = self.root.join(path);
        match fs_err::symlink_metadata(&place) {
            Ok(found) if found.is_dir() => self.open_up(path, found.permissions().mode())?,
            Ok(found) if found.is_symlink() => self.check_link(path, &place)?,
            Ok(_) => {
                fs_err::remove_file(&place)?;
                fs_err::create_dir(&place)?;
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => fs_err::create_dir(&place)?,
            Err(cause) => return Err(cause.into()),
        }
        self.known.insert(path.to_owned());
        Ok(())
    }

    /// Lets the owner work in an existing folder until the end.
    fn open_up(&mut self, path: &Path, mode: u32) -> Result<(), TreeError> {
        if mode & OWNER != OWNER {
            let open = Permissions::from_mode((mode & 0o777) | OWNER);
            fs_err::set_permissions(self.root.join(path), open)?;
            self.folders.insert(path.to_owned(), Attributes { mode, modified: None });
        }
        Ok(())
    }

    /// Follows a link that was there before, where it leads to a folder within the root.
    fn check_link(&self, path: &Path, place: &Path) -> Result<(), TreeError> {
        let refuse = |reason| Err(TreeError::Refused { path: path.to_owned(), reason });
        match fs_err::canonicalize(place) {
            Ok(real) if !real.starts_with(&self.root) => {
                refuse("would be written through a symbolic link that leads out of the folder")
            }
            Ok(real) if real.is_dir() => Ok(()),
            Ok(_) => refuse("would be written through a symbolic link to a file"),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                refuse("would be written through a symbolic link that leads nowhere")
            }
            Err(cause) => Err(cause.into()),
        }
    }
}

/// A link in the place of a folder is left alone, with what it points to.
fn set_folder(place: &Path, attributes: Attributes) -> Result<(), TreeError> {
    if !fs_err::symlink_metadata(place)?.is_dir() {
        return Ok(());
    }
    let folder = fs_err::File::open(place)?;
    if let Some(modified) = attributes.modified {
        folder.file().set_times(FileTimes::new().set_modified(modified))?;
    }
    Ok(folder.set_permissions(Permissions::from_mode(attributes.mode & 0o777))?)
}

#[cfg(test)]
mod tests;
