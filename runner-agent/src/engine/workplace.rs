//! What caches and artifacts need to know of a job.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use runner_cache::reader::TreeReader;
use runner_core::{Result, job::Variables, log::JobLog};

use super::{colour, files};
use crate::archive::{Level, Untracked, Wanted, select};

/// The work tree of a job, and where to speak of it.
#[derive(Debug, Clone)]
pub(crate) struct Workplace<'a> {
    /// The work tree; patterns are relative to it.
    pub(crate) project: &'a Path,
    /// What reads its files.
    pub(crate) reader: Arc<dyn TreeReader>,
    /// The job's variables, for names, keys and patterns.
    pub(crate) variables: &'a Variables,
    /// Tells what git does not track.
    pub(crate) untracked: &'a dyn Untracked,
    /// The job's log.
    pub(crate) log: &'a JobLog,
}

impl Workplace<'_> {
    /// Says that something may be wrong, although the job goes on.
    pub(crate) async fn warn(&self, text: &str) {
        self.log.line(&colour::warning(text)).await;
    }

    /// How hard to compress, as the variable `name` says.
    pub(crate) async fn level(&self, name: &str) -> Level {
        let value = self.variables.value(name);
        if let Some(level) = Level::named(&value) {
            return level;
        }
        self.warn(&format!("{name} is {value:?}, which is no level: the default is taken")).await;
        Level::default()
    }

    /// Whether the job has left its work tree where it was.
    async fn has_work_tree(&self) -> bool {
        let project = self.project.to_owned();
        files::blocking("look at the work tree", move || Ok(project.is_dir())).await.unwrap_or(true)
    }

    /// The files that are wanted; what was found is said.
    pub(crate) async fn select(
        &self,
        paths: &[String],
        exclude: &[String],
        untracked: bool,
    ) -> Result<Vec<PathBuf>> {
        let expand = |texts: &[String]| texts.iter().map(|text| self.variables.expand(text)).collect();
        let mut wanted = Wanted { paths: expand(paths), exclude: expand(exclude), untracked: None };
        if untracked {
            match self.untracked.untracked().await {
                Ok(listed) => wanted.untracked = Some(listed),
                Err(error) => {
                    self.warn(&format!("untracked files are left out: failed to {}", error.chain())).await;
                }
            }
        }
        let selection = match select(self.project, wanted, Arc::clone(&self.reader)).await {
            Ok(selection) => selection,
            Err(error) if !self.has_work_tree().await => {
                self.warn(&format!("the work tree is gone: failed to {}", error.chain())).await;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        for notice in &selection.notices {
            if notice.is_warning {
                self.warn(&notice.text).await;
            } else {
                self.log.line(&notice.text).await;
            }
        }
        Ok(selection.files)
    }
}

/// How much something is, for a person: `27 files, 1.2 MB`.
pub(crate) fn amount(files: u64, bytes: u64) -> String {
    format!("{files} {}, {}", if files == 1 { "file" } else { "files" }, size(bytes))
}

/// A size in units of a thousand.
pub(crate) fn size(bytes: u64) -> String {
    let (mut whole, mut tenths, mut unit) = (bytes, 0, "bytes");
    for larger in ["kB", "MB", "GB", "TB", "PB"] {
        if whole < 1000 {
            break;
        }
        (whole, tenths, unit) = (whole / 1000, whole % 1000 / 100, larger);
    }
    match unit {
        "bytes" => format!("{whole} bytes"),
        _ => format!("{whole}.{tenths} {unit}"),
    }
}

#[cfg(test)]
pub(super) mod tests;
