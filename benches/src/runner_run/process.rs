//! The manager as a process, and what it uses.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// The unit of CPU time in `/proc`, in milliseconds: Linux shows hundredths of a second, whatever the kernel counts in.
const TICK: f64 = 10.0;

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the process has used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// What of it is in memory now, in kilobytes.
    pub(super) memory: u64,
    /// What of that is no page of a file, such as of the program itself, which the kernel drops where it needs the room.
    pub(super) own: u64,
    /// The most that ever was in memory.
    pub(super) peak: u64,
    /// CPU time, in milliseconds.
    pub(super) cpu: f64,
}

/// A manager that runs until it is [ended](Self::end) or dropped.
pub(super) struct Process {
    folder: TempDir,
    child: Child,
}

impl Process {
    /// Starts `runner run` with this config, on the cluster of this kubeconfig.
    pub(super) fn start(runner: &Path, config: &str, kubeconfig: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let place = |name: &str| folder.path().join(name);
        fs::write(place("config.toml"), config)?;
        fs::write(place("kubeconfig"), kubeconfig)?;
        let output = File::create(place("output"))?;
        let child = Command::new(runner)
            .args(["run", "--config"])
            .arg(place("config.toml"))
            .current_dir(folder.path())
            .env("KUBECONFIG", place("kubeconfig"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", runner.display()))?;
        Ok(Self { folder, child })
    }

    /// What it has used so far.
    pub(super) fn usage(&self) -> Result<Usage> {
        let id = self.id()?;
        let gone = || format!("the manager has ended:\n{}", self.output());
        let status = fs::read_to_string(format!("/proc/{id}/status")).with_context(gone)?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).with_context(gone)?;
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_end_matches("kB").trim().parse().ok()
        };
        Ok(Usage {
            memory: kilobytes("VmRSS:").with_context(gone)?,
            own: kilobytes("RssAnon:").with_context(gone)?,
            peak: kilobytes("VmHWM:").with_context(gone)?,
            cpu: cpu_time(&stat).context("/proc tells no CPU time")?,
        })
    }

    /// What it has written.
    pub(super) fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Ends it. It leaves its pods alone.
    pub(super) async fn end(mut self) -> Result<()> {
        kill(Pid::from_raw(self.id()?), Signal::SIGTERM)?;
        let status = timeout(PATIENCE, self.child.wait()).await.context("the manager does not end")??;
        ensure!(status.success(), "the manager ended with {status}:\n{}", self.output());
        Ok(())
    }

    fn id(&self) -> Result<i32> {
        Ok(self.child.id().context("the manager has ended")?.try_into()?)
    }
}

/// The CPU time in a line of `/proc/PID/stat`, in milliseconds.
fn cpu_time(stat: &str) -> Option<f64> {
    // The name of the program may hold anything, also a parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    Some(ticks.collect::<Result<Vec<_>, _>>().ok()?.into_iter().map(f64::from).sum::<f64>() * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_is_that_of_user_and_kernel() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 900 0 1 0 37 5 9 9 20 0 3 0 100 1000 200";
        assert_eq!(cpu_time(stat), Some(420.0));
    }
}
