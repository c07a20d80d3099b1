//! The work tree, with real git.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use runner_core::{
    FailureReason,
    job::{ArtifactSpec, Hook, HookName, Variable},
};

use super::{Bench, Result, content};

mod submodules;
mod traps;

/// A repository that jobs fetch from.
pub(super) struct Origin {
    path: PathBuf,
}

impl Origin {
    pub(super) fn new(path: PathBuf, arguments: &[&str]) -> Result<Self> {
        fs::create_dir_all(&path)?;
        let origin = Self { path };
        let mut init = vec!["init", "--quiet", "--initial-branch=main"];
        init.extend(arguments);
        origin.git(&init)?;
        Ok(origin)
    }

    pub(super) fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"]);
        git.args(["-c", "commit.gpgsign=false"]).args(arguments).current_dir(&self.path);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("GIT_") {
                git.env_remove(key);
            }
        }
        let output = git.env("GIT_CONFIG_GLOBAL", "/dev/null").output()?;
        if !output.status.success() {
            return Err(format!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, text)?)
    }

    /// Commits everything; returns the commit.
    pub(super) fn commit(&self, message: &str) -> Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        self.git(&["rev-parse", "HEAD"])
    }

    pub(super) fn url(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// An origin with one file and one commit, and a job for that commit.
fn bench(script: &[&str]) -> Result<(Bench, Origin)> {
    let mut bench = Bench::new(script)?;
    let origin = Origin::new(bench.folder.path().join("origin"), &[])?;
    origin.write("file", "one")?;
    point(&mut bench, &origin, &origin.commit("first")?);
    Ok((bench, origin))
}

fn point(bench: &mut Bench, origin: &Origin, commit: &str) {
    bench.job.git.repo_url = origin.url();
    bench.job.git.sha = commit.into();
    bench.job.git.reference = "main".into();
    bench.job.git.refspecs = vec!["+refs/heads/main:refs/remotes/origin/main".to_owned()];
}

#[tokio::test]
async fn a_commit_is_fetched_and_checked_out() -> Result {
    let (mut bench, origin) = bench(&["cat file; git status --short --branch; git log --oneline | wc -l"])?;
    let first = origin.git(&["rev-parse", "HEAD"])?;
    origin.write("file", "two")?;
    origin.commit("second")?;
    point(&mut bench, &origin, &first);
    let seen = bench.run().await?;
    seen.succeeded()?;
    let short: String = first.chars().take(8).collect();
    seen.says(&[
        &format!("Checking out {short} as detached HEAD (ref is main)"),
        "one## HEAD (no branch)",
        "1",
    ])
}

#[tokio::test]
async fn depth_and_refspecs_bound_what_is_fetched() -> Result {
    let (mut bench, origin) = bench(&["git log --oneline | wc -l; git tag; git branch -r"])?;
    for number in 0..5 {
        origin.commit(&number.to_string())?;
    }
    origin.git(&["tag", "v1"])?;
    origin.git(&["branch", "other", "HEAD~2"])?;
    let head = origin.git(&["rev-parse", "HEAD"])?;
    point(&mut bench, &origin, &head);
    bench.job.git.depth = 3;
    bench.job.git.refspecs = vec!["+refs/tags/v1:refs/tags/v1".into()];
    // Only fetching over a real connection is shallow, for which a plain path will do.
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["Fetching changes, 3 commits deep", "3", "v1"])?;
    assert!(!seen.log.contains("origin/"), "{}", seen.log);

    let bench = bench.variable("GIT_DEPTH", "1");
    bench.run().await?.says(&["Fetching changes, 1 commits deep", "1"])?;
    let bench = bench.variable("GIT_DEPTH", "0");
    bench.run().await?.says(&["Fetching changes", "6"])?;
    let bench = bench.variable("GIT_DEPTH", "many");
    bench
        .run()
        .await?
        .says(&["WARNING: GIT_DEPTH is \"many\", which is no number from 0 on: it is taken as 3"])
}

