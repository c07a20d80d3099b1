//! The floor: bare pods, made without us.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream::BoxStream};
use k8s_openapi::{
    api::core::v1::{Container, EmptyDirVolumeSource, Pod, PodSpec, Volume, VolumeMount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::watcher::{self, Event, watcher},
};
use tokio::time::timeout;

use super::{
    bed::Bed,
    clock::{NodeTime, READ, now},
};

/// How long pods may take that end at once.
const PATIENCE: Duration = Duration::from_mins(5);

/// The label that tells one set of pods from the others.
const SET: &str = "bench-set";

/// What kind of pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One container and nothing else.
    OneContainer,
    /// A helper and a build container, with a volume in memory that both have.
    TwoContainers,
}

/// When things happened to a pod.
#[derive(Debug, Clone)]
pub(crate) struct BarePod {
    /// Its creation was sent.
    pub(crate) created: f64,
    /// The first command of its last container ran.
    pub(crate) began: NodeTime,
    /// All its containers were seen to have ended.
    pub(crate) ended: f64,
    /// How long from its deletion until it was gone.
    pub(crate) removal: f64,
}

/// Makes `count` pods at once, and waits until all were seen to have ended; then removes them.
pub(crate) async fn run(bed: &Bed, kind: Kind, image: &str, count: usize) -> Result<Vec<BarePod>> {
    let pods: Api<Pod> = bed.pods();
    let set = format!("floor-{}", now().to_bits());
    let config = watcher::Config::default().labels(&format!("{SET}={set}"));
    let mut events = watcher(pods.clone(), config).boxed();
    // The watch is not part of what is measured.
    while !matches!(events.try_next().await?, Some(Event::InitDone) | None) {}
    let create = try_join_all((0..count).map(|number| create(&pods, kind, image, &set, number)));
    let (created, ended) = tokio::try_join!(create, ended(&mut events, count))?;
    let mut removals = removals(&pods, &mut events, ended.keys()).await?;
    let mut found = Vec::new();
    for (name, created) in created {
        let (ended, pod) = ended.get(&name).context("a pod ended under another name")?;
        let began = began(pod).with_context(|| format!("{name} did not tell when it ran"))?;
        let removal = removals.remove(&name).context("a pod was removed under another name")?;
        found.push(BarePod { created, began, ended: *ended, removal });
    }
    Ok(found)
}

/// Removes pods, and tells how long each took to be gone.
async fn removals(
    pods: &Api<Pod>,
    events: &mut BoxStream<'_, watcher::Result<Event<Pod>>>,
    names: impl ExactSizeIterator<Item = &String>,
) -> Result<HashMap<String, f64>> {
    let (mut asked, mut gone) = (HashMap::new(), HashMap::new());
    for name in names {
        asked.insert(name.clone(), now());
        remove(pods, name).await?;
    }
    while gone.len() < asked.len() {
        match timeout(PATIENCE, events.try_next()).await.context("pods are not removed")?? {
            Some(Event::Delete(pod)) => {
                let name = pod.name_any();
                let before = asked.get(&name).copied().unwrap_or(f64::NAN);
                gone.insert(name, now() - before);
            }
            Some(_) => {}
            None => bail!("the watch ended"),
        }
    }
    Ok(gone)
}

async fn create(pods: &Api<Pod>, kind: Kind, image: &str, set: &str, number: usize) -> Result<(String, f64)> {
    let pod = pod(kind, image, set, number);
    let before = now();
    let name = pods.create(&PostParams::default(), &pod).await?.name_any();
    Ok((name, before))
}

/// Waits until that many pods were seen to have ended.
async fn ended(
    events: &mut BoxStream<'_, watcher::Result<Event<Pod>>>,
    count: usize,
) -> Result<HashMap<String, (f64, Pod)>> {
    let mut ended = HashMap::new();
    while ended.len() < count {
        let event = timeout(PATIENCE, events.try_next()).await.context("bare pods do not end")??;
        let pod = match event {
            Some(Event::Apply(pod) | Event::InitApply(pod)) => pod,
            Some(_) => continue,
            None => bail!("the watch ended"),
        };
        match phase(Some(&pod)) {
            Some("Failed") => bail!("a bare pod failed: {}", serde_json::to_string(&pod.status)?),
            Some("Succeeded") => {
                ended.entry(pod.name_any()).or_insert_with(|| (now(), pod));
            }
            _ => {
                if let Some(text) = no_image(&pod) {
                    bail!("a bare pod gets no image: {text}");
                }
            }
        }
    }
    Ok(ended)
}

/// Why a pod waits that will wait forever.
fn no_image(pod: &Pod) -> Option<&str> {
    let statuses = pod.status.as_ref()?.container_statuses.as_deref()?;
    let waiting = statuses.iter().filter_map(|status| status.state.as_ref()?.waiting.as_ref());
    let hopeless = ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];
    let is_hopeless =
        |reason: &Option<String>| reason.as_deref().is_some_and(|reason| hopeless.contains(&reason));
    let found = waiting.into_iter().find(|waiting| is_hopeless(&waiting.reason))?;
    Some(found.message.as_deref().unwrap_or("no reason is told"))
}

/// What the last container wrote.
fn began(pod: &Pod) -> Option<NodeTime> {
    let node = pod.spec.as_ref()?.node_name.as_deref()?;
    let last = &pod.spec.as_ref()?.containers.last()?.name;
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| status.name == *last)?;
    let text = status.state.as_ref()?.terminated.as_ref()?.message.as_deref()?;
    NodeTime::read(node, text).ok()
}

/// The phase of a pod.
pub(crate) fn phase(pod: Option<&Pod>) -> Option<&str> {
    pod?.status.as_ref()?.phase.as_deref()
}

/// Removes a pod that has ended.
pub(crate) async fn remove(pods: &Api<Pod>, name: &str) -> Result<()> {
    pods.delete(name, &DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() }).await?;
    Ok(())
}

fn pod(kind: Kind, image: &str, set: &str, number: usize) -> Pod {
    let tell = format!("{READ}; echo $up >/dev/termination-log");
    let name = format!("{set}-{number}");
    let mut build = container("build", image, &tell);
    if kind == Kind::OneContainer {
        return bare(set, &name, vec![build]);
    }
    let mut helper = container("helper", image, "true");
    for container in [&mut helper, &mut build] {
        let mount =
            VolumeMount { name: "runner".into(), mount_path: "/runner".into(), ..VolumeMount::default() };
        container.volume_mounts = Some(vec![mount]);
    }
    let mut pod = bare(set, &name, vec![helper, build]);
    if let Some(spec) = &mut pod.spec {
        let memory =
            EmptyDirVolumeSource { medium: Some("Memory".into()), ..EmptyDirVolumeSource::default() };
        spec.volumes =
            Some(vec![Volume { name: "runner".into(), empty_dir: Some(memory), ..Volume::default() }]);
    }
    pod
}

/// A container that runs `script`.
pub(crate) fn container(name: &str, image: &str, script: &str) -> Container {
    Container {
        name: name.into(),
        image: Some(image.into()),
        command: Some(vec!["sh".into(), "-c".into(), script.into()]),
        ..Container::default()
    }
}

/// A pod of these containers, with nothing else in it.
pub(crate) fn bare(set: &str, name: &str, containers: Vec<Container>) -> Pod {
    Pod {
        metadata: ObjectMeta {
            name: Some(name.into()),
            labels: Some([(SET.to_owned(), set.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            containers,
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            restart_policy: Some("Never".into()),
            termination_grace_period_seconds: Some(1),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}
