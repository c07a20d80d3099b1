//! The state of a pipeline that runs, and every change that can happen to it. No IO, no waiting, no callbacks.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use runner_core::{Failure, JobId, JobOutcome, source::WishAction};
use tokio::time::Instant;

use super::{
    JobProgress, JobStatus,
    graph::{Edges, Graph},
    job::{Job, is_allowed, is_retried},
    selection::Selection,
    verdict::{Prior, Seen, Verdict, verdict},
};
use crate::pipeline::{AllowFailure, JobWhen, Pipeline, PipelineJob};

/// A pipeline that runs.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) pipeline: Pipeline,
    pub(super) graph: Graph,
    /// The jobs that are part of it, by their numbers in the pipeline.
    jobs: BTreeMap<usize, Job>,
    next_id: u64,
    /// What nobody was told of yet.
    news: VecDeque<JobProgress>,
}

impl Run {
    pub(super) fn new(pipeline: Pipeline, graph: Graph, selection: &Selection, first_id: u64) -> Self {
        let mut run =
            Self { pipeline, graph, jobs: BTreeMap::new(), next_id: first_id, news: VecDeque::new() };
        for index in &selection.jobs {
            let id = run.fresh_id();
            run.jobs.insert(*index, Job::new(id, selection.asked.contains(index)));
        }
        run.settle();
        run
    }

    fn fresh_id(&mut self) -> JobId {
        let id = JobId::new(self.next_id.to_string());
        self.next_id += 1;
        id
    }

    /// Takes the first job that is ready for handing it out.
    pub(super) fn take(&mut self) -> Option<usize> {
        let busy: Vec<_> = self.running().filter_map(|(index, _)| self.group(index)).collect();
        let is_free = |index: usize| self.group(index).is_none_or(|group| !busy.contains(&group));
        let ready = |index: &usize| {
            self.jobs.get(index).is_some_and(|job| job.status == JobStatus::Ready && !job.handed_out)
        };
        let index = self.graph.order.iter().copied().find(|index| ready(index) && is_free(*index))?;
        self.jobs.get_mut(&index)?.handed_out = true;
        Some(index)
    }

    /// Hands out a job again, in the attempt that is known as `id`.
    pub(super) fn resume(&mut self, index: usize, id: &JobId) -> bool {
        match self.attempt(index, id).filter(|job| !job.status.is_final()) {
            Some(job) => {
                job.handed_out = true;
                true
            }
            None => false,
        }
    }

    /// The job was taken for good. Tells what is wanted of it.
    pub(super) fn accept(&mut self, index: usize, id: &JobId) -> WishAction {
        let Some(job) = self.attempt(index, id) else { return WishAction::Abort };
        if job.status == JobStatus::Ready {
            job.started = Some(Instant::now());
            self.set(index, JobStatus::Running);
        }
        self.wish(index, id)
    }

    /// What is wanted of a job. One that is no more, or was ended otherwise, is to stop.
    pub(super) fn wish(&self, index: usize, id: &JobId) -> WishAction {
        match self.jobs.get(&index).filter(|job| job.id == *id) {
            Some(job) => job.wish,
            None => WishAction::Abort,
        }
    }

    /// The job ended. Returns whether the job is known.
    pub(super) fn complete(&mut self, index: usize, id: &JobId, outcome: &JobOutcome) -> bool {
        let Some(job) = self.attempt(index, id) else { return false };
        if job.status.is_final() {
            return true;
        }
        job.ended = Some(Instant::now());
        let attempts = job.attempt;
        let stopped = job.wish > WishAction::GoOn;
        let spec = &self.pipeline.jobs[index];
        match outcome {
            JobOutcome::Succeeded => self.set(index, JobStatus::Succeeded),
            JobOutcome::Canceled => self.set(index, JobStatus::Canceled),
            JobOutcome::Failed(failure) if !stopped && is_retried(spec, failure, attempts) => {
                self.retry(index, failure.clone());
            }
            JobOutcome::Failed(failure) => {
                let allowed = is_allowed(&spec.allow_failure, failure);
                self.set(index, JobStatus::Failed { failure: failure.clone(), allowed });
            }
        }
        self.settle();
        true
    }

