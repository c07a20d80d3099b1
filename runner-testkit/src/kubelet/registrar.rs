//! Which pods are on the node, and the tasks that play them.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{sync::watch, task::JoinSet};

use super::{KubeletSettings, Pace, life, log::ContainerLog, sandbox::Sandbox};

/// How long a pod has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// Nobody deleted it.
    None,
    /// So long from now on.
    Graceful(Duration),
    /// It is gone from the API server already.
    Gone,
}

/// What is found where the log of a container is asked for.
#[derive(Debug)]
pub(super) enum Found {
    /// The pod is not on the node.
    NoPod,
    /// The container has not started.
    NotStarted,
    /// Its log.
    Log(Arc<ContainerLog>),
}

/// What is known of a pod on the node.
#[derive(Debug)]
struct Known {
    namespace: String,
    name: String,
    deletion: watch::Sender<Deletion>,
    /// The logs of its containers, by name, as soon as they have started.
    logs: Arc<Mutex<BTreeMap<String, Arc<ContainerLog>>>>,
    /// Ends with the pod: whatever runs in it is owned by this.
    task: JoinSet<()>,
}

/// What all tasks of a kubelet share.
pub(super) struct Registrar {
    pub(super) client: Client,
    settings: KubeletSettings,
    pub(super) sandbox: Option<Sandbox>,
    pods: Mutex<BTreeMap<String, Known>>,
    next_address: AtomicU32,
    running: AtomicUsize,
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Registrar").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Registrar {
    pub(super) fn new(client: Client, settings: KubeletSettings, sandbox: Option<Sandbox>) -> Self {
        Self {
            client,
            settings,
            sandbox,
            pods: Mutex::default(),
            next_address: AtomicU32::new(1),
            running: AtomicUsize::new(0),
        }
    }

    pub(super) fn node(&self) -> &str {
        &self.settings.name
    }

    pub(super) fn address(&self) -> IpAddr {
        self.settings.address
    }

    pub(super) fn room(&self) -> String {
        self.settings.pods.to_string()
    }

    pub(super) fn pace_of(&self, pod: &Pod) -> Pace {
        (self.settings.pacing)(pod)
    }

    /// An address that no other pod has, for its status: nothing listens there.
    pub(super) fn pod_address(&self) -> String {
        let number = self.next_address.fetch_add(1, Ordering::Relaxed);
        let [_, second, third, fourth] = number.to_be_bytes();
        format!("10.{}.{third}.{fourth}", 128 | (second & 127))
    }

    pub(super) fn count(&self) -> usize {
        self.pods().len()
    }

    /// How many pods have run.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// One more runs.
    pub(super) fn note_running(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// The log of a container.
    pub(super) fn log(&self, namespace: &str, pod: &str, container: &str) -> Found {
        let pods = self.pods();
        let is_it = |known: &&Known| known.namespace == namespace && known.name == pod;
        let Some(known) = pods.values().find(is_it) else { return Found::NoPod };
        let logs = known.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.get(container).cloned().map_or(Found::NotStarted, Found::Log)
    }

    /// Ends everything that runs in pods, and forgets them.
    pub(super) async fn end_all(&self) {
        let pods = std::mem::take(&mut *self.pods());
        for mut known in pods.into_values() {
            known.task.shutdown().await;
        }
    }

    fn pods(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows what the API server binds to the node and deletes of it, as long as it is polled.
pub(super) async fn follow(registrar: Arc<Registrar>) {
    let pods: Api<Pod> = Api::all(registrar.client.clone());
    let bound = watcher::Config::default().fields(&format!("spec.nodeName={}", registrar.node()));
    let mut events = std::pin::pin!(watcher(pods, bound));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => see(&registrar, pod),
            Ok(Event::Delete(pod)) => {
                let pods = registrar.pods();
                if let Some(known) = pod.uid().and_then(|uid| pods.get(&uid)) {
                    known.deletion.send_replace(Deletion::Gone);
                }
            }
            Ok(Event::Init | Event::InitDone) => {}
            // The watch begins again by itself.
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

fn see(registrar: &Arc<Registrar>, pod: Pod) {
    let Some(uid) = pod.uid() else { return };
    let deletion = match (&pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds) {
        (None, _) => Deletion::None,
        (Some(_), grace) => Deletion::Graceful(Duration::from_secs(
            grace.and_then(|grace| grace.try_into().ok()).unwrap_or(0),
        )),
    };
    let mut pods = registrar.pods();
    if let Some(known) = pods.get(&uid) {
        known.deletion.send_if_modified(|known| {
            let is_news = deletion != Deletion::None && *known != Deletion::Gone && *known != deletion;
            if is_news {
                *known = deletion;
            }
            is_news
        });
        return;
    }
    let (sender, receiver) = watch::channel(deletion);
    let logs = Arc::default();
    let mut task = JoinSet::new();
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let life = life::Life::new(Arc::clone(registrar), pod, receiver, Arc::clone(&logs));
    let (of_task, uid_of_task) = (Arc::clone(registrar), uid.clone());
    task.spawn(async move {
        life.run().await;
        let known = of_task.pods().remove(&uid_of_task);
        // It owns this task, which has nothing more to do.
        if let Some(mut known) = known {
            known.task.detach_all();
        }
    });
    pods.insert(uid, Known { namespace, name, deletion: sender, logs, task });
}
