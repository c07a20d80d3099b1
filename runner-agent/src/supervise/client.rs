//! The other end of a supervisor: a [`Host`] whose processes it starts and watches.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use runner_core::{Error, ErrorKind, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    process::{Child, ChildStderr, Command as Starter},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{
    MARK, SupervisorProgram, VARIABLE, VERSION, can_supervise,
    connection::{Call, Connection, PATIENCE, Work},
    output, session,
};
use crate::host::{Command, FileAction, Host, MemoryUse, Process};

/// How many events of a process wait unread, besides what is on the way.
const WAITING: usize = 4;

/// How much of what a supervisor says on its standard error is kept for an error.
const LAST_WORDS: usize = 2048;

/// A [`Host`] that is a supervisor: of its own process, or at the other end of a stream.
///
/// Dropping it ends the supervisor and with it all processes; [`close`](Host::close) waits for that.
#[derive(Debug)]
pub struct SupervisedHost {
    calls: mpsc::UnboundedSender<Call>,
    /// Why the supervisor is gone, once that is known.
    lost: Arc<OnceLock<String>>,
    /// Owned so that they end with the host: that closes the stream, at which the supervisor kills everything.
    _tasks: JoinSet<()>,
}

impl SupervisedHost {
    /// Starts a supervisor on this machine. Must be called within a runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where the program cannot be a supervisor, [`ErrorKind::NotFound`] where there is none.
    pub fn start(program: &SupervisorProgram) -> Result<Self> {
        let mut child = start(program)?;
        let (Some(sink), Some(source), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::new(ErrorKind::Internal, "talk to the supervisor"));
        };
        output::widen(&source);
        let (calls, call_queue) = mpsc::unbounded_channel();
        let mut connection = Connection::new(source, sink, call_queue);
        let lost = Arc::new(OnceLock::new());
        let reason = Arc::clone(&lost);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut last_words = JoinSet::new();
            last_words.spawn(read_last_words(errors));
            connection.serve().await;
            connection.disconnect();
            drop(reap(child, last_words).await.map(|words| reason.set(words)));
            connection.finish().await;
        });
        Ok(Self { calls, lost, _tasks: tasks })
    }

    /// Talks to a supervisor that somebody else started. Must be called within a runtime.
    pub fn connect<R, W>(source: R, sink: W) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (calls, call_queue) = mpsc::unbounded_channel();
        let mut connection = Connection::new(source, sink, call_queue);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            connection.serve().await;
            connection.disconnect();
            connection.finish().await;
        });
        Self { calls, lost: Arc::new(OnceLock::new()), _tasks: tasks }
    }

    /// Whether the supervisor is gone.
    pub fn is_gone(&self) -> bool {
        self.calls.is_closed()
    }

    async fn begin(&self, work: Work) -> Result<Process> {
        let (process, driver) = Process::new(WAITING);
        self.call("start a process", |answer| Call::Start { work, driver, answer }).await??;
        Ok(process)
    }

    /// Makes a call and waits for its answer.
    async fn call<T>(&self, operation: &str, make: impl FnOnce(oneshot::Sender<T>) -> Call) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let sent = self.calls.send(make(answer)).is_ok();
        match answered.await {
            Ok(answer) if sent => Ok(answer),
            _ => {
                self.calls.closed().await;
                let reason = self.lost.get().map_or("its connection was closed", String::as_str);
                let cause = format!("the supervisor of the job's processes is gone: {reason}");
                Err(Error::new(ErrorKind::Lost, operation).because(cause))
            }
        }
    }
}

#[async_trait]
impl Host for SupervisedHost {
    async fn start(&self, command: Command) -> Result<Process> {
        self.begin(Work::Command(command)).await
    }

    async fn find(&self, programs: &[&str], path: &str) -> Result<Option<String>> {
        let programs = programs.iter().map(|program| (*program).to_owned()).collect();
        let path = path.to_owned();
        self.call("look for programs", |answer| Call::Find { programs, path, answer }).await
    }

