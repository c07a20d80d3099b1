//! What earlier jobs and the machine leave for git to stumble over.

use super::*;

#[tokio::test]
async fn locks_and_traps_of_an_earlier_job_do_no_harm() -> Result {
    let (bench, _origin) = bench(&["cat file"])?;
    bench.run().await?.succeeded()?;
    let git = bench.project().join(".git");
    for lock in ["index.lock", "HEAD.lock", "shallow.lock", "config.lock", "refs/remotes/origin/main.lock"] {
        fs::write(git.join(lock), "")?;
    }
    let trap = bench.folder.path().join("trapped");
    fs::create_dir_all(git.join("hooks"))?;
    for hook in ["post-checkout", "reference-transaction", "post-index-change"] {
        let path = git.join("hooks").join(hook);
        fs::write(&path, format!("#!/bin/sh\ntouch '{}'\n", trap.display()))?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    }
    let planted = format!(
        "[core]\n\tfsmonitor = \"touch '{0}'\"\n\thooksPath = hooks\n\tsshCommand = touch '{0}'\n[filter \"x\"]\n\tsmudge = touch '{0}'\n",
        trap.display()
    );
    fs::write(git.join("config"), planted)?;
    bench.run().await?.succeeded()?;
    assert!(!trap.exists());
    Ok(())
}

#[tokio::test]
async fn the_users_hooks_and_templates_do_not_run() -> Result {
    let (bench, _origin) = bench(&["ls .git/hooks || true"])?;
    let home = bench.folder.path().join("home");
    let hooks = home.join("hooks");
    fs::create_dir_all(&hooks)?;
    let hook = hooks.join("post-checkout");
    fs::write(&hook, "#!/bin/sh\necho the hook ran\nexit 1\n")?;
    fs::set_permissions(&hook, PermissionsExt::from_mode(0o755))?;
    fs::write(
        home.join(".gitconfig"),
        format!("[core]\n\thooksPath = {}\n[fetch]\n\tprune = true\n", hooks.display()),
    )?;
    let seen = bench.run().await?;
    seen.succeeded()?;
    assert!(!seen.log.contains("the hook ran"), "{}", seen.log);
    Ok(())
}

#[tokio::test]
async fn a_git_hook_that_started_us_does_not_lend_us_its_repository() -> Result {
    let (mut bench, origin) = bench(&["git rev-parse --show-toplevel"])?;
    let mine = bench.folder.path().join("origin/.git").to_string_lossy().into_owned();
    for (key, value) in
        [("GIT_DIR", mine.as_str()), ("GIT_WORK_TREE", &origin.url()), ("GIT_INDEX_FILE", "x")]
    {
        bench.settings.environment.push((key.into(), value.into()));
    }
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&[&fs::canonicalize(bench.project())?.to_string_lossy()])
}

#[tokio::test]
async fn a_damaged_repository_is_replaced() -> Result {
    let (mut bench, origin) = bench(&["cat file"])?;
    bench.run().await?.succeeded()?;
    origin.write("file", "two\n")?;
    let head = origin.commit("second")?;
    point(&mut bench, &origin, &head);
    let git = bench.project().join(".git");
    for entry in walk(&git.join("objects"))? {
        fs::set_permissions(&entry, PermissionsExt::from_mode(0o644))?;
        fs::write(entry, "")?;
    }
    let seen = bench.run().await?;
    seen.succeeded()?;
    seen.says(&["two"])?;

    fs::write(git.join("index"), "nonsense")?;
    bench.run().await?.succeeded()?;
    fs::write(git.join("HEAD"), "")?;
    bench.run().await?.succeeded()
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[tokio::test]
async fn names_that_look_like_options_are_refused() -> Result {
    let (mut bench, _origin) = bench(&["true"])?;
    bench.job.git.sha = "--upload-pack=touch x".into();
    bench.run().await?.failed(FailureReason::ConfigurationError)?;
    Ok(())
}