    fn retry(&mut self, index: usize, failure: Failure) {
        let id = self.fresh_id();
        let Some(job) = self.jobs.get_mut(&index) else { return };
        *job = Job { attempt: job.attempt + 1, previous: Some(failure), ..Job::new(id, job.asked) };
        self.make_ready(index);
    }

    /// Cancels all that does not run yet, and asks what runs to stop.
    pub(super) fn cancel(&mut self, how: WishAction) {
        let indexes: Vec<_> = self.jobs.keys().copied().collect();
        for index in indexes {
            let Some(job) = self.jobs.get_mut(&index) else { continue };
            job.wish = job.wish.max(how);
            if matches!(job.status, JobStatus::Waiting | JobStatus::Ready) && !job.handed_out {
                self.set(index, JobStatus::Canceled);
            }
        }
        self.settle();
    }

    /// Whether nothing runs and nothing will.
    pub(super) fn is_over(&self) -> bool {
        self.jobs.values().all(|job| job.status.is_final())
    }

    pub(super) fn job(&self, index: usize) -> Option<&Job> {
        self.jobs.get(&index)
    }

    /// The job, if it still is in the attempt that is known as `id`.
    pub(super) fn attempt(&mut self, index: usize, id: &JobId) -> Option<&mut Job> {
        self.jobs.get_mut(&index).filter(|job| job.id == *id)
    }

    /// The jobs that ran and whose artifacts job number `index` gets.
    pub(super) fn givers(&self, index: usize) -> Vec<(&PipelineJob, &Job)> {
        let givers = self.graph.givers(&self.pipeline, index).into_iter();
        let known = givers.filter_map(|other| Some((&self.pipeline.jobs[other], self.jobs.get(&other)?)));
        known.filter(|(_, job)| job.ended.is_some()).collect()
    }

    /// What all jobs are doing, stage by stage.
    pub(super) fn progress(&self) -> Vec<JobProgress> {
        self.graph.order.iter().filter_map(|index| self.progress_of(*index)).collect()
    }

    fn progress_of(&self, index: usize) -> Option<JobProgress> {
        let (spec, job) = (&self.pipeline.jobs[index], self.jobs.get(&index)?);
        let until = |end: Option<Instant>| end.unwrap_or_else(Instant::now);
        let queued_until = job.started.or(job.ended);
        Some(JobProgress {
            name: spec.name.clone(),
            stage: spec.stage.clone(),
            id: job.id.clone(),
            attempt: job.attempt,
            status: job.status.clone(),
            previous: job.previous.clone(),
            queued: job.ready.map_or(Duration::ZERO, |ready| until(queued_until).duration_since(ready)),
            ran: job.started.map(|started| until(job.ended).duration_since(started)),
        })
    }

    /// The next thing that nobody was told of.
    pub(super) fn take_news(&mut self) -> Option<JobProgress> {
        self.news.pop_front()
    }

    fn set(&mut self, index: usize, status: JobStatus) {
        let Some(job) = self.jobs.get_mut(&index) else { return };
        if status.is_final() && job.ready.is_some() && job.ended.is_none() {
            job.ended = Some(Instant::now());
        }
        job.status = status;
        self.news.extend(self.progress_of(index));
    }

    fn make_ready(&mut self, index: usize) {
        if let Some(job) = self.jobs.get_mut(&index) {
            job.ready = Some(Instant::now());
        }
        self.set(index, JobStatus::Ready);
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Job)> {
        let busy = |job: &Job| job.handed_out && !job.status.is_final();
        self.jobs.iter().filter(move |(_, job)| busy(job)).map(|(index, job)| (*index, job))
    }

    fn group(&self, index: usize) -> Option<&str> {
        self.pipeline.jobs[index].resource_group.as_deref()
    }

    /// Decides on every job whose time has come, until nothing changes any more.
    fn settle(&mut self) {
        while self.settle_once() {}
        let mut alive = self.jobs.values().filter(|job| !job.status.is_final());
        if alive.all(|job| job.status == JobStatus::Waiting) {
            self.block();
        }
    }

