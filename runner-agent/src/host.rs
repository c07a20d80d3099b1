//! Where processes of a job run: on this machine, or in another container of the pod.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{Result, Usage};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub(crate) mod files;
mod reader;

pub(crate) use reader::HostReader;

/// Starts processes and ends all of them.
///
/// # Contract
/// Each process gets a process group of its own and an empty standard input; its standard output and error are one
/// stream, so that their order is kept. What a process prints before it exits is delivered before its
/// [`ProcessEvent::Ended`]; what its children print later is delivered after it. A host that goes away closes the
/// stream of events without `Ended`, which is never a success.
///
/// # Cancellation
/// Dropping a [`Process`] does not end it; [`Host::end_all`] does.
#[async_trait]
pub trait Host: Send + Sync + fmt::Debug {
    /// Starts a process.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](runner_core::ErrorKind::NotFound) where there is no such program,
    /// [`ErrorKind::Invalid`](runner_core::ErrorKind::Invalid) where arguments and environment are too large.
    async fn start(&self, command: Command) -> Result<Process>;

    /// The full path of the first of `programs` that is on `path` (as in `$PATH`) and may be executed.
    async fn find(&self, programs: &[&str], path: &str) -> Result<Option<String>>;

    /// Ends every process that was started here, and all their descendants, also those that left their group or
    /// session: TERM, then KILL after `grace`. Returns when none is left.
    async fn end_all(&self, grace: Duration) -> Result<()>;

    /// What processes of this host find in their environment before the job adds anything, such as the `PATH` of an
    /// image; `None` where that is what the engine was told. Waits until the host is there.
    async fn environment(&self) -> Result<Option<Vec<(String, String)>>>;

    /// Lets processes of this host read and change the files at `paths`, which the engine or another host made.
    async fn take_over(&self, paths: &[PathBuf]) -> Result<()>;

    /// Does something with what is at `path`, with the rights of this host's processes. What there is to tell is the output
    /// of the process that is returned, and how it went is its end: code 0, or the number of the system's error.
    /// [`ProcessSignal::Kill`] ends it early; then its events stop without an end.
    ///
    /// # Errors
    /// Where the host is gone, or not there yet: nobody waits for it here.
    async fn files(&self, action: FileAction, path: &Path) -> Result<Process>;

    /// What the host's memory went through so far; `None` where it has no bound of its own.
    async fn memory(&self) -> Result<Option<MemoryUse>>;

    /// Kills every process at once and lets the host go. Repeating it is no error.
    async fn close(&self);
}

/// What [`Host::files`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileAction {
    /// Tells what is there, and all about it but its content. A link is not followed.
    Facts,
    /// Tells the names in a folder, and what each is.
    Entries,
    /// Tells the content of a regular file. A link is not followed.
    Content,
    /// Removes all that is in a folder, as far as it may.
    Clear,
}

/// What the memory of a [`Host`] went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// So many processes were killed because the bound was reached.
    pub kills: u64,
    /// The most that was in use at a time, in bytes; 0 where it is not known.
    pub peak: u64,
    /// The bound in bytes; 0 where there is none.
    pub limit: u64,
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program: a path, or a name that is looked up on the `PATH` of `environment`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// The directory it starts in.
    pub directory: PathBuf,
}

/// A process that was started, and what it does.
#[derive(Debug)]
pub struct Process {
    events: mpsc::Receiver<ProcessEvent>,
    signals: mpsc::UnboundedSender<ProcessSignal>,
}

/// What a [`Host`] holds of a [`Process`]: its other end.
#[derive(Debug)]
pub struct ProcessDriver {
    /// Takes what happens. Waits where nobody reads, so that memory stays flat.
    pub events: mpsc::Sender<ProcessEvent>,
    /// What the holder of the process asks for.
    pub signals: mpsc::UnboundedReceiver<ProcessSignal>,
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It, or a child of it, printed something.
    Output(Bytes),
    /// It ended. Its children may go on printing.
    Ended(ProcessEnd),
}

/// How a process ended, and what it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEnd {
    /// How it ended.
    pub exit: Exit,
    /// What it used, together with the children that it waited for.
    pub usage: Usage,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With a code.
    Code(i32),
    /// Killed by the signal of this number.
    Signal(i32),
}

impl Exit {
    /// The code as a shell tells it: 128 + n for signal n.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What can be sent to a process's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessSignal {
    /// Please end.
    Terminate,
    /// End.
    Kill,
}

impl Process {
    /// A process and its other end. At most `capacity` events wait unread.
    pub fn new(capacity: usize) -> (Self, ProcessDriver) {
        let (event_sender, events) = mpsc::channel(capacity);
        let (signals, signal_receiver) = mpsc::unbounded_channel();
        (Self { events, signals }, ProcessDriver { events: event_sender, signals: signal_receiver })
    }

    /// The next event; `None` when nobody holds the output any more, or the host is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<ProcessEvent> {
        self.events.recv().await
    }

    /// Sends a signal to the process's group. One that has ended ignores it.
    pub fn signal(&self, signal: ProcessSignal) {
        // A host that is gone has ended the process, or closes the events.
        self.signals.send(signal).ok();
    }
}
