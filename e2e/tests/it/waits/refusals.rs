//! Pods that the API server does not accept, or not yet, and images of the helper that are none.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{BUSYBOX, Bed, job, start};
use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use runner_core::{FailureReason, JobOutcome, executor::Stop};
use serde_json::json;
use tokio::time::Instant;

use super::{fails_at_once, lines, succeeds};

#[tokio::test(flavor = "multi_thread")]
async fn room_in_a_quota_is_waited_for() -> Result<()> {
    let bed = Bed::new("quota").await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let none = json!({"metadata": {"name": "team"}, "spec": {"hard": {"pods": "0"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(none)?).await?;
    let executor = bed.executor();
    let started = start(&*executor, job("1", "echo ran-the-script")).await?;
    let words = "waiting for room in the quota team";
    started.printed(words).await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let more = Patch::Merge(json!({"spec": {"hard": {"pods": "5"}}}));
    quotas.patch("team", &PatchParams::default(), &more).await?;
    let log = succeeds(&started).await?;
    assert_eq!(lines(&log, words).len(), 1, "{log}");
    ensure!(log.contains("ran-the-script\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_a_quota_can_be_canceled() -> Result<()> {
    let bed = Bed::new("full").await?;
    let quotas: Api<ResourceQuota> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let none = json!({"metadata": {"name": "team"}, "spec": {"hard": {"pods": "0"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(none)?).await?;
    let executor = bed.executor();
    let started = start(&*executor, job("1", "echo never")).await?;
    started.printed("waiting for room in the quota team").await?;
    let begin = Instant::now();
    started.job.stop(Stop::Graceful { deadline: begin + Duration::from_mins(1) }).await?;
    let end = started.finish().await?;
    assert_eq!(end.outcome, JobOutcome::Canceled, "{}", started.report.text());
    ensure!(!end.script_begun && begin.elapsed() < Duration::from_secs(5), "it took {:?}", begin.elapsed());
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_limit_range_forbids_fails_at_once() -> Result<()> {
    let bed = Bed::new("limits").await?;
    let ranges: Api<LimitRange> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let range = json!({
        "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}
    });
    ranges.create(&PostParams::default(), &serde_json::from_value(range)?).await?;
    let mut settings = bed.settings();
    settings.config.memory_limit = "128Mi".into();
    let (reason, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("limit range") && message.contains("64Mi"), "{message}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pod_security_forbids_fails_at_once() -> Result<()> {
    let bed = Bed::new("security").await?;
    let namespaces: Api<Namespace> = Api::all(bed.admin.clone());
    let enforced = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespaces.patch(&bed.namespace, &PatchParams::default(), &Patch::Merge(enforced)).await?;
    let mut settings = bed.settings();
    settings.config.privileged = Some(true);
    let (reason, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("Pod Security") && message.contains("privileged"), "{message}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_or_a_priority_class_that_does_not_exist_fails_at_once() -> Result<()> {
    let bed = Bed::new("account").await?;
    let mut settings = bed.settings();
    settings.config.service_account = "nobody".into();
    let (reason, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("the service account nobody does not exist"), "{message}");
    let mut settings = bed.settings();
    settings.config.priority_class_name = "no-such-class".into();
    let (reason, message) = fails_at_once(&bed, settings, job("2", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("the priority class no-such-class does not exist"), "{message}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_image_without_our_agent_fails_at_once() -> Result<()> {
    let bed = Bed::new("helper").await?;
    let mut settings = bed.settings();
    settings.config.helper_image = BUSYBOX.into();
    let (reason, message) = fails_at_once(&bed, settings, job("1", "echo never")).await?;
    assert_eq!(reason, FailureReason::ConfigurationError, "{message}");
    ensure!(message.contains("does not hold our agent") && message.contains(BUSYBOX), "{message}");
    bed.close().await
}
