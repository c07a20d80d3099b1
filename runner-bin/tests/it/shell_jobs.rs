//! `runner run` with jobs in directories of this machine, and a GitLab server.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use runner_testkit::gitlab::{GitLab, JobPayload, JobState};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A runner of a server, in a folder of its own.
struct Running {
    folder: TempDir,
    child: Child,
}

impl Running {
    fn start(gitlab: &GitLab) -> Result<Self> {
        let folder = TempDir::new()?;
        let config = format!(
            "[[runners]]\nname = \"shell\"\nurl = {:?}\ntoken = {:?}\nexecutor = \"shell\"\n",
            gitlab.url(),
            gitlab.runner_token()
        );
        fs_err::write(folder.path().join("config.toml"), config)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command.args(["run", "--config", "config.toml"]).current_dir(folder.path()).stdin(Stdio::null());
        command.env("HOME", folder.path()).stdout(Stdio::null()).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, folder })
    }

    async fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        let id = self.child.id().context("it has ended")?;
        kill(Pid::from_raw(i32::try_from(id)?), signal)?;
        Ok(self.child.wait().await?)
    }

    /// Directories that jobs have left.
    fn left(&self) -> Result<usize> {
        let mut left = 0;
        for entry in fs_err::read_dir(self.folder.path().join("builds"))? {
            left += usize::from(entry?.file_name().to_string_lossy().starts_with("7-"));
        }
        Ok(left)
    }
}

fn job(script: &str) -> JobPayload {
    JobPayload::new("job").variable("GIT_STRATEGY", "none").script([script])
}

#[tokio::test]
async fn a_job_runs_on_this_machine_and_a_drain_waits_for_it() {
    let gitlab = GitLab::start().await.unwrap();
    let mut running = Running::start(&gitlab).unwrap();
    let id = gitlab.queue(job("echo begun; sleep 1; exit 4"));
    gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    assert!(running.end(Signal::SIGQUIT).await.unwrap().success());
    let ended = gitlab.job(id);
    assert_eq!((ended.state, ended.exit_code), (JobState::Failed, Some(4)), "{}", ended.text());
    assert_eq!(running.left().unwrap(), 0);
}

#[tokio::test]
async fn a_job_that_cannot_outlive_the_program_ends_as_interrupted() {
    let gitlab = GitLab::start().await.unwrap();
    let mut running = Running::start(&gitlab).unwrap();
    // A server that does not know the reason is told that it is unknown.
    let features = json!({ "failure_reasons": ["unknown_failure", "runner_interrupted"] });
    let id = gitlab.queue(job("echo begun; sleep 1000").with("features", features));
    gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    assert!(running.end(Signal::SIGTERM).await.unwrap().success());
    let ended = gitlab.job(id);
    assert_eq!(ended.state, JobState::Failed, "{}", ended.text());
    assert_eq!(ended.failure_reason.as_deref(), Some("runner_interrupted"), "{}", ended.text());
    assert_eq!(running.left().unwrap(), 0);
}
