//! What goes over the socket: one call and one answer for each connection, each a line of JSON. The bytes of a log come
//! after the line of their call.

use std::io;

use runner_core::{
    Error, ErrorKind, JobOutcome, JobSpec,
    outcome::LogDigest,
    source::{Completion, LogAck, WishAction},
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A job, as it was handed out for the n-th time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) job: String,
    pub(super) lease: u64,
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Call {
    /// Which process asks.
    pub(super) holder: u64,
    pub(super) what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum What {
    Next,
    Accept(Ticket),
    Append { ticket: Ticket, offset: u64, length: u64 },
    Heartbeat(Ticket),
    Complete { ticket: Ticket, outcome: JobOutcome, digest: Option<LogDigest> },
}

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Asks for a job.
    Next,
    /// Accepts one.
    Accept,
    /// Brings a part of a log.
    Append,
    /// Says that a job still is.
    Heartbeat,
    /// Brings an end.
    Complete,
}

impl Call {
    pub(super) fn kind(&self) -> CallKind {
        match self.what {
            What::Next => CallKind::Next,
            What::Accept(_) => CallKind::Accept,
            What::Append { .. } => CallKind::Append,
            What::Heartbeat(_) => CallKind::Heartbeat,
            What::Complete { .. } => CallKind::Complete,
        }
    }

    pub(super) fn body_length(&self) -> u64 {
        match self.what {
            What::Append { length, .. } => length,
            _ => 0,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Answer {
    /// There is none now, and where `exhausted`, there never will be.
    NoJob {
        exhausted: bool,
    },
    Job {
        spec: Box<JobSpec>,
        lease: u64,
    },
    Wish(Action),
    Log {
        ack: Applied,
        action: Action,
    },
    Completion(Ended),
    /// The source knows the job no more.
    Gone,
}

/// [`WishAction`] on the wire.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Action {
    GoOn,
    Cancel,
}

impl From<Action> for WishAction {
    fn from(action: Action) -> Self {
        match action {
            Action::GoOn => Self::GoOn,
            Action::Cancel => Self::CancelGracefully,
        }
    }
}

/// [`LogAck`] on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Applied {
    UpTo(u64),
    Rewind(u64),
    Closed,
}

impl From<Applied> for LogAck {
    fn from(applied: Applied) -> Self {
        match applied {
            Applied::UpTo(end) => Self::UpTo(end),
            Applied::Rewind(next) => Self::Rewind(next),
            Applied::Closed => Self::Closed,
        }
    }
}

/// [`Completion`] on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ended {
    Done,
    ResendLog,
    Gone,
}

impl From<Ended> for Completion {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Done => Self::Done,
            Ended::ResendLog => Self::ResendLog(0),
            Ended::Gone => Self::Gone,
        }
    }
}

/// A line of JSON.
pub(super) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}

/// Reads a line of JSON.
pub(super) async fn read_line<T: serde::de::DeserializeOwned>(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<T> {
    let mut text = Vec::new();
    stream.read_until(b'\n', &mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}

/// Reads so many bytes.
pub(super) async fn read_body(stream: &mut (impl AsyncBufRead + Unpin), length: u64) -> io::Result<Vec<u8>> {
    let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// The source does not answer now.
pub(super) fn unavailable(cause: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "reach the source").because(cause)
}
