//! A host, a cache and a store that do what a test says, also what they never should.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    ArtifactStore, ArtifactUpload, CacheBackend, CacheScope, Error, ErrorKind, Finding, ReadGrant, Result,
    Usage, WriteGrant, artifact::ByteStream, executor::Stop, job::Dependency,
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    engine::StopSender,
    host::{
        Command, Exit, FileAction, Host, MemoryUse, Process, ProcessDriver, ProcessEnd, ProcessEvent,
        ProcessSignal,
    },
};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The process ends at once, with this code.
    Exit(i32),
    /// It is killed by this signal.
    Signal(i32),
    /// It runs until it gets TERM.
    UntilTerm,
    /// It runs until it gets KILL.
    UntilKill,
    /// It runs for ever, whatever it gets.
    ForEver,
    /// It prints for ever, until it gets TERM.
    Flood,
    /// The host goes away with it.
    Vanish,
    /// It cannot be started.
    Refuse(ErrorKind),
    /// Nobody ever says whether it was started.
    HangAtStart,
}

/// What a host does for the process of a number and a command.
pub(super) type Plan = Box<dyn Fn(usize, &Command) -> Act + Send + Sync>;

/// A host that does for each process what `act` says for its number and its command.
pub(super) struct FakeHost {
    act: Plan,
    /// The stop that is asked for as soon as a process does not end by itself.
    pub(super) stop_when_busy: Option<(StopSender, Stop)>,
    /// `end_all` never returns.
    pub(super) hangs_at_the_end: bool,
    pub(super) started: Mutex<Vec<Command>>,
    pub(super) ended: Mutex<Vec<Duration>>,
    tasks: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for FakeHost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FakeHost")
    }
}

impl FakeHost {
    pub(super) fn new(act: impl Fn(usize, &Command) -> Act + Send + Sync + 'static) -> Self {
        Self {
            act: Box::new(act),
            stop_when_busy: None,
            hangs_at_the_end: false,
            started: Mutex::default(),
            ended: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    fn busy(&self) {
        if let Some((sender, stop)) = self.stop_when_busy.clone() {
            self.tasks.lock().unwrap().spawn(async move {
                sleep(Duration::from_secs(1)).await;
                sender.stop(stop);
            });
        }
    }
}

#[async_trait]
impl Host for FakeHost {
    async fn start(&self, command: Command) -> Result<Process> {
        let number = {
            let mut started = self.started.lock().unwrap();
            started.push(command.clone());
            started.len() - 1
        };
        let act = (self.act)(number, &command);
        if !matches!(act, Act::Exit(_) | Act::Signal(_)) {
            self.busy();
        }
        match act {
            Act::Refuse(kind) => return Err(Error::new(kind, "start a process")),
            Act::HangAtStart => std::future::pending::<()>().await,
            _ => {}
        }
        let (process, driver) = Process::new(4);
        self.tasks.lock().unwrap().spawn(play(act, driver));
        Ok(process)
    }

    async fn find(&self, programs: &[&str], _path: &str) -> Result<Option<String>> {
        Ok(programs.first().map(|program| format!("/bin/{program}")))
    }

    async fn end_all(&self, grace: Duration) -> Result<()> {
        self.ended.lock().unwrap().push(grace);
        if self.hangs_at_the_end {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn environment(&self) -> Result<Option<Vec<(String, String)>>> {
        Ok(None)
    }

    async fn take_over(&self, _paths: &[PathBuf]) -> Result<()> {
        Ok(())
    }

    async fn files(&self, _action: FileAction, _path: &Path) -> Result<Process> {
        Err(Error::new(ErrorKind::Unsupported, "read files"))
    }

    async fn memory(&self) -> Result<Option<MemoryUse>> {
        Ok(None)
    }

    async fn close(&self) {}
}

async fn play(act: Act, mut driver: ProcessDriver) {
    let exit = match act {
        Act::Exit(code) => Exit::Code(code),
        Act::Signal(signal) => Exit::Signal(signal),
        Act::Vanish => return,
        Act::UntilTerm => {
            driver.signals.recv().await;
            Exit::Signal(15)
        }
        Act::UntilKill => {
            while driver.signals.recv().await.is_some_and(|signal| signal != ProcessSignal::Kill) {}
            Exit::Signal(9)
        }
        Act::Flood => loop {
            // The clock of a test moves only while nobody has anything to do.
            sleep(Duration::from_millis(200)).await;
            let output = Bytes::from_static(&[b'x'; 8192]);
            tokio::select! {
                biased;
                _signal = driver.signals.recv() => break Exit::Signal(15),
                sent = driver.events.send(ProcessEvent::Output(output)) => if sent.is_err() { return },
            }
        },
        Act::ForEver | Act::HangAtStart | Act::Refuse(_) => std::future::pending().await,
    };
    let usage = Usage { peak_memory: 1, cpu: Duration::from_millis(1) };
    drop(driver.events.send(ProcessEvent::Ended(ProcessEnd { exit, usage })).await);
}

/// A store and a cache that never answer, and ask for a stop.
#[derive(Debug)]
pub(super) struct Silent(pub(super) Option<(StopSender, Stop)>);

impl Silent {
    async fn hang<T>(&self) -> T {
        if let Some((sender, stop)) = &self.0 {
            sleep(Duration::from_secs(1)).await;
            sender.stop(*stop);
        }
        std::future::pending().await
    }
}

#[async_trait]
impl ArtifactStore for Silent {
    async fn upload(&self, _artifact: &ArtifactUpload, _body: ByteStream) -> Result<()> {
        self.hang().await
    }

    async fn download(&self, _dependency: &Dependency) -> Result<ByteStream> {
        self.hang().await
    }
}

#[async_trait]
impl CacheBackend for Silent {
    fn lasting(self: Arc<Self>, _lifetime: Duration) -> Arc<dyn CacheBackend> {
        self
    }

    fn authorities(&self) -> Option<&str> {
        None
    }

    async fn check(&self, _create: bool) -> Vec<Finding> {
        Vec::new()
    }

    async fn lookup(
        &self,
        _scope: &CacheScope,
        _key: &str,
        _fallbacks: &[String],
    ) -> Result<Option<ReadGrant>> {
        self.hang().await
    }

    async fn begin(&self, _scope: &CacheScope, _key: &str, _fallbacks: &[String]) -> Result<WriteGrant> {
        self.hang().await
    }

    async fn publish(&self, _grant: &WriteGrant) -> Result<()> {
        self.hang().await
    }

    async fn abort(&self, _grant: &WriteGrant) -> Result<()> {
        self.hang().await
    }

    async fn sweep(&self, _unused_for: Duration) -> Result<u64> {
        Ok(0)
    }
}

/// A cache that is always empty, and a store that takes everything.
#[derive(Debug, Default)]
pub(super) struct Willing {
    pub(super) uploads: Arc<Mutex<Vec<ArtifactUpload>>>,
    pub(super) refuses: bool,
}

#[async_trait]
impl ArtifactStore for Willing {
    async fn upload(&self, artifact: &ArtifactUpload, mut body: ByteStream) -> Result<()> {
        let mut sink = tokio::io::sink();
        let copied = tokio::io::copy(&mut body, &mut sink).await;
        if self.refuses || copied.is_err() {
            return Err(Error::new(ErrorKind::Unauthorized, "upload the artifacts"));
        }
        self.uploads.lock().unwrap().push(artifact.clone());
        Ok(())
    }

    async fn download(&self, _dependency: &Dependency) -> Result<ByteStream> {
        Err(Error::new(ErrorKind::NotFound, "download the artifacts"))
    }
}
