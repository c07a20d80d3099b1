//! Pods that cannot start at once, or go away: what is waited for and said, and what fails at once.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Bed, Started, start};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt, api::ListParams};
use runner_core::{FailureReason, JobOutcome, JobSpec};
use runner_k8s::KubernetesSettings;
use tokio::time::Instant;

mod disruption;
mod namespaces;
mod nodes;
mod refusals;
mod registries;
mod services;
mod volumes;

/// What is left to a test of a job that must not wait.
const AT_ONCE: Duration = Duration::from_secs(45);

/// The label and the taint of nodes that a test makes and nothing runs on.
const HOLLOW: &str = "e2e.example.com/hollow";

/// Runs a job with settings to its end, and gives its outcome and its log.
async fn run(bed: &Bed, settings: KubernetesSettings, job: JobSpec) -> Result<(JobOutcome, String)> {
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job).await?;
    let end = started.finish().await?;
    Ok((end.outcome, started.report.text()))
}

/// Runs a job that must fail at once, and gives the reason and the message.
async fn fails_at_once(
    bed: &Bed,
    settings: KubernetesSettings,
    job: JobSpec,
) -> Result<(FailureReason, String)> {
    let begin = Instant::now();
    let (outcome, log) = run(bed, settings, job).await?;
    let took = begin.elapsed();
    let JobOutcome::Failed(failure) = outcome else { anyhow::bail!("it ended as {outcome:?}: {log}") };
    anyhow::ensure!(took < AT_ONCE, "it took {took:?}: {log}");
    anyhow::ensure!(log.contains(&failure.message), "the log does not say {:?}: {log}", failure.message);
    Ok((failure.reason, failure.message))
}

/// The failure that a job ended with.
async fn failure(started: &Started) -> Result<(FailureReason, String, String)> {
    let end = started.finish().await?;
    let log = started.report.text();
    match end.outcome {
        JobOutcome::Failed(failure) => Ok((failure.reason, failure.message, log)),
        other => anyhow::bail!("it ended as {other:?}: {log}"),
    }
}

/// Waits for the end of a job that must succeed, and gives its log.
async fn succeeds(started: &Started) -> Result<String> {
    let end = started.finish().await?;
    let log = started.report.text();
    anyhow::ensure!(end.outcome == JobOutcome::Succeeded, "it ended as {:?}: {log}", end.outcome);
    anyhow::ensure!(end.log == started.report.digest(), "the log is not what was counted: {log}");
    Ok(log)
}

/// The lines of a log that contain `mark`.
fn lines<'log>(log: &'log str, mark: &str) -> Vec<&'log str> {
    log.lines().filter(|line| line.contains(mark)).collect()
}

/// A node that pods can run on.
async fn real_node(bed: &Bed) -> Result<String> {
    let nodes: Api<Node> = Api::all(bed.admin.clone());
    let is_real = |node: &Node| !node.labels().contains_key(HOLLOW);
    let node = nodes.list(&ListParams::default()).await?.items.into_iter().find(is_real);
    Ok(node.context("the cluster has no node")?.name_any())
}

/// The one pod of a namespace.
pub(crate) async fn only_pod(bed: &Bed) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let mut pods = pods.list(&ListParams::default()).await?.items;
    anyhow::ensure!(pods.len() == 1, "there are {} pods", pods.len());
    pods.pop().context("no pod")
}

/// Evicts the pod of a job, as a drain of its node does.
async fn evict(bed: &Bed) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let pod = only_pod(bed).await?;
    pods.evict(&pod.name_any(), &kube::api::EvictParams::default()).await?;
    Ok(())
}
