//! A job source in memory: the smallest way to run jobs of one's own.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    Capacity, Error, ErrorKind, JobId, JobLease, JobOutcome, JobReport, JobSource, JobSpec, Result,
    SavedLease, Secret,
    artifact::NoArtifacts,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish, WishAction},
};

type LogTaker = Arc<dyn Fn(&JobId, &[u8]) + Send + Sync>;

/// A [`JobSource`] that gives the jobs that are pushed into it, in order, until it is [closed](Self::close).
///
/// Its jobs have no artifacts, and none of them outlives the process.
pub struct JobQueue {
    name: String,
    take_log: LogTaker,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Entry>>,
    closed: bool,
}

/// A job that was pushed.
#[derive(Debug, Clone)]
pub struct QueuedJob(Arc<Entry>);

impl JobQueue {
    /// An empty queue for the runner of that name. `take_log` gets each piece of each job's log, in order; it must
    /// return soon, since the job waits for it.
    pub fn new(
        name: impl Into<String>,
        take_log: impl Fn(&JobId, &[u8]) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            take_log: Arc::new(take_log),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Adds a job. Its id must be unique among those that run at a time.
    pub fn push(&self, job: JobSpec) -> QueuedJob {
        let entry = Arc::new(Entry {
            job: Arc::new(job),
            take_log: Arc::clone(&self.take_log),
            written: Mutex::new(0),
            wish: watch::Sender::new(WishAction::GoOn),
            outcome: watch::Sender::new(None),
        });
        self.lock().waiting.push_back(Arc::clone(&entry));
        self.changed.notify_waiters();
        QueuedJob(entry)
    }

    /// Says that no job will be added: the run loop ends when those that were are done.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self, entry: Arc<Entry>) -> JobLease {
        let job = Arc::clone(&entry.job);
        let saved = SavedLease { runner: self.name.clone(), job: Arc::clone(&job), state: Secret::default() };
        JobLease { job, report: entry, artifacts: Arc::new(NoArtifacts), saved, remote: None }
    }
}

impl fmt::Debug for JobQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JobQueue").field("name", &self.name).finish_non_exhaustive()
    }
}

impl QueuedJob {
    /// Waits for the end of the job. Cancel safe.
    pub async fn outcome(&self) -> JobOutcome {
        let mut receiver = self.0.outcome.subscribe();
        let ended = receiver.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        ended.unwrap_or(JobOutcome::Canceled)
    }

    /// Asks for the job to be canceled: its script is stopped, its `after_script` runs.
    pub fn cancel(&self) {
        self.0.wish.send_replace(WishAction::CancelGracefully);
    }
}

#[async_trait]
impl JobSource for JobQueue {
    async fn next(&self, _capacity: Capacity, stop: &CancellationToken) -> Result<Option<JobLease>> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (entry, closed) = {
                let mut state = self.lock();
                (state.waiting.pop_front(), state.closed)
            };
            if let Some(entry) = entry {
                return Ok(Some(self.lease(entry)));
            }
            if closed {
                return Ok(None);
            }
            tokio::select! {
                () = changed => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
    }

    async fn resume(&self, saved: SavedLease) -> Result<JobLease> {
        Err(Error::new(ErrorKind::NotFound, "find the job of an earlier process").with("job", &saved.job.id))
    }

    fn is_exhausted(&self) -> bool {
        let state = self.lock();
        state.closed && state.waiting.is_empty()
    }
}

struct Entry {
    job: Arc<JobSpec>,
    take_log: LogTaker,
    written: Mutex<u64>,
    wish: watch::Sender<WishAction>,
    outcome: watch::Sender<Option<JobOutcome>>,
}

impl Entry {
    fn wish(&self) -> Wish {
        Wish { action: *self.wish.borrow(), interval: Some(Duration::ZERO) }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("QueuedJob").field("job", &self.job.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl JobReport for Entry {
    async fn accept(&self) -> Result<Wish> {
        Ok(self.wish())
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let ack = if offset == *written {
            (self.take_log)(&self.job.id, &bytes);
            *written += bytes.len() as u64;
            LogAck::UpTo(*written)
        } else {
            LogAck::Rewind(*written)
        };
        Ok(LogReply { ack, wish: self.wish() })
    }

    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        Ok(self.wish())
    }

    async fn complete(&self, outcome: &JobOutcome, _log: Option<LogDigest>) -> Result<Completion> {
        self.outcome.send_if_modified(|ended| ended.is_none() && ended.replace(outcome.clone()).is_none());
        Ok(Completion::Done)
    }
}
