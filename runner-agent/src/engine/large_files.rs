//! Files that the repository keeps with Git LFS.

use std::{io, path::Path};

use fs_err as fs;
use memchr::memmem;

use super::{
    Engine, colour,
    course::{Course, Phased},
    files,
    git::{Git, GitFailure},
    git_config::GitConfig,
    limit::Limit,
    process::Output,
    repository,
};
use crate::host::Exit;

/// As much of a list of attribute files as is read.
const LIST_SIZE: usize = 1 << 20;

/// What tells git, and git-lfs itself, that large files are to be replaced by their contents. It stands in the
/// repository from then on, so that `git status` in a script is right as well.
const FILTER: [(&str, &str); 4] = [
    ("clean", "git-lfs clean -- %f"),
    ("smudge", "git-lfs smudge -- %f"),
    ("process", "git-lfs filter-process"),
    ("required", "true"),
];

fn filter() -> GitConfig {
    let mut config = GitConfig::default();
    config.section_of("filter", "lfs");
    for (key, value) in FILTER {
        config.set(key, value);
    }
    config
}

/// Fetches the contents of large files, if the repository has any and git knows how.
pub(crate) async fn pull(
    engine: &Engine,
    git: &Git<'_>,
    course: &mut Course,
    limit: &mut Limit,
) -> Phased<Result<(), GitFailure>> {
    let project = engine.places.project.clone();
    let used = match files::blocking("look for large files", move || seen(&project)).await? {
        Seen::Used => true,
        Seen::Unused => false,
        Seen::InFolders => in_folders(engine, git, course, limit).await?,
    };
    if !used {
        return Ok(Ok(()));
    }
    if !is_installed(git, course, limit).await? {
        let text = "The repository uses Git LFS, but git-lfs is not installed: large files stay as pointers";
        engine.log.line(&colour::warning(text)).await;
        return Ok(Ok(()));
    }
    engine.log.line(&colour::good("Fetching large files")).await;
    let project = engine.places.project.clone();
    files::blocking("set up Git LFS", move || repository::configure(&project, filter())).await?;
    git.run(course, limit, &["lfs", "pull"]).await
}

/// Does the same in each submodule.
pub(crate) async fn pull_submodules(
    git: &Git<'_>,
    recursive: bool,
    course: &mut Course,
    limit: &mut Limit,
) -> Phased<Result<(), GitFailure>> {
    if !is_installed(git, course, limit).await? {
        return Ok(Ok(()));
    }
    let settings = FILTER.map(|(key, value)| format!("filter.lfs.{key}={value}"));
    let mut arguments: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
    arguments.extend(["submodule", "foreach", "--quiet"]);
    arguments.extend(recursive.then_some("--recursive"));
    arguments.extend(["git", "lfs", "pull"]);
    git.run(course, limit, &arguments).await
}

async fn is_installed(git: &Git<'_>, course: &mut Course, limit: &mut Limit) -> Phased<bool> {
    let mut unread = Vec::new();
    let exit = git.exit(course, limit, Output::Kept(&mut unread, 0), &["lfs", "version"]).await?;
    Ok(exit == Exit::Code(0))
}

/// What can be seen without git.
enum Seen {
    Used,
    Unused,
    /// Attributes are set in folders; which, only git knows.
    InFolders,
}

fn seen(project: &Path) -> io::Result<Seen> {
    if mentions(&project.join(".gitattributes")) || project.join(".lfsconfig").exists() {
        return Ok(Seen::Used);
    }
    let index = project.join(".git/index");
    let has_more = index.exists() && memmem::find(&fs::read(index)?, b"/.gitattributes").is_some();
    Ok(if has_more { Seen::InFolders } else { Seen::Unused })
}

async fn in_folders(engine: &Engine, git: &Git<'_>, course: &mut Course, limit: &mut Limit) -> Phased<bool> {
    let mut list = Vec::new();
    let arguments = ["ls-files", "-z", "--", ":(glob)**/.gitattributes"];
    git.exit(course, limit, Output::Kept(&mut list, LIST_SIZE), &arguments).await?;
    let project = engine.places.project.clone();
    let look = move || {
        let paths = list.split(|&byte| byte == 0).filter(|path| !path.is_empty());
        let mut paths = paths.map(|path| project.join(String::from_utf8_lossy(path).as_ref()));
        Ok(paths.any(|path| mentions(&path)))
    };
    Ok(files::blocking("look for large files", look).await?)
}

fn mentions(attributes: &Path) -> bool {
    fs::read(attributes).is_ok_and(|text| memmem::find(&text, b"filter=lfs").is_some())
}
