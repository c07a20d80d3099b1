//! A git repository of its own for each test, and the binary run in it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// A repository with a pipeline, and a cache directory that nobody else uses.
pub(crate) struct Project {
    directory: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// A repository whose only commit has `pipeline` as its pipeline.
    pub(crate) fn new(pipeline: &str) -> Result<Self> {
        let project = Self { directory: TempDir::new()? };
        fs::create_dir_all(project.path())?;
        project.write(".gitlab-ci.yml", pipeline)?;
        project.git(&["init", "--quiet", "--initial-branch=main"])?;
        project.commit()?;
        Ok(project)
    }

    /// The top of the work tree.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    /// The user's cache directory.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// Writes a file of the work tree.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| path.display().to_string())
    }

    /// Reads a file of the work tree.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let path = self.path().join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Commits everything.
    pub(crate) fn commit(&self) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "a commit"]).map(drop)
    }

    /// Runs git.
    pub(crate) fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.path());
        for (name, value) in [("NAME", "Ada"), ("EMAIL", "ada@example.invalid")] {
            git.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        // The hash of a commit is the same each time.
        git.env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z").env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z");
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = git.output()?;
        ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `runner` with nothing of the environment but what it needs.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("XDG_CACHE_HOME", self.cache());
        command
    }

    /// `runner exec` with `arguments`.
    pub(crate) fn exec(&self, arguments: &[&str]) -> Result<Ran> {
        Ran::of(self.command().arg("exec").args(arguments).output()?)
    }

    /// `runner exec --output json`: its document.
    pub(crate) fn document(&self, arguments: &[&str]) -> Result<(Ran, Value)> {
        let ran = self.exec(&[&["--output", "json"], arguments].concat())?;
        let document =
            serde_json::from_str(&ran.stdout).with_context(|| format!("{}\n{}", ran.stdout, ran.stderr))?;
        Ok((ran, document))
    }

    /// Starts `runner exec`, and returns when `marker` is in a line that it prints.
    pub(crate) fn start_until(&self, marker: &str) -> Result<Started> {
        let mut command = self.command();
        let mut child = command.arg("exec").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("stdout is a pipe")?;
        let mut started = Started { child, stdout: BufReader::new(stdout), seen: String::new() };
        started.wait_for(marker)?;
        Ok(started)
    }

    /// What is left of directories of jobs.
    pub(crate) fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let builds = self.cache().join("runner/builds");
        let mut left = Vec::new();
        for project in fs::read_dir(builds).into_iter().flatten() {
            for entry in fs::read_dir(project?.path())? {
                left.push(entry?.path());
            }
        }
        Ok(left)
    }
}

/// A run that goes on.
pub(crate) struct Started {
    child: Child,
    stdout: BufReader<ChildStdout>,
    seen: String,
}

impl Started {
    /// Reads until `marker` is in a line.
    pub(crate) fn wait_for(&mut self, marker: &str) -> Result<()> {
        loop {
            let mut line = String::new();
            ensure!(self.stdout.read_line(&mut line)? > 0, "no {marker:?} in\n{}", self.seen);
            self.seen.push_str(&line);
            if line.contains(marker) {
                return Ok(());
            }
        }
    }

    /// Sends a signal such as `INT`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill failed");
        Ok(())
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Result<Ran> {
        self.stdout.read_to_string(&mut self.seen)?;
        let output = self.child.wait_with_output()?;
        Ok(Ran { stdout: self.seen, ..Ran::of(output)? })
    }
}

impl Ran {
    fn of(output: Output) -> Result<Self> {
        Ok(Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Stdout without all that differs from run to run: durations, ids, and lines that only tell them.
    pub(crate) fn timeless(&self) -> String {
        let lines =
            self.stdout.lines().filter(|line| !line.contains("│ ◂ ") && !line.ends_with("▸ Cleaning up"));
        lines.map(timeless).collect::<Vec<_>>().join("\n")
    }
}

/// `line` with each `1.2s` as `0.0s`, each long number as `<id>`, and a row of the table without its phases.
fn timeless(line: &str) -> String {
    let mut shown = String::new();
    for (number, word) in line.split(' ').enumerate() {
        let digits = word.trim_matches(|letter: char| !letter.is_ascii_digit());
        let is_duration = digits.contains('.') && word.trim_end_matches([')', ':']).ends_with('s');
        let word = match () {
            () if is_duration => word.replace(digits, "0.0"),
            () if digits.len() > 12 => word.replace(digits, "<id>"),
            () => word.to_owned(),
        };
        shown.extend((number > 0).then_some(' '));
        shown.push_str(&word);
    }
    let is_row = shown.starts_with(['✓', '✗']);
    match shown.split_once("  0.0s").filter(|_| is_row) {
        Some((row, _)) => format!("{row}  0.0s"),
        None => shown,
    }
}

/// All files below `directory`.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { open.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    Ok(files)
}
