//! Pods that are evicted or preempted, before and after their script began.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{BUSYBOX, Bed, Started, git::Repository, job, start};
use k8s_openapi::api::{
    core::v1::{Node, Pod},
    scheduling::v1::PriorityClass,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use runner_core::{
    FailureReason, JobSpec,
    job::{Step, Variable},
};
use runner_k8s::{KubernetesSettings, config::PodSpecPatch};
use serde_json::json;

use super::{evict, failure, lines, real_node, succeeds};

/// A job whose script goes on until it is ended, with an `after_script`.
fn endless(id: &str) -> JobSpec {
    let mut spec = job(id, "echo script-mark; sleep 600");
    spec.steps.push(Step::after_script(vec!["echo after-mark".into()]));
    spec
}

async fn is_interrupted(started: &Started, words: &str) -> Result<()> {
    let (reason, message, log) = failure(started).await?;
    assert_eq!(reason, FailureReason::RunnerInterrupted, "{log}");
    ensure!(message.contains(words), "{message}: {log}");
    ensure!(log.contains("after-mark\n"), "{log}");
    assert_eq!(lines(&log, &message).len(), 1, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_evicted_before_its_script_is_replaced() -> Result<()> {
    let bed = Bed::new("evicted").await?;
    let executor = bed.executor();
    let repository = Repository::serve().await?;
    let gate = repository.gate().await?;
    let mut spec = job("1", "cat README; echo ran-the-script");
    repository.give_through(&gate, &mut spec.git);
    let started = start(&*executor, spec).await?;
    started.printed("Getting the sources").await?;
    evict(&bed).await?;
    started.printed("starting another pod").await?;
    gate.open();
    let log = succeeds(&started).await?;
    assert_eq!(lines(&log, "the pod was evicted").len(), 1, "{log}");
    assert_eq!(lines(&log, "ran-the-script").iter().filter(|line| **line == "ran-the-script").count(), 1);
    ensure!(log.contains("a readme from git\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_evicted_during_its_script_is_an_interruption() -> Result<()> {
    let bed = Bed::new("drained").await?;
    let executor = bed.executor();
    let started = start(&*executor, endless("1")).await?;
    started.printed("script-mark").await?;
    evict(&bed).await?;
    is_interrupted(&started, "the pod was evicted").await?;
    bed.close().await
}

/// One of something on the node, which one pod at a time can have, and a priority class above that of jobs.
struct Slot {
    nodes: Api<Node>,
    node: String,
    /// The name of the resource, with its slash as a JSON pointer has it.
    pointer: String,
    resource: String,
    classes: Api<PriorityClass>,
    class: String,
    pods: Api<Pod>,
}

impl Slot {
    async fn new(bed: &Bed) -> Result<Self> {
        let nodes: Api<Node> = Api::all(bed.admin.clone());
        let node = real_node(bed).await?;
        let (resource, class) = (format!("e2e.example.com/{}", bed.namespace), bed.namespace.clone());
        let slot = Self {
            nodes,
            node,
            pointer: format!("/status/capacity/{}", resource.replace('/', "~1")),
            resource,
            classes: Api::all(bed.admin.clone()),
            class,
            pods: Api::namespaced(bed.admin.clone(), &bed.namespace),
        };
        slot.patch(json!([{"op": "add", "path": slot.pointer, "value": "1"}])).await?;
        let (nodes, name, resource) = (slot.nodes.clone(), slot.node.clone(), slot.resource.clone());
        // The kubelet takes it over after a moment.
        let has_it = kube::runtime::wait::await_condition(nodes, &name, move |node: Option<&Node>| {
            let room = node.and_then(|node| node.status.as_ref()?.allocatable.as_ref());
            room.is_some_and(|room| room.contains_key(&resource))
        });
        tokio::time::timeout(Duration::from_mins(1), has_it)
            .await
            .context("the node does not offer it")??;
        let class = json!({"metadata": {"name": slot.class}, "value": 1000});
        slot.classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
        Ok(slot)
    }

    async fn patch(&self, operations: serde_json::Value) -> Result<()> {
        let patch: Patch<()> = Patch::Json(serde_json::from_value(operations)?);
        self.nodes.patch_status(&self.node, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Makes jobs want it.
    fn wanted_by(&self, settings: &mut KubernetesSettings) {
        let container = json!({"name": "build", "resources": {"limits": {(self.resource.as_str()): "1"}}});
        let patch = json!({"containers": [container]}).to_string();
        settings.config.pod_spec.push(PodSpecPatch { name: "slot".into(), patch, ..PodSpecPatch::default() });
        settings.runner.flags = BTreeMap::from([("FF_USE_ADVANCED_POD_SPEC_CONFIGURATION".into(), true)]);
    }

    /// Makes a pod that takes it from a job.
    async fn take(&self) -> Result<()> {
        let pod = json!({
            "metadata": {"name": "important"},
            "spec": {
                "priorityClassName": self.class,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "main",
                    "image": BUSYBOX,
                    "command": ["sleep", "600"],
                    "resources": {"limits": {(self.resource.as_str()): "1"}}
                }]
            }
        });
        self.pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(())
    }

    /// Removes that pod.
    async fn give_back(&self) -> Result<()> {
        self.pods.delete("important", &DeleteParams::default()).await?;
        let is_gone =
            kube::runtime::wait::await_condition(self.pods.clone(), "important", |pod: Option<&Pod>| {
                pod.is_none()
            });
        tokio::time::timeout(Duration::from_mins(1), is_gone).await??;
        Ok(())
    }

    async fn close(self) -> Result<()> {
        self.classes.delete(&self.class, &DeleteParams::default()).await?;
        self.patch(json!([{"op": "remove", "path": self.pointer}])).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_preempted_before_its_script_is_replaced() -> Result<()> {
    let bed = Bed::new("preempted").await?;
    let slot = Slot::new(&bed).await?;
    let done = preempt_before_the_script(&bed, &slot).await;
    slot.close().await?;
    done?;
    bed.close().await
}

async fn preempt_before_the_script(bed: &Bed, slot: &Slot) -> Result<()> {
    let mut settings = bed.settings();
    slot.wanted_by(&mut settings);
    let executor = bed.executor_with(settings);
    let repository = Repository::serve().await?;
    let gate = repository.gate().await?;
    let mut spec = job("1", "cat README");
    spec.variables.push(Variable::raw("GET_SOURCES_ATTEMPTS", "1"));
    repository.give_through(&gate, &mut spec.git);
    let started = start(&*executor, spec).await?;
    started.printed("Getting the sources").await?;
    slot.take().await?;
    started.printed("starting another pod").await?;
    // The new one waits for what the other one has now.
    started.printed("too little free e2e.example.com/").await?;
    gate.open();
    slot.give_back().await?;
    let log = succeeds(&started).await?;
    assert_eq!(lines(&log, "the pod was preempted").len(), 1, "{log}");
    ensure!(log.contains("a readme from git\n"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_preempted_during_its_script_is_an_interruption() -> Result<()> {
    let bed = Bed::new("displaced").await?;
    let slot = Slot::new(&bed).await?;
    let mut settings = bed.settings();
    slot.wanted_by(&mut settings);
    let executor = bed.executor_with(settings);
    let done = async {
        let started = start(&*executor, endless("1")).await?;
        started.printed("script-mark").await?;
        slot.take().await?;
        is_interrupted(&started, "the pod was preempted").await?;
        slot.give_back().await
    };
    let done = done.await;
    slot.close().await?;
    done?;
    bed.close().await
}