#[tokio::test]
async fn without_refspecs_all_branches_and_tags_are_fetched() -> Result {
    let (mut bench, origin) = bench(&["git tag; git branch -r"])?;
    origin.git(&["tag", "v1"])?;
    bench.job.git.refspecs.clear();
    bench.run().await?.says(&["v1", "  origin/main"])
}

#[tokio::test]
async fn each_strategy_does_what_it_is_named_for() -> Result {
    let (bench, _origin) =
        bench(&["ls -A | tr '\\n' ' '; touch left .hidden; mkdir -p sub/ignored; touch sub/x"])?;
    bench.run().await?.succeeded()?;
    let strategies = [
        ("none", ".git .hidden file left sub"),
        ("fetch", ".git file"),
        ("clone", ".git file"),
        ("empty", ""),
    ];
    let mut bench = bench;
    for (strategy, files) in strategies {
        bench = bench.variable("GIT_STRATEGY", strategy);
        let seen = bench.run().await?;
        seen.succeeded()?;
        assert!(seen.log.contains(&format!("\n{files} ")) || files.is_empty(), "{strategy}:\n{}", seen.log);
    }
    let seen = bench.variable("GIT_STRATEGY", "teleport").run().await?;
    assert!(seen.failed(FailureReason::ConfigurationError)?.contains("clone, fetch, none or empty"));
    Ok(())
}

