//! Jobs of a pipeline, handed out as soon as what they wait for has ended, by the rules of GitLab's server.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use runner_core::{
    ArtifactStore, Capacity, Error, ErrorKind, JobLease, JobSource, JobSpec, Result, SavedLease, Secret,
    job::Variables, source::WishAction,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{pipeline::Pipeline, predefined::Predefined, snapshot::Snapshot};

mod artifacts;
mod graph;
mod job;
mod progress;
mod report;
mod run;
mod selection;
mod shared;
mod spec;
mod verdict;

pub use progress::{JobProgress, JobStatus, PipelineOutput};
pub use selection::SelectionError;

use artifacts::WatchedArtifacts;
use graph::Graph;
use report::PipelineReport;
use run::Run;
use shared::Shared;

/// Makes the store of a job's artifacts. The job has its id, and its dependencies have theirs.
pub type ArtifactFactory = Arc<dyn Fn(&JobSpec) -> Arc<dyn ArtifactStore> + Send + Sync>;

/// What is run, and with what.
#[derive(Debug, Clone)]
pub struct PipelineRun {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// What was known before its file was read.
    pub predefined: Predefined,
    /// The sources; `None`: jobs have nothing to check out.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Variables that count more than those of the file and of dotenv reports: of the command line, of a file.
    pub variables: Variables,
    /// The names of the jobs to run, with what they need. A name is that of a job, of an instance of a parallel job,
    /// or of all its instances. Empty: all jobs, but for manual ones.
    pub jobs: Vec<String>,
}

/// The jobs of one pipeline. Cheap to clone; all clones are the same source.
#[derive(Clone)]
pub struct PipelineSource {
    shared: Arc<Shared>,
    facts: Arc<Facts>,
    artifacts: ArtifactFactory,
}

/// What does not change while a pipeline runs.
#[derive(Debug)]
struct Facts {
    predefined: Predefined,
    snapshot: Option<Arc<Snapshot>>,
    variables: Variables,
}

/// What the source itself stores of a lease.
#[derive(Serialize, Deserialize)]
struct SavedState {
    index: usize,
}

impl PipelineSource {
    /// A source of the jobs of `run`.
    ///
    /// # Errors
    /// Where a job that was named cannot run.
    pub fn new(
        run: PipelineRun,
        artifacts: ArtifactFactory,
        output: Arc<dyn PipelineOutput>,
    ) -> Result<Self, SelectionError> {
        let graph = Graph::of(&run.pipeline)?;
        let selection = selection::select(&run.pipeline, &graph, &run.jobs)?;
        let state = Run::new(run.pipeline, graph, &selection, run.predefined.pipeline_id + 1);
        let facts = Facts { predefined: run.predefined, snapshot: run.snapshot, variables: run.variables };
        let shared = Arc::new(Shared::new(state, output));
        shared.change(|_| ());
        Ok(Self { shared, facts: Arc::new(facts), artifacts })
    }

    /// What all jobs are doing now, stage by stage, those that were not selected left out.
    pub fn progress(&self) -> Vec<JobProgress> {
        self.shared.read(Run::progress)
    }

    /// Cancels the jobs that do not run yet, and tells those that run to stop. A later call may only be sharper.
    pub fn cancel_all(&self, how: WishAction) {
        if how > WishAction::GoOn {
            self.shared.change(|run| run.cancel(how));
        }
    }

    fn lease(&self, index: usize) -> Option<JobLease> {
        let spec = self.shared.read(|run| spec::of_job(run, &self.facts, index))?;
        self.lease_of(index, Arc::new(spec))
    }

    fn lease_of(&self, index: usize, job: Arc<JobSpec>) -> Option<JobLease> {
        let log = self.shared.read(|run| run.job(index).map(|job| Arc::clone(&job.log)))?;
        let shared = || Arc::clone(&self.shared);
        let (id, name) = (job.id.clone(), job.name.clone());
        let artifacts =
            WatchedArtifacts { inner: (self.artifacts)(&job), shared: shared(), index, id: id.clone() };
        let report = PipelineReport { shared: shared(), index, id, name, log };
        let state = serde_json::to_string(&SavedState { index }).unwrap_or_default();
        Some(JobLease {
            report: Arc::new(report),
            artifacts: Arc::new(artifacts),
            saved: SavedLease { runner: "exec".to_owned(), job: Arc::clone(&job), state: Secret::new(state) },
            job,
            remote: None,
        })
    }
}

#[async_trait]
impl JobSource for PipelineSource {
    async fn next(&self, capacity: Capacity, stop: &CancellationToken) -> Result<Option<JobLease>> {
        loop {
            let changed = self.shared.changed().notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if stop.is_cancelled() || capacity.free == 0 {
                return Ok(None);
            }
            if let Some(lease) = self.shared.change_silently(Run::take).and_then(|index| self.lease(index)) {
                return Ok(Some(lease));
            }
            if self.is_exhausted() {
                return Ok(None);
            }
            tokio::select! {
                () = changed => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn resume(&self, saved: SavedLease) -> Result<JobLease> {
        let gone = || {
            Error::new(ErrorKind::NotFound, "take over a job of the pipeline").with("job", &saved.job.name)
        };
        let state: SavedState =
            serde_json::from_str(saved.state.expose()).map_err(|error| gone().because(error))?;
        let is_known = self.shared.change_silently(|run| run.resume(state.index, &saved.job.id));
        let lease = is_known.then(|| self.lease_of(state.index, Arc::clone(&saved.job))).flatten();
        lease.ok_or_else(gone)
    }

    fn is_exhausted(&self) -> bool {
        self.shared.read(Run::is_over)
    }
}

impl fmt::Debug for PipelineSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PipelineSource")
            .field("predefined", &self.facts.predefined.pipeline_id)
            .finish_non_exhaustive()
    }
}
