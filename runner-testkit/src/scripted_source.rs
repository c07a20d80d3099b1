//! A source that gives the jobs it was told to.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use runner_core::{
    Capacity, Error, ErrorKind, JobId, JobLease, JobSource, JobSpec, Result, SavedLease, Secret,
    source::JobReport,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{MemoryArtifacts, RecordingReport};

/// A [`JobSource`] over a list. Each job reports to a [`RecordingReport`] of its own.
#[derive(Debug)]
pub struct ScriptedSource {
    runner: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<JobSpec>,
    failures: usize,
    requests: usize,
    reports: BTreeMap<String, Arc<RecordingReport>>,
    closed: bool,
    forgotten: Vec<JobId>,
}

impl ScriptedSource {
    /// A source for the runner of that name which gives `jobs` and is then exhausted.
    pub fn new(runner: &str, jobs: impl IntoIterator<Item = JobSpec>) -> Arc<Self> {
        let state = State { waiting: jobs.into_iter().collect(), closed: true, ..State::default() };
        Arc::new(Self { runner: runner.to_owned(), state: Mutex::new(state), changed: Notify::new() })
    }

    /// A source that waits for more jobs, until [`close`](Self::close).
    pub fn open(runner: &str) -> Arc<Self> {
        Arc::new(Self { runner: runner.to_owned(), state: Mutex::default(), changed: Notify::new() })
    }

    /// Adds a job.
    pub fn push(&self, job: JobSpec) {
        self.lock().waiting.push_back(job);
        self.changed.notify_waiters();
    }

    /// Says that there will be no more jobs.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Lets the next `count` requests fail.
    pub fn fail(&self, count: usize) {
        self.lock().failures = count;
    }

    /// Knows nothing any more of a job of an earlier process.
    pub fn forget(&self, job: &str) {
        self.lock().forgotten.push(JobId::new(job));
    }

    /// How many requests were made.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// The report of a job.
    pub fn report(&self, job: &str) -> Arc<RecordingReport> {
        Arc::clone(self.lock().reports.entry(job.to_owned()).or_insert_with(RecordingReport::new))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self, job: Arc<JobSpec>) -> JobLease {
        let report: Arc<dyn JobReport> = self.report(job.id.as_str());
        let saved =
            SavedLease { runner: self.runner.clone(), job: Arc::clone(&job), state: Secret::default() };
        JobLease { job, report, artifacts: MemoryArtifacts::new(), saved, remote: None }
    }
}

#[async_trait]
impl JobSource for ScriptedSource {
    async fn next(&self, _capacity: Capacity, stop: &CancellationToken) -> Result<Option<JobLease>> {
        self.lock().requests += 1;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if state.failures > 0 {
                    state.failures -= 1;
                    return Err(Error::new(ErrorKind::Unavailable, "ask for a job"));
                }
                if let Some(job) = state.waiting.pop_front() {
                    drop(state);
                    return Ok(Some(self.lease(Arc::new(job))));
                }
                if state.closed {
                    return Ok(None);
                }
            }
            tokio::select! {
                () = changed => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    async fn resume(&self, saved: SavedLease) -> Result<JobLease> {
        if self.lock().forgotten.contains(&saved.job.id) {
            return Err(Error::new(ErrorKind::NotFound, "find the job").with("job", &saved.job.id));
        }
        Ok(self.lease(saved.job))
    }

    fn is_exhausted(&self) -> bool {
        let state = self.lock();
        state.closed && state.waiting.is_empty()
    }
}