#[tokio::test]
async fn checkout_and_cleaning_can_be_turned_off() -> Result {
    let (bench, _origin) = bench(&["ls -A | tr '\\n' ' '; touch left kept"])?;
    let bench = bench.variable("GIT_CHECKOUT", "false");
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(seen.log.contains("\n.git "), "{}", seen.log);
    let bench = bench.variable("GIT_CHECKOUT", "true").variable("GIT_CLEAN_FLAGS", "none");
    let seen = bench.run().await?;
    assert!(seen.log.contains("\n.git file kept left "), "{}", seen.log);
    let bench = bench.variable("GIT_CLEAN_FLAGS", "-ffdx -e kept");
    let seen = bench.run().await?;
    assert!(seen.log.contains("\n.git file kept "), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn a_login_reaches_neither_files_nor_arguments_nor_the_log() -> Result {
    let (mut bench, origin) = bench(&[
        "cat .git/config; git config --list --show-origin; env | grep -i runner_git || true",
        "grep -rl hunter[2] . \"$RUNNER_TEMP_PROJECT_DIR\" || true",
    ])?;
    // A git that shows how it was started.
    let bin = bench.folder.path().join("bin");
    fs::create_dir_all(&bin)?;
    let spy = bin.join("git");
    fs::write(&spy, "#!/bin/sh\necho \"git $*\"\nPATH=${PATH#*:} exec git \"$@\"\n")?;
    fs::set_permissions(&spy, PermissionsExt::from_mode(0o755))?;
    let path = bench.settings.environment.iter_mut().find(|(key, _)| key == "PATH").ok_or("no PATH")?;
    path.1 = format!("{}:{}", bin.display(), path.1);
    bench.job.git.repo_url = format!("file://ci-token:hunter2@{}", origin.url());
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(!seen.log.contains("hunter2") && seen.log.contains("fetch"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn scripts_can_log_in_with_the_jobs_token_which_stands_in_no_file() -> Result {
    let (mut bench, origin) =
        bench(&["printf 'protocol=https\\nhost=git.invalid\\n' | git credential fill", "cat .git/config"])?;
    let first = origin.git(&["rev-parse", "HEAD"])?;
    bench.job.git.repo_url = "https://gitlab-ci-token:tok-123@git.invalid/a.git".into();
    let mut bench = bench
        .variable("GIT_CONFIG_COUNT", "1")
        .variable("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", origin.url()))
        .variable("GIT_CONFIG_VALUE_0", "https://git.invalid/a.git");
    bench.job.git.sha = first;
    bench.job.variables.push(Variable::raw("CI_JOB_TOKEN", "tok-123"));
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["username=gitlab-ci-token", "password=tok-123"])?;
    assert_eq!(seen.log.matches("tok-123").count(), 1, "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn what_is_not_committed_is_laid_over_the_work_tree() -> Result {
    let script = "git status --short --untracked-files=all; cat changed 'odd \"name'; ./tool; readlink link; \
                  ls gone || true; git rev-parse HEAD; git diff --cached --name-only";
    let (mut bench, origin) = bench(&[script])?;
    for name in ["changed", "gone", "tool", "folder/deep", "kept"] {
        origin.write(name, "old")?;
    }
    let head = origin.commit("second")?;
    origin.write("changed", "new")?;
    origin.write("odd \"name", "odd")?;
    origin.write("tool", "#!/bin/sh\necho tool runs\n")?;
    origin.write("untracked/ä\nline", "x")?;
    fs::set_permissions(origin.path.join("tool"), PermissionsExt::from_mode(0o755))?;
    fs::remove_file(origin.path.join("gone"))?;
    fs::remove_dir_all(origin.path.join("folder"))?;
    std::os::unix::fs::symlink("changed", origin.path.join("link"))?;
    origin.git(&["add", "--all"])?;
    let tree = origin.git(&["write-tree"])?;
    let overlay = origin.git(&["commit-tree", "-p", &head, "-m", "overlay", &tree])?;
    origin.git(&["update-ref", "refs/overlay", &overlay])?;
    point(&mut bench, &origin, &head);
    bench.job.git.refspecs = vec!["+refs/overlay:refs/overlay".into()];
    bench.job.git.overlay = Some("refs/overlay".into());
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&[
        " M changed",
        " D folder/deep",
        " D gone",
        " M tool",
        "?? link",
        "?? \"odd \\\"name\"",
        "?? \"untracked/\\303\\244\\nline\"",
        "newoddtool runs",
        "changed",
        &head,
    ])?;
    assert!(!bench.project().join("folder").exists() && bench.project().join("kept").exists());
    // The same again over what the first run left.
    bench.run().await?.succeeded()
}

#[tokio::test]
async fn an_overlay_without_files_empties_the_work_tree() -> Result {
    let (mut bench, origin) = bench(&["ls -A"])?;
    let head = origin.git(&["rev-parse", "HEAD"])?;
    let tree = origin.git(&["hash-object", "-t", "tree", "-w", "/dev/null"])?;
    let overlay = origin.git(&["commit-tree", "-p", &head, "-m", "overlay", &tree])?;
    origin.git(&["update-ref", "refs/overlay", &overlay])?;
    bench.job.git.refspecs = vec!["+refs/overlay:refs/overlay".into()];
    bench.job.git.overlay = Some("refs/overlay".into());
    bench.run().await?.succeeded()?;
    assert!(!bench.project().join("file").exists());

    // Neither the commit nor the overlay holds a file.
    let empty = origin.git(&["commit-tree", "-m", "empty", &tree])?;
    origin.git(&["update-ref", "refs/overlay", &empty])?;
    bench.job.git.sha = empty;
    bench.run().await?.succeeded()
}

#[tokio::test]
async fn a_repository_that_cannot_be_reached_fails_after_all_attempts() -> Result {
    let (mut bench, origin) = bench(&["true"])?;
    bench.job.git.repo_url = origin.path.join("nowhere").to_string_lossy().into_owned();
    let bench = bench.variable("GET_SOURCES_ATTEMPTS", "2");
    let seen = bench.run().await?;
    assert_eq!(seen.failed(FailureReason::RunnerSystemFailure)?, "git fetch ended with exit code 128");
    seen.says(&["WARNING: Getting the sources failed; trying again in 1 s"])?;
    assert!(!seen.end.script_begun);
    Ok(())
}

#[tokio::test]
async fn a_job_without_a_repository_gets_an_empty_work_tree() -> Result {
    let bench = Bench::new(&["ls -A"])?;
    fs::create_dir_all(bench.project())?;
    fs::write(bench.project().join("left"), "")?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(!seen.log.contains("left"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn a_job_without_a_repository_does_not_find_one_around_it() -> Result {
    let bench = Bench::new(&["git rev-parse --show-toplevel || echo none"])?;
    Origin::new(bench.folder.path().to_owned(), &[])?.commit("mine")?;
    Origin::new(bench.places().root, &[])?.commit("mine")?;
    bench.run().await?.says(&["none"])
}

#[tokio::test]
async fn untracked_files_are_kept_as_git_lists_them() -> Result {
    let (mut bench, _origin) =
        bench(&["mkdir -p out ignored; touch out/made ignored/too; echo ignored > .gitignore"])?;
    let untracked = ArtifactSpec { untracked: true, ..ArtifactSpec::default() };
    bench.job.artifacts.push(untracked);
    bench.run().await?.succeeded()?;
    let uploads = bench.artifacts.uploads();
    let [(_, archive)] = uploads.as_slice() else { return Err("not one upload".into()) };
    let archive = String::from_utf8_lossy(archive).into_owned();
    for (name, expected) in [("out/made", true), ("ignored/too", true), (".gitignore", true), ("file", false)]
    {
        assert_eq!(archive.contains(name), expected, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn hooks_run_before_and_after_the_sources() -> Result {
    let (mut bench, _origin) = bench(&["true"])?;
    let hook = |name, line: &str| Hook { name, script: vec![line.into()] };
    bench.job.hooks.push(hook(HookName::PreGetSourcesScript, "echo before; pwd"));
    bench.job.hooks.push(hook(HookName::PostGetSourcesScript, "cat file; exit 4"));
    let seen = bench.run().await?;
    seen.failed(FailureReason::ScriptFailure)?;
    seen.says(&["before", "Fetching changes"])?;
    assert!(seen.log.contains("one") && !seen.log.contains("Running the script"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn objects_may_be_named_by_sha256() -> Result {
    let mut bench = Bench::new(&["cat file; git rev-parse HEAD"])?;
    let origin = Origin::new(bench.folder.path().join("origin"), &["--object-format=sha256"])?;
    origin.write("file", "one\n")?;
    let head = origin.commit("first")?;
    point(&mut bench, &origin, &head);
    bench.job.git.object_format = Some("sha256".into());
    bench.run().await?.says(&["one", &head])?;
    bench.run().await?.succeeded()
}

#[tokio::test]
async fn large_files_are_fetched_where_git_knows_how() -> Result {
    let (mut bench, origin) = bench(&["true"])?;
    origin.write("folder/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")?;
    let head = origin.commit("large")?;
    point(&mut bench, &origin, &head);
    let bin = bench.only(&["git", "sh"])?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(seen.log.contains("git-lfs is not installed"), "{}", seen.log);

    let fake = bin.join("git-lfs");
    fs::write(&fake, "#!/bin/sh\necho \"git-lfs $* $(git config filter.lfs.process)\"\n")?;
    fs::set_permissions(&fake, PermissionsExt::from_mode(0o755))?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["git-lfs pull git-lfs filter-process"])?;
    let seen = bench.variable("GIT_LFS_SKIP_SMUDGE", "1").run().await?;
    assert!(!seen.log.contains("git-lfs pull"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn without_git_the_job_says_so() -> Result {
    let (mut bench, _origin) = bench(&["true"])?;
    let bin = bench.folder.path().join("empty");
    fs::create_dir_all(&bin)?;
    bench.settings.environment.retain(|(key, _)| key != "PATH");
    bench.settings.environment.push(("PATH".into(), bin.to_string_lossy().into_owned()));
    let seen = bench.run().await?;
    assert!(seen.failed(FailureReason::RunnerSystemFailure)?.contains("git is not installed"));
    assert!(content(bin.join("x")).contains("No such file"));
    Ok(())
}
