//! Several managers that share their jobs.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::{Bed, counted::Requests, gitlab::Server, job, program::Manager, start};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Pod, Secret},
    rbac::v1::Role,
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use nix::sys::signal::Signal;
use runner_core::{ErrorKind, Executor, JobOutcome, Severity, executor::Stop};
use runner_testkit::gitlab::JobState;
use serde_json::json;

use super::adoption::adopted_by;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_replica_is_nobody_elses_until_that_leaves() -> Result<()> {
    let bed = Bed::new("replicas").await?;
    let (one, other) = (bed.replica(&bed.client, "one"), bed.replica(&bed.client, "other"));
    ensure!(one.adoptable().await?.is_empty() && other.adoptable().await?.is_empty());
    let started = start(&*one, job("1", "echo script-mark; sleep 3; exit 3")).await?;
    started.printed("script-mark\n").await?;
    ensure!(other.adoptable().await?.is_empty(), "it is taken from one that lives");
    one.leave().await;
    let error = started.job.wait().await.err().context("it goes on with a job that it has left")?;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    other.orphaned().await;
    let (end, log) = adopted_by(std::sync::Arc::clone(&other)).await?;
    assert_eq!(end.outcome, JobOutcome::script_failed(3), "{log}");
    ensure!(log.matches("script-mark\n").count() == 1, "{log}");
    other.leave().await;
    bed.until::<Lease>(<[_]>::is_empty).await.context("a Lease is left")?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_given_up_does_nothing_more_to_its_job() -> Result<()> {
    let bed = Bed::new("given-up").await?;
    let cut_off = Requests::without_renewals(&bed.client, &bed.namespace);
    let (one, other) = (bed.replica(&cut_off, "one"), bed.replica(&bed.client, "other"));
    ensure!(one.adoptable().await?.is_empty() && other.adoptable().await?.is_empty());
    let started = start(&*one, job("1", "echo script-mark; sleep 30; echo end-mark")).await?;
    started.printed("script-mark\n").await?;
    // It lives, and nobody sees that.
    other.orphaned().await;
    let adopted = tokio::spawn(adopted_by(std::sync::Arc::clone(&other)));
    bed.until::<Secret>(|secrets| secrets.iter().any(|secret| is_of(secret, "other"))).await?;
    // A cancel would remove the pod of a job that is somebody else's by now.
    started.job.stop(Stop::Abort).await?;
    let error = started.job.wait().await.err().context("it goes on with a job of another")?;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    started.job.cleanup().await?;
    let (end, log) = adopted.await??;
    assert_eq!(end.outcome, JobOutcome::Succeeded, "{log}");
    ensure!(log.contains("end-mark\n") && started.report.outcome().is_none(), "{log}");
    other.leave().await;
    bed.close().await
}

fn is_of(secret: &Secret, replica: &str) -> bool {
    secret.labels().get("runner.dev/replica").is_some_and(|owner| owner.starts_with(replica))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_killed_manager_has_another_one_soon() -> Result<()> {
    let bed = Bed::new("run-replicas").await?;
    let server = Server::start(&bed).await?;
    let config = Manager::config(&bed, &server);
    let mut first = Manager::start(&config)?;
    let id = server.gitlab.queue(server.job("build", "echo begun; sleep 40; exit 3"));
    server.gitlab.wait_for(id, |job| job.text().contains("begun\n")).await;
    let mut second = Manager::start(&config)?;
    bed.until::<Lease>(|leases| leases.len() == 2).await?;
    let owner = |secrets: &[std::sync::Arc<Secret>]| {
        secrets.iter().find_map(|secret| secret.labels().get("runner.dev/replica").cloned())
    };
    let secrets: Api<Secret> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let before: Vec<_> = secrets
        .list(&kube::api::ListParams::default())
        .await?
        .items
        .into_iter()
        .map(std::sync::Arc::new)
        .collect();
    let before = owner(&before).context("nobody has the job")?;
    first.signal(Signal::SIGKILL)?;
    let killed = Instant::now();
    first.ended().await?;
    bed.until::<Secret>(|secrets| owner(secrets).is_some_and(|now| now != before)).await?;
    println!("adopted {:.1} s after the kill", killed.elapsed().as_secs_f64());
    let job = server.gitlab.wait_until_over(id).await;
    ensure!(job.state == JobState::Failed && job.exit_code == Some(3) && job.runs == 1, "{job:?}");
    bed.until::<Pod>(<[_]>::is_empty).await?;
    second.signal(Signal::SIGQUIT)?;
    ensure!(second.ended().await?.success(), "{}", second.output()?);
    ensure!(second.output()?.contains("Job of an earlier process taken over"), "{}", second.output()?);
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_without_leases_is_alone_and_says_so() -> Result<()> {
    let bed = Bed::new("alone").await?;
    let roles: Api<Role> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    let mut role = roles.get("runner").await?;
    role.rules
        .get_or_insert_default()
        .retain(|rule| rule.resources.as_deref() != Some(&["leases".to_owned()]));
    let patch = Patch::Merge(json!({ "rules": role.rules }));
    roles.patch("runner", &PatchParams::default(), &patch).await?;
    let executor = bed.replica(&bed.client, "one");
    let findings = loop {
        // The API server tells nobody when its authorizer has learned of a role.
        let findings = executor.check().await;
        if !findings.is_empty() {
            break findings;
        }
    };
    let leases = findings.iter().find(|finding| finding.message.contains("leases")).context("not said")?;
    assert_eq!(leases.severity, Severity::Note);
    ensure!(executor.adoptable().await?.is_empty());
    let started = start(&*executor, job("1", "echo script-mark")).await?;
    assert_eq!(started.job.wait().await?.outcome, JobOutcome::Succeeded);
    started.job.cleanup().await?;
    executor.leave().await;
    bed.close().await
}
