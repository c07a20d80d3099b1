//! The floor of `runner exec`: the same checkouts and the same shells, without us.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{masking_corpus::timed, project::Project};

/// Checks out `project` and runs a script with `bash`, `count` times, `at_once` at a time; each in a directory of its
/// own that is removed after it.
///
/// # Errors
/// Where a command fails.
pub fn checkouts_and_shells(project: &Project, count: usize, at_once: usize) -> Result<Duration> {
    let sha = project.git(&["rev-parse", "HEAD"])?;
    let next = AtomicUsize::new(0);
    let mut outcome = Ok(());
    let wall = timed(|| {
        outcome = thread::scope(|scope| {
            let worker = || -> Result<()> {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    one(project.path(), &sha)?;
                }
                Ok(())
            };
            let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().ok().context("a worker panicked")?)
        });
    });
    outcome.map(|()| wall)
}

fn one(repository: &Path, sha: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let git = |arguments: &[&str]| command("git", directory.path(), arguments);
    git(&["init", "--quiet"])?;
    let source = format!("file://{}", repository.display());
    git(&["fetch", "--quiet", "--no-tags", &source, "HEAD"])?;
    git(&["checkout", "--force", "--quiet", "--detach", sha])?;
    let script = directory.path().join(".git/script");
    std::fs::write(&script, "set -eo pipefail\necho '$ true'\ntrue\n")?;
    command("bash", directory.path(), &[&script.to_string_lossy()])?;
    Ok(directory.close()?)
}

fn command(program: &str, directory: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "{program} {arguments:?} ended with {status}");
    Ok(())
}
