//! Whether the simulated kubelet does what the real one does with the pod of a job, so that tests on it say something.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use e2e::{Bed, gitlab::Server, program, soak::host};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::LogParams};
use runner_k8s::KubernetesSettings;
use runner_testkit::{
    gitlab::{Endpoint, JobState},
    kubelet::{Kubelet, KubeletSettings, Play, TAINT},
};

/// A node that runs real agents.
async fn node(bed: &Bed) -> Result<Kubelet> {
    let address = host(&bed.admin).await?.parse()?;
    let settings = KubeletSettings {
        play: Play::Processes { agent: program::agent()? },
        ..KubeletSettings::new(&format!("{}-node", bed.namespace), address)
    };
    Ok(Kubelet::start(bed.admin.clone(), settings).await?)
}

fn settings(bed: &Bed, kubelet: &Kubelet, relays: bool) -> KubernetesSettings {
    let mut settings = KubernetesSettings { relays, ..bed.settings() };
    settings.config.node_selector.insert(TAINT.into(), kubelet.name().into());
    settings.config.node_tolerations.insert(format!("{TAINT}={}", kubelet.name()), "NoSchedule".into());
    settings
}

async fn jobs_end(relays: bool) -> Result<()> {
    let bed = Bed::new("simulated").await?;
    let kubelet = node(&bed).await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, &kubelet, relays))?;
    let good = server.job("build", "seq 3; echo end-of-$CI_JOB_ID").variable("GIT_STRATEGY", "none");
    let good = server.run_job(good).await;
    ensure!(good.state == JobState::Success && good.runs == 1, "{good:?}\n{}", good.text());
    ensure!(good.text().contains(&format!("end-of-{}\n", good.id)), "{}", good.text());
    let bad = server.job("build", "exit 7").variable("GIT_STRATEGY", "none").after_script(["echo after"]);
    let bad = server.run_job(bad).await;
    ensure!(bad.state == JobState::Failed && bad.exit_code == Some(7), "{bad:?}\n{}", bad.text());
    ensure!(bad.text().contains("after\n"), "{}", bad.text());
    let summary = running.end().await?;
    ensure!((summary.succeeded, summary.failed) == (1, 1), "{summary:?}");
    ensure!(server.gitlab.count(Endpoint::Trace) > 0, "nobody sent a log");
    kubelet.remove().await?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_a_simulated_pod_runs_and_reports_its_job() -> Result<()> {
    jobs_end(false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_relays_what_the_agent_in_a_simulated_pod_prints() -> Result<()> {
    jobs_end(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_pod_has_the_statuses_and_the_log_of_a_real_one() -> Result<()> {
    let bed = Bed::new("simulated-status").await?;
    let kubelet = node(&bed).await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, &kubelet, true))?;
    let job = server.job("build", "echo begun; sleep 600").variable("GIT_STRATEGY", "none");
    let id = server.gitlab.queue(job);
    server.gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    bed.until(|pods: &[Arc<Pod>]| pods.iter().any(|pod| is_ready_on(pod, kubelet.name()))).await?;
    let pods: Api<Pod> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let name = pods.list(&Default::default()).await?.items.remove(0).metadata.name.context("a name")?;
    let helper = LogParams { container: Some("helper".into()), ..LogParams::default() };
    ensure!(!pods.logs(&name, &helper).await?.is_empty(), "the helper printed no frames");
    // As a person, or a drain: the agent is told, and says how it ended.
    bed.delete_pods(20).await?;
    let job = server.gitlab.wait_until_over(id).await;
    ensure!(job.state == JobState::Failed, "{job:?}\n{}", job.text());
    running.end().await?;
    let node = kubelet.name().to_owned();
    kubelet.remove().await?;
    ensure!(Api::<Node>::all(bed.admin.clone()).get_opt(&node).await?.is_none(), "the node is left");
    bed.close().await
}

fn is_ready_on(pod: &Pod, node: &str) -> bool {
    let is_there = pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(node));
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready: Vec<&str> = conditions
        .filter(|condition| condition.status == "True")
        .map(|condition| condition.type_.as_str())
        .collect();
    is_there
        && ["PodScheduled", "Initialized", "ContainersReady", "Ready"].iter().all(|name| ready.contains(name))
}
