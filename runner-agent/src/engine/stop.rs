//! How a running job is told to stop: a wish that only gets sharper.

use runner_core::executor::Stop;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// A channel that carries how a job is to stop.
pub fn stop_channel() -> (StopSender, StopReceiver) {
    let (sender, receiver) = watch::channel(None);
    (StopSender(sender), StopReceiver(receiver))
}

/// Asks a job to stop. Dropping it asks for nothing.
#[derive(Debug, Clone)]
pub struct StopSender(watch::Sender<Option<Wish>>);

/// Tells whether, and how, a job is to stop.
#[derive(Debug, Clone)]
pub struct StopReceiver(watch::Receiver<Option<Wish>>);

/// What was asked first, which says why the job ends, and what was asked sharpest, which says how.
#[derive(Debug, Clone, Copy)]
struct Wish {
    first: Stop,
    sharpest: Stop,
}

impl StopSender {
    /// Asks the job to stop. What is milder than what was asked before changes nothing.
    pub fn stop(&self, how: Stop) {
        self.0.send_if_modified(|wish| match wish {
            None => {
                *wish = Some(Wish { first: how, sharpest: how });
                true
            }
            Some(wish) if is_sharper(how, wish.sharpest) => {
                wish.sharpest = how;
                true
            }
            Some(_) => false,
        });
    }
}

impl StopReceiver {
    /// How the job is to stop now; `None` while it may go on. A graceful stop becomes an abort at its deadline.
    pub fn current(&self) -> Option<Stop> {
        match self.0.borrow().map(|wish| wish.sharpest) {
            Some(Stop::Graceful { deadline }) if deadline <= Instant::now() => Some(Stop::Abort),
            wish => wish,
        }
    }

    /// How the job was first asked to stop, which decides what its end is called.
    pub fn first(&self) -> Option<Stop> {
        self.0.borrow().map(|wish| wish.first)
    }

    /// Whether the job is to stop so that not even `after_script` runs.
    pub(crate) fn is_sharp(&self) -> bool {
        matches!(self.current(), Some(Stop::Interrupt | Stop::Abort))
    }

    /// Waits until the job is to stop more sharply than `known`. Cancel safe.
    pub async fn sharper_than(&mut self, known: Option<Stop>) -> Stop {
        loop {
            let current = self.current();
            if let Some(stop) = current
                && known.is_none_or(|known| is_sharper(stop, known))
            {
                return stop;
            }
            match current {
                Some(Stop::Graceful { deadline }) => {
                    tokio::select! {
                        () = sleep_until(deadline) => {}
                        () = self.changed() => {}
                    }
                }
                _ => self.changed().await,
            }
        }
    }

    async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

fn is_sharper(new: Stop, old: Stop) -> bool {
    match (old, new) {
        (Stop::Graceful { deadline: old }, Stop::Graceful { deadline: new }) => new < old,
        (Stop::Graceful { .. }, Stop::Interrupt | Stop::Abort) | (Stop::Interrupt, Stop::Abort) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_only_gets_sharper() {
        let (sender, mut receiver) = stop_channel();
        assert_eq!(receiver.current(), None);
        let deadline = Instant::now() + Duration::from_mins(1);
        sender.stop(Stop::Graceful { deadline });
        sender.stop(Stop::Graceful { deadline: deadline + Duration::from_mins(1) });
        assert_eq!(receiver.sharper_than(None).await, Stop::Graceful { deadline });
        sender.stop(Stop::Abort);
        sender.stop(Stop::Interrupt);
        assert_eq!(receiver.sharper_than(Some(Stop::Graceful { deadline })).await, Stop::Abort);
        assert_eq!(receiver.first(), Some(Stop::Graceful { deadline }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_graceful_stop_becomes_an_abort_at_its_deadline() {
        let (sender, mut receiver) = stop_channel();
        let deadline = Instant::now() + Duration::from_mins(1);
        let graceful = Stop::Graceful { deadline };
        sender.stop(graceful);
        assert_eq!(receiver.sharper_than(Some(graceful)).await, Stop::Abort);
        assert_eq!(Instant::now(), deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_sender_nothing_stops() {
        let (sender, mut receiver) = stop_channel();
        drop(sender);
        let wait = tokio::time::timeout(Duration::from_hours(100), receiver.sharper_than(None));
        assert!(wait.await.is_err());
    }
}
