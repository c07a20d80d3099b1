//! Looks through folders for what a pattern matches.

use std::{
    collections::HashSet,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use runner_cache::{
    blocking::Interrupt,
    reader::{Kind, TreeReader},
};

use crate::archive::pattern::{Alternative, Progress};

/// A search below a folder. Links are never followed, except those that a pattern names before its first wildcard.
pub(super) struct Walk<'a> {
    pub(super) folder: &'a Path,
    real: &'a Path,
    reader: &'a dyn TreeReader,
    interrupt: &'a Interrupt,
    /// Folders that could not be read, and why.
    pub(super) unreadable: Vec<String>,
    /// Links that were followed.
    pub(super) through: HashSet<PathBuf>,
}

impl<'a> Walk<'a> {
    /// A search below `folder`, which is `real` without links.
    pub(super) fn new(
        (folder, real): (&'a Path, &'a Path),
        reader: &'a dyn TreeReader,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { folder, real, reader, interrupt, unreadable: Vec::new(), through: HashSet::new() }
    }

    /// Adds what `alternative` matches, and what is below. Returns whether it stays within the folder.
    pub(super) fn find(&mut self, alternative: &Alternative, found: &mut Vec<PathBuf>) -> io::Result<bool> {
        let base = &alternative.base;
        if !self.follow(base, alternative.is_literal())? {
            return Ok(false);
        }
        let start = alternative.start();
        if alternative.is_match(&start) {
            self.take(base.clone(), None, found)?;
            return Ok(true);
        }
        let mut open = vec![(base.clone(), start)];
        while let Some((folder, progress)) = open.pop() {
            for (path, kind) in self.list(&folder)? {
                let next = step(alternative, &progress, &path);
                if alternative.is_match(&next) {
                    self.take(path, Some(kind), found)?;
                } else if kind == Kind::Folder && !next.is_dead() {
                    open.push((path, next));
                }
            }
        }
        Ok(true)
    }

    /// Adds `path`, and everything below it where it is a folder.
    pub(super) fn take(
        &mut self,
        path: PathBuf,
        kind: Option<Kind>,
        found: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let Some(kind) = kind.or_else(|| self.kind(&path)) else { return Ok(()) };
        let mut open = vec![(path, kind)];
        while let Some((path, kind)) = open.pop() {
            if kind == Kind::Folder {
                open.extend(self.list(&path)?);
            }
            if !path.as_os_str().is_empty() {
                found.push(path);
            }
        }
        Ok(())
    }

    /// What is at a path; `None` where nothing is that can be seen.
    pub(super) fn kind(&self, path: &Path) -> Option<Kind> {
        self.reader.facts(&self.folder.join(path)).ok().map(|found| found.kind)
    }

    /// What is in a folder. One that cannot be read is noted, one that is not there is empty.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<(PathBuf, Kind)>> {
        self.interrupt.check()?;
        match self.reader.entries(&self.folder.join(folder)) {
            Ok(entries) => Ok(entries.into_iter().map(|(name, kind)| (folder.join(name), kind)).collect()),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            Err(cause) => {
                self.unreadable.push(cause.to_string());
                Ok(Vec::new())
            }
        }
    }

    /// Notes the links that `base` leads through, and says whether it stays within the folder. The last part of a
    /// path without wildcards is not followed.
    pub(super) fn follow(&mut self, base: &Path, is_whole: bool) -> io::Result<bool> {
        let skipped = usize::from(is_whole);
        let mut links = Vec::new();
        for place in base.ancestors().skip(skipped).filter(|place| !place.as_os_str().is_empty()) {
            if self.kind(place) == Some(Kind::Link) {
                links.push(place.to_owned());
            }
        }
        let Some(longest) = links.first() else { return Ok(true) };
        match fs_err::canonicalize(self.folder.join(longest)) {
            Ok(real) if real.starts_with(self.real) => {
                self.through.extend(links);
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(true),
            // Where it leads to is not known, so nothing proves that this is within the folder.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(cause) => Err(cause),
        }
    }
}

fn step(alternative: &Alternative, progress: &Progress, path: &Path) -> Progress {
    alternative.advance(progress, path.file_name().map_or(&[], |name| name.as_bytes()))
}
