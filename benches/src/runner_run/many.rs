//! Many jobs at once, in the pods of a node that is simulated: what they cost is the manager alone.

use std::path::Path;

use anyhow::{Context, Result};
use runner_testkit::{
    gitlab::JobState,
    kubelet::{Kubelet, KubeletSettings, TAINT},
};
use tokio::time::{Duration, Instant, sleep, timeout};

use super::{
    course::{Scene, say},
    figures::Many,
    process::Process,
};
use crate::pod_startup::clock::now;

/// How long all of them may take to run.
const PATIENCE: Duration = Duration::from_mins(10);

/// How often it is looked whether all of them run.
const LOOK: Duration = Duration::from_millis(100);

/// Runs them, and leaves nothing.
pub(super) async fn measure(scene: &Scene<'_>, runner: &Path) -> Result<Many> {
    let jobs = scene.options.many;
    let address = scene.server.address()?;
    let name = format!("{}-node", scene.bed.namespace);
    let settings =
        KubeletSettings { pods: u32::try_from(jobs)? + 10, ..KubeletSettings::new(&name, address) };
    let kubelet = Kubelet::start(scene.bed.admin.clone(), settings).await.context("the simulated node")?;
    let measured = with(scene, runner, &kubelet).await;
    kubelet.remove().await?;
    measured
}

async fn with(scene: &Scene<'_>, runner: &Path, kubelet: &Kubelet) -> Result<Many> {
    let jobs = scene.options.many;
    let node = kubelet.name();
    let places = format!(
        "    [runners.kubernetes.node_selector]\n      {TAINT:?} = {node:?}\n    \
         [runners.kubernetes.node_tolerations]\n      \"{TAINT}={node}\" = \"NoSchedule\"\n"
    );
    let manager = Process::start(runner, &scene.config(jobs, &places), &scene.bed.kubeconfig)?;
    scene.asks(&manager).await?;
    say(&format!("{jobs} jobs at once, in simulated pods"));
    let (start, before) = (now(), manager.usage()?);
    let queued: Vec<u64> = (0..jobs).map(|_| scene.server.queue(&scene.options.pods.image, &[])).collect();
    let all_run = async {
        loop {
            manager.usage()?;
            let runs = |id: &u64| scene.server.gitlab.job(*id).state == JobState::Running;
            if kubelet.running() >= jobs && queued.iter().all(runs) {
                return anyhow::Ok(());
            }
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, all_run).await.with_context(|| {
        format!("only {} of the jobs run; the manager wrote:\n{}", kubelet.running(), manager.output())
    })??;
    let wall = now() - start;
    let (all, since) = (manager.usage()?, Instant::now());
    sleep(Duration::from_secs(scene.options.pods.quiet)).await;
    let after = manager.usage()?;
    let minutes = since.elapsed().as_secs_f64() / 60.0;
    manager.end().await?;
    #[expect(clippy::cast_precision_loss, reason = "a number of jobs is small")]
    let count = jobs as f64;
    Ok(Many {
        jobs,
        memory: after.peak,
        cpu: (all.cpu - before.cpu) / count,
        running_cpu: (after.cpu - all.cpu) / count / minutes,
        wall,
    })
}
