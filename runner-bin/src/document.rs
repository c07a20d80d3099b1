//! The JSON document of `--output json`: the only thing on stdout then, whatever happens.
//!
//! ```json
//! {
//!   "version": 1,                  // raised when a field changes its meaning or goes; new fields may come at any time
//!   "status": "failed",            // success | failed | canceled | error
//!   "exit_status": 1,              // that of the program: 0, 1, 2, 3
//!   "milliseconds": 5100,          // the whole run
//!   "error": null,                 // or {"message", "diagnostics": [{"file", "line", "column", "message", "help"}]}
//!   "notes": ["…"],                // what a person should know that is no failure
//!   "artifacts": ".runner/artifacts",
//!   "jobs": [{
//!     "name": "unit",
//!     "stage": "test",
//!     "status": "failed",          // success | failed | canceled | skipped | manual
//!     "exit_code": 1,              // null where no script ended with one; 0 after a success
//!     "failure_reason": "script_failure",
//!     "message": "exit code 1",    // why it failed, or was skipped, for a person
//!     "hint": null,
//!     "allow_failure": false,      // it failed, and may
//!     "attempts": 1,               // 0 where it never started, more where it was retried
//!     "milliseconds": {            // null where the job never started
//!       "queued": 3,               // it could have run, but no slot was free
//!       "prepare": 4,
//!       "get_sources": 21,
//!       "cache": 130,              // restored and saved
//!       "artifacts": 12,           // downloaded and uploaded
//!       "script": 900,             // with after_script
//!       "total": 1080              // from its start to its end
//!     },
//!     "log": ".runner/logs/unit.log",
//!     "artifacts": null            // the directory of its artifacts
//!   }]
//! }
//! ```
//! Paths are absolute, or relative to the directory that `-C` names.

use std::{path::Path, time::Duration};

use runner_core::Phase;
use runner_pipeline::Diagnostics;
use serde::Serialize;

use crate::{
    duration::milliseconds,
    exit_code::ExitStatus,
    ledger::{Ending, Entry, Ledger, State, shown_from},
};

/// The document.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    version: u32,
    status: &'static str,
    exit_status: u8,
    milliseconds: u64,
    error: Option<Fault>,
    notes: Vec<String>,
    artifacts: Option<String>,
    jobs: Vec<Job>,
}

#[derive(Debug, Serialize)]
struct Fault {
    message: String,
    diagnostics: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
    message: String,
    help: Option<String>,
}

#[derive(Debug, Serialize)]
struct Job {
    name: String,
    stage: String,
    status: &'static str,
    exit_code: Option<i32>,
    failure_reason: Option<&'static str>,
    message: Option<String>,
    hint: Option<String>,
    allow_failure: bool,
    attempts: u32,
    milliseconds: Option<Times>,
    log: Option<String>,
    artifacts: Option<String>,
}

#[derive(Debug, Serialize)]
struct Times {
    queued: u64,
    prepare: u64,
    get_sources: u64,
    cache: u64,
    artifacts: u64,
    script: u64,
    total: u64,
}

impl Document {
    /// The document of a run that came to its end.
    pub(crate) fn of_run(ledger: &Ledger, exit_status: ExitStatus, wall: Duration, directory: &Path) -> Self {
        let mut endings = ledger.entries.iter().filter_map(Entry::ending);
        let status = match exit_status {
            ExitStatus::Success => "success",
            _ if endings.any(|ending| matches!(ending, Ending::Failed { allowed: false, .. })) => "failed",
            _ => "canceled",
        };
        Self {
            version: 1,
            status,
            exit_status: exit_status.code(),
            milliseconds: milliseconds(wall),
            error: None,
            notes: Vec::new(),
            artifacts: None,
            jobs: ledger.entries.iter().map(|entry| Job::of(entry, directory)).collect(),
        }
    }

    /// The document of a run that could not be, or could not go on.
    pub(crate) fn of_error(
        exit_status: ExitStatus,
        message: String,
        diagnostics: Option<&Diagnostics>,
    ) -> Self {
        let place = |it: &runner_pipeline::Diagnostic| Place {
            file: it.file.clone(),
            line: it.line,
            column: it.column,
            message: it.message.clone(),
            help: it.help.clone(),
        };
        let diagnostics = diagnostics.map(|all| all.0.iter().map(place).collect()).unwrap_or_default();
        Self {
            version: 1,
            status: "error",
            exit_status: exit_status.code(),
            milliseconds: 0,
            error: Some(Fault { message, diagnostics }),
            notes: Vec::new(),
            artifacts: None,
            jobs: Vec::new(),
        }
    }

    /// Adds what was said to a person, and where all artifacts are.
    pub(crate) fn with(mut self, notes: Vec<String>, artifacts: Option<String>) -> Self {
        self.notes = notes;
        self.artifacts = artifacts;
        self
    }
}

impl Job {
    fn of(entry: &Entry, directory: &Path) -> Self {
        let ending = entry.ending();
        let (mut exit_code, mut failure_reason, mut message, mut allow_failure) = (None, None, None, false);
        match ending {
            Some(Ending::Succeeded) => exit_code = Some(0),
            Some(Ending::Failed { failure, allowed }) => {
                exit_code = failure.exit_code;
                failure_reason = Some(failure.reason.as_str());
                message = Some(failure.message.clone());
                allow_failure = *allowed;
            }
            Some(Ending::Skipped(why)) => message = Some(why.clone()),
            Some(Ending::Canceled | Ending::Manual) | None => {}
        }
        Self {
            name: entry.name.clone(),
            stage: entry.stage.clone(),
            status: ending.map_or("canceled", Ending::status),
            exit_code,
            failure_reason,
            message,
            hint: entry.hint.clone(),
            allow_failure,
            attempts: entry.attempts,
            milliseconds: entry.total.is_some().then(|| Times::of(entry)),
            log: entry.log_from(directory),
            artifacts: entry.artifacts.as_deref().map(|path| shown_from(directory, path)),
        }
    }
}

impl Times {
    fn of(entry: &Entry) -> Self {
        let time = |phases: &[Phase]| milliseconds(entry.time_in(|phase| phases.contains(&phase)));
        Self {
            queued: milliseconds(entry.queued),
            prepare: time(&[Phase::Prepare]),
            get_sources: time(&[Phase::GetSources]),
            cache: time(&[Phase::RestoreCache, Phase::SaveCache]),
            artifacts: time(&[Phase::DownloadArtifacts, Phase::UploadArtifacts]),
            script: time(&[Phase::Script, Phase::AfterScript]),
            total: milliseconds(entry.total.unwrap_or_default()),
        }
    }
}

impl Entry {
    fn ending(&self) -> Option<&Ending> {
        if let State::Ended(ending) = &self.state { Some(ending) } else { None }
    }
}

#[cfg(test)]
mod tests;
