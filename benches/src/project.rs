//! Projects to run pipelines of, and the binary that runs them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use wait4::Wait4;

use crate::masking_corpus::timed;

/// A git work tree with one commit.
#[derive(Debug)]
pub struct Project {
    directory: TempDir,
}

impl Project {
    /// A project whose pipeline is `pipeline`.
    ///
    /// # Errors
    /// Where git or the disk fail.
    pub fn new(pipeline: &str) -> Result<Self> {
        let directory = TempDir::new()?;
        std::fs::write(directory.path().join(".gitlab-ci.yml"), pipeline)?;
        let project = Self { directory };
        let identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid"];
        project.git(&["init", "--quiet"])?;
        project.git(&["add", "--all"])?;
        project.git(&[&identity[..], &["commit", "--quiet", "--message", "bench"]].concat())?;
        Ok(project)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs git in it and returns what it printed.
    ///
    /// # Errors
    /// Where it fails.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("git").arg("-C").arg(self.path()).args(arguments).output()?;
        ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// Resident memory of the largest process in it, in bytes.
    pub peak_memory: u64,
}

/// Builds the binary `runner` with optimisation and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn runner() -> Result<PathBuf> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--package", "runner-bin", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(built.status.success(), "the binary cannot be built");
    let messages = String::from_utf8(built.stdout)?;
    let path = messages
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\""))
        .filter_map(|(_, rest)| rest.split_once('"'))
        .map(|(path, _)| PathBuf::from(path))
        .next_back();
    path.context("cargo named no executable")
}

/// Runs the pipeline of `project` with `runner exec`, its output read and thrown away.
///
/// # Errors
/// Where the pipeline does not succeed.
pub fn exec(runner: &Path, project: &Project, caches: &Path, jobs: usize) -> Result<Cost> {
    let mut command = Command::new(runner);
    command.args(["exec", "--jobs", &jobs.to_string(), "-C"]).arg(project.path());
    command.env("XDG_CACHE_HOME", caches).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut outcome = Ok(Cost { wall: Duration::ZERO, peak_memory: 0 });
    let wall = timed(|| outcome = run(&mut command));
    Ok(Cost { wall, ..outcome? })
}

fn run(command: &mut Command) -> Result<Cost> {
    let mut child = command.spawn().context("the binary cannot be started")?;
    let mut output = child.stdout.take().context("no output")?;
    let mut errors = child.stderr.take().context("no errors")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut errors, &mut text).map(|_| text)
    });
    std::io::copy(&mut output, &mut std::io::sink())?;
    let ended = child.wait4()?;
    let errors = reader.join().ok().context("reading stderr panicked")??;
    ensure!(ended.status.success(), "runner exec ended with {}: {errors}", ended.status);
    Ok(Cost { wall: Duration::ZERO, peak_memory: ended.rusage.maxrss })
}
