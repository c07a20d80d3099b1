//! Asks one source for jobs while there is room.

use std::{sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{
    RunnerConfig, ShutdownLevel,
    job::Driver,
    slots::{Credit, Slot, Slots},
};
use crate::{Capacity, Event, JobLease, JobOutcome, JobSpec, Result, outcome::LogDigest, source::JobState};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How often a source hears of a job that waits here for a slot.
const HOLD_INTERVAL: Duration = Duration::from_secs(30);

impl Driver {
    /// Asks until the source is exhausted, `stop` is triggered, or the loop drains.
    pub(super) async fn ask_until_done(
        self: &Arc<Self>,
        runner: &Arc<RunnerConfig>,
        limit: &Slots,
        stop: &CancellationToken,
    ) {
        let mut wait = FIRST_WAIT;
        while let Some((free, permit)) = self.room(limit, stop).await {
            self.events.send(Event::Asking { runner: runner.name.clone() });
            let answer = self.ask(runner, free, stop).await;
            if answer.is_ok() {
                self.events.send(Event::Asked { runner: runner.name.clone() });
            }
            match answer {
                Ok(Some(lease)) => {
                    wait = FIRST_WAIT;
                    self.events.send(received(&runner.name, &lease.job));
                    if let Some(slot) = self.hold(&lease).await {
                        self.spawn(runner, lease, Credit { slot, _limit: Some(permit) });
                    }
                }
                Ok(None) if runner.source.is_exhausted() => return,
                Ok(None) => {
                    wait = FIRST_WAIT;
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    let (runner, error) = (runner.name.clone(), error.chain());
                    self.events.send(Event::SourceFailed { runner, error, again_in: wait });
                    self.pause(wait, stop).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Waits for room; `None` when the loop takes no more jobs.
    async fn room(&self, limit: &Slots, stop: &CancellationToken) -> Option<(usize, Slot)> {
        let room = async {
            let permit = limit.take().await;
            (self.slots.free().await, permit)
        };
        tokio::select! {
            biased;
            () = self.shutdown.reached(ShutdownLevel::Drain) => None,
            () = stop.cancelled() => None,
            room = room => Some(room),
        }
    }

    /// One request. It is stopped, not dropped, when the last slot is taken or the loop drains.
    async fn ask(
        &self,
        runner: &RunnerConfig,
        free: usize,
        stop: &CancellationToken,
    ) -> Result<Option<JobLease>> {
        let stop = stop.child_token();
        let request = runner.source.next(Capacity { free }, &stop);
        tokio::pin!(request);
        tokio::select! {
            biased;
            answer = &mut request => return answer,
            () = self.slots.full() => {}
            () = stop.cancelled() => {}
            () = self.shutdown.reached(ShutdownLevel::Drain) => {}
        }
        stop.cancel();
        request.await
    }

    /// Holds a job until it gets a slot, and tells its source meanwhile that it is not forgotten. A job that was
    /// taken is run even while draining; under a sharper level it is ended here, and `None` is returned.
    async fn hold(&self, lease: &JobLease) -> Option<Slot> {
        let slot = self.slots.take();
        tokio::pin!(slot);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.reached(ShutdownLevel::Cancel(Duration::ZERO)) => break,
                slot = &mut slot => return Some(slot),
                () = time::sleep(HOLD_INTERVAL) => {
                    // A source that does not answer now is asked again soon enough.
                    drop(lease.report.heartbeat(JobState::Pending).await);
                }
            }
        }
        if self.shutdown.level() < ShutdownLevel::Leave {
            // It was never accepted: where this does not arrive, the source hands it out again.
            drop(lease.report.complete(&JobOutcome::Canceled, Some(LogDigest::default())).await);
        }
        None
    }

    async fn pause(&self, wait: Duration, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = time::sleep(wait) => {}
            () = self.shutdown.reached(ShutdownLevel::Drain) => {}
        }
    }
}

fn received(runner: &str, job: &JobSpec) -> Event {
    Event::Received {
        runner: runner.to_owned(),
        job: job.id.clone(),
        name: job.name.clone(),
        project: job.project.id,
        queued: job.queued,
    }
}
