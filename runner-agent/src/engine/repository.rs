//! The files of a repository that we write ourselves, which is quicker than to start git for each, and trusts nothing
//! that an earlier job left in them.

use std::{
    io::{self, Write as _},
    path::Path,
};

use fs_err as fs;

use super::{files, git_config::GitConfig, remote::Remote};

/// What stands in a repository's own configuration. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where it comes from, without a login.
    pub(crate) remote: Remote,
    /// Its objects are named by SHA-256.
    pub(crate) sha256: bool,
    /// Scripts of the job can log in with the variable `CI_JOB_TOKEN`, under this user's name.
    pub(crate) token_user: Option<String>,
}

/// Makes `project` an empty directory with an empty repository.
pub(crate) fn create(project: &Path, settings: &Settings) -> io::Result<()> {
    files::clear(project)?;
    let git = project.join(".git");
    for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        fs::create_dir_all(git.join(folder))?;
    }
    fs::write(git.join("HEAD"), "ref: refs/heads/none\n")?;
    fs::write(git.join("config"), configuration(settings))
}

/// Makes the repository that an earlier job left in `project` safe to use: its configuration is ours again, and hooks
/// and stale locks are gone. Returns `false` where there is none that can be used.
pub(crate) fn adopt(project: &Path, settings: &Settings) -> io::Result<bool> {
    let git = project.join(".git");
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    let is_whole = is_folder(&git)
        && is_folder(&git.join("objects"))
        && is_folder(&git.join("refs"))
        && is_file(&git.join("HEAD"));
    if !is_whole || uses_sha256(&git) != settings.sha256 {
        return Ok(false);
    }
    scrub(&git)?;
    let content = configuration(settings);
    files::remove(&git.join("config"))?;
    fs::write(git.join("config"), content)?;
    let modules = git.join("modules");
    if is_folder(&modules) {
        scrub_modules(&modules)?;
    }
    Ok(true)
}

/// Adds to the configuration of the repository in `project`.
pub(crate) fn configure(project: &Path, added: GitConfig) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().append(true).open(project.join(".git/config"))?;
    file.write_all(added.into_text().as_bytes())
}

fn uses_sha256(git: &Path) -> bool {
    let config = fs::read_to_string(git.join("config")).unwrap_or_default().to_ascii_lowercase();
    config.lines().any(|line| line.trim_start().starts_with("objectformat") && line.contains("sha256"))
}

/// Removes locks of killed processes, and whatever makes git run something or look elsewhere.
fn scrub(git: &Path) -> io::Result<()> {
    for name in [
        "HEAD.lock",
        "config.lock",
        "index.lock",
        "packed-refs.lock",
        "shallow.lock",
        "commondir",
        "config.worktree",
        "hooks",
        "objects/info/alternates",
        "objects/info/http-alternates",
    ] {
        files::remove(&git.join(name))?;
    }
    for entry in walkdir::WalkDir::new(git.join("refs")).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|ending| ending == "lock") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Does the same in the repositories of submodules; git writes their configuration anew.
fn scrub_modules(modules: &Path) -> io::Result<()> {
    let skipped = ["objects", "refs", "logs", "info"];
    let walk = walkdir::WalkDir::new(modules).into_iter().filter_entry(|entry| {
        entry.file_type().is_dir() && !skipped.iter().any(|name| entry.file_name() == *name)
    });
    let folders: Vec<_> = walk.filter_map(Result::ok).map(walkdir::DirEntry::into_path).collect();
    for folder in folders.iter().filter(|folder| folder.join("HEAD").exists()) {
        scrub(folder)?;
        files::remove(&folder.join("config"))?;
    }
    Ok(())
}

fn configuration(settings: &Settings) -> String {
    let mut config = GitConfig::default();
    config.section("core").set("repositoryformatversion", if settings.sha256 { "1" } else { "0" });
    config.set("filemode", "true").set("bare", "false").set("logallrefupdates", "true");
    if settings.sha256 {
        config.section("extensions").set("objectformat", "sha256");
    }
    config.section_of("remote", "origin").set("url", &settings.remote.url);
    config.set("fetch", "+refs/heads/*:refs/remotes/origin/*");
    if let (Some(origin), Some(user)) = (settings.remote.http_origin(), &settings.token_user) {
        let helper = "!f() { if [ \"$1\" = get ]; then echo \"password=$CI_JOB_TOKEN\"; fi; }; f";
        config.section_of("credential", origin).set("username", user).set("helper", helper);
    }
    config.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { remote: Remote::parse("https://ci:secret@host/a"), sha256: false, token_user: None }
    }

    #[test]
    fn what_a_job_planted_in_a_repository_is_gone() {
        let project = tempfile::tempdir().unwrap();
        create(project.path(), &settings()).unwrap();
        let git = project.path().join(".git");
        fs::write(git.join("config"), "[core]\n\tfsmonitor = evil\n").unwrap();
        fs::create_dir_all(git.join("hooks")).unwrap();
        fs::create_dir_all(git.join("modules/a/b/hooks")).unwrap();
        for path in [
            "hooks/post-checkout",
            "index.lock",
            "refs/heads/x.lock",
            "modules/a/b/HEAD",
            "modules/a/b/config",
        ] {
            fs::write(git.join(path), "x").unwrap();
        }
        assert!(adopt(project.path(), &settings()).unwrap());
        for path in ["hooks", "index.lock", "refs/heads/x.lock", "modules/a/b/config", "modules/a/b/hooks"] {
            assert!(!git.join(path).exists(), "{path}");
        }
        let config = fs::read_to_string(git.join("config")).unwrap();
        assert!(!config.contains("evil") && !config.contains("secret"), "{config}");
    }

    #[test]
    fn a_link_in_the_place_of_a_repository_is_not_used() {
        let elsewhere = tempfile::tempdir().unwrap();
        create(elsewhere.path(), &settings()).unwrap();
        let project = tempfile::tempdir().unwrap();
        fs_err::os::unix::fs::symlink(elsewhere.path().join(".git"), project.path().join(".git")).unwrap();
        assert!(!adopt(project.path(), &settings()).unwrap());
    }

    #[test]
    fn a_repository_of_another_object_format_is_not_used() {
        let project = tempfile::tempdir().unwrap();
        create(project.path(), &settings()).unwrap();
        assert!(!adopt(project.path(), &Settings { sha256: true, ..settings() }).unwrap());
    }
}
