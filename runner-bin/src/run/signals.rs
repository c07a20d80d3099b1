//! What signals do to a manager: QUIT ends it when its jobs have ended, TERM and INT at once, HUP has it read its config.

use std::{convert::Infallible, io};

use runner_config::{Config, OnShutdown};
use runner_core::run::{Shutdown, ShutdownLevel};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, watch},
    time::{Duration, sleep},
};

/// The signals of a manager.
#[derive(Debug)]
pub(super) struct Signals {
    hang_up: Signal,
    quit: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What is done at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AtTheEnd {
    /// What becomes of jobs that could outlive this process.
    pub(super) jobs: OnShutdown,
    /// How long those have that are stopped.
    pub(super) patience: Duration,
}

impl AtTheEnd {
    /// As the config says.
    pub(super) fn of(config: &Config) -> Self {
        Self { jobs: config.shutdown, patience: config.shutdown_timeout }
    }
}

impl Signals {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Does what the signals say. It never returns.
    pub(super) async fn heed(
        mut self,
        shutdown: &Shutdown,
        asked: &Notify,
        at_the_end: &watch::Receiver<AtTheEnd>,
    ) -> Infallible {
        let ending = loop {
            tokio::select! {
                _ = self.hang_up.recv() => asked.notify_one(),
                _ = self.quit.recv() => {
                    tracing::info!("no more jobs are taken; this ends when the running ones have");
                    shutdown.raise(ShutdownLevel::Drain);
                }
                _ = self.terminate.recv() => break *at_the_end.borrow(),
                _ = self.interrupt.recv() => break *at_the_end.borrow(),
            }
        };
        match ending.jobs {
            OnShutdown::Abort => {
                tracing::info!("running jobs are aborted");
                shutdown.raise(ShutdownLevel::Interrupt);
                tokio::select! {
                    () = sleep(ending.patience) => {}
                    () = self.any() => {}
                }
            }
            OnShutdown::Leave => tracing::info!("jobs in pods run on; others are interrupted"),
        }
        shutdown.raise(ShutdownLevel::Leave);
        tokio::select! {
            () = sleep(ending.patience) => {}
            () = self.any() => {}
        }
        tracing::warn!("this ends at once, without what is left");
        leave()
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.quit.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends the program without more ado.
#[expect(clippy::exit, reason = "there was an orderly way before, and its time is over")]
fn leave() -> ! {
    std::process::exit(1)
}
