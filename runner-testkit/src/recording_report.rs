//! A report that keeps what it was told, and fails as planned.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    Error, ErrorKind, JobOutcome, JobReport, Result,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish, WishAction},
};
use tokio::sync::watch;

/// One thing that goes wrong at the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFault {
    /// The call is not applied and fails; it may be repeated.
    Refused,
    /// The call is applied, but its answer is lost; it may be repeated.
    LostReply,
}

/// A [`JobReport`] in memory.
#[derive(Debug)]
pub struct RecordingReport {
    state: Mutex<State>,
    wish: Mutex<WishAction>,
    completed: watch::Sender<Option<JobOutcome>>,
}

#[derive(Debug, Default)]
struct State {
    log: Vec<u8>,
    accepted: usize,
    heartbeats: usize,
    digest: Option<LogDigest>,
    faults: VecDeque<Option<ReportFault>>,
}

impl RecordingReport {
    /// A report that nothing goes wrong with.
    pub fn new() -> Arc<Self> {
        Self::with_faults([])
    }

    /// A report whose calls go wrong as planned, one entry a call; after the last entry nothing does.
    pub fn with_faults(faults: impl IntoIterator<Item = Option<ReportFault>>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { faults: faults.into_iter().collect(), ..State::default() }),
            wish: Mutex::new(WishAction::GoOn),
            completed: watch::Sender::new(None),
        })
    }

    /// What it answers from now on.
    pub fn wish(&self, action: WishAction) {
        *self.wish.lock().unwrap_or_else(PoisonError::into_inner) = action;
    }

    /// The log as applied.
    pub fn log(&self) -> Vec<u8> {
        self.lock().log.clone()
    }

    /// The log as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().log).into_owned()
    }

    /// How often the job was accepted.
    pub fn accepted(&self) -> usize {
        self.lock().accepted
    }

    /// How many heartbeats came.
    pub fn heartbeats(&self) -> usize {
        self.lock().heartbeats
    }

    /// Size and checksum that came with the end; `None` where nobody knew them.
    pub fn digest(&self) -> Option<LogDigest> {
        self.lock().digest
    }

    /// How the job ended, once it was told.
    pub fn outcome(&self) -> Option<JobOutcome> {
        self.completed.borrow().clone()
    }

    /// Waits for the end.
    pub async fn ended(&self) -> JobOutcome {
        let mut receiver = self.completed.subscribe();
        let seen = receiver.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        seen.ok().flatten().unwrap_or(JobOutcome::Canceled)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self) -> Wish {
        let action = *self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        Wish { action, interval: Some(Duration::ZERO) }
    }

    /// Applies a call as the plan of faults says.
    fn apply<T>(&self, call: impl FnOnce(&mut State) -> T) -> Result<T> {
        let mut state = self.lock();
        let unavailable = || Error::new(ErrorKind::Unavailable, "reach the source");
        match state.faults.pop_front().flatten() {
            None => Ok(call(&mut state)),
            Some(ReportFault::Refused) => Err(unavailable()),
            Some(ReportFault::LostReply) => {
                call(&mut state);
                Err(unavailable())
            }
        }
    }
}

#[async_trait]
impl JobReport for RecordingReport {
    async fn accept(&self) -> Result<Wish> {
        self.apply(|state| state.accepted += 1)?;
        Ok(self.answer())
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let ack = self.apply(|state| {
            let size = state.log.len() as u64;
            if offset != size {
                return LogAck::Rewind(size);
            }
            state.log.extend_from_slice(&bytes);
            LogAck::UpTo(state.log.len() as u64)
        })?;
        Ok(LogReply { ack, wish: self.answer() })
    }

    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        self.apply(|state| state.heartbeats += 1)?;
        Ok(self.answer())
    }

    async fn complete(&self, outcome: &JobOutcome, log: Option<LogDigest>) -> Result<Completion> {
        let completion = self.apply(|state| {
            let crc32 = crc32fast::hash(&state.log);
            let has = LogDigest { size: state.log.len() as u64, crc32 };
            if log.is_some_and(|log| log != has) {
                return Completion::ResendLog(0);
            }
            state.digest = log;
            Completion::Done
        })?;
        if completion == Completion::Done {
            self.completed.send_if_modified(|ended| ended.replace(outcome.clone()).is_none());
        } else {
            self.lock().log.clear();
        }
        Ok(completion)
    }
}
