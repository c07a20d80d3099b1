//! From patterns to files.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use runner_cache::{blocking, io_error, reader::TreeReader};
use runner_core::Result;

use super::pattern::{Pattern, PatternError};

mod listing;
mod walk;

use listing::Listing;
use walk::Walk;

/// What git is asked for `untracked`, in the work tree: as GitLab Runner does, so files that `.gitignore` names are
/// among them.
pub const UNTRACKED: [&str; 3] = ["ls-files", "--others", "-z"];

/// Tells which files git does not track.
#[async_trait]
pub trait Untracked: Send + Sync + fmt::Debug {
    /// The output of git with [`UNTRACKED`] as arguments, in the work tree, with the warnings that stand before it.
    ///
    /// # Errors
    /// Where git cannot be asked. Then there is a warning, and nothing counts as untracked.
    async fn untracked(&self) -> Result<Vec<u8>>;
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Patterns of what to take, after expansion of variables. A folder is taken with everything below it.
    pub paths: Vec<String>,
    /// Patterns of what to leave out. A folder that matches is left out itself; what is in it is not.
    pub exclude: Vec<String>,
    /// Also these, as git lists them with [`UNTRACKED`], and what is in folders that it could not look into.
    pub untracked: Option<Vec<u8>>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Files, folders and links, relative to the folder, without doubles, each folder before what is in it. A link
    /// is itself, and not what it points to.
    pub files: Vec<PathBuf>,
    /// What to say about it.
    pub notices: Vec<Notice>,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether something may be wrong.
    pub is_warning: bool,
    /// The line.
    pub text: String,
}

impl Notice {
    fn warning(text: String) -> Self {
        Self { is_warning: true, text }
    }

    fn note(text: String) -> Self {
        Self { is_warning: false, text }
    }
}

/// Finds the files below `folder` that are wanted, as `reader` sees them.
///
/// As GitLab Runner does, it takes hidden files, and `.git` where a pattern matches it.
///
/// # Cancellation
/// Dropping the future ends the search soon.
///
/// # Errors
/// Where `folder` itself cannot be read. Everything else is a [`Notice`].
pub async fn select(folder: &Path, wanted: Wanted, reader: Arc<dyn TreeReader>) -> Result<Selection> {
    let folder = folder.to_owned();
    blocking::run(move |interrupt| {
        let failed = |cause| io_error("look for files", cause);
        let real = fs_err::canonicalize(&folder).map_err(failed)?;
        let mut search = Search::new(Walk::new((&folder, &real), &*reader, interrupt));
        search.read_excludes(&wanted.exclude);
        for text in &wanted.paths {
            search.take_pattern(text).map_err(failed)?;
        }
        if let Some(listed) = &wanted.untracked {
            search.take_untracked(&Listing::read(listed)).map_err(failed)?;
        }
        Ok(search.finish())
    })
    .await
}

struct Search<'a> {
    walk: Walk<'a>,
    excludes: Vec<(String, Pattern)>,
    excluded: BTreeMap<String, u64>,
    files: Vec<PathBuf>,
    notices: Vec<Notice>,
}

impl<'a> Search<'a> {
    fn new(walk: Walk<'a>) -> Self {
        Self { walk, excludes: Vec::new(), excluded: BTreeMap::new(), files: Vec::new(), notices: Vec::new() }
    }

    fn read_excludes(&mut self, texts: &[String]) {
        for text in texts {
            match Pattern::new(text, self.walk.folder) {
                Ok(pattern) => self.excludes.push((text.clone(), pattern)),
                Err(error) => self.notices.push(refused(text, &error)),
            }
        }
    }

    fn take_pattern(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            self.notices.push(Notice::warning("a path is empty, so nothing matches it".into()));
            return Ok(());
        }
        let pattern = match Pattern::new(text, self.walk.folder) {
            Ok(pattern) => pattern,
            Err(error) => {
                self.notices.push(refused(text, &error));
                return Ok(());
            }
        };
        let mut found = Vec::new();
        let mut is_outside = false;
        for alternative in pattern.alternatives() {
            is_outside |= !self.walk.find(alternative, &mut found)?;
        }
        self.note_unreadable();
        found.retain(|path| !self.is_excluded(path));
        sort(&mut found);
        self.notices.push(match found.len() {
            0 if is_outside => refused(text, &PatternError::Outside),
            0 => Notice::warning(format!(
                "{text}: no matching files. Ensure that the path is relative to the project directory ({})",
                self.walk.folder.display()
            )),
            count => Notice::note(format!("{text}: found {count} matching files and directories")),
        });
        self.files.append(&mut found);
        Ok(())
    }

    fn take_untracked(&mut self, listing: &Listing<'_>) -> io::Result<()> {
        let names = listing.names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        // A repository within the work tree is listed as a folder, by a slash at its end.
        let paths = names
            .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name.strip_suffix(b"/").unwrap_or(name))));
        let mut found: Vec<_> = paths.filter(|path| self.walk.kind(path).is_some()).collect();
        for folder in &listing.closed {
            if self.walk.follow(folder, false)? {
                self.walk.take(folder.clone(), None, &mut found)?;
            }
        }
        self.note_unreadable();
        found.retain(|path| !self.is_excluded(path));
        self.notices.push(match found.len() {
            0 => Notice::warning("untracked: no files".into()),
            count => Notice::note(format!("untracked: found {count} files")),
        });
        self.files.append(&mut found);
        Ok(())
    }

    fn note_unreadable(&mut self) {
        let unreadable = self.walk.unreadable.drain(..);
        self.notices.extend(unreadable.map(|what| Notice::warning(format!("{what}: it is left out"))));
    }

    fn is_excluded(&mut self, path: &Path) -> bool {
        let rule = self.excludes.iter().find(|(_, pattern)| pattern.matches(path));
        if let Some((text, _)) = rule {
            *self.excluded.entry(text.clone()).or_default() += 1;
        }
        rule.is_some()
    }

    fn finish(mut self) -> Selection {
        sort(&mut self.files);
        // A link that files were taken through becomes a folder where they are unpacked, so it cannot be a link too.
        let through = self.walk.through;
        self.files.retain(|path| !through.contains(path));
        let excluded = self.excluded.into_iter();
        self.notices
            .extend(excluded.map(|(rule, count)| Notice::note(format!("{rule}: excluded {count} files"))));
        Selection { files: self.files, notices: self.notices }
    }
}

/// By bytes: a folder is the start of the names of what is in it, and so comes first.
fn sort(paths: &mut Vec<PathBuf>) {
    paths.sort_unstable_by(|left, right| left.as_os_str().as_bytes().cmp(right.as_os_str().as_bytes()));
    paths.dedup();
}

fn refused(text: &str, error: &PatternError) -> Notice {
    Notice::warning(match error {
        PatternError::Outside => format!("{text}: it is outside of the project directory and is left out"),
        PatternError::Malformed(_) => format!("{text}: {error}; it is left out"),
    })
}

#[cfg(test)]
mod tests;
