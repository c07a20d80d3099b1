//! A source's side of a job, in memory: it notes when the script's first line came, and when the end did.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    JobOutcome, JobReport, Result,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish, WishAction},
};

use super::clock::now;

/// With this the first line of a script begins.
pub(crate) const MARK: &str = "bench-began";

/// What came of a job, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The log so far.
    pub(crate) log: String,
    /// The rest of the script's first line.
    pub(crate) first_line: Option<String>,
    /// When that was here.
    pub(crate) first_line_seen: f64,
    /// How the job ended.
    pub(crate) outcome: Option<JobOutcome>,
    /// When that was here, and was acknowledged.
    pub(crate) finished: f64,
}

/// A [`JobReport`] that keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct TimedReport(Mutex<Told>);

impl TimedReport {
    /// A report of a job that is not begun.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What came so far.
    pub(crate) fn told(&self) -> Told {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn go_on() -> Wish {
    Wish { action: WishAction::GoOn, interval: Some(Duration::ZERO) }
}

#[async_trait]
impl JobReport for TimedReport {
    async fn accept(&self) -> Result<Wish> {
        Ok(go_on())
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let mut told = self.lock();
        let size = told.log.len() as u64;
        if offset != size {
            return Ok(LogReply { ack: LogAck::Rewind(size), wish: go_on() });
        }
        // All that these jobs print is ASCII; the length must stay the log's in any case.
        told.log.extend(bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }));
        if told.first_line.is_none() {
            told.first_line = first_line(&told.log);
            told.first_line_seen = now();
        }
        Ok(LogReply { ack: LogAck::UpTo(told.log.len() as u64), wish: go_on() })
    }

    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        Ok(go_on())
    }

    async fn complete(&self, outcome: &JobOutcome, log: Option<LogDigest>) -> Result<Completion> {
        let mut told = self.lock();
        if log.is_some_and(|log| log.size != told.log.len() as u64) {
            told.log.clear();
            return Ok(Completion::ResendLog(0));
        }
        told.outcome = Some(outcome.clone());
        told.finished = now();
        Ok(Completion::Done)
    }
}

/// What stands behind the mark, once the line is complete. The command that prints it is in the log as well.
fn first_line(log: &str) -> Option<String> {
    let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.filter_map(|line| line.strip_prefix(MARK)).map(|rest| rest.trim().to_owned()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_what_was_printed_and_not_what_prints_it() {
        assert_eq!(first_line("$ echo bench-began $up\nbench-began 12.3"), None);
        assert_eq!(first_line("$ echo bench-began $up\nbench-began 12.3 pod\n").as_deref(), Some("12.3 pod"));
    }
}
