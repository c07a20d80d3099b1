//! Moves what was made to where it belongs.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs::{FileTimes, Metadata, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    plan::Plan,
    stage::{Stage, time},
};
use crate::{
    blocking::Interrupt,
    index::{Index, Node},
    kept::State,
    reader::{OwnFiles, TreeReader},
    tree::TreeError,
};

/// Read, write and search for the owner: what it takes to work in a folder.
const OWNER: u32 = 0o700;

/// Makes sure that nothing would be written outside of `root`, and no folder with files removed.
pub(super) fn check(index: &Index, root: &Path, interrupt: &Interrupt) -> Result<(), TreeError> {
    let mut checker = Checker { root, known: HashSet::new(), absent: None };
    let mut entries = index.entries();
    while let Some((_, entry)) = entries.next()? {
        interrupt.check()?;
        if matches!(entry.node, Node::Folder { .. }) {
            checker.folder(&entry.path)?;
        } else {
            checker.other(&entry.path)?;
        }
    }
    Ok(())
}

struct Checker<'a> {
    root: &'a Path,
    /// Folders that are there and may be used.
    known: HashSet<PathBuf>,
    /// A folder that is not there, so that nothing is below it.
    absent: Option<PathBuf>,
}

impl Checker<'_> {
    fn folder(&mut self, path: &Path) -> Result<(), TreeError> {
        if path.as_os_str().is_empty() || self.known.contains(path) || self.is_absent(path) {
            return Ok(());
        }
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        if self.is_absent(path) {
            return Ok(());
        }
        match look(&self.root.join(path))? {
            Some(found) if found.is_dir() => {}
            Some(found) if found.is_symlink() => self.link(path)?,
            // What is no folder is replaced by one.
            _ => {
                self.absent = Some(path.to_owned());
                return Ok(());
            }
        }
        self.known.insert(path.to_owned());
        Ok(())
    }

    fn other(&mut self, path: &Path) -> Result<(), TreeError> {
        self.folder(path.parent().unwrap_or(Path::new("")))?;
        if self.is_absent(path) {
            return Ok(());
        }
        let place = self.root.join(path);
        match look(&place)? {
            // Files that the entry does not hold are nobody's to remove.
            Some(found) if found.is_dir() && fs_err::read_dir(&place)?.next().is_some() => {
                refuse(path, "would replace a folder that has files in it")
            }
            _ => Ok(()),
        }
    }

    fn is_absent(&self, path: &Path) -> bool {
        self.absent.as_ref().is_some_and(|absent| path.starts_with(absent))
    }

    /// Follows a link that was there before, where it leads to a folder within the root.
    fn link(&self, path: &Path) -> Result<(), TreeError> {
        match fs_err::canonicalize(self.root.join(path)) {
            Ok(real) if !real.starts_with(self.root) => {
                refuse(path, "would be written through a symbolic link that leads out of the folder")
            }
            Ok(real) if real.is_dir() => Ok(()),
            Ok(_) => refuse(path, "would be written through a symbolic link to a file"),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                refuse(path, "would be written through a symbolic link that leads nowhere")
            }
            Err(cause) => Err(cause.into()),
        }
    }
}

fn refuse(path: &Path, reason: &'static str) -> Result<(), TreeError> {
    Err(TreeError::Refused { path: path.to_owned(), reason })
}

fn look(place: &Path) -> io::Result<Option<Metadata>> {
    match fs_err::symlink_metadata(place) {
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        found => found.map(Some),
    }
}

/// Moves everything, and gives folders what belongs to them. Returns by entry what its file looks like.
pub(super) fn move_all(plan: &Plan, stage: &Stage) -> Result<Vec<State>, TreeError> {
    let mut work = Mover { moved: Vec::new(), opened: BTreeMap::new() };
    let moved = work.merge(&stage.place, &stage.root, Path::new(""));
    // Folders get their permissions even after an error.
    let finished = work.finish(plan, stage);
    moved.and(finished)?;
    Ok(states(plan, stage, work.moved))
}