    async fn end_all(&self, grace: Duration) -> Result<()> {
        const OPERATION: &str = "end all processes";
        let ended = self.call(OPERATION, |answer| Call::EndAll { grace, answer });
        match timeout(grace.saturating_add(PATIENCE), ended).await {
            Ok(Ok(0)) => Ok(()),
            Ok(Ok(left)) => {
                Err(Error::new(ErrorKind::Internal, OPERATION).with("that cannot be killed", left))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                Err(Error::new(ErrorKind::TimedOut, OPERATION).because("their supervisor does not answer"))
            }
        }
    }

    async fn environment(&self) -> Result<Option<Vec<(String, String)>>> {
        Ok(None)
    }

    /// Nothing: they are this user's already.
    async fn take_over(&self, _paths: &[PathBuf]) -> Result<()> {
        Ok(())
    }

    async fn files(&self, action: FileAction, path: &Path) -> Result<Process> {
        self.begin(Work::Files(action, path.as_os_str().as_bytes().to_vec())).await
    }

    async fn memory(&self) -> Result<Option<MemoryUse>> {
        self.call("ask for the memory of the job's processes", |answer| Call::Memory { answer }).await
    }

    /// Also ends the supervisor, and returns when it is gone.
    async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.calls.send(Call::Close { done }).is_ok() {
            // The sender is dropped, without a word, when everything is over.
            drop(closed.await);
        }
        self.calls.closed().await;
    }
}

/// Starts the process of a supervisor.
fn start(program: &SupervisorProgram) -> Result<Child> {
    const OPERATION: &str = "start the supervisor of the job's processes";
    let path = match program {
        SupervisorProgram::Path(path) => path.as_path(),
        SupervisorProgram::ThisProgram if !can_supervise() => {
            return Err(Error::new(ErrorKind::Invalid, OPERATION).because(
                "this program cannot be its own supervisor: its `main` must call \
                 `runner_agent::supervise::run_if_asked()` first",
            ));
        }
        // The running program itself, also when its file was replaced or removed meanwhile.
        #[cfg(target_os = "linux")]
        SupervisorProgram::ThisProgram => Path::new("/proc/self/exe"),
        #[cfg(not(target_os = "linux"))]
        SupervisorProgram::ThisProgram => &std::env::current_exe()
            .map_err(|error| Error::new(ErrorKind::NotFound, OPERATION).because(error))?,
    };
    // It is not killed when it is dropped: it would leave the job's processes behind. It ends with its standard input.
    Starter::new(path)
        .arg(MARK)
        .env(VARIABLE, VERSION)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let kind = if missing { ErrorKind::NotFound } else { ErrorKind::Internal };
            Error::new(kind, OPERATION).with("program", path.display()).because(error)
        })
}

/// Waits for the end of a supervisor. Where it did not end well it says why, after it has done the supervisor's work.
async fn reap(mut child: Child, mut last_words: JoinSet<String>) -> Option<String> {
    let session = child.id();
    let status = if let Ok(status) = timeout(Duration::from_secs(1), child.wait()).await {
        status
    } else {
        // While it lives, even if it is stopped, all of the job descends from it.
        if let Some(session) = session {
            session::kill(session).await;
        }
        child.kill().await.and(child.wait().await)
    };
    if status.as_ref().is_ok_and(ExitStatus::success) {
        return None;
    }
    if let Some(session) = session {
        session::kill(session).await;
    }
    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    let last_words = last_words.join_next().await.and_then(std::result::Result::ok).unwrap_or_default();
    let reason = if last_words.is_empty() { status } else { format!("{status}: {}", last_words.trim()) };
    tracing::warn!(reason, "a supervisor ended by itself");
    Some(reason)
}

async fn read_last_words(mut errors: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; LAST_WORDS];
    while let Ok(length @ 1..) = errors.read(&mut buffer).await {
        kept.extend(buffer.iter().take(length));
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
    String::from_utf8_lossy(&kept).into_owned()
}
