//! Pods of all configurations, as the API server sees them: every key that ends up in a pod is one that it accepts.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::Bed;
use k8s_openapi::api::{
    core::v1::{Pod, ServiceAccount},
    node::v1::RuntimeClass,
    scheduling::v1::PriorityClass,
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};

/// The snapshots of whole pods.
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../runner-k8s/src/pod/snapshots");

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_of_the_snapshots_is_accepted() -> Result<()> {
    let bed = Bed::new("pods").await?;
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut accepted = 0;
    let mut refused = Vec::new();
    for entry in std::fs::read_dir(SNAPSHOTS)? {
        let path = entry?.path();
        let Some(mut pod) = pod_of(&path)? else { continue };
        let classes = Classes::make(&bed.admin, &mut pod, &bed.namespace).await?;
        pod.metadata.namespace = None;
        pod.metadata.owner_references = None;
        match pods.create(&dry_run, &pod).await {
            Ok(_) => accepted += 1,
            Err(error) => refused.push(format!("{}: {error}", path.display())),
        }
        classes.remove(&bed.admin).await;
    }
    ensure!(refused.is_empty(), "{refused:#?}");
    ensure!(accepted >= 6, "only {accepted} snapshots are pods");
    bed.close().await
}

/// The pod of a snapshot; `None` where it is a part of one, or something else.
fn pod_of(path: &Path) -> Result<Option<Pod>> {
    let text = std::fs::read_to_string(path)?;
    let (_, body) = text.trim_start_matches("---").split_once("\n---\n").context("no snapshot")?;
    let value: serde_json::Value = serde_json::from_str(body).with_context(|| path.display().to_string())?;
    if value["spec"]["containers"].is_null() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_value(value)?))
}

/// What a pod needs to exist in the cluster, under names of this test alone.
#[derive(Default)]
struct Classes {
    priority: Option<String>,
    runtime: Option<String>,
}

impl Classes {
    async fn make(admin: &Client, pod: &mut Pod, namespace: &str) -> Result<Self> {
        let parameters = PostParams::default();
        let spec = pod.spec.as_mut().context("no spec")?;
        if let Some(account) = &spec.service_account_name {
            let account =
                serde_json::from_value::<ServiceAccount>(serde_json::json!({"metadata": {"name": account}}))?;
            // Another snapshot may have made it.
            drop(Api::namespaced(admin.clone(), namespace).create(&parameters, &account).await);
        }
        let mut classes = Self::default();
        if spec.priority_class_name.is_some() {
            let class = serde_json::json!({"metadata": {"name": namespace}, "value": 1});
            let class = serde_json::from_value::<PriorityClass>(class)?;
            Api::all(admin.clone()).create(&parameters, &class).await?;
            spec.priority_class_name = Some(namespace.to_owned());
            classes.priority = Some(namespace.to_owned());
        }
        if spec.runtime_class_name.is_some() {
            let class = serde_json::json!({"metadata": {"name": namespace}, "handler": "runc"});
            let class = serde_json::from_value::<RuntimeClass>(class)?;
            Api::all(admin.clone()).create(&parameters, &class).await?;
            spec.runtime_class_name = Some(namespace.to_owned());
            classes.runtime = Some(namespace.to_owned());
        }
        Ok(classes)
    }

    async fn remove(self, admin: &Client) {
        let parameters = DeleteParams::default();
        if let Some(name) = self.priority {
            drop(Api::<PriorityClass>::all(admin.clone()).delete(&name, &parameters).await);
        }
        if let Some(name) = self.runtime {
            drop(Api::<RuntimeClass>::all(admin.clone()).delete(&name, &parameters).await);
        }
    }
}
