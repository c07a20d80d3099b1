//! Metrics of a manager, in Prometheus' text format, by the names that dashboards of GitLab Runner have.
//!
//! Labels have few values: runners of the config, phases, classes. None is of a job or of a project.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::{encoding::prometheus_text, registry::Registry};
use runner_core::{Event, JobEnd, JobEvent, JobOutcome, Phase};

use crate::jobs_seen::{JobsSeen, RunnerFacts, SeenJob};

mod family;
mod label;
mod process;

use family::{Families, OwnFamilies};
use label::{ErrorLabels, FailureLabels, JobLabels, PhaseLabels, RunnerLabels, WaitLabels};
use process::ProcessMetrics;

pub(crate) use label::ErrorLevel;
pub(crate) use prometheus_text::CONTENT_TYPE;

/// What is counted, and from which the text is made.
#[derive(Debug)]
pub(crate) struct Metrics {
    system_id: String,
    registry: Registry,
    families: Families,
    own: OwnFamilies,
    process: ProcessMetrics,
    seen: Mutex<JobsSeen>,
}

impl Metrics {
    /// Nothing is counted yet. The server knows this manager as `system_id`.
    pub(crate) fn new(system_id: impl Into<String>) -> Self {
        let mut registry = Registry::default();
        let families = Families::new(&mut registry);
        let own = OwnFamilies::new(&mut registry);
        let process = ProcessMetrics::new(&mut registry);
        Self { system_id: system_id.into(), registry, families, own, process, seen: Mutex::default() }
    }

    /// A config is used from now on: how many jobs run at once, and its runners.
    pub(crate) fn config_loaded(&self, concurrent: usize, runners: &[RunnerFacts]) {
        self.families.config_loaded.inc();
        self.families.concurrent.set(signed(concurrent));
        self.families.limit.clear();
        for runner in runners {
            let labels = self.labels(runner);
            self.families.limit.get_or_create(&labels).set(signed(runner.limit));
            // Rates need a beginning.
            drop(self.families.jobs_total.get_or_create(&labels));
        }
        self.seen().set_runners(runners);
    }

    /// There was a config that could not be used.
    pub(crate) fn config_failed(&self) {
        self.families.config_failed.inc();
    }

    /// An error or a warning was told to whoever reads the log.
    pub(crate) fn told(&self, level: ErrorLevel) {
        self.families.errors.get_or_create(&ErrorLabels { level }).inc();
    }

    /// Counts what an event tells.
    pub(crate) fn on_event(&self, event: &Event) {
        let job = self.seen().take(event);
        match (event, job) {
            (Event::Received { queued, .. }, Some(job)) => {
                let labels = self.labels(&job.runner);
                self.families.jobs_total.get_or_create(&labels).inc();
                if let Some(queued) = queued {
                    self.families.queue_duration.get_or_create(&labels).observe(queued.as_secs_f64());
                }
            }
            (Event::Adopted { .. }, Some(job)) => {
                self.own.adopted.get_or_create(&self.labels(&job.runner)).inc();
            }
            (Event::Job { event, .. }, Some(job)) => self.on_job_event(event, &job),
            _ => {}
        }
    }

    fn on_job_event(&self, event: &JobEvent, job: &SeenJob) {
        match event {
            JobEvent::Waiting { class, .. } => {
                self.own.waits.get_or_create(&WaitLabels { reason: class.as_str() }).inc();
            }
            JobEvent::PhaseStarted(Phase::Script) => {
                if let Some(duration) = job.duration() {
                    self.own.startup.observe(duration.as_secs_f64());
                }
            }
            JobEvent::Ended(end) => self.ended(end, job),
            _ => {}
        }
    }

    fn ended(&self, end: &JobEnd, job: &SeenJob) {
        let labels = self.labels(&job.runner);
        if let Some(duration) = job.duration() {
            self.families.duration.get_or_create(&labels).observe(duration.as_secs_f64());
        }
        if let JobOutcome::Failed(failure) = &end.outcome {
            let labels = FailureLabels { runner: labels, failure_reason: failure.reason.as_str() };
            self.families.failed.get_or_create(&labels).inc();
        }
        for record in &end.phases {
            let labels = PhaseLabels { phase: record.phase.section() };
            self.own.phases.get_or_create(&labels).observe(record.duration.as_secs_f64());
        }
    }

    /// All metrics as they are now.
    pub(crate) fn text(&self) -> String {
        // Held while the text is made, so that two readers do not count the jobs twice.
        let seen = self.seen();
        self.families.jobs.clear();
        for job in seen.jobs() {
            let labels = JobLabels {
                runner: self.labels(&job.runner),
                executor: job.runner.executor,
                state: if job.is_started { "running" } else { "pending" },
                stage: job.phase.map(Phase::section).unwrap_or_default(),
            };
            self.families.jobs.get_or_create(&labels).inc();
        }
        self.families.requests.clear();
        for (runner, requests) in seen.requests() {
            self.families.requests.get_or_create(&self.labels(runner)).set(signed(requests));
        }
        self.process.refresh();
        let mut text = String::new();
        let written = prometheus_text::encode(&mut text, &self.registry);
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        text
    }

    fn labels(&self, runner: &RunnerFacts) -> RunnerLabels {
        RunnerLabels {
            runner: runner.token.clone(),
            runner_name: runner.name.clone(),
            system_id: self.system_id.clone(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, JobsSeen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
