//! Takes the ends of all children: those that were started, and the orphans that this process inherits.

use std::{
    collections::{HashMap, HashSet},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

#[cfg(target_os = "linux")]
use nix::{
    errno::Errno,
    sys::wait::{Id, WaitPidFlag, waitid},
};
use nix::{sys::signal::Signal, unistd::Pid};
use runner_core::Usage;
use tokio::sync::oneshot;

use super::descendants;
use crate::host::{Exit, ProcessEnd};

/// Reaps children, and tells the ends of those that it tracks.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    tracked: HashMap<u32, oneshot::Sender<ProcessEnd>>,
}

impl Reaper {
    /// Tells the end of child `process` when it comes.
    pub(super) fn track(&mut self, process: u32) -> oneshot::Receiver<ProcessEnd> {
        let (sender, receiver) = oneshot::channel();
        self.tracked.insert(process, sender);
        receiver
    }

    /// Whether `process` is tracked and not reaped, so that its number is still its own.
    pub(super) fn holds(&self, process: u32) -> bool {
        self.tracked.contains_key(&process)
    }

    /// The children that are tracked and not reaped.
    pub(super) fn children(&self) -> Vec<Pid> {
        self.tracked.keys().filter_map(|process| i32::try_from(*process).ok()).map(Pid::from_raw).collect()
    }

    /// Reaps every child that has ended. Returns whether there are others.
    #[cfg(target_os = "linux")]
    pub(super) fn reap(&mut self) -> bool {
        // Looking first, without taking the end, tells whose it is; taking it by number gives what it used.
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        loop {
            match waitid(Id::All, look).map(|status| status.pid()) {
                Ok(None) => return true,
                Ok(Some(process)) => drop(self.take(process.as_raw().unsigned_abs())),
                Err(Errno::ECHILD) => return false,
                Err(Errno::EINTR) => {}
                // It was killed by a signal that has no name here: one of the real-time signals.
                Err(_) => return self.reap_each(),
            }
        }
    }

    /// Reaps every tracked child that has ended. Returns whether there are others.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn reap(&mut self) -> bool {
        self.reap_each()
    }

    /// Asks for each child by its number.
    fn reap_each(&mut self) -> bool {
        let own = descendants::children(Pid::this()).unwrap_or_default();
        let own = own.into_iter().map(|process| process.as_raw().unsigned_abs());
        let all: HashSet<u32> = own.chain(self.tracked.keys().copied()).collect();
        let ended = all.iter().filter(|process| self.take(**process)).count();
        ended < all.len()
    }

    /// Takes the end of `process`, if it has ended; tells whether it has.
    fn take(&mut self, process: u32) -> bool {
        let end = match wait4::try_wait4_pid(process) {
            Ok(Some(end)) => process_end(&end),
            Ok(None) => return false,
            // Somebody else took it. That must not leave its holder waiting for ever, and counts as killed: what is
            // not known is never a success.
            Err(_) => ProcessEnd { exit: Exit::Signal(Signal::SIGKILL as i32), usage: Usage::default() },
        };
        if let Some(sender) = self.tracked.remove(&process) {
            // The one who waited may be gone.
            sender.send(end).ok();
        }
        true
    }
}

fn process_end(end: &wait4::ResUse) -> ProcessEnd {
    let cpu = end.rusage.utime + end.rusage.stime;
    ProcessEnd { exit: exit(end.status), usage: Usage { peak_memory: end.rusage.maxrss, cpu } }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Signal(0),
    }
}
