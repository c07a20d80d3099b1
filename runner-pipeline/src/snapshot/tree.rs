//! Writes the work tree as a tree of git, with an index of our own, so that nothing of the user's changes.

use std::{ffi::OsString, fs, io, path::Path};

use super::scratch_error;
use crate::repository::{Git, GitOutput, Repository, RepositoryError};

/// What the work tree has beyond its commit.
#[derive(Debug)]
pub(super) struct Changes {
    /// A commit of the whole work tree; `None` where that is the same as the commit that is checked out.
    pub(super) commit: Option<String>,
    /// What could not be stored.
    pub(super) notes: Vec<String>,
}

impl Changes {
    /// Stores what is new as objects in the repository at `bare`.
    pub(super) async fn store(repository: &Repository, bare: &Path) -> Result<Self, RepositoryError> {
        let index = bare.join("work-tree-index");
        copy_index(&repository.git_dir().join("index"), &index)
            .map_err(|cause| scratch_error("copy git's index", cause))?;
        let git = writer(repository, bare, &index);
        // Both mean the top of the project, which is where git runs. The second one is a pattern, since git fails where
        // a plain path is named that it ignores as well.
        let paths = [".", ":(exclude).[r]unner/*"];
        let output =
            git.run(&[&["add", "--all", "--sparse", "--ignore-errors", "--"], &paths[..]].concat()).await?;
        let mut notes = notes(&output)?;
        notes.extend(changed_submodules(repository, &git).await?);
        let mut arguments = vec![OsString::from("write-tree")];
        if let Some(folder) = repository.within() {
            let mut prefix = OsString::from("--prefix=");
            prefix.extend([folder.as_os_str(), "/".as_ref()]);
            arguments.push(prefix);
        }
        let tree = git.text(&arguments).await?;
        let head = repository.head();
        if head.is_some_and(|commit| commit.tree == tree) {
            return Ok(Self { commit: None, notes });
        }
        let message = match (repository.within(), repository.commit()) {
            (Some(_), Some(commit)) if !commit.message.is_empty() => commit.message.as_str(),
            _ => "The work tree, as it is",
        };
        let mut arguments = vec!["commit-tree", "--no-gpg-sign", "-m", message, &tree];
        if let Some(commit) = head {
            arguments.extend(["-p", &commit.sha]);
        }
        let commit = dated(git, repository).text(&arguments).await?;
        Ok(Self { commit: Some(commit), notes })
    }
}

/// A remark on submodules that are not as the last commit has them: jobs fetch those from where they come from.
async fn changed_submodules(repository: &Repository, git: &Git) -> Result<Option<String>, RepositoryError> {
    let has_some = repository.within().is_none() && repository.root().join(".gitmodules").exists();
    if repository.head().is_none() || !has_some {
        return Ok(None);
    }
    let arguments = [
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=no",
        "--ignore-submodules=none",
    ];
    let output = git.run(&arguments).await?;
    if !output.succeeded {
        return Err(RepositoryError::of(&output, "status"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // `1 XY S.M. mode mode mode hash hash path`: the third word begins with an S where the path is a submodule.
    let changed = text.split('\0').filter_map(|line| {
        let mut words = line.splitn(9, ' ');
        words.nth(2).filter(|word| word.starts_with('S'))?;
        words.last().map(|path| format!("`{path}`"))
    });
    let changed: Vec<String> = changed.collect();
    Ok((!changed.is_empty()).then(|| {
        format!(
            "submodules are not as they are committed, and jobs get them as committed: {}",
            changed.join(", ")
        )
    }))
}

/// A folder that has not changed is the same commit each time.
fn dated(git: Git, repository: &Repository) -> Git {
    match (repository.within(), repository.commit()) {
        (Some(_), Some(commit)) => git
            .environment("GIT_AUTHOR_DATE", &commit.timestamp)
            .environment("GIT_COMMITTER_DATE", &commit.timestamp),
        _ => git,
    }
}

/// Copies an index, so that git need not read files that have not changed since it was written.
///
/// The copy must be as old as the original: git reads a file again that may have been changed in the moment in which
/// the index was written, and it knows that moment by the age of the index.
fn copy_index(from: &Path, to: &Path) -> io::Result<()> {
    let copy = || {
        let written = fs::metadata(from)?.modified()?;
        fs::copy(from, to)?;
        fs::File::options().append(true).open(to)?.set_modified(written)
    };
    match copy() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Git with the work tree and the settings of the user, but an index and a store of our own.
fn writer(repository: &Repository, bare: &Path, index: &Path) -> Git {
    let mut git = repository
        .git()
        .environment("GIT_INDEX_FILE", index)
        .environment("GIT_OBJECT_DIRECTORY", bare.join("objects"))
        .environment("GIT_AUTHOR_NAME", "runner")
        .environment("GIT_AUTHOR_EMAIL", "runner@localhost")
        .environment("GIT_COMMITTER_NAME", "runner")
        .environment("GIT_COMMITTER_EMAIL", "runner@localhost")
        .setting("core.splitIndex", "false")
        .setting("core.safecrlf", "false")
        .setting("core.looseCompression", "0")
        .setting("core.fsync", "none")
        .setting("advice.addEmbeddedRepo", "false")
        .setting("i18n.commitEncoding", "UTF-8");
    // A job gets a file as it is, and never a pointer to content that only this machine has: large files of Git LFS
    // keep their content, and no program of the user's runs.
    for name in repository.filters() {
        git = git
            .setting(&format!("filter.{name}.clean"), "")
            .setting(&format!("filter.{name}.process"), "")
            .setting(&format!("filter.{name}.required"), "false");
    }
    git
}

/// What `git add` left out, or the error where that is not the fault of single files.
fn notes(output: &GitOutput) -> Result<Vec<String>, RepositoryError> {
    let mut notes = Vec::new();
    let complaints = output.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
    for complaint in complaints.filter(|_| !output.succeeded) {
        if let Some(file) =
            complaint.strip_prefix("open(\"").and_then(|rest| rest.strip_suffix("\"): Permission denied"))
        {
            notes.push(format!(
                "`{file}` may not be read, so jobs get it as it was committed last, or not at all"
            ));
        } else if let Some(place) = complaint.strip_suffix(" does not have a commit checked out") {
            let place = place.trim_matches('\'');
            notes.push(format!(
                "`{place}` is a repository of its own without a commit, so jobs do not get it"
            ));
        } else if !complaint.starts_with("unable to index file") {
            return Err(RepositoryError::of(output, "add"));
        }
    }
    if !output.succeeded && notes.is_empty() {
        return Err(RepositoryError::of(output, "add"));
    }
    Ok(notes)
}
