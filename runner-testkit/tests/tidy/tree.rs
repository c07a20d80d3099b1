//! The files of this repository: what git tracks, and what it would track.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    manifest::{Manifest, quoted},
    offence::Untidy,
};

/// A text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether it lies somewhere below a folder.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The name without folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What stands after the last dot of the name.
    pub(crate) fn extension(&self) -> Option<&str> {
        self.name().rsplit_once('.').map(|(_, extension)| extension)
    }
}

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its folder, which is its name.
    pub(crate) name: String,
    pub(crate) manifest: Manifest,
}

/// The repository.
#[derive(Debug)]
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// The repository that this test belongs to.
    pub(crate) fn of_this_repository() -> Result<Self, Untidy> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        for path in listed(&root)? {
            // A file may be deleted and still tracked; what is no text has no rules.
            if let Ok(text) = fs::read_to_string(root.join(&path)) {
                files.push(File { path, text });
            }
        }
        if files.iter().any(|file| file.path == "Cargo.toml") {
            return Ok(Self { files });
        }
        Err(Untidy::Unreadable("git lists no Cargo.toml at the root of the repository".into()))
    }

    /// A repository of samples.
    pub(crate) fn of(samples: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self { files: samples.iter().map(file).collect() }
    }

    /// All text files, in the order of their paths.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The files in Rust.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.extension() == Some("rs"))
    }

    /// The text of a file; empty where there is none, so that a rule finds everything missing in it.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
    }

    /// Whether there is such a file or folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path || file.is_in(path))
    }

    /// The crates of the workspace.
    pub(crate) fn members(&self) -> Vec<Member> {
        let root = Manifest::parse("Cargo.toml", self.text("Cargo.toml"));
        let member = |name: String| {
            let path = format!("{name}/Cargo.toml");
            Member { manifest: Manifest::parse(&path, self.text(&path)), name }
        };
        quoted(root.value("workspace", "members").unwrap_or_default()).into_iter().map(member).collect()
    }
}

fn listed(root: &PathBuf) -> Result<Vec<String>, Untidy> {
    // A clone that belongs to somebody else, as in a container, may be read all the same.
    let arguments =
        ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| Untidy::Unreadable(format!("git cannot be started: {error}")))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(Untidy::Unreadable(format!("git cannot list the files of this repository: {reason}")));
    }
    let names = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).map(String::from).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_those_of_the_workspace() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\n  \"a\", # first\n  \"b\",\n]\n"),
            ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ]);
        let names: Vec<_> = tree.members().into_iter().map(|member| member.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_folder_is_not_the_beginning_of_a_name() {
        let tree = Tree::of(&[("core-more/a.rs", "")]);
        assert!(!tree.has("core"));
        assert!(tree.has("core-more"));
    }
}
