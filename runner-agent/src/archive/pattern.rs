//! Patterns of paths, as `artifacts:paths` and `cache:paths` have them.
//!
//! GitLab Runner uses the Go library `doublestar`; patterns here match the same paths: `*` and `?` stay within a folder
//! and match hidden names too, `**` as a whole part of a path is any number of folders, `[a-z]` and `[^a-z]` (or
//! `[!a-z]`) are classes, `{a,b}` are alternatives that may nest and hold slashes, a backslash takes the meaning away.
//! A path is bytes: it need not be UTF-8.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

mod braces;
mod part;

use part::Part;

/// Why a text is no pattern of a path within a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is malformed.
    #[error("the pattern is malformed: {0}")]
    Malformed(&'static str),
    /// It matches nothing within the folder.
    #[error("the path is outside of the project directory")]
    Outside,
}

/// A pattern, for paths relative to a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    alternatives: Vec<Alternative>,
}

/// A pattern without braces: the parts between its slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// The folder, or the file itself, in which the search begins: the parts without wildcards at the start.
    pub(crate) base: PathBuf,
    rest: Vec<Part>,
}

/// How far a path has come in an [`Alternative`]: the parts that may come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress(Vec<usize>);

impl Pattern {
    /// Reads `text`, which is relative to `folder` or absolute. Surplus slashes, `.` and `..` are resolved as text.
    ///
    /// # Errors
    /// Where it is malformed, or leads out of `folder`.
    pub fn new(text: &str, folder: &Path) -> Result<Self, PatternError> {
        let alternatives = braces::expand(text)?;
        let read = alternatives.iter().map(|text| Alternative::new(text, folder));
        Ok(Self { alternatives: read.collect::<Result<_, _>>()? })
    }

    /// Whether it matches `path` as a whole. What is below a folder that it matches is another path.
    pub fn matches(&self, path: &Path) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(path))
    }

    pub(crate) fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }
}

impl Alternative {
    fn new(text: &str, folder: &Path) -> Result<Self, PatternError> {
        let mut parts: Vec<Part> = Vec::new();
        let home = folder.components().filter_map(literal);
        let absolute = text.starts_with('/');
        if !absolute {
            parts.extend(home.clone());
        }
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(Part::new(part)?),
            }
        }
        for expected in home {
            if parts.first() != Some(&expected) {
                return Err(PatternError::Outside);
            }
            parts.remove(0);
        }
        let wild = parts.iter().position(|part| !matches!(part, Part::Literal(_))).unwrap_or(parts.len());
        let rest = parts.split_off(wild);
        let base = parts.into_iter().filter_map(Part::into_literal).map(OsString::from_vec).collect();
        Ok(Self { base, rest })
    }

    fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.base) else { return false };
        let mut progress = self.start();
        for component in below.components() {
            progress = self.advance(&progress, component.as_os_str().as_bytes());
        }
        self.is_match(&progress)
    }

    /// Whether the base itself is all there is.
    pub(crate) fn is_literal(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where a path stands that is the base.
    pub(crate) fn start(&self) -> Progress {
        self.skip_empty(vec![0])
    }

    /// Where a path stands after one more part.
    pub(crate) fn advance(&self, progress: &Progress, name: &[u8]) -> Progress {
        let mut next = Vec::with_capacity(progress.0.len());
        for index in &progress.0 {
            match self.rest.get(*index) {
                Some(Part::Folders) => next.push(*index),
                Some(part) if part.matches(name) => next.push(index + 1),
                _ => {}
            }
        }
        self.skip_empty(next)
    }

    /// Whether a path that stands there matches.
    pub(crate) fn is_match(&self, progress: &Progress) -> bool {
        progress.0.last() == Some(&self.rest.len())
    }

    /// `**` may stand for no folder at all.
    fn skip_empty(&self, mut indexes: Vec<usize>) -> Progress {
        let mut at = 0;
        while let Some(index) = indexes.get(at).copied() {
            if self.rest.get(index) == Some(&Part::Folders) {
                indexes.push(index + 1);
            }
            at += 1;
        }
        indexes.sort_unstable();
        indexes.dedup();
        Progress(indexes)
    }
}

impl Progress {
    /// Whether nothing below can match.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.is_empty()
    }
}

fn literal(component: Component<'_>) -> Option<Part> {
    match component {
        Component::Normal(name) => Some(Part::Literal(name.as_bytes().to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
