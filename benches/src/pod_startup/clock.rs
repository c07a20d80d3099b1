//! One clock for everything that is measured, wherever it happens.

use std::{collections::BTreeMap, sync::LazyLock};

use anyhow::{Context, Result};
use futures_util::{AsyncBufReadExt, StreamExt};
use k8s_openapi::api::core::v1::{Pod, Toleration};
use kube::{
    Api,
    api::{LogParams, PostParams},
    runtime::wait::await_condition,
};
use tokio::time::{Duration, Instant, timeout};

use super::{bed::Bed, floor};

/// Reads the clock of the node into the variable `up`, without a program: the first command of everything measured.
pub(crate) const READ: &str = "read up idle </proc/uptime";

/// What `/proc/uptime` is exact to is 10 ms, and it is cut: on average it is half of that too early.
const HALF_A_STEP: f64 = 5.0;

/// How long a clock is looked at.
const LINES: usize = 150;

/// How long a clock's pod may take.
const PATIENCE: Duration = Duration::from_mins(2);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds of the clock of this process.
pub(crate) fn now() -> f64 {
    START.elapsed().as_secs_f64() * 1000.0
}

/// The milliseconds at which that was.
pub(crate) fn at(moment: Instant) -> f64 {
    moment.duration_since(*START).as_secs_f64() * 1000.0
}

/// A time as a pod read it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeTime {
    /// The node whose clock it is.
    pub(crate) node: String,
    /// Milliseconds since it was started.
    pub(crate) uptime: f64,
}

impl NodeTime {
    /// A time that was read as `text` on `node`.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn read(node: &str, text: &str) -> Result<Self> {
        let seconds: f64 =
            text.trim().parse().with_context(|| format!("{text:?} is no content of /proc/uptime"))?;
        Ok(Self { node: node.to_owned(), uptime: seconds * 1000.0 + HALF_A_STEP })
    }
}

/// How the clocks of nodes differ from ours.
#[derive(Debug, Default)]
pub(crate) struct Clocks(BTreeMap<String, f64>);

impl Clocks {
    /// Looks at the clocks of all nodes that `times` were read on.
    ///
    /// A pod prints its time again and again; the line that arrived soonest tells the difference, but for the few
    /// milliseconds of its way, by which everything in pods seems later. That is the same for jobs and for bare pods.
    pub(crate) async fn measure(
        bed: &Bed,
        image: &str,
        times: impl Iterator<Item = &NodeTime>,
    ) -> Result<Self> {
        let mut clocks = Self::default();
        for time in times {
            if !clocks.0.contains_key(&time.node) {
                let difference = difference(bed, image, &time.node).await;
                let difference =
                    difference.with_context(|| format!("the clock of {} cannot be read", time.node))?;
                clocks.0.insert(time.node.clone(), difference);
            }
        }
        Ok(clocks)
    }

    /// When that was by our clock.
    pub(crate) fn ours(&self, time: &NodeTime) -> Result<f64> {
        let difference = self.0.get(&time.node).context("a node whose clock was not looked at")?;
        Ok(time.uptime + difference)
    }
}

/// What is to be added to a node's uptime to get our time.
async fn difference(bed: &Bed, image: &str, node: &str) -> Result<f64> {
    let script = format!("i=0; while [ $i -lt {LINES} ]; do {READ}; echo $up; i=$((i+1)); sleep 0.02; done");
    let mut pod =
        floor::bare("clock", &format!("clock-of-{node}"), vec![floor::container("clock", image, &script)]);
    if let Some(spec) = &mut pod.spec {
        spec.node_name = Some(node.to_owned());
        // A node's clock is looked at even where nothing else may run any more.
        spec.tolerations =
            Some(vec![Toleration { operator: Some("Exists".into()), ..Toleration::default() }]);
    }
    let pods: Api<Pod> = bed.pods();
    let name =
        pods.create(&PostParams::default(), &pod).await?.metadata.name.context("a pod without a name")?;
    let started =
        await_condition(pods.clone(), &name, |pod: Option<&Pod>| floor::phase(pod) != Some("Pending"));
    timeout(PATIENCE, started).await.context("its pod does not start")??;
    let parameters = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&name, &parameters).await?.lines();
    let mut least = f64::INFINITY;
    while let Some(line) = timeout(PATIENCE, lines.next()).await.context("its pod prints nothing")? {
        // Of the shortest way, it also is the one that was cut least: nothing is to be added here.
        let uptime = NodeTime::read(node, &line?)?.uptime - HALF_A_STEP;
        least = least.min(now() - uptime);
    }
    floor::remove(&pods, &name).await?;
    anyhow::ensure!(least.is_finite(), "its pod printed nothing");
    Ok(least)
}
