//! What an agent is told besides the job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CacheScope, executor::LogLimits, outcome::LogDigest};

/// What an agent is told besides the job. It holds no secret; the job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which try at running the job this is, from 1. An agent that was started for another one runs nothing.
    pub attempt: u32,
    /// The name of the executor, for the log.
    pub executor: String,
    /// The name of the runner.
    pub runner: String,
    /// The number of the slot that the job runs in.
    pub slot: usize,
    /// Lines that the log shows after the first one.
    pub greeting: Vec<String>,
    /// How the log is treated.
    pub log: LogLimits,
    /// Where the directories of jobs are (`CI_BUILDS_DIR`).
    pub builds_dir: String,
    /// How long the environment may take to be complete, from the agent's start.
    pub start_budget: Duration,
    /// How long a process has between TERM and KILL.
    pub grace: Duration,
    /// How long the job may go on after it was asked to stop, for `after_script` and what follows it.
    pub patience: Duration,
    /// `CI_DEBUG_TRACE` has no effect.
    pub debug_trace_disabled: bool,
    /// Who shares the job's caches.
    pub cache_scope: CacheScope,
    /// Sources and artifacts travel over a side channel: the agent waits for it before it runs anything.
    #[serde(default)]
    pub channel: bool,
    /// Services that are waited for before the script.
    pub services: Vec<AwaitedService>,
    /// What the agent reports by itself, in the way of the [`RemoteReport`](crate::RemoteReport) that it gets.
    #[serde(default)]
    pub reports: Reports,
    /// Where the log that the agent writes begins.
    #[serde(default)]
    pub log_start: LogStart,
}

/// What an agent reports by itself. All else is for whoever started it, who reads the agent's frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reports {
    /// Nothing.
    #[default]
    Nothing,
    /// The log: there will be more to say at its end.
    Log,
    /// The log, and the end of a job that succeeded: of another one there may be more to say.
    LogAndSuccess,
    /// The log and the end.
    LogAndEnd,
}

/// The part of a job's log that is before the first byte of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStart {
    /// What its source has for certain.
    pub before: LogDigest,
    /// What comes then; its source may lack it.
    pub text: String,
}

/// A service that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedService {
    /// How people call it: its image.
    pub name: String,
    /// The port on which it accepts connections when it is ready.
    pub port: u16,
    /// How long it is waited for.
    pub patience: Duration,
}
