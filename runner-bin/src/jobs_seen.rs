//! What events tell of jobs and of requests, kept as long as they go on: later events of a job name nothing but its id.

use std::{collections::HashMap, time::Duration};

use runner_config::RunnerConfig;
use runner_core::{Event, JobEvent, JobId, Phase};
use tokio::time::Instant;

use crate::short_token::short_token;

/// A runner, as people know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunnerFacts {
    /// The name by which the run loop knows it: events carry it.
    pub(crate) key: String,
    /// The beginning of its token.
    pub(crate) token: String,
    /// Its name in the config.
    pub(crate) name: String,
    /// What runs its jobs.
    pub(crate) executor: &'static str,
    /// How many jobs of it run at once; 0: as many as there may be.
    pub(crate) limit: usize,
}

impl RunnerFacts {
    /// Those of a runner of the config, which the run loop knows as `key`.
    pub(crate) fn new(key: impl Into<String>, runner: &RunnerConfig) -> Self {
        Self {
            key: key.into(),
            token: short_token(runner.token.expose()),
            name: runner.name.clone(),
            executor: runner.executor.name(),
            limit: runner.limit.unwrap_or_default(),
        }
    }
}

/// A job that runs.
#[derive(Debug, Clone)]
pub(crate) struct SeenJob {
    /// Whose it is.
    pub(crate) runner: RunnerFacts,
    /// The number of its project.
    pub(crate) project: u64,
    /// When it came; `None`: an earlier process got it.
    pub(crate) received: Option<Instant>,
    /// Whether it has a slot.
    pub(crate) is_started: bool,
    /// The phase that it is in.
    pub(crate) phase: Option<Phase>,
}

impl SeenJob {
    /// How long it has been here; `None` where that is not known.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.received.map(|received| received.elapsed())
    }
}

/// The runners of the config, and the jobs that run.
#[derive(Debug, Default)]
pub(crate) struct JobsSeen {
    runners: HashMap<String, RunnerFacts>,
    jobs: HashMap<JobId, SeenJob>,
    /// How many requests for a job of each runner go on.
    requests: HashMap<String, usize>,
}

impl JobsSeen {
    /// Replaces the runners. Jobs that run keep theirs.
    pub(crate) fn set_runners(&mut self, runners: &[RunnerFacts]) {
        self.runners = runners.iter().map(|runner| (runner.key.clone(), runner.clone())).collect();
    }

    /// A runner by the name that events have. One that the config has no more is known by that name alone.
    pub(crate) fn runner(&self, key: &str) -> RunnerFacts {
        let unknown = || RunnerFacts { key: key.to_owned(), name: key.to_owned(), ..RunnerFacts::default() };
        self.runners.get(key).cloned().unwrap_or_else(unknown)
    }

    /// The jobs that run.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &SeenJob> {
        self.jobs.values()
    }

    /// The runners of the config, and how many requests for a job of each go on.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&RunnerFacts, usize)> {
        self.runners.iter().map(|(key, runner)| (runner, self.requests.get(key).copied().unwrap_or_default()))
    }

    /// Takes note of an event. Returns the job that it is about, as it is after it.
    pub(crate) fn take(&mut self, event: &Event) -> Option<SeenJob> {
        match event {
            Event::Received { runner, job, project, .. } => {
                Some(self.add(runner, job, *project, Some(Instant::now())))
            }
            Event::Adopted { runner, job, project, .. } => Some(self.add(runner, job, *project, None)),
            Event::Job { job, event: JobEvent::Ended(_) | JobEvent::TakenOver } => self.jobs.remove(job),
            Event::Job { job, event } => {
                let seen = self.jobs.get_mut(job)?;
                match event {
                    JobEvent::Starting { .. } => seen.is_started = true,
                    JobEvent::PhaseStarted(phase) => seen.phase = Some(*phase),
                    _ => {}
                }
                Some(seen.clone())
            }
            Event::Asking { runner } => {
                *self.requests.entry(runner.clone()).or_default() += 1;
                None
            }
            Event::Asked { runner } | Event::SourceFailed { runner, .. } => {
                let left = self.requests.remove(runner).unwrap_or_default().saturating_sub(1);
                if left > 0 {
                    self.requests.insert(runner.clone(), left);
                }
                None
            }
            _ => None,
        }
    }

    fn add(&mut self, runner: &str, job: &JobId, project: u64, received: Option<Instant>) -> SeenJob {
        let seen = SeenJob {
            runner: self.runner(runner),
            project,
            received,
            is_started: received.is_none(),
            phase: None,
        };
        self.jobs.insert(job.clone(), seen.clone());
        seen
    }
}

#[cfg(test)]
mod tests {
    use runner_config::Surroundings;
    use runner_core::{JobEnd, JobOutcome};

    use super::*;

    fn facts(key: &str) -> RunnerFacts {
        let text = "[[runners]]\nname = \"a\"\nurl = \"https://g\"\ntoken = \"glrt-8cvaznryhABCDEFGHIJK\"\n\
                    executor = \"shell\"\nlimit = 2\n";
        let config = runner_config::parse("c", text).resolve(&Surroundings::default()).unwrap();
        RunnerFacts::new(key, &config.runners[0])
    }

    fn received(runner: &str) -> Event {
        let (runner, job, name) = (runner.to_owned(), JobId::new("1"), "build".to_owned());
        Event::Received { runner, job, name, project: 7, queued: None }
    }

    #[test]
    fn a_job_keeps_its_runner_until_it_ends_and_is_forgotten_then() {
        let mut seen = JobsSeen::default();
        seen.set_runners(&[facts("0")]);
        assert_eq!(seen.take(&received("0")).unwrap().runner.token, "8cvaznryh");
        seen.set_runners(&[]);
        let outcome = JobOutcome::Succeeded;
        let end = JobEnd { outcome, reported: true, script_begun: true, log: None, phases: Vec::new() };
        let ended = Event::Job { job: JobId::new("1"), event: JobEvent::Ended(end) };
        let job = seen.take(&ended).unwrap();
        assert_eq!((job.runner, job.project), (facts("0"), 7));
        assert_eq!((seen.jobs().count(), seen.take(&ended).is_none()), (0, true));
        assert_eq!(seen.take(&received("gone")).unwrap().runner.name, "gone");
    }
}
