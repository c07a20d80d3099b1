//! Jobs, run by the executor.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::future::try_join_all;
use runner_core::{
    Executor, JobContext, JobLease, JobOutcome, JobSpec, SavedLease, Secret,
    job::{Image, Step},
};
use runner_k8s::{KubernetesExecutor, KubernetesSettings};
use runner_testkit::MemoryArtifacts;

use super::{
    bed::Bed,
    clock::{NodeTime, READ, now},
    options::Options,
    report::{MARK, TimedReport, Told},
};

/// When things happened to a job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The executor was given it.
    pub(super) taken: f64,
    /// The executor had stored and accepted it.
    pub(super) started: f64,
    /// The first command of its script ran.
    pub(super) began: NodeTime,
    /// What that printed was here.
    pub(super) first_line_seen: f64,
    /// Its end was reported and acknowledged.
    pub(super) finished: f64,
    /// How long it then took until all of it was gone.
    pub(super) removal: f64,
}

/// An executor with the shipped role, and what its jobs are made of.
#[derive(Debug)]
pub(super) struct Jobs<'a> {
    bed: &'a Bed,
    executor: Arc<KubernetesExecutor>,
    image: &'a str,
}

impl<'a> Jobs<'a> {
    /// An executor as `options` say.
    pub(super) fn new(bed: &'a Bed, options: &'a Options) -> Self {
        let mut settings = KubernetesSettings::new("bench");
        settings.token = "bench".into();
        settings.config.namespace.clone_from(&bed.namespace);
        settings.config.image.clone_from(&options.image);
        if let Some(image) = &options.helper_image {
            settings.runner.helper_image.clone_from(image);
        }
        Self { bed, executor: KubernetesExecutor::new(bed.client.clone(), settings), image: &options.image }
    }

    /// Runs `count` jobs at once, each in a slot of its own. `then` is the rest of their script.
    pub(super) async fn run(&self, name: &str, count: usize, then: &[String]) -> Result<Vec<Job>> {
        try_join_all((0..count).map(|slot| self.one(format!("{name}-{slot}"), slot, then))).await
    }

    async fn one(&self, name: String, slot: usize, then: &[String]) -> Result<Job> {
        let (job, report) = (Arc::new(self.spec(&name, then)), TimedReport::new());
        let saved = SavedLease { runner: "bench".into(), job: Arc::clone(&job), state: Secret::default() };
        let lease = JobLease {
            job,
            report: Arc::clone(&report) as _,
            artifacts: MemoryArtifacts::new(),
            saved,
            remote: None,
        };
        let mut context = JobContext { slot, ..JobContext::default() };
        context.log.timestamps = false;
        context.log.interval = Duration::ZERO;
        let taken = now();
        let running =
            self.executor.start(lease, context).await.map_err(|error| anyhow!("{}", error.chain()))?;
        let started = now();
        let ended = running.wait().await;
        let told = report.told();
        // The pod is still there, and knows its node.
        let began = self.began(&told).await;
        let before = now();
        let removed = running.cleanup().await;
        let removal = now() - before;
        ended.and(removed).map_err(|error| anyhow!("{}", error.chain()))?;
        let is_good = told.outcome == Some(JobOutcome::Succeeded);
        ensure!(is_good, "job {name} ended with {:?}; its log:\n{}", told.outcome, told.log);
        let Told { first_line_seen, finished, .. } = told;
        Ok(Job { taken, started, began: began?, first_line_seen, finished, removal })
    }

    fn spec(&self, name: &str, then: &[String]) -> JobSpec {
        let mut job = JobSpec::new(name, "bench");
        job.project.id = 1;
        job.image = Some(Image { name: self.image.to_owned(), ..Image::default() });
        let first = format!("{READ}; read pod </etc/hostname; echo \"{MARK} $up $pod\"");
        job.steps.push(Step::script([&[first], then].concat()));
        job
    }

    async fn began(&self, told: &Told) -> Result<NodeTime> {
        let line = told.first_line.as_deref();
        let (uptime, pod) = line.and_then(|line| line.split_once(' ')).with_context(|| {
            format!("a job did not tell when it ran: {:?}; its log:\n{}", told.outcome, told.log)
        })?;
        let pod =
            self.bed.pods().get(pod).await.context("the pod of a job that has ended cannot be found")?;
        let node = pod.spec.and_then(|spec| spec.node_name).context("a pod without a node")?;
        NodeTime::read(&node, uptime)
    }
}
