//! What ends a part of a job before it is done: a wish to stop, or time that ran out.

use std::{future::Future, time::Duration};

use runner_core::executor::Stop;
use tokio::time::{Instant, sleep_until};

use super::stop::StopReceiver;

/// Why something is ended before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// Somebody asked for it, politely: what is left of the job still runs.
    Canceled,
    /// We are to go away.
    Interrupted,
    /// Everything is to end at once.
    Aborted,
    /// It took longer than this.
    TimedOut(Duration),
}

/// Bounds of a part of a job.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    stop: StopReceiver,
    /// A graceful stop is no reason to end: this is what runs because of it.
    outlives_cancel: bool,
    end: Option<(Instant, Duration)>,
}

impl Limit {
    /// Bounds that every wish to stop reaches.
    pub(crate) fn new(stop: StopReceiver) -> Self {
        Self { stop, outlives_cancel: false, end: None }
    }

    /// The same, but for graceful stops, which have no effect before their deadline.
    pub(crate) fn outliving_cancel(mut self) -> Self {
        self.outlives_cancel = true;
        self
    }

    /// The same, and `allowed` from `start` on; what ends earlier counts.
    pub(crate) fn within(mut self, start: Instant, allowed: Duration) -> Self {
        if let Some(end) = start.checked_add(allowed)
            && self.end.is_none_or(|(known, _)| end < known)
        {
            self.end = Some((end, allowed));
        }
        self
    }

    /// How long until the time runs out.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.end.map(|(end, _)| end.saturating_duration_since(Instant::now()))
    }

    /// Waits until a bound is reached. Cancel safe.
    pub(crate) async fn reached(&mut self) -> Halt {
        let mut tolerated = None;
        loop {
            let stop = tokio::select! {
                biased;
                stop = self.stop.sharper_than(tolerated) => stop,
                halt = time_is_up(self.end) => return halt,
            };
            match stop {
                Stop::Graceful { .. } if self.outlives_cancel => tolerated = Some(stop),
                Stop::Graceful { .. } => return Halt::Canceled,
                Stop::Interrupt => return Halt::Interrupted,
                Stop::Abort => return Halt::Aborted,
            }
        }
    }

    /// Waits until everything is to end at once. Cancel safe.
    pub(crate) async fn aborted(&mut self) {
        let mut known = None;
        loop {
            match self.stop.sharper_than(known).await {
                Stop::Abort => return,
                stop => known = Some(stop),
            }
        }
    }

    /// Waits for `work`, unless a bound is reached first: then `work` is dropped.
    pub(crate) async fn bound<T: Send>(&mut self, work: impl Future<Output = T> + Send) -> Result<T, Halt> {
        tokio::select! {
            biased;
            halt = self.reached() => Err(halt),
            done = work => Ok(done),
        }
    }
}

async fn time_is_up(end: Option<(Instant, Duration)>) -> Halt {
    match end {
        Some((end, allowed)) => {
            sleep_until(end).await;
            Halt::TimedOut(allowed)
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stop_channel;

    #[tokio::test(start_paused = true)]
    async fn the_earlier_end_counts() {
        let (_sender, stop) = stop_channel();
        let start = Instant::now();
        let hour = Duration::from_hours(1);
        let minute = Duration::from_mins(1);
        let mut limit = Limit::new(stop).within(start, minute).within(start, hour);
        assert_eq!(limit.reached().await, Halt::TimedOut(minute));
        assert_eq!(limit.bound(std::future::pending::<()>()).await, Err(Halt::TimedOut(minute)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlives_a_cancel_ends_at_its_deadline() {
        let (sender, stop) = stop_channel();
        let deadline = Instant::now() + Duration::from_mins(1);
        sender.stop(Stop::Graceful { deadline });
        assert_eq!(Limit::new(stop.clone()).reached().await, Halt::Canceled);
        assert_eq!(Limit::new(stop).outliving_cancel().reached().await, Halt::Aborted);
        assert_eq!(Instant::now(), deadline);
    }
}
