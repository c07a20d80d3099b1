//! One process, from its start to its end: its output, its bounds, and how it is made to end.

use std::time::Duration;

use bytes::Bytes;
use runner_core::{Result, Usage, log::JobLog};
use tokio::time::timeout;

use super::limit::{Halt, Limit};
use crate::host::{Command, Exit, Host, Process, ProcessEnd, ProcessEvent, ProcessSignal};

/// How long a process that was killed has to be seen as ended.
pub(crate) const AFTER_KILL: Duration = Duration::from_secs(10);

/// Where the output of a process goes.
#[derive(Debug)]
pub(crate) enum Output<'a> {
    /// To the job's log.
    Log(&'a JobLog),
    /// Kept, up to so many bytes; what is more is dropped.
    Kept(&'a mut Vec<u8>, usize),
}

impl Output<'_> {
    async fn take(&mut self, bytes: Bytes) {
        match self {
            Self::Log(log) => log.output(&bytes).await,
            Self::Kept(kept, most) => kept.extend(bytes.iter().take(most.saturating_sub(kept.len()))),
        }
    }
}

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Exited(Exit),
    /// It was made to end.
    Halted(Halt),
    /// The host went away with it.
    Lost,
}

/// A process that came to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How.
    pub(crate) end: End,
    /// What it used.
    pub(crate) usage: Usage,
    /// What is left of it: its children may go on printing.
    pub(crate) process: Option<Process>,
}

/// Runs a process within `limit`. One that is to end gets TERM, and KILL after `grace`.
pub(crate) async fn run(
    host: &dyn Host,
    command: Command,
    mut output: Output<'_>,
    limit: &mut Limit,
    grace: Duration,
) -> Result<Ran> {
    let mut process = match limit.bound(host.start(command)).await {
        Ok(process) => process?,
        Err(halt) => return Ok(Ran { end: End::Halted(halt), usage: Usage::default(), process: None }),
    };
    let halt = loop {
        let event = tokio::select! {
            biased;
            halt = limit.reached() => break halt,
            event = process.next() => event,
        };
        match event {
            // The log may have no room for a long time, as when its source cannot be reached.
            Some(ProcessEvent::Output(bytes)) => {
                if let Err(halt) = limit.bound(output.take(bytes)).await {
                    break halt;
                }
            }
            Some(ProcessEvent::Ended(ProcessEnd { exit, usage })) => {
                return Ok(Ran { end: End::Exited(exit), usage, process: Some(process) });
            }
            None => return Ok(Ran { end: End::Lost, usage: Usage::default(), process: None }),
        }
    };
    let usage = end(&mut process, &mut output, halt, limit, grace).await;
    Ok(Ran { end: End::Halted(halt), usage, process: Some(process) })
}

/// Makes a process end, and waits until it has, or until waiting is no use.
async fn end(
    process: &mut Process,
    output: &mut Output<'_>,
    halt: Halt,
    limit: &mut Limit,
    grace: Duration,
) -> Usage {
    if halt != Halt::Aborted {
        process.signal(ProcessSignal::Terminate);
        let polite = async {
            tokio::select! {
                biased;
                () = limit.aborted() => None,
                ended = timeout(grace, ended(process, output)) => ended.ok(),
            }
        };
        if let Some(usage) = polite.await {
            return usage;
        }
    }
    process.signal(ProcessSignal::Kill);
    timeout(AFTER_KILL, ended(process, output)).await.unwrap_or_default()
}

/// Waits for the end of a process that is on its way to it, or is gone.
async fn ended(process: &mut Process, output: &mut Output<'_>) -> Usage {
    loop {
        match process.next().await {
            Some(ProcessEvent::Output(bytes)) => output.take(bytes).await,
            Some(ProcessEvent::Ended(end)) => return end.usage,
            None => return Usage::default(),
        }
    }
}

/// Writes to the log what the children of a process that has ended print.
pub(crate) async fn drain(mut process: Process, log: JobLog) {
    while let Some(event) = process.next().await {
        if let ProcessEvent::Output(bytes) = event {
            log.output(&bytes).await;
        }
    }
}
