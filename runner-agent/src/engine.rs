//! The engine: runs the phases of one job, in order, where the job runs.
//!
//! It knows processes only through [`Host`], so that the same engine runs a job in a local directory and in a pod.
//! It does not make or remove the job's directory, and it does not report to the source: whoever starts it does.

use std::{path::PathBuf, sync::Arc, time::Duration};

use runner_core::{
    ArtifactStore, CacheBackend, CacheScope, EventSink, FailureReason, JobOutcome, JobSpec, PhaseRecord,
    log::JobLog,
};

use crate::host::Host;

mod artifacts;
mod attempts;
mod caches;
mod clone_path;
mod colour;
mod course;
mod duration;
mod environment;
mod files;
mod git;
mod git_config;
mod large_files;
mod limit;
mod phases;
mod process;
mod remote;
mod repository;
mod script;
mod shell;
mod sources;
mod steps;
pub mod stop;
mod submodules;
mod untracked;
mod wishes;
mod workplace;
mod written;

use caches::Caches;
use course::Course;
pub use stop::{StopReceiver, StopSender, stop_channel};

/// Everything that the phases of a job need.
///
/// # Contract
/// The caller has made the directories of [`Places`]; it finishes the log after [`run`](Self::run). The files of the
/// job are reachable for this process under the same paths as for both hosts.
///
/// # Cancellation
/// A job is stopped through [`stop`](Self::stop). Dropping the future of [`run`](Self::run) leaves processes behind,
/// which end when their host does.
#[derive(Debug)]
pub struct Engine {
    /// The job.
    pub job: Arc<JobSpec>,
    /// Its directories.
    pub places: Places,
    /// Runs git and what else makes the work tree.
    pub sources: Arc<dyn Host>,
    /// Runs the job's scripts. May be the same as `sources`.
    pub build: Arc<dyn Host>,
    /// Where artifacts go to and come from.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// The cache; without one, caches are neither restored nor saved.
    pub cache: Option<Arc<dyn CacheBackend>>,
    /// The job's log. The engine writes to it and does not finish it.
    pub log: JobLog,
    /// Takes when phases start and end.
    pub events: EventSink,
    /// Tells when the job is to stop.
    pub stop: StopReceiver,
    /// What does not depend on the job.
    pub settings: EngineSettings,
}

/// The directories of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The job's own directory, which holds the others.
    pub root: PathBuf,
    /// The work tree (`CI_PROJECT_DIR`).
    pub project: PathBuf,
    /// Scripts and file variables (`RUNNER_TEMP_PROJECT_DIR`); outside the work tree.
    pub temporary: PathBuf,
}

/// What the engine is told besides the job.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// The name of the executor, such as `local`.
    pub executor: String,
    /// The name of the runner.
    pub runner: String,
    /// Lines that the log shows after the first one, such as where the job runs or that its image has no effect.
    pub greeting: Vec<String>,
    /// The number of the slot that the job runs in (`CI_CONCURRENT_ID`).
    pub slot: usize,
    /// The directory that `GIT_CLONE_PATH` must stay inside (`CI_BUILDS_DIR`).
    pub builds_dir: PathBuf,
    /// What the job's processes get besides its variables, such as `PATH` and `HOME`. The job's variables win.
    pub environment: Vec<(String, String)>,
    /// Who shares the job's caches; `protected` is set by the job.
    pub cache_scope: CacheScope,
    /// How long a process has between TERM and KILL. Default 10 seconds.
    pub grace: Duration,
    /// `CI_DEBUG_TRACE` has no effect.
    pub debug_trace_disabled: bool,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            executor: "local".into(),
            runner: "runner".into(),
            greeting: Vec::new(),
            slot: 0,
            builds_dir: PathBuf::new(),
            environment: Vec::new(),
            cache_scope: CacheScope { runner: String::new(), project: String::new(), protected: false },
            grace: Duration::from_secs(10),
            debug_trace_disabled: false,
        }
    }
}

/// How a job ended, as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEnd {
    /// How it ended.
    pub outcome: JobOutcome,
    /// Whether a line of the user's script may have run.
    pub script_begun: bool,
    /// What each phase took, in the order in which they ran.
    pub phases: Vec<PhaseRecord>,
}

impl Engine {
    /// Runs the job to its end, and ends every process of it. Never fails: what goes wrong is the outcome.
    ///
    /// It waits while the log has no room, unless the job is to stop at once.
    pub async fn run(mut self) -> EngineEnd {
        let mut course = Course::default();
        let overdue = phases::overdue(self.stop.clone(), self.settings.grace);
        tokio::select! {
            biased;
            () = phases::work(&mut self, &mut course) => {}
            () = overdue => {}
        }
        course.heed(&self);
        let overdue = phases::overdue(self.stop.clone(), self.settings.grace);
        let last = async {
            phases::clean_up(&self, &mut course).await;
            self.log.line(&farewell(&course.outcome())).await;
        };
        tokio::select! {
            biased;
            () = last => {}
            // What ends processes has less time than this.
            () = overdue => {}
        }
        EngineEnd {
            outcome: course.outcome(),
            script_begun: course.script_begun,
            phases: course.into_phases(),
        }
    }
}

impl Engine {
    fn cache_scope(&self) -> CacheScope {
        CacheScope { protected: self.job.git.protected, ..self.settings.cache_scope.clone() }
    }

    fn caches<'a>(&'a self, scope: &'a CacheScope, attempts: u32) -> Option<Caches<'a>> {
        self.cache.as_deref().map(|backend| Caches { backend, scope, attempts })
    }
}

/// The last line of a job's log.
fn farewell(outcome: &JobOutcome) -> String {
    match outcome {
        JobOutcome::Succeeded => colour::good("Job succeeded"),
        JobOutcome::Canceled => colour::error("Job failed: canceled"),
        JobOutcome::Failed(failure) if failure.reason == FailureReason::RunnerSystemFailure => {
            colour::error(&format!("Job failed (system failure): {}", failure.message))
        }
        JobOutcome::Failed(failure) => colour::error(&format!("Job failed: {}", failure.message)),
    }
}

#[cfg(test)]
mod tests;
