//! The binary `runner`, and `runner run` as a process.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{BUSYBOX, Bed, gitlab::Server};

/// The binary: that of `RUNNER`, else one that is built now.
///
/// # Errors
/// Where it cannot be built.
pub fn runner() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RUNNER") {
        return Ok(path.into());
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "-p", "runner-bin", "--message-format=json", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the binary cannot be built");
    let text = String::from_utf8(output.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut binaries = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    binaries.next_back().context("no binary was built")
}

/// An agent that runs anywhere: that of `RUNNER_AGENT`, else the one of the helper image, which is built where it is not.
///
/// # Errors
/// Where it cannot be built.
pub fn agent() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RUNNER_AGENT") {
        return Ok(path.into());
    }
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/images");
    let output = std::process::Command::new(images).arg("agent").stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the agent cannot be built");
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// A manager with a config of its own.
pub struct Manager {
    folder: TempDir,
    child: Child,
}

impl Manager {
    /// A config for jobs of `server` in pods of `bed`, as people write it.
    pub fn config(bed: &Bed, server: &Server) -> String {
        let helper =
            std::env::var("RUNNER_HELPER_IMAGE").map(|image| format!("    helper_image = {image:?}\n"));
        format!(
            "concurrent = 4\ncheck_interval = 30\n[[runners]]\n  name = \"e2e\"\n  url = {:?}\n  token = {:?}\n  \
             executor = \"kubernetes\"\n  [runners.kubernetes]\n    namespace = {:?}\n    image = {BUSYBOX:?}\n{}",
            server.gitlab.url(),
            server.gitlab.runner_token(),
            bed.namespace,
            helper.unwrap_or_default()
        )
    }

    /// Starts one.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(config: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("config.toml"), config)?;
        let child = launch(folder.path())?;
        Ok(Self { folder, child })
    }

    /// Starts another one with the same config, after this one has ended.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = launch(self.folder.path())?;
        Ok(())
    }

    /// Changes the config while it runs.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn rewrite(&self, config: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join("config.toml"), config)?)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().context("it has ended")?;
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Where that cannot be learned.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// What all of them have written.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn output(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("output"))?)
    }
}

fn launch(folder: &Path) -> Result<Child> {
    let output = File::options().create(true).append(true).open(folder.join("output"))?;
    let mut command = Command::new(runner()?);
    command.arg("run").arg("--config").arg(folder.join("config.toml")).current_dir(folder);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
    command.spawn().context("start the manager")
}
