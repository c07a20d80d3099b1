//! The node: an object that is kept ready by its lease.

use std::time::Duration;

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, Pod},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{TAINT, registrar::Registrar};

/// Where the leases of nodes are.
const LEASES: &str = "kube-node-lease";

/// How often a node says that it is there, as a kubelet does by default.
const RENEWAL: Duration = Duration::from_secs(10);

/// Makes the node, whose kubelet listens on `port`.
pub(super) async fn create(registrar: &Registrar, port: u16) -> kube::Result<()> {
    let name = registrar.node();
    let nodes: Api<Node> = Api::all(registrar.client.clone());
    let node = json!({
        "metadata": { "name": name, "labels": { TAINT: name, "kubernetes.io/hostname": name } },
        "spec": { "taints": [{ "key": TAINT, "value": name, "effect": "NoSchedule" }] },
    });
    nodes.create(&PostParams::default(), &read(node)?).await?;
    renew(registrar, true).await?;
    let room =
        json!({ "cpu": "4000", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": registrar.room() });
    let status = json!({ "status": {
        "capacity": room, "allocatable": room, "conditions": conditions(),
        "addresses": [{ "type": "InternalIP", "address": registrar.address() }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
        "nodeInfo": {
            "architecture": std::env::consts::ARCH, "bootID": "", "containerRuntimeVersion": "simulated://1",
            "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "v1.33.0-simulated", "machineID": "",
            "operatingSystem": "linux", "osImage": "", "systemUUID": ""
        }
    }});
    nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

fn conditions() -> Vec<Value> {
    let now = Timestamp::now().to_string();
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "simulated",
            "lastHeartbeatTime": now, "lastTransitionTime": now
        })
    };
    vec![
        condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        condition("PIDPressure", "False", "KubeletHasSufficientPID"),
        condition("Ready", "True", "KubeletReady"),
    ]
}

/// Renews the lease as long as it is polled.
pub(super) async fn keep_ready(registrar: Arc<Registrar>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        // The next time is early enough.
        drop(renew(&registrar, false).await);
    }
}

async fn renew(registrar: &Registrar, is_first: bool) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(registrar.client.clone(), LEASES);
    let name = registrar.node();
    let now = MicroTime(Timestamp::now());
    let spec = json!({ "holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now });
    if is_first {
        let lease = read(json!({ "metadata": { "name": name }, "spec": spec }))?;
        leases.create(&PostParams::default(), &lease).await?;
    } else {
        leases.patch(name, &PatchParams::default(), &Patch::Merge(json!({ "spec": spec }))).await?;
    }
    Ok(())
}

/// Removes the node, and the pods that are still bound to it.
pub(super) async fn remove(registrar: &Registrar) -> kube::Result<()> {
    let name = registrar.node();
    let pods: Api<Pod> = Api::all(registrar.client.clone());
    let bound = ListParams::default().fields(&format!("spec.nodeName={name}"));
    for pod in pods.list(&bound).await?.items {
        let Some(namespace) = pod.namespace() else { continue };
        let pods: Api<Pod> = Api::namespaced(registrar.client.clone(), &namespace);
        // Whoever deleted it in the meantime did the same.
        drop(pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await);
    }
    let leases: Api<Lease> = Api::namespaced(registrar.client.clone(), LEASES);
    drop(leases.delete(name, &DeleteParams::default()).await);
    Api::<Node>::all(registrar.client.clone()).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

/// An object of its JSON.
fn read<T: serde::de::DeserializeOwned>(value: Value) -> kube::Result<T> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}
