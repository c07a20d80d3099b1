//! Jobs of a manager that is no more.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{Bed, counted::Requests, job, start};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use runner_core::{
    Event, EventSink, Executor, FailureReason, JobContext, JobEnd, JobEvent, JobLease, JobOutcome, JobSpec,
    RunningJob, executor::Stop, job::Step,
};
use runner_k8s::{KubernetesExecutor, KubernetesSettings};
use runner_testkit::{MemoryArtifacts, RecordingReport};
use serde_json::json;
use tokio::time::Instant;

use super::waits::only_pod;

/// Starts a job in a runtime of its own, and ends that at once when the script has begun, as a kill does.
pub(crate) async fn begin_and_die(executor: Arc<KubernetesExecutor>, spec: JobSpec) -> Result<()> {
    die_after(executor, spec, "script-mark").await.map(drop)
}

/// The same, when the log shows `mark`.
async fn die_after(
    executor: Arc<KubernetesExecutor>,
    spec: JobSpec,
    mark: &'static str,
) -> Result<Arc<RecordingReport>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let begun = runtime.spawn(async move {
        let started = start(&*executor, spec).await?;
        started.printed(mark).await?;
        Ok(started.report)
    });
    let begun = begun.await;
    runtime.shutdown_background();
    begun?
}

/// What the process of `executor` leaves when it is killed is adopted by another one, with the job's log and end.
pub(crate) async fn adopted_by(other: Arc<KubernetesExecutor>) -> Result<(JobEnd, String)> {
    let report = RecordingReport::new();
    let end = adopted_with(other, &report).await?;
    Ok((end, report.text()))
}

/// The same, reported to a source that has a part of the log.
async fn adopted_with(other: Arc<KubernetesExecutor>, report: &Arc<RecordingReport>) -> Result<JobEnd> {
    let job = adopt(&other, report, EventSink::default()).await?;
    let end = job.wait().await?;
    job.cleanup().await?;
    Ok(end)
}

async fn adopt(
    other: &KubernetesExecutor,
    report: &Arc<RecordingReport>,
    events: EventSink,
) -> Result<Arc<dyn RunningJob>> {
    let mut found = other.adoptable().await?;
    ensure!(found.len() == 1, "it found {found:?}");
    let handle = found.pop().context("no job")?;
    let saved = handle.saved.clone().context("no lease")?;
    let lease = JobLease {
        job: Arc::clone(&saved.job),
        report: Arc::clone(report) as _,
        artifacts: MemoryArtifacts::new(),
        saved,
        remote: None,
    };
    let mut context = JobContext { events, ..JobContext::default() };
    context.log.timestamps = false;
    context.log.interval = Duration::ZERO;
    Ok(other.adopt(handle, lease, context).await?)
}

