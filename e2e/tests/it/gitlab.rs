//! Jobs of a GitLab server, reported by the agents themselves and by the manager.

use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use e2e::{BUSYBOX, Bed, gitlab::Server, name_server::NameServer, soak::host};
use runner_core::{Capacity, JobLease, JobSource, SavedLease, Secret};
use runner_gitlab::GitLabSource;
use runner_k8s::KubernetesSettings;
use runner_testkit::gitlab::{Endpoint, JobState, Request};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The name of a server that only the test's own name server knows.
const NAME: &str = "gitlab.e2e.test";

/// Does the same with agents that report by themselves, and with a manager that does.
macro_rules! in_both_ways {
    ($($name:ident => $check:ident;)*) => {
        mod by_agent {
            use anyhow::Result;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() -> Result<()> {
                    super::$check(false).await
                }
            )*
        }

        mod by_manager {
            use anyhow::Result;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() -> Result<()> {
                    super::$check(true).await
                }
            )*
        }
    };
}

in_both_ways! {
    a_job_clones_runs_and_ends => job_ends;
    a_script_that_fails_says_so => job_fails;
    a_canceled_job_runs_its_after_script => job_is_canceled;
    a_job_that_is_canceled_at_once_is_gone => job_is_canceled_at_once;
    an_image_that_does_not_exist_is_the_reason => image_is_missing;
    a_service_that_does_not_come_up_is_named => service_is_missing;
    artifacts_come_to_a_later_job => artifacts_are_passed_on;
}

fn settings(bed: &Bed, relays: bool) -> KubernetesSettings {
    KubernetesSettings { relays, ..bed.settings() }
}

async fn job_ends(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let job = server.run_job(server.job("build", "cat README; echo end-of-$CI_JOB_ID")).await;
    ensure!(job.state == JobState::Success && job.runs == 1, "{job:?}\n{}", job.text());
    ensure!(job.text().contains("a readme from git\n"), "{}", job.text());
    ensure!(job.text().contains(&format!("end-of-{}\n", job.id)), "{}", job.text());
    let summary = running.end().await?;
    ensure!(summary.succeeded == 1, "{summary:?}");
    ensure!(server.gitlab.count(Endpoint::Trace) > 0, "nobody sent a log");
    bed.close().await
}

async fn job_fails(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab-fails").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let job = server.run_job(server.job("build", "echo before; exit 7").after_script(["echo after"])).await;
    ensure!(job.state == JobState::Failed && job.exit_code == Some(7), "{job:?}\n{}", job.text());
    ensure!(job.failure_reason.as_deref() == Some("script_failure"), "{job:?}");
    ensure!(job.text().contains("before\n") && job.text().contains("after\n"), "{}", job.text());
    running.end().await?;
    bed.close().await
}

async fn job_is_canceled(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab-cancel").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let payload = server.job("build", "echo begun; sleep 600").after_script(["echo after-$CI_JOB_STATUS"]);
    let id = server.gitlab.queue(payload);
    server.gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    server.gitlab.cancel(id);
    let job = server.gitlab.wait_until_over(id).await;
    ensure!(job.state == JobState::Canceled, "{job:?}\n{}", job.text());
    ensure!(job.text().contains("after-canceled\n"), "{}", job.text());
    running.end().await?;
    bed.close().await
}

async fn job_is_canceled_at_once(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab-abort").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let id = server.gitlab.queue(server.job("build", "echo begun; sleep 600"));
    server.gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    server.gitlab.cancel_hard(id);
    let summary = running.end().await?;
    ensure!(summary.canceled == 1, "{summary:?}");
    bed.close().await
}

async fn image_is_missing(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab-image").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let job = server.job("build", "true").image("10.244.0.1:5000/no/such/image:1");
    let job = server.run_job(job).await;
    ensure!(job.state == JobState::Failed, "{job:?}\n{}", job.text());
    ensure!(job.failure_reason.as_deref() == Some("image_pull_failure"), "{job:?}\n{}", job.text());
    ensure!(job.text().contains("10.244.0.1:5000/no/such/image:1"), "{}", job.text());
    running.end().await?;
    bed.close().await
}

async fn service_is_missing(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab-service").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let service = json!({ "name": BUSYBOX, "alias": "db", "entrypoint": ["sh", "-c", "exit 3"] });
    let job = server.job("build", "sleep 2; exit 1").push("services", service);
    let job = server.run_job(job).await;
    ensure!(job.state == JobState::Failed, "{job:?}\n{}", job.text());
    ensure!(job.text().contains("busybox:1.36 ended by itself"), "{}", job.text());
    running.end().await?;
    bed.close().await
}

async fn artifacts_are_passed_on(relays: bool) -> Result<()> {
    let bed = Bed::new("gitlab-artifacts").await?;
    let server = Server::start(&bed).await?;
    let running = server.run(&bed, settings(&bed, relays))?;
    let first = server.job("build", "mkdir out; echo made > out/file").artifacts(["out/"]);
    let first = server.run_job(first).await;
    ensure!(first.state == JobState::Success, "{first:?}\n{}", first.text());
    let artifact =
        first.artifacts.first().map(|artifact| (artifact.filename.as_str(), artifact.bytes.len() as u64));
    let second = server.job("test", "cat out/file").dependency(first.id, "build", artifact);
    let second = server.run_job(second).await;
    ensure!(second.state == JobState::Success, "{second:?}\n{}", second.text());
    ensure!(second.text().contains("made\n"), "{}", second.text());
    running.end().await?;
    bed.close().await
}

/// A source whose agents elsewhere know the server by a name.
#[derive(Debug)]
struct ByName {
    inner: Arc<GitLabSource>,
    address: String,
}

impl ByName {
    fn renamed(&self, mut lease: JobLease) -> JobLease {
        if let Some(remote) = &mut lease.remote {
            remote.state = Secret::new(remote.state.expose().replace(&self.address, NAME));
        }
        lease
    }
}

#[async_trait]
impl JobSource for ByName {
    async fn next(
        &self,
        capacity: Capacity,
        stop: &CancellationToken,
    ) -> runner_core::Result<Option<JobLease>> {
        Ok(self.inner.next(capacity, stop).await?.map(|lease| self.renamed(lease)))
    }

    async fn resume(&self, saved: SavedLease) -> runner_core::Result<JobLease> {
        Ok(self.renamed(self.inner.resume(saved).await?))
    }
}

/// The agent is linked statically: it cannot ask the libraries of its image for an address.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_asks_the_name_server_of_its_pod() -> Result<()> {
    let bed = Bed::new("gitlab-name").await?;
    let server = Server::start(&bed).await?;
    let address = host(&bed.admin).await?;
    let names = NameServer::start(address.parse()?, NAME).await?;
    let mut settings = settings(&bed, false);
    settings.config.dns_policy = "none".into();
    settings.config.dns_config.nameservers = vec![address.clone()];
    let source = Arc::new(ByName { inner: server.source()?, address });
    let running = Server::run_jobs_of(source, &bed, settings);
    let job = server.run_job(server.job("build", "true")).await;
    ensure!(job.state == JobState::Success, "{job:?}\n{}", job.text());
    ensure!(names.asked() > 0, "nobody asked for the name");
    let by_name = |request: &Request| {
        request.headers.get("host").is_some_and(|host| host.as_bytes().starts_with(NAME.as_bytes()))
    };
    ensure!(server.gitlab.requests().iter().any(by_name), "no request was made by name");
    running.end().await?;
    bed.close().await
}
