//! The report of a job whose source is far: the log becomes frames, and the end is said by whoever reads them.

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    Error, ErrorKind, JobOutcome, JobReport, Result,
    agent::AgentEvent,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, LogReply, Wish},
};

use super::output::Output;

/// Writes the log as frames.
#[derive(Debug)]
pub(super) struct FrameReport(pub(super) Output);

#[async_trait]
impl JobReport for FrameReport {
    async fn accept(&self) -> Result<Wish> {
        Ok(Wish::default())
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        let end = offset + bytes.len() as u64;
        let written = self.0.log(offset, bytes).await;
        written.map_err(|cause| Error::new(ErrorKind::Lost, "write the log").because(cause))?;
        Ok(LogReply { ack: LogAck::UpTo(end), wish: Wish::default() })
    }

    /// Keeps a stream alive that something on its way would close for being silent.
    async fn heartbeat(&self, _state: JobState) -> Result<Wish> {
        self.0.event(AgentEvent::Alive);
        Ok(Wish::default())
    }

    /// Nothing: the end record is written last, when all of it is known.
    async fn complete(&self, _outcome: &JobOutcome, _log: Option<LogDigest>) -> Result<Completion> {
        Ok(Completion::Done)
    }
}
