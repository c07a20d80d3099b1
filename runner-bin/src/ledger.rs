//! The account of a run: what each job does now, and what it came to. It does no IO and knows no clock.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use runner_core::{Failure, JobEnd, Phase, PhaseRecord};
use tokio::time::Instant;

/// A job of the run and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Its stage.
    pub(crate) stage: String,
    /// The jobs that it waits for; `None`: all of earlier stages.
    pub(crate) needs: Option<Vec<String>>,
    /// What it does now, or what it came to.
    pub(crate) state: State,
    /// When it was started.
    pub(crate) started: Option<Instant>,
    /// How often it was started; 0 where it never ran, more than 1 where it was retried.
    pub(crate) attempts: u32,
    /// How long it could have run, but no slot was free.
    pub(crate) queued: Duration,
    /// From its start to its end; `None` where it never ran.
    pub(crate) total: Option<Duration>,
    /// What its phases took.
    pub(crate) phases: Vec<PhaseRecord>,
    /// Why it failed where a person is not likely to see it at once.
    pub(crate) hint: Option<String>,
    /// Where its log is, once there is one.
    pub(crate) log: Option<PathBuf>,
    /// Where its artifacts are, once there are any.
    pub(crate) artifacts: Option<PathBuf>,
}

/// What a job does, or what it came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It waits for other jobs.
    Waiting,
    /// It waits for a free slot.
    Ready,
    /// It runs.
    Running {
        /// The phase that it is in, and since when.
        phase: Option<(Phase, Instant)>,
        /// What it waits for within the phase.
        waits_for: Option<String>,
    },
    /// It ended.
    Ended(Ending),
}

/// What a job came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It did what it should.
    Succeeded,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether it may fail: then the pipeline goes on.
        allowed: bool,
    },
    /// It was stopped, or never started because the run was.
    Canceled,
    /// It did not run, for the reason that is said.
    Skipped(String),
    /// It waits for a person.
    Manual,
}

impl Ending {
    /// The name of the status, as GitLab has it.
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Succeeded => "success",
            Self::Failed { .. } => "failed",
            Self::Canceled => "canceled",
            Self::Skipped(_) => "skipped",
            Self::Manual => "manual",
        }
    }

    /// Whether the whole run fails because of it.
    pub(crate) fn fails_the_run(&self) -> bool {
        matches!(self, Self::Failed { allowed: false, .. } | Self::Canceled)
    }
}

/// All jobs of a run, stage by stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// The jobs.
    pub(crate) entries: Vec<Entry>,
}

/// A job as it stands in the pipeline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: String,
    /// Its stage.
    pub(crate) stage: String,
    /// The jobs that it waits for; `None`: all of earlier stages.
    pub(crate) needs: Option<Vec<String>>,
}

impl Ledger {
    /// Jobs stage by stage, none of which has begun.
    pub(crate) fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        let entry = |role: Role| Entry {
            name: role.name,
            stage: role.stage,
            needs: role.needs,
            state: State::Waiting,
            started: None,
            attempts: 0,
            queued: Duration::ZERO,
            total: None,
            phases: Vec::new(),
            hint: None,
            log: None,
            artifacts: None,
        };
        Self { entries: roles.into_iter().map(entry).collect() }
    }

    /// What a job that waits is waiting for, in a few words.
    pub(crate) fn waits_for(&self, entry: &Entry) -> String {
        let open = |other: &&Entry| !matches!(other.state, State::Ended(_));
        if let Some(needs) = &entry.needs {
            let open = self.entries.iter().filter(open).filter(|other| needs.contains(&other.name));
            return open.map(|other| other.name.as_str()).collect::<Vec<_>>().join(", ");
        }
        let mut earlier = self.entries.iter().take_while(|other| other.stage != entry.stage);
        earlier.find(open).map(|other| format!("stage {}", other.stage)).unwrap_or_default()
    }

    /// Whether a job failed that may not, or was cancelled.
    pub(crate) fn failed(&self) -> bool {
        let fails = |entry: &Entry| matches!(&entry.state, State::Ended(ending) if ending.fails_the_run());
        self.entries.iter().any(fails)
    }

    /// Settles what never came to an end: the run is over.
    pub(crate) fn close(&mut self) {
        for entry in &mut self.entries {
            match entry.state {
                State::Ended(_) => {}
                State::Waiting => {
                    entry.state = State::Ended(Ending::Skipped("waits for a job that starts by hand".into()));
                }
                State::Ready | State::Running { .. } => entry.state = State::Ended(Ending::Canceled),
            }
        }
    }
}

impl Entry {
    /// It was started; for a second time where it is retried.
    pub(crate) fn start(&mut self, now: Instant) {
        self.started.get_or_insert(now);
        self.attempts += 1;
        self.phases.clear();
        self.state = State::Running { phase: None, waits_for: None };
    }

    /// It entered `phase`.
    pub(crate) fn enter(&mut self, phase: Phase, now: Instant) {
        if let State::Running { .. } = self.state {
            self.state = State::Running { phase: Some((phase, now)), waits_for: None };
        }
    }

    /// It waits within its phase.
    pub(crate) fn wait_for(&mut self, reason: String) {
        if let State::Running { waits_for, .. } = &mut self.state {
            *waits_for = Some(reason);
        }
    }

    /// Its environment is gone; the phases of `end` are all there were.
    pub(crate) fn measure(&mut self, end: &JobEnd) {
        self.phases.clone_from(&end.phases);
    }

    /// What the phases of which `belongs` is true took together.
    pub(crate) fn time_in(&self, belongs: impl Fn(Phase) -> bool) -> Duration {
        self.phases.iter().filter(|record| belongs(record.phase)).map(|record| record.duration).sum()
    }

    /// Its log, as a person types the path from `directory`.
    pub(crate) fn log_from(&self, directory: &Path) -> Option<String> {
        self.log.as_deref().map(|log| shown_from(directory, log))
    }
}

/// `path` as a person types it from `directory`.
pub(crate) fn shown_from(directory: &Path, path: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}
