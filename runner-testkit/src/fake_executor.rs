//! An executor that runs nothing and ends its jobs as planned.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runner_core::{
    Error, ErrorKind, Executor, FailureReason, Finding, JobContext, JobEnd, JobHandle, JobId, JobLease,
    JobOutcome, Result, RunningJob, SavedLease, executor::Stop, outcome::LogDigest,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What becomes of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FakeJob {
    /// It succeeds at once.
    #[default]
    Succeeds,
    /// Its script ends with this code.
    Fails(i32),
    /// It runs until it is stopped.
    RunsUntilStopped,
    /// It cannot be started.
    NeverStarts,
    /// Its end cannot be known.
    GetsLost,
    /// It runs until [`FakeExecutor::release`].
    RunsUntilReleased,
}

/// An [`Executor`] without an environment. What a job does stands under its name; others succeed.
#[derive(Debug, Default)]
pub struct FakeExecutor {
    plan: BTreeMap<String, FakeJob>,
    /// Jobs cannot outlive their process.
    is_bound: bool,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<Counts>,
    /// Somebody has left jobs behind since they were last listed.
    orphaned: Notify,
}

/// How many jobs there are, and how many were ever started.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    running: usize,
    started: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<JobId, Arc<Running>>,
    starts: usize,
    cleaned: Vec<JobId>,
    most_at_once: usize,
    adoptable: Vec<SavedLease>,
    failing_lists: usize,
    failing_adoptions: usize,
    is_left: bool,
    slow_adoption: Option<(String, Duration)>,
}

impl State {
    fn counts(&self) -> Counts {
        Counts { running: self.jobs.len(), started: self.starts }
    }
}

