//! Takes over the jobs of an earlier process, again and again where that does not work at once; and later those of other
//! processes that share their jobs with this one, when they end.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;

use super::{RunnerConfig, ShutdownLevel, job::Driver, slots::Credit};
use crate::{ErrorKind, Event, JobHandle, Result};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How long a loop that takes no more jobs goes on trying. Then what is left is for a later process.
const LAST_TRIES: Duration = Duration::from_mins(2);

/// So many jobs are taken over at a time.
const AT_ONCE: usize = 16;

/// The adoption for one runner.
#[derive(Debug)]
struct Adoption {
    driver: Arc<Driver>,
    runner: Arc<RunnerConfig>,
    /// What is not taken over yet; `None` while it could not be listed.
    handles: Option<Vec<JobHandle>>,
}

/// The adoptions of a loop that go on in the background.
#[derive(Debug, Default)]
pub(super) struct Adoptions {
    tasks: JoinSet<()>,
    /// Triggered when the loop takes no more jobs.
    last: CancellationToken,
}

impl Adoptions {
    /// Takes over the jobs of an earlier process as far as that works now, and goes on in the background with the rest,
    /// and with those that other processes leave until `replaced`.
    pub(super) async fn begin(
        &mut self,
        driver: &Arc<Driver>,
        runner: &Arc<RunnerConfig>,
        replaced: &CancellationToken,
    ) {
        let mut adoption = Adoption { driver: Arc::clone(driver), runner: Arc::clone(runner), handles: None };
        tokio::select! {
            biased;
            () = driver.shutdown.reached(ShutdownLevel::Leave) => return,
            () = adoption.try_all() => {}
        }
        self.tasks.spawn(adoption.go_on(self.last.clone(), replaced.clone()));
    }

    /// Takes over what other processes leave, for a runner in the place of one whose adoption has begun.
    pub(super) fn go_on(
        &mut self,
        driver: &Arc<Driver>,
        runner: &Arc<RunnerConfig>,
        replaced: &CancellationToken,
    ) {
        let handles = Some(Vec::new());
        let adoption = Adoption { driver: Arc::clone(driver), runner: Arc::clone(runner), handles };
        self.tasks.spawn(adoption.go_on(self.last.clone(), replaced.clone()));
    }

    /// Waits until everything is taken over, but no longer than it makes sense for a loop that takes no more jobs.
    pub(super) async fn finish(mut self) {
        self.last.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Adoption {
    async fn go_on(mut self, last: CancellationToken, replaced: CancellationToken) {
        let driver = Arc::clone(&self.driver);
        let too_late = async {
            last.cancelled().await;
            time::sleep(LAST_TRIES).await;
        };
        tokio::select! {
            biased;
            () = driver.shutdown.reached(ShutdownLevel::Leave) => {}
            () = self.try_for_ever(&last, &replaced) => {}
            () = too_late => tracing::warn!("jobs of an earlier process are left to a later one"),
        }
    }

    /// Returns when nothing is left, and nothing more is to come.
    async fn try_for_ever(&mut self, last: &CancellationToken, replaced: &CancellationToken) {
        loop {
            self.try_until_done(last).await;
            tokio::select! {
                biased;
                () = last.cancelled() => return,
                () = replaced.cancelled() => return,
                () = self.runner.executor.orphaned() => self.handles = None,
            }
        }
    }

    async fn try_until_done(&mut self, last: &CancellationToken) {
        let (mut wait, mut is_last) = (FIRST_WAIT, false);
        while !self.is_done() {
            tokio::select! {
                biased;
                () = last.cancelled(), if !is_last => {
                    (wait, is_last) = (FIRST_WAIT, true);
                    continue;
                }
                () = time::sleep(wait) => {}
            }
            self.try_all().await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn is_done(&self) -> bool {
        self.handles.as_ref().is_some_and(Vec::is_empty)
    }

    /// Tries once what is left.
    async fn try_all(&mut self) {
        let (name, lease_name) = (&self.runner.name, &self.runner.lease_name);
        let handles = match self.handles.take() {
            Some(handles) => handles,
            None => match self.runner.executor.adoptable().await {
                Ok(mut handles) => {
                    handles.retain(|handle| {
                        handle.saved.as_ref().is_some_and(|saved| saved.runner == *lease_name)
                    });
                    self.driver.jobs.await_adoption(handles.len());
                    handles
                }
                Err(error) => {
                    tracing::warn!(runner = name, error = error.chain(), "cannot list jobs to adopt yet");
                    return;
                }
            },
        };
        // One that is slow to be found or removed must not hold up the others, which nobody speaks of meanwhile.
        let (mut left, mut tries) = (Vec::new(), JoinSet::new());
        for handle in handles {
            if tries.len() == AT_ONCE {
                left.extend(tries.join_next().await.and_then(Result::ok).flatten());
            }
            let (driver, runner) = (Arc::clone(&self.driver), Arc::clone(&self.runner));
            tries.spawn(async move { try_one(&driver, &runner, handle).await });
        }
        while let Some(tried) = tries.join_next().await {
            left.extend(tried.ok().flatten());
        }
        self.handles = Some(left);
    }
}

/// Tries one job. What is not taken over is given back where that makes sense.
async fn try_one(driver: &Arc<Driver>, runner: &Arc<RunnerConfig>, handle: JobHandle) -> Option<JobHandle> {
    let name = &runner.name;
    match adopt(driver, runner, handle.clone()).await {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            tracing::warn!(runner = name, job = %handle.job, error = error.chain(), "cannot adopt a job");
        }
        Err(error) => {
            tracing::warn!(runner = name, job = %handle.job, error = error.chain(), "cannot adopt a job yet");
            return Some(handle);
        }
    }
    driver.jobs.note_adopted();
    None
}

async fn adopt(driver: &Arc<Driver>, runner: &Arc<RunnerConfig>, handle: JobHandle) -> Result<()> {
    // Its source may have handed it out again meanwhile, and then it runs here.
    let Some(saved) = handle.saved.clone() else { return Ok(()) };
    let Some(claim) = driver.jobs.claim(&handle.job) else { return Ok(()) };
    let lease = match runner.source.resume(saved).await {
        Ok(lease) => lease,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            tracing::info!(job = %handle.job, error = error.chain(), "a job of an earlier process is removed");
            return runner.executor.discard(handle).await;
        }
        Err(error) => return Err(error),
    };
    let credit = Credit { slot: driver.slots.take_over(), _limit: None };
    let (report, spec) = (Arc::clone(&lease.report), Arc::clone(&lease.job));
    let job = runner.executor.adopt(handle, lease, driver.context(runner, &credit)).await?;
    driver.events.send(Event::Adopted {
        runner: runner.name.clone(),
        job: spec.id.clone(),
        name: spec.name.clone(),
        project: spec.project.id,
    });
    driver.spawn_adopted(job, report, (credit, claim));
    Ok(())
}
