//! Nodes that are missing, too small, or go away.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{Bed, job, start};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use runner_core::{FailureReason, JobOutcome, executor::Stop};
use serde_json::json;
use tokio::time::Instant;

use super::{HOLLOW, failure, lines, only_pod, real_node, succeeds};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_later_is_waited_for() -> Result<()> {
    let bed = Bed::new("node").await?;
    let label = format!("e2e.example.com/{}", bed.namespace);
    let mut settings = bed.settings();
    settings.config.node_selector = BTreeMap::from([(label.clone(), "yes".into())]);
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "echo ran-the-script")).await?;
    let words = "waiting for a node:";
    started.printed(words).await?;
    // Whatever else changes of the pod, the same is not said again.
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let waiting = only_pod(&bed).await?.name_any();
    for number in 0..5 {
        let seen =
            Patch::Merge(json!({"metadata": {"annotations": {"e2e.example.com/seen": format!("{number}")}}}));
        pods.patch(&waiting, &PatchParams::default(), &seen).await?;
    }
    let nodes: Api<Node> = Api::all(bed.admin.clone());
    let node = real_node(&bed).await?;
    let labelled =
        |value: Option<&str>| Patch::Merge(json!({"metadata": {"labels": {(label.as_str()): value}}}));
    nodes.patch(&node, &PatchParams::default(), &labelled(Some("yes"))).await?;
    let log = succeeds(&started).await;
    nodes.patch(&node, &PatchParams::default(), &labelled(None)).await?;
    let log = log?;
    ensure!(log.contains("ran-the-script\n"), "{log}");
    // It is said again only where the reason changes, as it does with a node that another test makes.
    let said = lines(&log, words);
    ensure!(said.windows(2).all(|pair| pair[0] != pair[1]), "{log}");
    ensure!(said[0].contains("node selector"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_node_has_the_memory_for_says_so_and_can_be_canceled() -> Result<()> {
    let bed = Bed::new("memory").await?;
    let mut settings = bed.settings();
    settings.config.memory_request = "900Gi".into();
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "echo never")).await?;
    started.printed("too little free memory").await?;
    let deadline = Instant::now() + Duration::from_mins(1);
    let stopped = Instant::now();
    started.job.stop(Stop::Graceful { deadline }).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    assert_eq!(end.outcome, JobOutcome::Canceled, "{log}");
    ensure!(!end.script_begun, "{log}");
    ensure!(stopped.elapsed() < Duration::from_secs(10), "it took {:?}", stopped.elapsed());
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_no_node_has_the_memory_for_fails_when_its_budget_is_spent() -> Result<()> {
    let bed = Bed::new("budget").await?;
    let mut settings = bed.settings();
    settings.config.memory_request = "900Gi".into();
    settings.config.poll_timeout = 5;
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "echo never")).await?;
    let (reason, message, _) = failure(&started).await?;
    assert_eq!(reason, FailureReason::RunnerSystemFailure, "{message}");
    ensure!(message.contains("5 s (poll_timeout)") && message.contains("memory"), "{message}");
    bed.close().await
}

/// A node without a kubelet: pods are bound to it and nothing becomes of them.
async fn hollow_node(bed: &Bed, name: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(bed.admin.clone());
    // The taint keeps the pods of others away.
    let taints = json!([{"key": HOLLOW, "effect": "NoSchedule"}]);
    let node = json!({
        "metadata": {"name": name, "labels": {HOLLOW: name}},
        "spec": {"taints": taints}
    });
    nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
    let room = json!({"cpu": "8", "memory": "32Gi", "pods": "10", "ephemeral-storage": "100Gi"});
    let ready = json!([{
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
        "lastHeartbeatTime": k8s_openapi::jiff::Timestamp::now().to_string(),
        "lastTransitionTime": k8s_openapi::jiff::Timestamp::now().to_string(),
    }]);
    let status = json!({"status": {"capacity": room, "allocatable": room, "conditions": ready}});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    let only_ours = json!({"spec": {"taints": taints}});
    nodes.patch(name, &PatchParams::default(), &Patch::Merge(only_ours)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_goes_away_is_an_interruption_that_names_it() -> Result<()> {
    let bed = Bed::new("gone").await?;
    let node = format!("gone-{}", bed.namespace);
    hollow_node(&bed, &node).await?;
    let mut settings = bed.settings();
    settings.config.poll_timeout = 600;
    settings.config.node_selector = BTreeMap::from([(HOLLOW.into(), node.clone())]);
    settings.config.node_tolerations = BTreeMap::from([
        (HOLLOW.into(), "NoSchedule".into()),
        ("node.kubernetes.io/not-ready".into(), "NoSchedule".into()),
    ]);
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "echo never")).await?;
    let is_bound = |pod: &Arc<Pod>| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let bound = bed.until::<Pod>(|pods| pods.iter().any(is_bound)).await;
    let nodes: Api<Node> = Api::all(bed.admin.clone());
    nodes.delete(&node, &DeleteParams::default()).await?;
    bound.with_context(|| format!("the pod was not bound: {}", started.report.text()))?;
    let (reason, message, log) = failure(&started).await?;
    assert_eq!(reason, FailureReason::RunnerInterrupted, "{log}");
    ensure!(message.contains(&node), "{message}");
    bed.close().await
}
