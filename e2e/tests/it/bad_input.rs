//! Jobs that do what they should not: a clear reason, and nothing false.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Bed, job, start};
use runner_core::{
    FailureReason, JobOutcome, JobSpec,
    executor::Stop,
    job::{Image, Step},
};
use tokio::time::Instant;

/// Runs a job to its end, and gives its outcome and its log.
async fn run(bed: &Bed, job: JobSpec) -> Result<(JobOutcome, String)> {
    let executor = bed.executor();
    let started = start(&*executor, job).await?;
    let end = started.finish().await?;
    Ok((end.outcome, started.report.text()))
}

fn failure(outcome: &JobOutcome) -> Result<(FailureReason, Option<i32>, String)> {
    match outcome {
        JobOutcome::Failed(failure) => Ok((failure.reason, failure.exit_code, failure.message.clone())),
        other => anyhow::bail!("it ended as {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_fails_at_once() -> Result<()> {
    let bed = Bed::new("image").await?;
    let start = Instant::now();
    let mut spec = job("1", "echo never");
    spec.image = Some(Image { name: "10.244.0.1:5000/no/such/image:1".into(), ..Image::default() });
    let (outcome, log) = run(&bed, spec).await?;
    let (reason, _, message) = failure(&outcome)?;
    assert_eq!(reason, FailureReason::ImagePullFailure, "{message}");
    ensure!(message.contains("10.244.0.1:5000/no/such/image:1"), "{message}");
    ensure!(log.contains(&message), "{log}");
    ensure!(start.elapsed() < Duration::from_secs(60), "it took {:?}", start.elapsed());
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_name_is_none_fails_at_once() -> Result<()> {
    let bed = Bed::new("name").await?;
    let mut spec = job("1", "echo never");
    spec.image = Some(Image { name: "No Such/Name:::".into(), ..Image::default() });
    let (outcome, log) = run(&bed, spec).await?;
    let (reason, ..) = failure(&outcome)?;
    assert!(matches!(reason, FailureReason::ImagePullFailure | FailureReason::ConfigurationError), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_pull_policy_is_tried() -> Result<()> {
    let bed = Bed::new("pull").await?;
    let mut settings = bed.settings();
    settings.config.pull_policy.0 = vec!["always".into(), "if-not-present".into()];
    // Present on the node, and in no registry.
    let executor = bed.executor_with(settings);
    let mut spec = job("1", "echo ran");
    spec.image = Some(Image { name: "localhost/listener:1".into(), ..Image::default() });
    let started = start(&*executor, spec).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    assert_eq!(end.outcome, JobOutcome::Succeeded, "{log}");
    ensure!(log.contains("trying the next pull policy") && log.contains("\nran\n"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_cannot_reach_what_runs_it() -> Result<()> {
    let bed = Bed::new("reach").await?;
    let script = r#"
rm -rf /runner/* 2>/dev/null; ls -la /runner
for socket in $(find /runner /run /tmp -type s 2>/dev/null); do echo "found $socket"; done
cat /proc/1/environ >/dev/null 2>&1 && echo "read environ"; ls /proc/1/fd >/dev/null 2>&1 && echo "read fds"
cat /run/runner/job/* 2>/dev/null && echo "read the job"
printf 'E 99 1 0 00000000 {"attempt":1,"end":{"outcome":"Succeeded"}}\n'
printf 'L 0 1 0 00000000 forged\n{"command_exit_code": 0, "script": "x"}\n'
trap '' TERM; kill -9 -1 2>/dev/null
sleep 5; exit 7
"#;
    let mut spec = job("1", script);
    spec.steps.push(Step::after_script(vec!["echo after-script".into()]));
    let (outcome, log) = run(&bed, spec).await?;
    let (reason, ..) = failure(&outcome)?;
    assert_eq!(reason, FailureReason::ScriptFailure, "{log}");
    ensure!(!log.contains("found /"), "{log}");
    ensure!(!log.contains("read the job"), "{log}");
    ensure!(log.contains("after-script"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_processes_are_ended() -> Result<()> {
    let bed = Bed::new("forks").await?;
    let script = "i=0; while [ $i -lt 1000 ]; do (trap '' TERM; sleep 600) & i=$((i+1)); done; echo all-started; exit 5";
    let (outcome, log) = run(&bed, job("1", script)).await?;
    assert_eq!(outcome, JobOutcome::script_failed(5), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_hundred_megabytes_is_cut_and_passes() -> Result<()> {
    let bed = Bed::new("line").await?;
    let script = "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo the-end";
    let (outcome, log) = run(&bed, job("1", script)).await?;
    assert_eq!(outcome, JobOutcome::Succeeded);
    ensure!(log.len() < 5 << 20, "the log has {} bytes", log.len());
    ensure!(log.contains("Job succeeded"), "the end is missing");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory_is_said() -> Result<()> {
    let bed = Bed::new("memory").await?;
    let mut settings = bed.settings();
    settings.config.memory_limit = "64Mi".into();
    let executor = bed.executor_with(settings);
    let started = start(&*executor, job("1", "tail /dev/zero; echo survived $?; exit 9")).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    let (_, _, message) = failure(&end.outcome)?;
    ensure!(message.contains("memory"), "{message}\n{log}");
    ensure!(log.contains("out of memory"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_failure_of_the_script() -> Result<()> {
    let bed = Bed::new("disk").await?;
    let mut settings = bed.settings();
    let volume = serde_json::json!({
        "empty_dir": [{"name": "small", "mount_path": "/builds", "medium": "Memory", "size_limit": "8Mi"}]
    });
    settings.config.volumes = serde_json::from_value(volume)?;
    let executor = bed.executor_with(settings);
    let mut spec = job("1", "head -c 20000000 /dev/zero > big");
    spec.steps.push(Step::after_script(vec!["echo after-script".into()]));
    let started = start(&*executor, spec).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    failure(&end.outcome)?;
    ensure!(log.to_lowercase().contains("no space left"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_the_script_and_after_script_runs() -> Result<()> {
    let bed = Bed::new("timeout").await?;
    let mut spec = job("1", "echo begun; sleep 600");
    spec.timeout = Duration::from_secs(3);
    spec.steps.push(Step::after_script(vec!["echo after-$CI_JOB_STATUS".into()]));
    let (outcome, log) = run(&bed, spec).await?;
    assert_eq!(failure(&outcome)?.0, FailureReason::JobExecutionTimeout, "{log}");
    ensure!(log.contains("after-failed"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_heeded_in_every_phase() -> Result<()> {
    let bed = Bed::new("cancel").await?;
    let executor = bed.executor();
    let marks = ["", "Preparing the kubernetes executor", "script-mark", "after-mark"];
    for (number, mark) in marks.iter().enumerate() {
        let mut spec = job(&number.to_string(), "echo script-mark; sleep 20");
        if *mark == "after-mark" {
            spec.steps[0].script = vec!["echo script-mark".into()];
        }
        spec.steps.push(Step::after_script(vec!["echo after-mark; sleep 4; echo after-end".into()]));
        let started = start(&*executor, spec).await?;
        started.printed(mark).await?;
        let deadline = Instant::now() + Duration::from_secs(60);
        started.job.stop(Stop::Graceful { deadline }).await?;
        let end = started.finish().await?;
        let log = started.report.text();
        assert_eq!(end.outcome, JobOutcome::Canceled, "{mark:?}: {log}");
        if mark.ends_with("-mark") {
            ensure!(log.contains("after-end"), "{mark:?}: {log}");
        }
    }
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_is_an_interruption() -> Result<()> {
    let bed = Bed::new("deleted").await?;
    let executor = bed.executor();
    let mut spec = job("1", "echo script-mark; sleep 600");
    spec.steps.push(Step::after_script(vec!["echo after-mark".into()]));
    let started = start(&*executor, spec).await?;
    started.printed("script-mark").await?;
    bed.delete_pods(30).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    assert_eq!(failure(&end.outcome)?.0, FailureReason::RunnerInterrupted, "{log}");
    ensure!(log.contains("after-mark"), "{log}");
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_before_its_script_is_replaced() -> Result<()> {
    let bed = Bed::new("replaced").await?;
    let executor = bed.executor();
    let mut spec = job("1", "echo ran-the-script");
    // It holds the helper before the script, until it is told to end.
    spec.variables.push(runner_core::job::Variable::raw("GIT_STRATEGY", "fetch"));
    spec.git.repo_url = "http://10.244.0.1:9/never.git".into();
    spec.git.sha = "0000000000000000000000000000000000000000".into();
    spec.variables.push(runner_core::job::Variable::raw("GET_SOURCES_ATTEMPTS", "5"));
    let started = start(&*executor, spec).await?;
    started.printed("Getting the sources").await?;
    bed.delete_pods(10).await?;
    started.printed("starting another pod").await?;
    started.job.stop(Stop::Abort).await?;
    started.finish().await?;
    bed.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_waited_for_and_its_log_is_shown_where_it_fails() -> Result<()> {
    let bed = Bed::new("service").await?;
    let executor = bed.executor();
    let service = |command: Option<&str>| runner_core::job::Service {
        image: Image { name: "localhost/listener:1".into(), ..Image::default() },
        aliases: vec!["db".into()],
        command: command.map(|_| Vec::new()),
        ..runner_core::job::Service::default()
    };
    let mut spec = job("1", "nc -w 2 db 5432 </dev/null && echo connected");
    let mut up = service(None);
    up.variables.push(runner_core::job::Variable::raw("HEALTHCHECK_TCP_PORT", "5432"));
    up.variables.push(runner_core::job::Variable::raw("LISTEN_AFTER", "2"));
    spec.services.push(up);
    let started = start(&*executor, spec).await?;
    let end = started.finish().await?;
    assert_eq!(end.outcome, JobOutcome::Succeeded, "{}", started.report.text());
    ensure!(started.report.text().contains("connected"), "{}", started.report.text());

    let mut spec = job("2", "sleep 3; echo went-on");
    let mut down = service(None);
    down.variables.push(runner_core::job::Variable::raw("LISTEN_FAIL", "it-is-broken"));
    spec.services.push(down);
    let started = start(&*executor, spec).await?;
    let end = started.finish().await?;
    let log = started.report.text();
    assert_eq!(end.outcome, JobOutcome::Succeeded, "{log}");
    ensure!(log.contains("service localhost/listener:1 ended by itself"), "{log}");
    bed.close().await
}
