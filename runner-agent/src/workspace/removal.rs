//! Removes trees that jobs made: without rights to their own directories, of any depth, and with any names.
//!
//! It goes by path, one directory after the other, so that neither the stack nor the open files limit the depth. The
//! processes of the job have ended, so that nothing changes under it. Links are removed and never followed.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use fs_err as fs;

/// Directories whose path is longer are moved up: the system takes no paths of more than 4096 bytes.
const LONGEST: usize = 2048;

/// The rights that a directory must have for its owner to empty it.
const OWN: u32 = 0o700;

/// How often a directory is emptied again that was filled meanwhile.
const TRIES: usize = 10;

/// Removes what is at `path`, if there is anything. Removes all it can, and returns the first failure.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Removal::new(path).run(false),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes all that is in the directory `path`.
pub(crate) fn empty(path: &Path) -> io::Result<()> {
    Removal::new(path).run(true)
}

/// Gives this user all rights to a directory.
pub(super) fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, std::fs::Permissions::from_mode(OWN))
}

#[derive(Debug)]
struct Removal<'a> {
    top: &'a Path,
    moved: usize,
    failure: Option<io::Error>,
}

/// A directory on the way, and how often it was emptied.
#[derive(Debug)]
struct Level {
    path: PathBuf,
    tries: usize,
}

impl<'a> Removal<'a> {
    fn new(top: &'a Path) -> Self {
        Self { top, moved: 0, failure: None }
    }

    fn run(mut self, keep_top: bool) -> io::Result<()> {
        let mut levels = vec![Level { path: self.top.to_owned(), tries: 0 }];
        while let Some(level) = levels.last_mut() {
            let is_kept = keep_top && level.path == self.top;
            if level.tries > 0 {
                let done = if is_kept { Ok(()) } else { fs::remove_dir(&level.path) };
                match done {
                    Err(error) if is_full(&error) && level.tries < TRIES && self.failure.is_none() => {}
                    done => {
                        self.note(done);
                        levels.pop();
                        continue;
                    }
                }
            }
            level.tries += 1;
            let path = level.path.clone();
            let inner = self.empty(&path);
            levels.extend(inner.into_iter().map(|path| Level { path, tries: 0 }));
        }
        self.failure.map_or(Ok(()), Err)
    }

    /// Removes everything in `directory` but directories, which it returns.
    fn empty(&mut self, directory: &Path) -> Vec<PathBuf> {
        let mut inner = Vec::new();
        let rights = fs::symlink_metadata(directory).map_or(0, |found| found.permissions().mode());
        if rights & OWN != OWN {
            // Where that is not allowed either, what comes next fails and says more.
            open_up(directory).ok();
        }
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                self.note(Err(error));
                return inner;
            }
        };
        for entry in entries {
            let entry = entry.and_then(|entry| Ok((entry.file_type()?.is_dir(), entry.path())));
            let done = entry.and_then(|(is_directory, path)| {
                if is_directory {
                    inner.push(self.shorten(path)?);
                    Ok(())
                } else {
                    fs::remove_file(path)
                }
            });
            self.note(done);
        }
        inner
    }

    /// Moves a directory up whose path is too long to go on below it.
    fn shorten(&mut self, path: PathBuf) -> io::Result<PathBuf> {
        if path.as_os_str().len() <= LONGEST.max(self.top.as_os_str().len() + LONGEST / 2) {
            return Ok(path);
        }
        loop {
            self.moved += 1;
            let place = self.top.join(format!(".removed-{}", self.moved));
            if fs::symlink_metadata(&place).is_ok() {
                continue;
            }
            // A directory that is moved must be writable, as its `..` changes.
            open_up(&path)?;
            fs::rename(&path, &place)?;
            return Ok(place);
        }
    }

    fn note(&mut self, done: io::Result<()>) {
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.failure.get_or_insert(error);
            }
            _ => {}
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::DirectoryNotEmpty
}
