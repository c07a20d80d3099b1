//! Registries that stall, refuse, or are not there.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    Bed,
    counted::Requests,
    git::Repository,
    job,
    registry::{FaultyRegistry, LOGIN, open, push_fresh, with_login},
    start,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::PostParams};
use runner_core::{
    FailureReason, JobOutcome, JobSpec, Secret as SecretText,
    executor::Stop,
    job::{Credential, Image, Service},
};
use runner_k8s::KubernetesExecutor;
use tokio::time::Instant;

use super::{fails_at_once, failure, lines, succeeds};

fn with_image(id: &str, image: &str) -> JobSpec {
    let mut spec = job(id, "echo ran-the-script");
    spec.image = Some(Image { name: image.into(), ..Image::default() });
    spec
}

fn with_login_to(mut spec: JobSpec, registry: &str, password: &str) -> JobSpec {
    spec.credentials.push(Credential {
        kind: "registry".into(),
        url: registry.into(),
        username: LOGIN.0.into(),
        password: SecretText::new(password),
    });
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stalls_for_two_minutes_is_waited_for() -> Result<()> {
    let bed = Bed::new("stall").await?;
    let path = push_fresh().await?;
    // The config is held first, and then both layers at once.
    let registry = FaultyRegistry::start(&["--hold", "60"]).await?;
    let repository = Repository::serve().await?;
    let mut settings = bed.settings();
    settings.config.poll_timeout = 300;
    let (client, requests) = Requests::of(&bed.client, &bed.namespace);
    let executor = KubernetesExecutor::new(client, settings);
    let mut spec = with_image("1", &format!("{}/{path}", registry.name));
    spec.steps[0].script.push("cat README".into());
    let gate = repository.gate().await?;
    gate.open();
    repository.give_through(&gate, &mut spec.git);
    let begin = Instant::now();
    let started = start(&*executor, spec).await?;
    // The kubelet posts nothing of a pod while it pulls one of its images: what the helper says is seen later.
    gate.is_reached().await.context("the sources are not fetched while the image is pulled")?;
    started.printed("waiting for the containers to start").await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = requests.so_far();
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(requests.so_far(), asked, "something is polled");
    let log = succeeds(&started).await?;
    ensure!(begin.elapsed() > Duration::from_secs(110), "it took only {:?}: {log}", begin.elapsed());
    ensure!(log.contains("ran-the-script\n") && log.contains("a readme from git\n"), "{log}");
    assert_eq!(lines(&log, "waiting for").len(), 1, "{log}");
    ensure!(log.contains("The build container is there after"), "{log}");
    let all = requests.so_far();
    // The Secret, the pod, two for the watch, the line, the log, and two that remove.
    ensure!(all.len() <= 8, "it asked for {all:#?}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_for_a_while_is_waited_for() -> Result<()> {
    let bed = Bed::new("refuse").await?;
    let path = push_fresh().await?;
    let mut jobs = Vec::new();
    // containerd itself repeats what is refused with 429.
    let cases = [("429", "12", "the registry limits the rate of pulls"), ("503", "3", "an error of its own")];
    let executor = bed.executor();
    for (status, count, words) in cases {
        let registry = FaultyRegistry::start(&["--refuse", count, "--status", status]).await?;
        let spec = with_image(status, &format!("{}/{path}", registry.name));
        // Another name for the same content is pulled all the same, since its manifest must be asked for.
        jobs.push((start(&*executor, spec).await?, registry, words));
    }
    for (started, _registry, words) in &jobs {
        let log = succeeds(started).await?;
        assert_eq!(lines(&log, words).len(), 1, "{log}");
        ensure!(lines(&log, words)[0].contains(&path), "{log}");
        ensure!(log.contains("ran-the-script\n"), "{log}");
    }
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_denies_fails_the_job_at_once() -> Result<()> {
    let bed = Bed::new("deny").await?;
    for status in ["401", "403"] {
        let registry = FaultyRegistry::start(&["--refuse", "1000", "--status", status]).await?;
        let image = format!("{}/e2e/denied:1", registry.name);
        let (reason, message) = fails_at_once(&bed, bed.settings(), with_image(status, &image)).await?;
        assert_eq!(reason, FailureReason::ImagePullFailure, "{message}");
        ensure!(message.contains(&image), "{message}");
    }
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_waited_for_within_the_budget() -> Result<()> {
    let bed = Bed::new("down").await?;
    let name = {
        let registry = FaultyRegistry::start(&[]).await?;
        registry.name.clone()
    };
    let mut settings = bed.settings();
    settings.config.poll_timeout = 15;
    let executor = bed.executor_with(settings);
    let image = format!("{name}/e2e/down:1");
    let begin = Instant::now();
    let started = start(&*executor, with_image("1", &image)).await?;
    let (reason, message, log) = failure(&started).await?;
    let took = begin.elapsed();
    ensure!(took > Duration::from_secs(14) && took < Duration::from_secs(40), "it took {took:?}: {log}");
    assert_eq!(reason, FailureReason::ExternalDependencyFailure, "{log}");
    ensure!(message.contains(&image) && message.contains("not reachable"), "{message}");
    ensure!(message.contains("15 s (poll_timeout)"), "{message}");
    assert_eq!(lines(&log, "waiting for the image").len(), 2, "once as it waits and once at the end: {log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_image_that_is_not_to_be_had_is_waited_for_within_the_budget() -> Result<()> {
    let bed = Bed::new("nohelper").await?;
    let name = {
        let registry = FaultyRegistry::start(&[]).await?;
        registry.name.clone()
    };
    let mut settings = bed.settings();
    settings.config.poll_timeout = 25;
    settings.config.helper_image = format!("{name}/e2e/helper:1");
    let executor = bed.executor_with(settings.clone());
    let begin = Instant::now();
    let started = start(&*executor, job("1", "echo never")).await?;
    let (reason, message, log) = failure(&started).await?;
    let took = begin.elapsed();
    ensure!(took > Duration::from_secs(18) && took < Duration::from_mins(1), "it took {took:?}: {log}");
    assert_eq!(reason, FailureReason::ExternalDependencyFailure, "{log}");
    ensure!(
        message.contains(&settings.config.helper_image) && message.contains("not reachable"),
        "{message}"
    );
    ensure!(lines(&log, "waiting for the image").len() <= 2, "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_between_two_tries_at_the_helper_image_is_heeded_at_once() -> Result<()> {
    let bed = Bed::new("between").await?;
    let name = {
        let registry = FaultyRegistry::start(&[]).await?;
        registry.name.clone()
    };
    let mut settings = bed.settings();
    settings.config.helper_image = format!("{name}/e2e/helper:1");
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "echo never")).await?;
    started.printed("trying again with another pod").await?;
    let stopped = Instant::now();
    started.job.stop(Stop::Graceful { deadline: stopped + Duration::from_mins(1) }).await?;
    let end = started.job.wait().await?;
    let took = stopped.elapsed();
    started.job.cleanup().await?;
    let log = started.report.text();
    assert_eq!(end.outcome, JobOutcome::Canceled, "{log}");
    ensure!(!end.script_begun && took < Duration::from_secs(3), "it took {took:?}: {log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_image_does_not_exist_fails_the_job_at_once() -> Result<()> {
    let bed = Bed::new("noservice").await?;
    let image = format!("{}/no/such/service:1", open());
    let mut spec = job("1", "sleep 20; echo ran-the-script");
    let service = Image { name: image.clone(), ..Image::default() };
    spec.services.push(Service { image: service, ..Service::default() });
    let (reason, message) = fails_at_once(&bed, bed.settings(), spec).await?;
    assert_eq!(reason, FailureReason::ImagePullFailure, "{message}");
    ensure!(message.contains(&image), "{message}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_own_login_pulls_a_private_image() -> Result<()> {
    let bed = Bed::new("login").await?;
    let (path, registry) = (push_fresh().await?, with_login());
    let image = format!("{registry}/{path}");
    let wrong = with_login_to(with_image("1", &image), &registry, "wrong");
    for spec in [wrong, with_image("2", &image)] {
        let (reason, message) = fails_at_once(&bed, bed.settings(), spec).await?;
        assert_eq!(reason, FailureReason::ImagePullFailure, "{message}");
        ensure!(message.contains(&image), "{message}");
    }
    let executor = bed.executor();
    let right = with_login_to(with_image("3", &image), &registry, LOGIN.1);
    let log = succeeds(&start(&*executor, right).await?).await?;
    ensure!(log.contains("ran-the-script\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_of_the_config_pulls_a_private_image() -> Result<()> {
    let bed = Bed::new("secret").await?;
    let (path, registry) = (push_fresh().await?, with_login());
    let image = format!("{registry}/{path}");
    let mut settings = bed.settings();
    settings.config.image_pull_secrets = vec!["team-login".into()];
    // Without it the image cannot be had, and what is missing is said.
    let (reason, message) = fails_at_once(&bed, settings.clone(), with_image("1", &image)).await?;
    assert_eq!(reason, FailureReason::ImagePullFailure, "{message}");
    ensure!(message.contains("team-login") && message.contains("does not exist"), "{message}");
    // An image that needs no login does not need the Secret.
    let executor = bed.executor_with(settings.clone());
    succeeds(&start(&*executor, with_image("2", &format!("{}/{path}", open()))).await?).await?;
    let auth = serde_json::json!({"auths": {registry: {"username": LOGIN.0, "password": LOGIN.1}}});
    let mut secret = Secret {
        type_: Some("kubernetes.io/dockerconfigjson".into()),
        string_data: Some(BTreeMap::from([(".dockerconfigjson".into(), auth.to_string())])),
        ..Secret::default()
    };
    secret.metadata.name = Some("team-login".into());
    let secrets: Api<Secret> = Api::namespaced(bed.admin.clone(), &bed.namespace);
    secrets.create(&PostParams::default(), &secret).await?;
    succeeds(&start(&*executor, with_image("3", &image)).await?).await?;
    bed.close().await
}