    fn settle_once(&mut self) -> bool {
        let mut changed = false;
        let mut earlier = Seen::default();
        let mut current = (0, Seen::default());
        for index in self.graph.order.clone() {
            let stage = self.graph.stages[index];
            if stage != current.0 {
                earlier.join(current.1);
                current = (stage, Seen::default());
            }
            if self.jobs.get(&index).is_some_and(|job| job.status == JobStatus::Waiting) {
                changed |= self.judge(index, earlier);
            }
            self.see(index, &mut current.1);
        }
        changed
    }

    /// Decides on a job that waits, after the jobs of earlier stages ended as `earlier` says.
    fn judge(&mut self, index: usize, earlier: Seen) -> bool {
        let (seen, by_needs) = match &self.graph.edges[index] {
            Edges::Stages(_) => (earlier, false),
            Edges::Needs(needs) => {
                let mut seen = Seen::default();
                for need in needs {
                    self.see(*need, &mut seen);
                }
                (seen, true)
            }
        };
        let when = self.pipeline.jobs[index].when;
        let asked = self.jobs.get(&index).is_some_and(|job| job.asked);
        match verdict(when, seen, by_needs) {
            Verdict::Wait => return false,
            Verdict::Run if when == JobWhen::Manual && !asked => self.set(index, JobStatus::Manual),
            Verdict::Run => self.make_ready(index),
            Verdict::Skip(prior) => {
                let because = self.reason(index, prior);
                self.set(index, JobStatus::Skipped { because });
            }
        }
        true
    }

    fn see(&self, index: usize, seen: &mut Seen) {
        if let Some(job) = self.jobs.get(&index) {
            let allowed = self.pipeline.jobs[index].allow_failure == AllowFailure::Yes;
            seen.add(&job.status, allowed);
        }
    }

    /// Why a job is skipped, as a person would say it.
    fn reason(&self, index: usize, prior: Prior) -> String {
        let when = self.pipeline.jobs[index].when;
        let first = |is_cause: fn(&JobStatus) -> bool, what: &str| {
            let cause = self.before(index).find(|(_, job)| is_cause(&job.status));
            cause.map(|(other, _)| format!("`{}` {what}", self.pipeline.jobs[other].name))
        };
        let reason = match prior {
            Prior::Failed => first(JobStatus::is_failure, "failed"),
            Prior::Canceled => first(|status| *status == JobStatus::Canceled, "was canceled"),
            Prior::Skipped => first(|status| matches!(status, JobStatus::Skipped { .. }), "was skipped")
                .or_else(|| first(|status| *status == JobStatus::Manual, "is manual and was not started")),
            Prior::Succeeded | Prior::Incomplete => None,
        };
        match (when, reason) {
            (JobWhen::Never, _) => "it never runs".to_owned(),
            (JobWhen::OnFailure, _) => "no earlier job failed".to_owned(),
            (_, reason) => reason.unwrap_or_else(|| "no earlier job ran".to_owned()),
        }
    }

    /// The jobs that a job waits for.
    fn before(&self, index: usize) -> impl Iterator<Item = (usize, &Job)> {
        let edges = &self.graph.edges[index];
        let is_before = move |other: &usize| match edges {
            Edges::Needs(needs) => needs.contains(other),
            Edges::Stages(stage) => self.graph.stages[*other] < *stage,
        };
        let order = self.graph.order.iter().copied().filter(is_before);
        order.filter_map(|other| Some((other, self.jobs.get(&other)?)))
    }

    /// Skips what waits for a manual job that nobody will start.
    fn block(&mut self) {
        let waiting: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.status == JobStatus::Waiting)
            .map(|(index, _)| *index)
            .collect();
        for index in waiting {
            let manual = self.before(index).find(|(_, job)| job.status == JobStatus::Manual);
            let because = match manual {
                Some((other, _)) => {
                    format!("`{}` is manual and was not started", self.pipeline.jobs[other].name)
                }
                None => "a job that it waits for did not run".to_owned(),
            };
            self.set(index, JobStatus::Skipped { because });
        }
    }
}
