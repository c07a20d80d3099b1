//! A container that is played by a process.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use k8s_openapi::{api::core::v1::Container, jiff::Timestamp};
use std::os::unix::process::ExitStatusExt;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Child,
    task::JoinSet,
};

use super::{
    log::ContainerLog,
    sandbox::{self, Sandbox, termination_log},
    status::Ended,
    volume::Mount,
};

/// How often it is looked whether a file is there.
const LOOK: Duration = Duration::from_millis(10);

/// What a kubelet reads of a termination log.
const LARGEST_MESSAGE: usize = 4096;

/// A container that was started.
#[derive(Debug)]
pub(super) struct Running {
    root: PathBuf,
    child: Child,
    started: Timestamp,
    readers: JoinSet<()>,
    log: Arc<ContainerLog>,
}

impl Running {
    /// Starts a container whose root is made in `root`.
    pub(super) async fn start(
        sandbox: &Sandbox,
        container: &Container,
        root: PathBuf,
        mounts: &[Mount],
    ) -> io::Result<Self> {
        sandbox.root(&root, mounts).await?;
        let command: Vec<String> =
            container.command.iter().chain(&container.args).flatten().cloned().collect();
        let mut child = sandbox.start(&root, mounts, &command)?;
        let log = Arc::new(ContainerLog::default());
        let mut readers = JoinSet::new();
        if let Some(output) = child.stdout.take() {
            readers.spawn(read(output, Arc::clone(&log)));
        }
        if let Some(errors) = child.stderr.take() {
            readers.spawn(read(errors, Arc::clone(&log)));
        }
        Ok(Self { root, child, started: Timestamp::now(), readers, log })
    }

    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    pub(super) fn log(&self) -> Arc<ContainerLog> {
        Arc::clone(&self.log)
    }

    /// The number by which it gets signals.
    pub(super) fn number(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Ended {
        let status = self.child.wait().await;
        while self.readers.join_next().await.is_some() {}
        self.log.end();
        let code = status.map_or(255, code);
        let reason = match code {
            0 => "Completed",
            // A runtime that does not find the program.
            128 => "StartError",
            _ => "Error",
        };
        let mut message = tokio::fs::read(termination_log(&self.root)).await.unwrap_or_default();
        message.truncate(LARGEST_MESSAGE);
        let message = String::from_utf8_lossy(&message).into_owned();
        Ended { code, reason, message, started: Some(self.started), at: Timestamp::now() }
    }
}

/// The exit code of a container.
fn code(status: ExitStatus) -> i32 {
    match (status.code(), status.signal()) {
        // `chroot` has no other way to say that there is no such program.
        (Some(126 | 127), _) => 128,
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}

async fn read(output: impl AsyncRead + Unpin, log: Arc<ContainerLog>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => log.add(Bytes::from(line)),
        }
    }
}

/// Waits until `file` is there, as the hook of a helper does.
pub(super) async fn appears(file: &Path) {
    while !tokio::fs::try_exists(file).await.unwrap_or(false) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Tells a container to end, or ends it.
pub(super) async fn signal(number: u32, is_forced: bool) {
    // One that has ended in the meantime needs none.
    drop(sandbox::signal(number, if is_forced { "KILL" } else { "TERM" }).await);
}
