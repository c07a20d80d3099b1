//! `runner run` as a process, with a config as people write it.

use anyhow::{Result, ensure};
use e2e::{Bed, gitlab::Server, program::Manager};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use nix::sys::signal::Signal;
use runner_testkit::gitlab::{Endpoint, JobState};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_and_ends_while_there_is_no_manager() -> Result<()> {
    let bed = Bed::new("run-leave").await?;
    let server = Server::start(&bed).await?;
    let mut manager = Manager::start(&Manager::config(&bed, &server))?;
    let id = server.gitlab.queue(server.job("build", "echo begun; sleep 8; echo ended"));
    server.gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    manager.signal(Signal::SIGTERM)?;
    let status = manager.ended().await?;
    ensure!(status.success(), "{status}: {}", manager.output()?);
    ensure!(server.gitlab.job(id).state == JobState::Running, "it ended before the manager did");
    let job = server.gitlab.wait_until_over(id).await;
    ensure!(job.state == JobState::Success && job.text().contains("ended\n"), "{job:?}\n{}", job.text());
    // The next one removes what is left.
    manager.start_again()?;
    let next = server.run_job(server.job("next", "true")).await;
    ensure!(next.state == JobState::Success, "{}\n{}", next.text(), manager.output()?);
    manager.signal(Signal::SIGQUIT)?;
    ensure!(manager.ended().await?.success(), "{}", manager.output()?);
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_manager_costs_no_job() -> Result<()> {
    let bed = Bed::new("run-kill").await?;
    let server = Server::start(&bed).await?;
    let mut manager = Manager::start(&Manager::config(&bed, &server))?;
    let id = server.gitlab.queue(server.job("build", "echo begun; sleep 5; exit 3"));
    server.gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    manager.signal(Signal::SIGKILL)?;
    manager.ended().await?;
    manager.start_again()?;
    let job = server.gitlab.wait_until_over(id).await;
    ensure!(job.state == JobState::Failed && job.exit_code == Some(3) && job.runs == 1, "{job:?}");
    // It takes a while until the first one counts as ended; the second one removes what it left.
    bed.until::<Pod>(<[_]>::is_empty).await?;
    bed.until::<Secret>(|secrets| !secrets.iter().any(|secret| secret.name_any().starts_with("runner-job")))
        .await?;
    manager.signal(Signal::SIGQUIT)?;
    ensure!(manager.ended().await?.success(), "{}", manager.output()?);
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_used_within_seconds_and_a_broken_config_is_not() -> Result<()> {
    let bed = Bed::new("run-reload").await?;
    let server = Server::start(&bed).await?;
    let config = Manager::config(&bed, &server);
    let mut manager = Manager::start(&config)?;
    let first = server.run_job(server.job("first", "true")).await;
    ensure!(first.state == JobState::Success, "{}\n{}", first.text(), manager.output()?);
    manager.rewrite("concurrent = = 4")?;
    let second = server.run_job(server.job("second", "true")).await;
    ensure!(second.state == JobState::Success, "{}\n{}", second.text(), manager.output()?);
    let (old, new) = (server.gitlab.runner_token().to_owned(), "glrt-anothertokenofthisrunner");
    server.gitlab.add_runner(new);
    server.gitlab.revoke_runner(&old);
    manager.rewrite(&config.replace(&old, new))?;
    let third = server.run_job(server.job("third", "true")).await;
    ensure!(third.state == JobState::Success, "{}\n{}", third.text(), manager.output()?);
    manager.signal(Signal::SIGQUIT)?;
    ensure!(manager.ended().await?.success(), "{}", manager.output()?);
    let text = manager.output()?;
    ensure!(text.contains("Failed to load config: "), "{text}");
    ensure!(!text.contains(new) && !text.contains(&old), "a token is in the log: {text}");
    ensure!(server.gitlab.count(Endpoint::Verify) == 2, "each token is verified once");
    bed.close().await
}
