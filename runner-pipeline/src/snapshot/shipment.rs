//! A part of a snapshot as a repository of its own, for jobs that cannot reach this machine.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use runner_core::job::GitInfo;
use tokio::sync::Mutex;

use super::{Snapshot, bare, scratch_error};
use crate::repository::{Git, RepositoryError};

/// A bare repository that holds what a job fetches and not more. It borrows nothing, so that its files can be copied
/// anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Where it is, for as long as the snapshot is.
    pub root: PathBuf,
    /// Its files, relative to `root`, with `/` between the parts of a path.
    pub files: Vec<String>,
}

/// Shipments that were made, by what they hold. Jobs of a pipeline mostly want the same.
#[derive(Debug, Default)]
pub(super) struct Shipments(Mutex<HashMap<(u32, Vec<String>), Shipment>>);

impl Snapshot {
    /// What a job fetches with the depth and the refspecs of `wanted`, as a repository to copy.
    ///
    /// # Cancellation
    /// What was made is removed with the snapshot.
    ///
    /// # Errors
    /// Where git fails, or the disk is full.
    pub async fn shipment(&self, wanted: &GitInfo) -> runner_core::Result<Shipment> {
        let mut made = self.shipments.0.lock().await;
        let key = (wanted.depth, wanted.refspecs.clone());
        if let Some(shipment) = made.get(&key) {
            return Ok(shipment.clone());
        }
        let root = self.bare.path().join(format!("shipment-{}", made.len()));
        let shipment = self.ship(wanted, root).await;
        let shipment = shipment.map_err(|error| error.during("pack the sources", self.bare.path()))?;
        made.insert(key, shipment.clone());
        Ok(shipment)
    }

    async fn ship(&self, wanted: &GitInfo, root: PathBuf) -> Result<Shipment, RepositoryError> {
        let failed = |cause| scratch_error("write the repository that is sent to jobs", cause);
        // One that an earlier call did not complete is of no use.
        std::fs::remove_dir_all(&root).or_else(absent_is_fine).map_err(failed)?;
        bare::create(&root, &self.object_format).map_err(failed)?;
        std::fs::copy(self.bare.path().join("HEAD"), root.join("HEAD")).map_err(failed)?;
        // All that comes is kept as the one pack that it came as.
        let git = Git::new(&root)
            .setting("fetch.unpackLimit", "1")
            .setting("fetch.writeCommitGraph", "false")
            .setting("maintenance.auto", "false")
            .setting("protocol.file.allow", "always");
        let depth = format!("--depth={}", wanted.depth);
        let (url, refspecs) = (self.url(), wanted.refspecs.iter().map(|spec| same_name(spec)));
        let mut arguments =
            vec!["fetch".to_owned(), "--quiet".into(), "--no-tags".into(), "--update-shallow".into()];
        arguments.extend((wanted.depth > 0).then_some(depth));
        arguments.extend(["--no-write-fetch-head".to_owned(), url]);
        arguments.extend(refspecs);
        git.text(&arguments).await?;
        git.text(&["pack-refs", "--all"]).await?;
        let mut files = Vec::new();
        list(&root, "", &mut files).map_err(failed)?;
        Ok(Shipment { root, files })
    }
}

/// The refspec that keeps the name of what `spec` fetches: the job itself renames it.
fn same_name(spec: &str) -> String {
    let source = spec.trim_start_matches('+').split(':').next().unwrap_or_default();
    format!("+{source}:{source}")
}

fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_keeps_its_name_on_the_way() {
        assert_eq!(same_name("+refs/heads/*:refs/remotes/origin/*"), "+refs/heads/*:refs/heads/*");
        assert_eq!(same_name("refs/pipelines/1:refs/pipelines/1"), "+refs/pipelines/1:refs/pipelines/1");
    }
}