struct Mover {
    /// What is no folder and was moved by itself, by its path in the work tree.
    moved: Vec<PathBuf>,
    /// Folders that could not be written to, and their permissions.
    opened: BTreeMap<PathBuf, u32>,
}

impl Mover {
    /// Moves what is in the folder `from` into the folder `to`, which is at `path`.
    fn merge(&mut self, from: &Path, to: &Path, path: &Path) -> Result<(), TreeError> {
        self.open_up(to)?;
        for entry in fs_err::read_dir(from)? {
            let entry = entry?;
            let (is_folder, name) = (entry.file_type()?.is_dir(), entry.file_name());
            self.place(is_folder, (from, to, path), &name)?;
        }
        Ok(())
    }

    fn place(
        &mut self,
        is_folder: bool,
        (from, to, path): (&Path, &Path, &Path),
        name: &OsStr,
    ) -> Result<(), TreeError> {
        let (from, to, path) = (from.join(name), to.join(name), path.join(name));
        match look(&to)? {
            Some(found) if is_folder && found.is_dir() => return self.merge(&from, &to, &path),
            Some(found) if is_folder && found.is_symlink() => {
                return self.merge(&from, &fs_err::canonicalize(&to)?, &path);
            }
            Some(found) if found.is_dir() => fs_err::remove_dir(&to)?,
            Some(_) if is_folder => fs_err::remove_file(&to)?,
            _ => {}
        }
        fs_err::rename(&from, &to)?;
        if !is_folder {
            self.moved.push(path);
        }
        Ok(())
    }

    /// Lets the owner work in an existing folder until the end.
    fn open_up(&mut self, place: &Path) -> io::Result<()> {
        let mode = fs_err::symlink_metadata(place)?.permissions().mode() & 0o7777;
        if mode & OWNER != OWNER {
            fs_err::set_permissions(place, Permissions::from_mode(mode | OWNER))?;
            self.opened.insert(place.to_owned(), mode);
        }
        Ok(())
    }

    fn finish(&self, plan: &Plan, stage: &Stage) -> Result<(), TreeError> {
        let mut folders = Vec::new();
        let mut entries = plan.index.entries();
        while let Some((_, entry)) = entries.next()? {
            if let Node::Folder { mode, modified } = entry.node {
                folders.push((stage.root.join(entry.path), mode, modified));
            }
        }
        let mut result = Ok(());
        for (place, mode) in self.opened.iter().rev() {
            result = result.and(fs_err::set_permissions(place, Permissions::from_mode(*mode)));
        }
        // Children come after their folder, and must be first: it may become read-only.
        for (place, mode, modified) in folders.into_iter().rev() {
            result = result.and(set_folder(&place, mode, modified));
        }
        Ok(result?)
    }
}

/// A link in the place of a folder is left alone, with what it points to.
fn set_folder(place: &Path, mode: u32, modified: (i64, i64)) -> io::Result<()> {
    if !look(place)?.is_some_and(|found| found.is_dir()) {
        return Ok(());
    }
    let folder = fs_err::File::open(place)?;
    if let Some(modified) = time(modified) {
        folder.file().set_times(FileTimes::new().set_modified(modified))?;
    }
    folder.set_permissions(Permissions::from_mode(mode))
}

/// By entry: what its file looks like at its place.
fn states(plan: &Plan, stage: &Stage, mut moved: Vec<PathBuf>) -> Vec<State> {
    moved.sort_unstable();
    let mut all = vec![State::default(); usize::try_from(plan.index.count).unwrap_or(0)];
    for (number, planned) in (0..).zip(&plan.files) {
        let path = plan.path(number);
        let made = planned.state.get();
        let is_as_made =
            made.is_known() && moved.binary_search_by(|moved| moved.as_path().cmp(path)).is_err();
        let found = if is_as_made {
            Some(made)
        } else {
            OwnFiles.facts(&stage.root.join(path)).ok().map(|facts| State::new(&facts))
        };
        if let Some(place) = all.get_mut(planned.entry as usize) {
            *place = found.unwrap_or_default();
        }
    }
    all
}
