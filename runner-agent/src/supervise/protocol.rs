//! What a host and a supervisor say to each other.
//!
//! The host starts, signals and ends; the supervisor answers and streams. Output is bounded per process: a supervisor
//! sends at most [`WINDOW`] of it beyond what the host gave credit for, so that a process that nobody reads stops at
//! a full pipe, while all others go on over the same stream.

use std::{io, time::Duration};

use runner_core::ErrorKind;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::frame::Frame;
use crate::host::{Command, FileAction, MemoryUse, ProcessEnd, ProcessSignal};

/// How much output of one process may be on its way, in units of [`cost`].
pub(super) const WINDOW: u32 = 1 << 20;

/// The least that a frame of output costs, so that many tiny ones are bounded as well.
const LEAST: u32 = 1 << 10;

/// What `bytes` of output in one frame take of a [`WINDOW`].
pub(super) fn cost(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).clamp(LEAST, WINDOW)
}

/// What a host asks for. Processes and calls have numbers of the host's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Start a process. Answered by `Started` or `Refused`.
    Start { process: u32, command: Command },
    /// Do something with what is at a path, whose bytes are given. It goes on as a process does.
    Files { process: u32, action: FileAction, path: Vec<u8> },
    /// Output of this cost was taken.
    Credit { process: u32, cost: u32 },
    /// Send a signal to a process's group.
    Signal { process: u32, signal: ProcessSignal },
    /// Look for programs. Answered by `Found`.
    Find { call: u32, programs: Vec<String>, path: String },
    /// End all processes. Answered by `AllEnded`.
    EndAll { call: u32, grace: Duration },
    /// Tell what the memory went through. Answered by `Memory`.
    Memory { call: u32 },
}

/// What a supervisor says, besides output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The process runs.
    Started { process: u32 },
    /// The process could not be started.
    Refused { process: u32, refusal: Refusal },
    /// The process ended; everything that it wrote was sent before.
    Ended { process: u32, end: ProcessEnd },
    /// Nobody holds the process's output any more.
    Closed { process: u32 },
    /// The first of the programs that is there.
    Found { call: u32, path: Option<String> },
    /// All processes were ended, but for `left` that cannot be killed.
    AllEnded { call: u32, left: usize },
    /// What the memory went through, where it has a bound.
    Memory { call: u32, memory: Option<MemoryUse> },
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// What a caller can act on.
    pub(super) condition: Condition,
    /// What is wrong, for a person.
    pub(super) message: String,
}

/// The conditions of a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Condition {
    NotFound,
    Invalid,
    Exhausted,
    Internal,
}

impl Condition {
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Invalid => ErrorKind::Invalid,
            Self::Exhausted => ErrorKind::Exhausted,
            Self::Internal => ErrorKind::Internal,
        }
    }
}

/// A message as a frame.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Frame> {
    Ok(Frame::Message(serde_json::to_vec(message)?))
}

/// The message of a frame.
pub(super) fn decode<T: DeserializeOwned>(message: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(message)?)
}
