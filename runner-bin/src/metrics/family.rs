//! The metrics themselves: name, help and buckets of each.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

use super::label::{
    ErrorLabels, ErrorLevel, FailureLabels, JobLabels, PhaseLabels, RunnerLabels, VersionLabels, WaitLabels,
};

/// Buckets in seconds that dashboards of GitLab Runner know.
const JOB_BUCKETS: [f64; 10] =
    [30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 10_800.0, 18_000.0, 36_000.0];
const QUEUE_BUCKETS: [f64; 10] = [1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0];
/// Buckets in seconds for what should be quick.
const PHASE_BUCKETS: [f64; 11] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
const STARTUP_BUCKETS: [f64; 10] = [0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0];

/// Makes a histogram.
type NewHistogram = fn() -> Histogram;

/// Metrics by the names of GitLab Runner.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) jobs: Family<JobLabels, Gauge>,
    pub(super) jobs_total: Family<RunnerLabels, Counter>,
    pub(super) failed: Family<FailureLabels, Counter>,
    pub(super) duration: Family<RunnerLabels, Histogram, NewHistogram>,
    pub(super) queue_duration: Family<RunnerLabels, Histogram, NewHistogram>,
    pub(super) concurrent: Gauge,
    pub(super) limit: Family<RunnerLabels, Gauge>,
    pub(super) requests: Family<RunnerLabels, Gauge>,
    pub(super) errors: Family<ErrorLabels, Counter>,
    pub(super) config_loaded: Counter,
    pub(super) config_failed: Counter,
}

/// Metrics that GitLab Runner does not have.
#[derive(Debug)]
pub(super) struct OwnFamilies {
    pub(super) adopted: Family<RunnerLabels, Counter>,
    pub(super) waits: Family<WaitLabels, Counter>,
    pub(super) phases: Family<PhaseLabels, Histogram, NewHistogram>,
    pub(super) startup: Histogram,
}

impl Families {
    /// Registers all of them. A counter gets `_total` at the end of its name, an information `_info`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let version = VersionLabels {
            name: "runner",
            version: env!("CARGO_PKG_VERSION"),
            compatible_version: runner_gitlab::COMPATIBLE_VERSION,
            os: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
        };
        registry.register("gitlab_runner_version", "What this program is", Info::new(version));
        let mut add = Adding(registry);
        let families = Self {
            jobs: add.metric("gitlab_runner_jobs", "Jobs that run now", Family::default()),
            jobs_total: add.metric("gitlab_runner_jobs", "Jobs that came", Family::default()),
            failed: add.metric("gitlab_runner_failed_jobs", "Jobs that failed", Family::default()),
            duration: add.metric(
                "gitlab_runner_job_duration_seconds",
                "How long jobs took, from when they came until everything of them was removed; without jobs that were taken over",
                Family::new_with_constructor(|| Histogram::new(JOB_BUCKETS)),
            ),
            queue_duration: add.metric(
                "gitlab_runner_job_queue_duration_seconds",
                "How long jobs waited at the server before they came",
                Family::new_with_constructor(|| Histogram::new(QUEUE_BUCKETS)),
            ),
            concurrent: add.metric("gitlab_runner_concurrent", "How many jobs may run at once", Gauge::default()),
            limit: add.metric(
                "gitlab_runner_limit",
                "How many jobs of a runner may run at once; 0 if only the number for all counts",
                Family::default(),
            ),
            requests: add.metric(
                "gitlab_runner_request_concurrency",
                "How many askings for a job go on now, those that wait for their time included",
                Family::default(),
            ),
            errors: add.metric("gitlab_runner_errors", "Errors and warnings in the log", Family::default()),
            config_loaded: add.metric(
                "gitlab_runner_configuration_loaded",
                "How many times a config was taken",
                Counter::default(),
            ),
            config_failed: add.metric(
                "gitlab_runner_configuration_loading_error",
                "How many times a config could not be used",
                Counter::default(),
            ),
        };
        // Rates need a beginning.
        for level in [ErrorLevel::error, ErrorLevel::warning] {
            drop(families.errors.get_or_create(&ErrorLabels { level }));
        }
        families
    }
}

impl OwnFamilies {
    /// Registers all of them.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut add = Adding(registry);
        Self {
            adopted: add.metric(
                "runner_adopted_jobs",
                "Jobs of an earlier process that were taken over",
                Family::default(),
            ),
            waits: add.metric(
                "runner_job_waits",
                "How many times a job was found to wait for something before its script, by the class of it",
                Family::default(),
            ),
            phases: add.metric(
                "runner_job_phase_duration_seconds",
                "How long phases of jobs took",
                Family::new_with_constructor(|| Histogram::new(PHASE_BUCKETS)),
            ),
            startup: add.metric(
                "runner_job_startup_duration_seconds",
                "How long it took from when a job came until its script began; without jobs that were taken over",
                Histogram::new(STARTUP_BUCKETS),
            ),
        }
    }
}

/// A registry that gets metrics.
pub(super) struct Adding<'a>(pub(super) &'a mut Registry);

impl Adding<'_> {
    /// Registers a metric.
    pub(super) fn metric<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}
