//! What Ctrl-C does: the first time politely, the second time at once, the third time without us.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit status of a program that SIGINT ended, as shells have it.
const KILLED_BY_INTERRUPT: i32 = 130;

/// The signals that end a run.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Calls `escalate` with each signal. It never returns; the third signal ends the program.
    pub(crate) async fn drive(mut self, escalate: impl Fn(Escalation) + Send) {
        self.next().await;
        escalate(Escalation::Cancel);
        self.next().await;
        escalate(Escalation::Abort);
        self.next().await;
        leave();
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escalation {
    /// Jobs are cancelled politely.
    Cancel,
    /// Jobs are stopped at once.
    Abort,
}

/// Ends the program without more ado. The jobs' supervisors end the jobs when they see us gone.
#[expect(clippy::exit, reason = "the third Ctrl-C asks for just that")]
fn leave() -> ! {
    std::process::exit(KILLED_BY_INTERRUPT)
}
