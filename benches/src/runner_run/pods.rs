//! The pods of jobs: which node each is on, and whether any are left.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

/// The label of the pods of jobs.
const OURS: &str = "app.kubernetes.io/managed-by=runner";

/// How long pods may take to vanish.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
struct Known {
    /// Also those that are gone.
    nodes: BTreeMap<String, String>,
    there: BTreeSet<String>,
}

/// All pods of jobs in a namespace.
pub(super) struct Pods {
    known: watch::Receiver<Known>,
    _task: JoinSet<()>,
}

impl Pods {
    /// Watches them. Must be called within a runtime.
    pub(super) fn watch(pods: Api<Pod>) -> Self {
        let (sender, known) = watch::channel(Known::default());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let events = watcher(pods, watcher::Config::default().labels(OURS));
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                // One that fails is begun again, with everything that is there.
                let Ok(event) = event else { continue };
                sender.send_modify(|known| note(known, event));
            }
        });
        Self { known, _task: task }
    }

    /// The node that a pod is on, or was.
    pub(super) async fn node_of(&self, pod: &str) -> Result<String> {
        let mut known = self.known.clone();
        let found = timeout(PATIENCE, known.wait_for(|known| known.nodes.contains_key(pod))).await;
        let found = found.context("a pod of a job was never seen")??;
        found.nodes.get(pod).cloned().context("a pod without a node")
    }

    /// Waits until all are gone.
    pub(super) async fn until_gone(&self) -> Result<()> {
        let mut known = self.known.clone();
        let gone = timeout(PATIENCE, known.wait_for(|known| known.there.is_empty())).await;
        gone.context("pods of jobs that have ended do not vanish")??;
        Ok(())
    }
}

fn note(known: &mut Known, event: Event<Pod>) {
    match event {
        Event::Init => known.there.clear(),
        Event::InitDone => {}
        Event::Delete(pod) => {
            known.there.remove(&pod.name_any());
        }
        Event::Apply(pod) | Event::InitApply(pod) => {
            let name = pod.name_any();
            known.there.insert(name.clone());
            if let Some(node) = pod.spec.and_then(|spec| spec.node_name) {
                known.nodes.insert(name, node);
            }
        }
    }
}
