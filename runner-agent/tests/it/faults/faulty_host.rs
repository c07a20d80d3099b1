//! A host that breaks what another one does.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_agent::{
    host::{Command, Exit, FileAction, Host, MemoryUse, Process, ProcessDriver, ProcessEnd, ProcessEvent},
    supervise::SupervisedHost,
};
use runner_core::{Error, ErrorKind, Result};
use tokio::{task::JoinSet, time::sleep};

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostFault {
    /// It fails, and does nothing.
    Fails(ErrorKind),
    /// Nobody says how the process ended.
    HidesTheEnd,
    /// Its end is said late.
    Delays,
    /// It prints much that it was not asked for.
    Floods,
    /// It is said to have been killed.
    SaysKilled,
}

/// Breaks the calls of a [`SupervisedHost`] as `plan` says.
pub(super) struct FaultyHost<Plan> {
    pub(super) inner: SupervisedHost,
    pub(super) plan: Plan,
    pub(super) relays: Mutex<JoinSet<()>>,
}

impl<Plan> fmt::Debug for FaultyHost<Plan> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FaultyHost").finish_non_exhaustive()
    }
}

#[async_trait]
impl<Plan: Fn(&str) -> Option<HostFault> + Send + Sync> Host for FaultyHost<Plan> {
    async fn start(&self, command: Command) -> Result<Process> {
        let fault = (self.plan)("start");
        if let Some(HostFault::Fails(kind)) = fault {
            return Err(Error::new(kind, "start a process"));
        }
        let process = self.inner.start(command).await?;
        let Some(fault) = fault else { return Ok(process) };
        let (broken, driver) = Process::new(4);
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        relays.spawn(relay(fault, process, driver));
        Ok(broken)
    }

    async fn find(&self, programs: &[&str], path: &str) -> Result<Option<String>> {
        match (self.plan)("find") {
            Some(HostFault::Fails(kind)) => Err(Error::new(kind, "look for programs")),
            Some(_) => Ok(None),
            None => self.inner.find(programs, path).await,
        }
    }

    async fn end_all(&self, grace: Duration) -> Result<()> {
        match (self.plan)("end_all") {
            Some(HostFault::Fails(kind)) => Err(Error::new(kind, "end all processes")),
            Some(_) => {
                self.inner.end_all(grace).await?;
                Err(Error::new(ErrorKind::Lost, "end all processes"))
            }
            None => self.inner.end_all(grace).await,
        }
    }

    async fn environment(&self) -> Result<Option<Vec<(String, String)>>> {
        self.inner.environment().await
    }

    async fn take_over(&self, paths: &[PathBuf]) -> Result<()> {
        self.inner.take_over(paths).await
    }

    async fn files(&self, action: FileAction, path: &Path) -> Result<Process> {
        self.inner.files(action, path).await
    }

    async fn memory(&self) -> Result<Option<MemoryUse>> {
        self.inner.memory().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

async fn relay(fault: HostFault, mut process: Process, mut driver: ProcessDriver) {
    if fault == HostFault::Floods {
        for _ in 0..64 {
            let output = ProcessEvent::Output(Bytes::from_static(&[b'f'; 8192]));
            drop(driver.events.send(output).await);
        }
    }
    loop {
        let event = tokio::select! {
            Some(signal) = driver.signals.recv() => {
                process.signal(signal);
                continue;
            }
            event = process.next() => event,
        };
        let event = match (event, fault) {
            (None, _) | (Some(ProcessEvent::Ended(_)), HostFault::HidesTheEnd) => return,
            (Some(ProcessEvent::Ended(end)), HostFault::SaysKilled) => {
                ProcessEvent::Ended(ProcessEnd { exit: Exit::Signal(9), ..end })
            }
            (Some(ended @ ProcessEvent::Ended(_)), HostFault::Delays) => {
                sleep(Duration::from_millis(50)).await;
                ended
            }
            (Some(event), _) => event,
        };
        drop(driver.events.send(event).await);
    }
}