impl FakeExecutor {
    /// An executor with a plan.
    pub fn new(plan: impl IntoIterator<Item = (&'static str, FakeJob)>) -> Arc<Self> {
        let plan = plan.into_iter().map(|(name, job)| (name.to_owned(), job)).collect();
        Arc::new(Self { plan, ..Self::default() })
    }

    /// The same, of jobs that end with their process.
    pub fn bound(plan: impl IntoIterator<Item = (&'static str, FakeJob)>) -> Arc<Self> {
        let plan = plan.into_iter().map(|(name, job)| (name.to_owned(), job)).collect();
        Arc::new(Self { plan, is_bound: true, ..Self::default() })
    }

    /// How many jobs were started.
    pub fn starts(&self) -> usize {
        self.lock().starts
    }

    /// The jobs that were cleaned up, in order.
    pub fn cleaned(&self) -> Vec<JobId> {
        self.lock().cleaned.clone()
    }

    /// The ids of jobs that have not been cleaned up.
    pub fn leftovers(&self) -> Vec<JobId> {
        self.lock().jobs.keys().cloned().collect()
    }

    /// How many jobs there were at once at most.
    pub fn most_at_once(&self) -> usize {
        self.lock().most_at_once
    }

    /// Makes a job of an earlier process that can be adopted.
    pub fn leave_behind(&self, saved: SavedLease) {
        self.lock().adoptable.push(saved);
    }

    /// The same, by a process that shared its jobs with this one and has ended.
    pub fn orphan(&self, saved: SavedLease) {
        self.leave_behind(saved);
        self.orphaned.notify_one();
    }

    /// Lets another process take a job over.
    pub fn take_over(&self, job: &str) {
        let running = self.lock().jobs.remove(&JobId::new(job));
        if let Some(running) = running {
            running.taken.cancel();
        }
        self.changed.send_replace(self.lock().counts());
    }

    /// Whether the run loop has left.
    pub fn is_left(&self) -> bool {
        self.lock().is_left
    }

    /// Lets the next `count` lists of jobs that can be adopted fail.
    pub fn fail_lists(&self, count: usize) {
        self.lock().failing_lists = count;
    }

    /// Lets the next `count` adoptions fail, for a reason that passes.
    pub fn fail_adoptions(&self, count: usize) {
        self.lock().failing_adoptions = count;
    }

    /// Lets the adoption of this job take so long.
    pub fn slow_adoption(&self, job: &str, length: Duration) {
        self.lock().slow_adoption = Some((job.to_owned(), length));
    }

    /// Waits until `count` jobs exist at once.
    pub async fn running(&self, count: usize) {
        let mut receiver = self.changed.subscribe();
        drop(receiver.wait_for(|counts| counts.running == count).await);
    }

    /// Waits until `count` jobs were started in all.
    pub async fn started(&self, count: usize) {
        let mut receiver = self.changed.subscribe();
        drop(receiver.wait_for(|counts| counts.started >= count).await);
    }

    /// Ends a job that runs until it is released.
    pub fn release(&self, job: &str) {
        if let Some(running) = self.lock().jobs.get(&JobId::new(job)) {
            running.end(JobOutcome::Succeeded);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, handle: JobHandle, lease: &JobLease) -> Arc<Running> {
        let plan = self.plan.get(&lease.job.name).copied().unwrap_or_default();
        let running = Arc::new(Running {
            handle,
            plan,
            end: watch::Sender::new(None),
            taken: CancellationToken::new(),
            state: Arc::clone(&self.state),
            changed: self.changed.clone(),
        });
        match plan {
            FakeJob::Succeeds => running.end(JobOutcome::Succeeded),
            FakeJob::Fails(code) => running.end(JobOutcome::script_failed(code)),
            _ => {}
        }
        let mut state = self.lock();
        state.jobs.insert(lease.job.id.clone(), Arc::clone(&running));
        state.most_at_once = state.most_at_once.max(state.jobs.len());
        self.changed.send_replace(state.counts());
        running
    }
}

#[async_trait]
impl Executor for FakeExecutor {
    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }

    async fn start(&self, lease: JobLease, _context: JobContext) -> Result<Arc<dyn RunningJob>> {
        if let Some(running) = self.lock().jobs.get(&lease.job.id) {
            return Ok(Arc::clone(running) as _);
        }
        if self.plan.get(&lease.job.name) == Some(&FakeJob::NeverStarts) {
            return Err(Error::new(ErrorKind::Exhausted, "find a place for the job"));
        }
        lease.report.accept().await?;
        self.lock().starts += 1;
        let saved = (!self.is_bound).then(|| lease.saved.clone());
        Ok(self.run(JobHandle { job: lease.job.id.clone(), saved }, &lease))
    }

    async fn adoptable(&self) -> Result<Vec<JobHandle>> {
        let saved = {
            let mut state = self.lock();
            if state.failing_lists > 0 {
                state.failing_lists -= 1;
                return Err(Error::new(ErrorKind::Unavailable, "list the jobs"));
            }
            state.adoptable.clone()
        };
        Ok(saved
            .into_iter()
            .map(|saved| JobHandle { job: saved.job.id.clone(), saved: Some(saved) })
            .collect())
    }

    async fn adopt(
        &self,
        handle: JobHandle,
        lease: JobLease,
        _context: JobContext,
    ) -> Result<Arc<dyn RunningJob>> {
        let slow = self.lock().slow_adoption.clone().filter(|(job, _)| job == handle.job.as_str());
        if let Some((_, length)) = slow {
            tokio::time::sleep(length).await;
        }
        {
            let mut state = self.lock();
            if state.failing_adoptions > 0 {
                state.failing_adoptions -= 1;
                return Err(Error::new(ErrorKind::Unavailable, "find the job"));
            }
            state.adoptable.retain(|saved| saved.job.id != handle.job);
        }
        Ok(self.run(handle, &lease))
    }

    async fn discard(&self, handle: JobHandle) -> Result<()> {
        let mut state = self.lock();
        state.adoptable.retain(|saved| saved.job.id != handle.job);
        state.cleaned.push(handle.job);
        Ok(())
    }

    async fn orphaned(&self) {
        self.orphaned.notified().await;
    }

    async fn leave(&self) {
        self.lock().is_left = true;
    }
}

#[derive(Debug)]
struct Running {
    handle: JobHandle,
    plan: FakeJob,
    end: watch::Sender<Option<JobOutcome>>,
    taken: CancellationToken,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<Counts>,
}

impl Running {
    fn end(&self, outcome: JobOutcome) {
        self.end.send_if_modified(|end| end.is_none() && end.replace(outcome).is_none());
    }
}

#[async_trait]
impl RunningJob for Running {
    fn handle(&self) -> JobHandle {
        self.handle.clone()
    }

    async fn wait(&self) -> Result<JobEnd> {
        let lost = || Error::new(ErrorKind::Lost, "learn how the job ended");
        if self.plan == FakeJob::GetsLost {
            return Err(lost());
        }
        let mut receiver = self.end.subscribe();
        let outcome = tokio::select! {
            outcome = receiver.wait_for(Option::is_some) => {
                outcome.map_err(|_| lost())?.clone().ok_or_else(lost)?
            }
            () = self.taken.cancelled() => {
                return Err(Error::new(ErrorKind::Conflict, "learn how the job ended"));
            }
        };
        Ok(JobEnd {
            outcome,
            reported: false,
            script_begun: true,
            log: Some(LogDigest::default()),
            phases: Vec::new(),
        })
    }

    async fn stop(&self, how: Stop) -> Result<()> {
        self.end(match how {
            Stop::Interrupt => JobOutcome::failed(FailureReason::RunnerInterrupted, "interrupted"),
            Stop::Graceful { .. } | Stop::Abort => JobOutcome::Canceled,
        });
        Ok(())
    }

    async fn cleanup(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.jobs.remove(&self.handle.job).is_some() {
            state.cleaned.push(self.handle.job.clone());
            self.changed.send_replace(state.counts());
        }
        Ok(())
    }
}