/// Settings that allow no job of these tests.
fn strict(bed: &Bed) -> KubernetesSettings {
    let mut settings = bed.settings();
    settings.config.allowed_images = vec!["registry.example.com/*".into()];
    settings.config.image = "registry.example.com/only".into();
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_settings_no_longer_pass_is_followed_to_its_end() -> Result<()> {
    let bed = Bed::new("strict").await?;
    begin_and_die(bed.executor(), job("1", "echo script-mark; sleep 5; echo end-mark; exit 3")).await?;
    let (end, log) = adopted_by(bed.executor_with(strict(&bed))).await?;
    assert_eq!(end.outcome, JobOutcome::script_failed(3), "{log}");
    ensure!(end.reported && log.contains("script-mark\n") && log.contains("end-mark\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_settings_no_longer_pass_before_it_has_a_pod_fails_and_is_removed() -> Result<()> {
    let bed = Bed::new("unfit").await?;
    let client = Requests::without(&bed.client, &bed.namespace, http::Method::POST, "/pods");
    let dying = KubernetesExecutor::new(client, bed.settings());
    let runtime = tokio::runtime::Runtime::new()?;
    let started = runtime.spawn(async move { start(&*dying, job("1", "echo never")).await.map(drop) });
    started.await??;
    runtime.shutdown_background();
    let (end, log) = adopted_by(bed.executor_with(strict(&bed))).await?;
    let JobOutcome::Failed(failure) = &end.outcome else { anyhow::bail!("{end:?}: {log}") };
    assert_eq!(failure.reason, FailureReason::ConfigurationError, "{log}");
    ensure!(end.reported && !end.script_begun, "{end:?}");
    ensure!(log.contains("ERROR: Job failed: ") && log.contains("allowed_images"), "{log}");
    bed.close().await
}

/// Cancels a job whose script has begun, and returns when the API server knows of it.
async fn begin_and_cancel(bed: &Bed) -> Result<Arc<RecordingReport>> {
    let mut spec = job("1", "echo script-mark; sleep 60");
    spec.steps.push(Step::after_script(vec!["sleep 2; of=mark; echo tail-$of".into()]));
    let started = start(&*bed.executor(), spec).await?;
    started.printed("script-mark\n").await?;
    let deadline = Instant::now() + Duration::from_mins(1);
    started.job.stop(Stop::Graceful { deadline }).await?;
    bed.until::<Pod>(|pods| pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some())).await?;
    Ok(started.report)
}

/// Kills the manager that has cancelled a job.
async fn cancel_and_die(bed: &Bed) -> Result<Arc<RecordingReport>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let dying = bed.clone();
    let report = runtime.spawn(async move { begin_and_cancel(&dying).await }).await;
    runtime.shutdown_background();
    report?
}

fn has_ended(pod: &Pod, container: &str) -> bool {
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref()).flatten();
    let mut states =
        statuses.filter(|status| status.name == container).filter_map(|status| status.state.as_ref());
    states.any(|state| state.terminated.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_canceled_job_is_kept_for_the_next_manager() -> Result<()> {
    let bed = Bed::new("kept").await?;
    let report = cancel_and_die(&bed).await?;
    bed.until::<Pod>(|pods| pods.iter().any(|pod| has_ended(pod, "build"))).await?;
    ensure!(!report.text().contains("tail-mark"), "it was sent before: {}", report.text());
    let end = adopted_with(bed.executor(), &report).await?;
    let log = report.text();
    assert_eq!(end.outcome, JobOutcome::Canceled, "{log}");
    ensure!(end.log.is_some() && log.matches("tail-mark\n").count() == 1, "{end:?}: {log}");
    ensure!(!log.contains("may be missing"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_canceled_job_says_that_its_end_was_lost_with_its_pod() -> Result<()> {
    let bed = Bed::new("tail").await?;
    let report = cancel_and_die(&bed).await?;
    bed.until::<Pod>(<[_]>::is_empty).await.context("the pod is left")?;
    ensure!(!report.text().contains("tail-mark"), "nothing was lost: {}", report.text());
    let end = adopted_with(bed.executor(), &report).await?;
    let log = report.text();
    assert_eq!((&end.outcome, end.log), (&JobOutcome::Canceled, None), "{log}");
    ensure!(end.reported && report.outcome() == Some(JobOutcome::Canceled), "{end:?}");
    let (_, rest) = log.split_once("script-mark\n").context("the beginning of the log is lost")?;
    let missing = "the end of this log may be missing: it was lost with the pod of the job";
    let (_, rest) = rest.split_once(missing).with_context(|| format!("it is not said: {log}"))?;
    ensure!(rest.contains("ERROR: Job failed: canceled") && !rest.contains(missing), "{log}");
    bed.close().await
}

/// Says of the one pod there is what a kubelet says of one that it does not admit.
async fn refuse_pod(bed: &Bed) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let pod = only_pod(bed).await?.name_any();
    let status = json!({ "status": {
        "phase": "Failed", "reason": "NodeAffinity",
        "message": "Pod was rejected: Predicate NodeAffinity failed"
    }});
    pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(pod)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_about_to_be_replaced_is_replaced_by_the_next_manager() -> Result<()> {
    let bed = Bed::new("replaced").await?;
    let mut settings = bed.settings();
    settings.config.memory_request = "900Gi".into();
    let (client, dead) = Requests::until_a_pod_is_removed(&bed.client, &bed.namespace);
    let dying = KubernetesExecutor::new(client, settings.clone());
    let runtime = tokio::runtime::Runtime::new()?;
    let bed_of_dying = bed.clone();
    let refused = runtime.spawn(async move {
        let started = start(&*dying, job("1", "echo never")).await?;
        started.printed("too little free memory").await?;
        let refused = refuse_pod(&bed_of_dying).await?;
        dead.notified().await;
        anyhow::Ok((started.report, refused))
    });
    let refused = tokio::time::timeout(Duration::from_mins(1), refused).await;
    runtime.shutdown_background();
    let (report, refused) = refused.context("the pod is not replaced")???;
    let next = bed.executor_with(settings);
    let running = adopt(&next, &report, EventSink::default()).await?;
    let another = bed.until::<Pod>(|pods| matches!(pods, [pod] if pod.name_any() != refused)).await;
    running.stop(Stop::Graceful { deadline: Instant::now() + Duration::from_mins(1) }).await?;
    let end = running.wait().await?;
    running.cleanup().await?;
    another.with_context(|| format!("there is no other pod, and it ended as {end:?}: {}", report.text()))?;
    assert_eq!(end.outcome, JobOutcome::Canceled, "{}", report.text());
    assert_eq!(report.text().matches("starting another pod").count(), 1, "{}", report.text());
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_pod_waits_is_not_said_again_by_the_next_manager() -> Result<()> {
    let bed = Bed::new("waiting").await?;
    let mut settings = bed.settings();
    settings.config.memory_request = "900Gi".into();
    let why = "too little free memory";
    let report = die_after(bed.executor_with(settings.clone()), job("1", "echo never"), why).await?;
    let (sender, mut waits) = tokio::sync::mpsc::unbounded_channel();
    let events = EventSink::new(move |event| {
        if let Event::Job { event: JobEvent::Waiting { reason, .. }, .. } = event {
            drop(sender.send(reason));
        }
    });
    let next = bed.executor_with(settings);
    let running = adopt(&next, &report, events).await?;
    let said = tokio::time::timeout(Duration::from_mins(1), waits.recv()).await?.context("no event")?;
    ensure!(said.contains(why), "{said}");
    running.stop(Stop::Graceful { deadline: Instant::now() + Duration::from_mins(1) }).await?;
    let end = running.wait().await?;
    running.cleanup().await?;
    let log = report.text();
    assert_eq!(end.outcome, JobOutcome::Canceled, "{log}");
    assert_eq!(log.matches(why).count(), 1, "{log}");
    bed.close().await
}
