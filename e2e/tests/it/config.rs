//! What some configurations ask of the cluster besides a pod.

use anyhow::{Context, Result, ensure};
use e2e::{Bed, job, start};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, api::ListParams};
use runner_core::{JobOutcome, job::Variable};
use runner_k8s::KubernetesExecutor;

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_protects_the_pod_while_the_job_runs() -> Result<()> {
    let bed = Bed::new("budget").await?;
    let mut settings = bed.settings();
    settings.config.pod_disruption_budget = true;
    let executor = KubernetesExecutor::new(bed.admin.clone(), settings);
    let started = start(&*executor, job("1", "echo script-mark; sleep 5")).await?;
    started.printed("script-mark").await?;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let made = budgets.list(&ListParams::default()).await?.items;
    let selector = made.first().and_then(|budget| budget.spec.as_ref()?.selector.clone());
    ensure!(selector.is_some(), "there is no budget: {made:?}");
    assert_eq!(started.finish().await?.outcome, JobOutcome::Succeeded, "{}", started.report.text());
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_may_not_be_made_keeps_no_job_from_running() -> Result<()> {
    let bed = Bed::new("nobudget").await?;
    let mut settings = bed.settings();
    settings.config.pod_disruption_budget = true;
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "true")).await?;
    assert_eq!(started.finish().await?.outcome, JobOutcome::Succeeded, "{}", started.report.text());
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_shown_where_they_are_asked_for() -> Result<()> {
    let bed = Bed::new("events").await?;
    let mut settings = bed.settings();
    settings.config.print_pod_warning_events = Some(true);
    settings.config.node_selector.insert("no-such-label".into(), "x".into());
    settings.config.poll_timeout = 6;
    let executor = KubernetesExecutor::new(bed.admin.clone(), settings);
    let started = start(&*executor, job("1", "true")).await?;
    let end = started.finish().await?;
    ensure!(!end.outcome.is_success());
    let log = started.report.text();
    ensure!(log.contains("WARNING: Event: FailedScheduling"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_bring_its_own_token() -> Result<()> {
    let bed = Bed::new("token").await?;
    let mut settings = bed.settings();
    settings.config.bearer_token_overwrite_allowed = true;
    let executor = bed.executor_with(settings);
    let mut spec = job("1", "true");
    spec.variables.push(Variable::raw("KUBERNETES_BEARER_TOKEN", "no-such-token"));
    let refused = start(&*executor, spec).await.err().context("a wrong token was taken")?;
    ensure!(refused.kind() == runner_core::ErrorKind::Unauthorized, "{}", refused.chain());
    let mut spec = job("2", "true");
    spec.variables.push(Variable::raw("KUBERNETES_BEARER_TOKEN", bed.token.clone()));
    let started = start(&*executor, spec).await?;
    assert_eq!(started.finish().await?.outcome, JobOutcome::Succeeded, "{}", started.report.text());
    bed.close().await
}
