//! How a run loop is told to end: level by level, only ever sharper.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// Tells a [`Runner`](crate::Runner) to end. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Shutdown {
    level: Arc<watch::Sender<ShutdownLevel>>,
}

/// How sharply a run loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShutdownLevel {
    /// It does not.
    Run,
    /// It takes no more jobs and waits for those that run.
    Drain,
    /// It takes no more jobs; running ones are cancelled gracefully and have this long for it.
    Cancel(Duration),
    /// It takes no more jobs; running ones are stopped and end as interrupted.
    Interrupt,
    /// Running jobs are stopped at once.
    Abort,
    /// It leaves; running jobs are left to whatever runs them, which reports them or is adopted later. Only those that
    /// cannot outlive this process are interrupted and waited for.
    Leave,
}

impl Shutdown {
    /// One that says nothing yet.
    pub fn new() -> Self {
        Self { level: Arc::new(watch::Sender::new(ShutdownLevel::Run)) }
    }

    /// Raises the level; a milder one than was said before has no effect.
    pub fn raise(&self, level: ShutdownLevel) {
        self.level.send_if_modified(|current| {
            let sharper = level > *current;
            if sharper {
                *current = level;
            }
            sharper
        });
    }

    /// The level now.
    pub fn level(&self) -> ShutdownLevel {
        *self.level.borrow()
    }

    /// Waits until the level is `level` or sharper. Cancel safe.
    pub async fn reached(&self, level: ShutdownLevel) {
        let mut receiver = self.level.subscribe();
        // The sender lives as long as `self`.
        drop(receiver.wait_for(|current| *current >= level).await);
    }

    /// Waits until the level is sharper than `level` and returns it. Cancel safe.
    pub(super) async fn sharper_than(&self, level: ShutdownLevel) -> ShutdownLevel {
        let mut receiver = self.level.subscribe();
        let reached = receiver.wait_for(|current| *current > level).await.map(|current| *current);
        reached.unwrap_or(ShutdownLevel::Leave)
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_level_only_gets_sharper() {
        let shutdown = Shutdown::new();
        shutdown.raise(ShutdownLevel::Abort);
        shutdown.raise(ShutdownLevel::Drain);
        assert_eq!(shutdown.level(), ShutdownLevel::Abort);
        shutdown.reached(ShutdownLevel::Drain).await;
    }
}
