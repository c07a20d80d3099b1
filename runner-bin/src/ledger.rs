//! The account of a run: what each job does now, and what it came to. It does no IO and knows no clock.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use runner_core::{Failure, JobEnd, JobOutcome, Phase, PhaseRecord};
use tokio::time::Instant;

/// A job of the run and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Its stage.
    pub(crate) stage: String,
    /// What it does now, or what it came to.
    pub(crate) state: State,
    /// Since when it could run and waits for a slot.
    pub(crate) ready: Option<Instant>,
    /// When it was started.
    pub(crate) started: Option<Instant>,
    /// How long it waited for a slot.
    pub(crate) queued: Option<Duration>,
    /// From its start to its end, in all.
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
    /// It waits, for what is said.
    Waiting(String),
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

/// All jobs of a run, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// The jobs.
    pub(crate) entries: Vec<Entry>,
}

impl Ledger {
    /// Jobs by name and stage, none of which has begun.
    pub(crate) fn new(jobs: impl IntoIterator<Item = (String, String)>) -> Self {
        let entry = |(name, stage)| Entry {
            name,
            stage,
            state: State::Waiting(String::new()),
            ready: None,
            started: None,
            queued: None,
            total: None,
            phases: Vec::new(),
            hint: None,
            log: None,
            artifacts: None,
        };
        Self { entries: jobs.into_iter().map(entry).collect() }
    }

    /// The entry of the job called `name`.
    pub(crate) fn find(&mut self, name: &str) -> Option<(usize, &mut Entry)> {
        self.entries.iter_mut().enumerate().find(|(_, entry)| entry.name == name)
    }

    /// Whether a job failed that may not, or was cancelled.
    pub(crate) fn failed(&self) -> bool {
        let fails = |entry: &Entry| matches!(&entry.state, State::Ended(ending) if ending.fails_the_run());
        self.entries.iter().any(fails)
    }

    /// Settles what never began: the run is over.
    pub(crate) fn close(&mut self) {
        for entry in &mut self.entries {
            if !matches!(entry.state, State::Ended(_)) {
                entry.state = State::Ended(Ending::Canceled);
            }
        }
    }
}

impl Entry {
    /// It can run as soon as a slot is free.
    pub(crate) fn make_ready(&mut self, now: Instant) {
        self.ready.get_or_insert(now);
        self.state = State::Waiting("a free slot".into());
    }

    /// It was started; for a second time where it is retried.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.started.is_none() {
            self.started = Some(now);
            self.queued = Some(self.ready.map_or(Duration::ZERO, |ready| now.duration_since(ready)));
        }
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

    /// It ended.
    pub(crate) fn end(&mut self, ending: Ending, now: Instant) {
        if let Some(started) = self.started {
            self.total = Some(now.duration_since(started));
        }
        self.state = State::Ended(ending);
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

impl Ending {
    /// What a job came to whose environment or source says `outcome`.
    pub(crate) fn of(outcome: &JobOutcome, allowed: bool) -> Self {
        match outcome {
            JobOutcome::Succeeded => Self::Succeeded,
            JobOutcome::Failed(failure) => Self::Failed { failure: failure.clone(), allowed },
            JobOutcome::Canceled => Self::Canceled,
        }
    }
}
