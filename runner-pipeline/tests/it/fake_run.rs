//! A pipeline whose jobs end as a test says, without an executor.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use runner_core::{
    ArtifactStore, Capacity, FailureReason, JobLease, JobOutcome, JobSource, job::Variables,
    source::Completion,
};
use runner_pipeline::{
    AllowFailure, JobProgress, JobStatus, JobWhen, Need, Pipeline, PipelineJob, PipelineOutput, PipelineRun,
    PipelineSource, Predefined, Retry, SelectionError,
};
use runner_testkit::MemoryArtifacts;
use tokio_util::sync::CancellationToken;

use crate::work_tree::Outcome;

/// A job of the stage before the colon, such as `build:compile`.
pub(crate) fn job(path: &str) -> PipelineJob {
    let (stage, name) = path.split_once(':').unwrap_or(("test", path));
    let group = name.split_once(' ').map_or(name, |(group, _)| group).to_owned();
    PipelineJob { name: name.to_owned(), group, stage: stage.to_owned(), ..PipelineJob::default() }
}

pub(crate) fn needing(path: &str, needs: &[&str]) -> PipelineJob {
    let need = |name: &&str| match name.strip_suffix('?') {
        Some(name) => Need { job: name.to_owned(), artifacts: true, optional: true },
        None => Need { job: (*name).to_owned(), artifacts: true, optional: false },
    };
    PipelineJob { needs: Some(needs.iter().map(need).collect()), ..job(path) }
}

pub(crate) fn when(when: JobWhen, job: PipelineJob) -> PipelineJob {
    PipelineJob { when, ..job }
}

/// A manual job that nobody waits for, which is what `when: manual` without `rules` is.
pub(crate) fn manual(path: &str) -> PipelineJob {
    allowed(when(JobWhen::Manual, job(path)))
}

pub(crate) fn allowed(job: PipelineJob) -> PipelineJob {
    PipelineJob { allow_failure: AllowFailure::Yes, ..job }
}

pub(crate) fn retrying(max: u32, when: &[&str], job: PipelineJob) -> PipelineJob {
    let when = when.iter().map(|when| (*when).to_owned()).collect();
    PipelineJob { retry: Retry { max, when, exit_codes: Vec::new() }, ..job }
}

pub(crate) fn pipeline(jobs: Vec<PipelineJob>) -> Pipeline {
    let stages = ["build", "test", "deploy"].map(str::to_owned).to_vec();
    Pipeline { stages, jobs, ..Pipeline::default() }
}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) logs: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) changes: Mutex<Vec<String>>,
    /// Nobody reads the logs.
    pub(crate) is_stuck: AtomicBool,
}

#[async_trait]
impl PipelineOutput for Recorder {
    async fn log(&self, job: &str, bytes: Bytes) {
        if self.is_stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.entry(job.to_owned()).or_default().extend_from_slice(&bytes);
    }

    fn changed(&self, job: &str, progress: &JobProgress) {
        let change = format!("{job} {}", progress.status.as_str());
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }
}

#[derive(Debug)]
pub(crate) struct FakeRun {
    pub(crate) source: PipelineSource,
    pub(crate) output: Arc<Recorder>,
    pub(crate) artifacts: Arc<MemoryArtifacts>,
}

impl FakeRun {
    pub(crate) fn new(pipeline: Pipeline, jobs: &[&str]) -> Result<Self, SelectionError> {
        Self::with_variables(pipeline, jobs, Variables::default())
    }

    pub(crate) fn with_variables(
        pipeline: Pipeline,
        jobs: &[&str],
        variables: Variables,
    ) -> Result<Self, SelectionError> {
        let (output, artifacts) = (Arc::new(Recorder::default()), MemoryArtifacts::new());
        let store: Arc<dyn ArtifactStore> = Arc::clone(&artifacts) as _;
        let run = PipelineRun {
            pipeline,
            predefined: Predefined::default(),
            snapshot: None,
            variables,
            jobs: jobs.iter().map(|name| (*name).to_owned()).collect(),
        };
        let factory = Arc::new(move |_: &runner_core::JobSpec| Arc::clone(&store));
        let source = PipelineSource::new(run, factory, Arc::clone(&output) as _)?;
        Ok(Self { source, output, artifacts })
    }

    /// The next job, if one is ready now.
    pub(crate) async fn next(&self) -> Outcome<Option<JobLease>> {
        let stop = CancellationToken::new();
        let next = self.source.next(Capacity { free: 1 }, &stop);
        // A future is polled before its time is looked at.
        match tokio::time::timeout(Duration::ZERO, next).await {
            Ok(lease) => Ok(lease?),
            Err(_) => Ok(None),
        }
    }

    /// All jobs that are ready now.
    pub(crate) async fn ready(&self) -> Outcome<Vec<JobLease>> {
        let mut leases = Vec::new();
        while let Some(lease) = self.next().await? {
            lease.report.accept().await?;
            leases.push(lease);
        }
        Ok(leases)
    }

    /// Runs all jobs, wave by wave. `outcomes` tells how each attempt of a job ends, `+` well, a number with that exit
    /// code, `!` by a fault of ours, `c` canceled; what is missing ends well. Returns the waves.
    pub(crate) async fn run(&self, outcomes: &[(&str, &str)]) -> Outcome<Vec<String>> {
        let mut outcomes: HashMap<_, _> = outcomes.iter().map(|(name, ends)| (*name, ends.chars())).collect();
        let mut waves = Vec::new();
        loop {
            let leases = self.ready().await?;
            if leases.is_empty() {
                assert!(self.source.is_exhausted(), "{:?}", self.statuses());
                return Ok(waves);
            }
            waves.push(leases.iter().map(|lease| lease.job.name.as_str()).collect::<Vec<_>>().join(" "));
            for lease in leases {
                let end = outcomes.get_mut(lease.job.name.as_str()).and_then(Iterator::next).unwrap_or('+');
                assert_eq!(end_of(&lease, &outcome(end)).await?, Completion::Done);
            }
        }
    }

    /// The final states, such as `build:success test:failed`.
    pub(crate) fn statuses(&self) -> String {
        let status = |progress: JobProgress| match progress.status {
            JobStatus::Failed { allowed: true, .. } => format!("{}:warning", progress.name),
            status => format!("{}:{}", progress.name, status.as_str()),
        };
        self.source.progress().into_iter().map(status).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn status(&self, name: &str) -> Option<JobStatus> {
        self.source.progress().into_iter().find(|job| job.name == name).map(|job| job.status)
    }
}

pub(crate) async fn end_of(lease: &JobLease, outcome: &JobOutcome) -> Outcome<Completion> {
    Ok(lease.report.complete(outcome, None).await?)
}

fn outcome(end: char) -> JobOutcome {
    match end {
        '+' => JobOutcome::Succeeded,
        'c' => JobOutcome::Canceled,
        '!' => JobOutcome::failed(FailureReason::RunnerSystemFailure, "a fault of ours"),
        digit => JobOutcome::script_failed(
            digit.to_digit(10).and_then(|code| i32::try_from(code).ok()).unwrap_or(1),
        ),
    }
}
