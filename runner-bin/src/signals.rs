//! What Ctrl-C does: the first time politely, the second time at once, the third time without us.

use std::{io, time::Duration};

use runner_core::run::{Shutdown, ShutdownLevel};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long jobs that are cancelled politely have for their `after_script` and what follows it.
const PATIENCE: Duration = Duration::from_mins(5);
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

    /// Raises `shutdown` with each signal, and `say`s so. It never returns; the third signal ends the program.
    pub(crate) async fn drive(mut self, shutdown: &Shutdown, say: impl Fn(&str) + Send) {
        self.next().await;
        say("canceling: after_script still runs; press Ctrl-C again to stop at once");
        shutdown.raise(ShutdownLevel::Cancel(PATIENCE));
        self.next().await;
        say("stopping at once; press Ctrl-C again to leave without cleaning up");
        shutdown.raise(ShutdownLevel::Abort);
        self.next().await;
        leave();
    }
}

/// Ends the program without more ado. The jobs' supervisors end the jobs when they see us gone.
#[expect(clippy::exit, reason = "the third Ctrl-C asks for just that")]
fn leave() -> ! {
    std::process::exit(KILLED_BY_INTERRUPT)
}
