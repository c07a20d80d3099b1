//! What becomes of a job besides kills: it is canceled, its pod is deleted, or must wait for its place.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use runner_testkit::gitlab::JobState;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::{Queued, Stage, Wait};
use crate::{
    Bed,
    registry::{FaultyRegistry, push_fresh},
    soak::{Kind, delete_pod_of},
};

/// So many registries with the same image, which are used in turn: a node that has pulled from one asks it no more.
const REGISTRIES: usize = 12;

/// Where pods wait: a node whose labels they want, and registries that refuse at first.
pub(super) struct Places {
    node: String,
    prefix: String,
    image: String,
    registries: Vec<FaultyRegistry>,
    next: std::sync::atomic::AtomicUsize,
}

impl Places {
    pub(super) async fn new(bed: &Bed) -> Result<Self> {
        let nodes: Api<Node> = Api::all(bed.admin.clone());
        let ready = |node: &Node| {
            let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
        };
        let node = nodes.list(&ListParams::default()).await?.items.into_iter().find(ready);
        let node = node.context("the cluster has no node")?.name_any();
        let image = push_fresh().await?;
        let mut registries = Vec::new();
        for _ in 0..REGISTRIES {
            registries.push(FaultyRegistry::start(&["--refuse", "1", "--status", "503"]).await?);
        }
        let prefix = format!("{}.e2e.example.com", bed.namespace);
        Ok(Self { node, prefix, image, registries, next: 0.into() })
    }

    /// The label of the node that a job waits for.
    pub(super) fn label(&self, job: &str) -> String {
        format!("{}/{job}", self.prefix)
    }

    /// An image that its registry refuses at first.
    pub(super) fn image(&self) -> String {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{}/{}", self.registries[number % REGISTRIES].name, self.image)
    }

    async fn give(&self, bed: &Bed, job: &str) -> Result<()> {
        self.patch(bed, [(self.label(job), json!("yes"))].into_iter().collect()).await
    }

    /// Takes all labels from the node again.
    pub(super) async fn remove(&self, bed: &Bed) -> Result<()> {
        let node = Api::<Node>::all(bed.admin.clone()).get(&self.node).await?;
        let ours = node.labels().keys().filter(|label| label.starts_with(&self.prefix));
        self.patch(bed, ours.map(|label| (label.clone(), Value::Null)).collect()).await
    }

    async fn patch(&self, bed: &Bed, labels: Map<String, Value>) -> Result<()> {
        let nodes: Api<Node> = Api::all(bed.admin.clone());
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        nodes.patch(&self.node, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

impl Stage {
    /// Does to a job what is planned, and waits until it is over.
    pub(super) async fn disturb(&self, queued: &Queued) {
        let Queued { id, .. } = *queued;
        let gitlab = &self.server.gitlab;
        let over = async {
            gitlab.wait_until_over(id).await;
        };
        let planned = async {
            gitlab.wait_for(id, |job| !matches!(job.state, JobState::Queued | JobState::Assigned)).await;
            tokio::join!(self.free(queued), self.harm(queued), self.damage(queued));
        };
        tokio::join!(over, planned);
    }

    async fn free(&self, Queued { job, wait, .. }: &Queued) {
        let (Some(Wait::Node(after)), Some(places)) = (*wait, &self.places) else { return };
        sleep(after).await;
        while let Err(error) = places.give(&self.bed, &job.id).await {
            println!("soak: cannot label the node for {}: {error:#}", job.id);
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn damage(&self, Queued { id, damage_after, .. }: &Queued) {
        if let Some(after) = *damage_after {
            sleep(after).await;
            self.server.gitlab.damage_trace(*id);
        }
    }

    async fn harm(&self, Queued { job, id, .. }: &Queued) {
        match job.kind {
            Kind::Canceled | Kind::Aborted => {
                sleep(job.plan.cancel_after.unwrap_or_default()).await;
                if job.kind == Kind::Aborted {
                    self.server.gitlab.cancel_hard(*id);
                } else {
                    self.server.gitlab.cancel(*id);
                }
            }
            Kind::Deleted { after, grace } => {
                sleep(after).await;
                let id = id.to_string();
                let found = delete_pod_of(&self.bed, &self.deletions, (&job.id, &id), grace);
                if let Err(error) = found.await {
                    println!("soak: cannot delete the pod of {}: {error:#}", job.id);
                }
            }
            _ => {}
        }
    }
}
