//! Jobs outside of the namespace of their config.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Bed, counted::Requests, job, start};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, ResourceExt, api::ListParams, runtime::wait::await_condition};
use runner_core::{Executor, JobOutcome, job::Variable};
use runner_k8s::KubernetesExecutor;

use super::succeeds;
use crate::adoption::{adopted_by, begin_and_die};

/// Waits until there is no such namespace, or nothing of it.
async fn is_gone(bed: &Bed, namespace: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(bed.admin.clone());
    let is_gone = await_condition(namespaces, namespace, |found: Option<&Namespace>| found.is_none());
    tokio::time::timeout(Duration::from_mins(1), is_gone).await.context("the namespace is left")??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_a_namespace_of_its_own_and_leaves_none() -> Result<()> {
    let bed = Bed::new("own").await?;
    let mut settings = bed.settings();
    settings.config.namespace_per_job = true;
    // The shipped role is one of a namespace, and this takes one of the cluster.
    let executor = KubernetesExecutor::new(bed.admin.clone(), settings);
    let namespace = format!("ci-job-{}", bed.namespace);
    let started = start(&*executor, job(&bed.namespace, "echo script-mark; sleep 3")).await?;
    started.printed("script-mark").await?;
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &namespace);
    assert_eq!(pods.list(&ListParams::default()).await?.items.len(), 1);
    succeeds(&started).await?;
    is_gone(&bed, &namespace).await?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_namespace_of_its_own_is_adopted() -> Result<()> {
    let bed = Bed::new("adopted").await?;
    let mut settings = bed.settings();
    settings.config.namespace_per_job = true;
    let namespace = format!("ci-job-{}", bed.namespace);
    let script = "echo script-mark; sleep 5; echo end-mark";
    let executor = KubernetesExecutor::new(bed.admin.clone(), settings.clone());
    begin_and_die(executor, job(&bed.namespace, script)).await?;
    let (end, log) = adopted_by(KubernetesExecutor::new(bed.admin.clone(), settings)).await?;
    assert_eq!(end.outcome, JobOutcome::Succeeded, "{log}");
    ensure!(log.contains("script-mark\n") && log.contains("end-mark\n"), "{log}");
    is_gone(&bed, &namespace).await?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_dies_between_two_namespaces_leaves_nothing() -> Result<()> {
    let bed = Bed::new("between").await?;
    let mut settings = bed.settings();
    settings.config.namespace_per_job = true;
    // It dies before it makes the namespace, and before it makes the Secret in it.
    for end in ["/namespaces", "/secrets"] {
        let id = format!("{}{}", bed.namespace, end.replace('/', "-"));
        let (namespace, spec) = (format!("ci-job-{id}"), job(&id, "echo never"));
        let end = if end == "/secrets" { format!("{namespace}/secrets").leak() } else { end };
        let client = Requests::without(&bed.admin, &bed.namespace, http::Method::POST, end);
        let dying = KubernetesExecutor::new(client, settings.clone());
        let runtime = tokio::runtime::Runtime::new()?;
        let starting = runtime.spawn(async move { start(&*dying, spec).await.map(drop) });
        let stuck = tokio::time::timeout(Duration::from_secs(3), starting).await;
        runtime.shutdown_background();
        ensure!(stuck.is_err(), "it was not stopped: {stuck:?}");
        ensure!(bed.leftovers().await?.len() == 1, "{:?}", bed.leftovers().await?);
        let next = KubernetesExecutor::new(bed.admin.clone(), settings.clone());
        ensure!(next.adoptable().await?.is_empty());
        ensure!(bed.leftovers().await?.is_empty(), "{:?}", bed.leftovers().await?);
        is_gone(&bed, &namespace).await?;
    }
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_asks_for_another_namespace_runs_there_and_is_adopted() -> Result<()> {
    let (bed, other) = (Bed::new("home").await?, Bed::new("away").await?);
    let mut settings = bed.settings();
    settings.config.namespace_overwrite_allowed = "e2e-away-.*".into();
    let mut spec = job("1", "echo script-mark; sleep 5; echo end-mark");
    spec.variables.push(Variable::raw("KUBERNETES_NAMESPACE_OVERWRITE", other.namespace.as_str()));
    begin_and_die(KubernetesExecutor::new(bed.admin.clone(), settings.clone()), spec).await?;
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &other.namespace);
    let pods = pods.list(&ListParams::default()).await?.items;
    ensure!(pods.len() == 1, "{:?}", pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
    let (end, log) = adopted_by(KubernetesExecutor::new(bed.admin.clone(), settings)).await?;
    assert_eq!(end.outcome, JobOutcome::Succeeded, "{log}");
    ensure!(log.contains("script-mark\n") && log.contains("end-mark\n"), "{log}");
    other.close().await?;
    bed.close().await
}
