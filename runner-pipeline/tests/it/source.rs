//! Which jobs run, when, with what, and what becomes of them.

use std::{
    io::Write,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use bytes::Bytes;
use runner_core::{
    ArtifactStore, ArtifactUpload, Capacity, ErrorKind, JobLease, JobOutcome, JobSource,
    job::{ArtifactFormat, Variable, Variables},
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, WishAction},
};
use runner_pipeline::{
    AllowFailure, Context, JobStatus, JobWhen, PipelineEvent, PipelineJob, PipelineRun, PipelineSource,
    Predefined, Repository, SelectionError, Snapshot, parse,
};
use runner_testkit::MemoryArtifacts;
use tokio_util::sync::CancellationToken;

use crate::{
    fake_run::{FakeRun, Recorder, allowed, end_of, job, manual, needing, pipeline, retrying, when},
    work_tree::{Outcome, WorkTree},
};

/// Runs `jobs` with `outcomes` and compares the waves in which they ran and their states.
async fn check(jobs: Vec<PipelineJob>, outcomes: &[(&str, &str)], waves: &[&str], statuses: &str) -> Outcome {
    check_named(jobs, &[], outcomes, waves, statuses).await
}

async fn check_named(
    jobs: Vec<PipelineJob>,
    names: &[&str],
    outcomes: &[(&str, &str)],
    waves: &[&str],
    statuses: &str,
) -> Outcome {
    let run = FakeRun::new(pipeline(jobs), names)?;
    assert_eq!(run.run(outcomes).await?, waves);
    assert_eq!(run.statuses(), statuses);
    Ok(())
}

#[tokio::test]
async fn stages_run_one_after_the_other() -> Outcome {
    let jobs = || vec![job("test:t1"), job("build:b1"), job("build:b2"), job("deploy:d"), job("test:t2")];
    check(jobs(), &[], &["b1 b2", "t1 t2", "d"], "b1:success b2:success t1:success t2:success d:success")
        .await?;
    check(jobs(), &[("b2", "1")], &["b1 b2"], "b1:success b2:failed t1:skipped t2:skipped d:skipped").await?;
    check(jobs(), &[("b2", "c")], &["b1 b2"], "b1:success b2:canceled t1:skipped t2:skipped d:skipped").await
}

#[tokio::test]
async fn an_allowed_failure_stops_nothing() -> Outcome {
    check(
        vec![allowed(job("build:b")), job("test:t"), needing("test:n", &["b"])],
        &[("b", "1")],
        &["b", "t n"],
        "b:warning t:success n:success",
    )
    .await?;
    let by_code = || PipelineJob { allow_failure: AllowFailure::ExitCodes(vec![3]), ..job("build:b") };
    check(vec![by_code(), job("test:t")], &[("b", "3")], &["b", "t"], "b:warning t:success").await?;
    check(vec![by_code(), job("test:t")], &[("b", "4")], &["b"], "b:failed t:skipped").await?;
    check(vec![by_code(), job("test:t")], &[("b", "!")], &["b"], "b:failed t:skipped").await
}

#[tokio::test]
async fn when_decides_what_runs_after_a_failure() -> Outcome {
    let jobs = || {
        vec![
            job("build:b"),
            when(JobWhen::OnFailure, job("test:mend")),
            when(JobWhen::Always, job("test:tell")),
            job("test:t"),
            job("deploy:d"),
        ]
    };
    check(jobs(), &[], &["b", "tell t", "d"], "b:success mend:skipped tell:success t:success d:success")
        .await?;
    check(
        jobs(),
        &[("b", "1")],
        &["b", "mend tell"],
        "b:failed mend:success tell:success t:skipped d:skipped",
    )
    .await
}

#[tokio::test]
async fn needs_run_a_job_before_its_stage() -> Outcome {
    check(
        vec![
            job("build:fast"),
            job("build:slow"),
            needing("deploy:d", &["fast"]),
            needing("test:now", &[]),
            job("test:t"),
        ],
        &[("slow", "1")],
        &["fast slow now", "d"],
        "fast:success slow:failed now:success t:skipped d:success",
    )
    .await
}

#[tokio::test]
async fn needs_within_a_stage_and_across_it_are_a_graph() -> Outcome {
    check(
        vec![
            needing("test:d", &["b", "c"]),
            needing("test:c", &["a"]),
            needing("test:b", &["a"]),
            job("test:a"),
        ],
        &[],
        &["a", "c b", "d"],
        "d:success c:success b:success a:success",
    )
    .await
}

#[tokio::test]
async fn what_needs_a_job_that_did_not_run_is_skipped() -> Outcome {
    check(
        vec![
            job("build:b"),
            needing("test:t", &["b"]),
            needing("deploy:d", &["t"]),
            when(JobWhen::Always, needing("deploy:tell", &["t"])),
            when(JobWhen::OnFailure, needing("deploy:mend", &["b"])),
        ],
        &[("b", "1")],
        &["b", "tell mend"],
        "b:failed t:skipped d:skipped tell:success mend:success",
    )
    .await?;
    check(
        vec![manual("build:m"), needing("test:t", &["m"]), job("deploy:d")],
        &[],
        &["d"],
        "m:manual t:skipped d:success",
    )
    .await
}

#[tokio::test]
async fn an_optional_need_may_be_missing_and_another_may_not() -> Outcome {
    let excluded = || PipelineJob { not_run: Some("rules".into()), ..job("build:gone") };
    check(
        vec![excluded(), job("build:b"), needing("test:t", &["gone?", "b"]), needing("test:u", &["gone?"])],
        &[],
        &["b u", "t"],
        "b:success t:success u:success",
    )
    .await?;
    let error = FakeRun::new(pipeline(vec![excluded(), needing("test:t", &["gone"])]), &[]).unwrap_err();
    assert!(matches!(error, SelectionError::MissingNeed { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_manual_job_waits_for_a_person_and_blocks_unless_it_may_fail() -> Outcome {
    check(
        vec![job("build:b"), manual("test:m"), job("deploy:d")],
        &[],
        &["b", "d"],
        "b:success m:manual d:success",
    )
    .await?;
    let run = FakeRun::new(
        pipeline(vec![job("build:b"), when(JobWhen::Manual, job("test:m")), job("deploy:d")]),
        &[],
    )?;
    run.run(&[]).await?;
    assert_eq!(run.statuses(), "b:success m:manual d:skipped");
    let because = "`m` is manual and was not started".to_owned();
    assert_eq!(run.status("d"), Some(JobStatus::Skipped { because }));
    Ok(())
}

#[tokio::test]
async fn a_skipped_job_says_because_of_which_one() -> Outcome {
    let run = FakeRun::new(
        pipeline(vec![job("build:b"), needing("test:t", &["b"]), needing("deploy:d", &["t"])]),
        &[],
    )?;
    run.run(&[("b", "1")]).await?;
    assert_eq!(run.status("t"), Some(JobStatus::Skipped { because: "`b` failed".into() }));
    assert_eq!(run.status("d"), Some(JobStatus::Skipped { because: "`t` was skipped".into() }));
    Ok(())
}

#[tokio::test]
async fn a_job_is_retried_as_often_and_for_what_it_says() -> Outcome {
    let one = |job| vec![job, self::job("deploy:d")];
    check(one(retrying(2, &[], job("b"))), &[("b", "11+")], &["b", "b", "b", "d"], "b:success d:success")
        .await?;
    check(one(retrying(1, &["always"], job("b"))), &[("b", "11+")], &["b", "b"], "b:failed d:skipped")
        .await?;
    let by_reason = || retrying(2, &["runner_system_failure"], job("b"));
    check(one(by_reason()), &[("b", "1")], &["b"], "b:failed d:skipped").await?;
    check(one(by_reason()), &[("b", "!+")], &["b", "b", "d"], "b:success d:success").await?;
    let mut by_code = retrying(2, &[], job("b"));
    by_code.retry.exit_codes = vec![7];
    check(one(by_code), &[("b", "75")], &["b", "b"], "b:failed d:skipped").await
}

#[tokio::test]
async fn a_retried_job_has_a_new_id_and_log_and_keeps_no_variables() -> Outcome {
    let run = FakeRun::new(pipeline(vec![retrying(1, &[], job("build:b")), job("test:t")]), &[])?;
    let first = run.ready().await?.remove(0);
    first.report.append_log(0, Bytes::from_static(b"first\n")).await?;
    upload(&first, b"A=old").await?;
    end_of(&first, &JobOutcome::script_failed(1)).await?;
    let second = run.ready().await?.remove(0);
    assert_ne!(first.job.id, second.job.id);
    let reply = second.report.append_log(0, Bytes::from_static(b"second\n")).await?;
    assert_eq!(reply.ack, LogAck::UpTo(7));
    let progress = run.source.progress().remove(0);
    assert_eq!((progress.attempt, progress.previous.and_then(|failure| failure.exit_code)), (2, Some(1)));
    assert_eq!(end_of(&first, &JobOutcome::Succeeded).await?, Completion::Gone);
    end_of(&second, &JobOutcome::Succeeded).await?;
    let later = run.ready().await?.remove(0);
    assert_eq!(later.job.variables.get("A"), None);
    Ok(())
}

#[tokio::test]
async fn a_named_job_runs_with_what_it_needs() -> Outcome {
    let jobs = || {
        vec![
            job("build:b1"),
            job("build:b2"),
            needing("test:t1", &["b1"]),
            job("test:t2"),
            manual("deploy:m"),
            needing("deploy:d", &["t1"]),
            PipelineJob { dependencies: Some(vec!["b2".into()]), ..job("deploy:some") },
            PipelineJob { dependencies: Some(Vec::new()), ..job("deploy:alone") },
        ]
    };
    let ok = |names: &'static str| {
        names.split(' ').map(|name| format!("{name}:success")).collect::<Vec<_>>().join(" ")
    };
    for (names, waves, all) in [
        (&["d"][..], &["b1", "t1", "d"][..], "b1 t1 d"),
        (&["t2"], &["b1 b2", "t2"], "b1 b2 t2"),
        (&["some"], &["b2", "some"], "b2 some"),
        (&["alone"], &["alone"], "alone"),
        (&["b1", "alone"], &["b1", "alone"], "b1 alone"),
        (&["m"], &["b1 b2", "t1 t2", "m"], "b1 b2 t1 t2 m"),
    ] {
        check_named(jobs(), names, &[], waves, &ok(all)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_manual_job_that_is_needed_by_a_named_one_runs() -> Outcome {
    let jobs = || vec![manual("build:m"), manual("build:other"), needing("test:t", &["m"]), job("deploy:d")];
    check_named(jobs(), &["t"], &[], &["m", "t"], "m:success t:success").await?;
    check_named(jobs(), &["d"], &[], &["d"], "m:manual t:skipped d:success").await
}

#[tokio::test]
async fn all_instances_of_a_parallel_job_can_be_named_at_once() -> Outcome {
    let jobs = || vec![job("test:unit 1/2"), job("test:unit 2/2"), job("test:lint")];
    check_named(jobs(), &["unit"], &[], &["unit 1/2 unit 2/2"], "unit 1/2:success unit 2/2:success").await?;
    check_named(jobs(), &["unit 2/2"], &[], &["unit 2/2"], "unit 2/2:success").await?;
    let run = FakeRun::new(pipeline(jobs()), &[])?;
    let leases = run.ready().await?;
    let nodes: Vec<_> = leases
        .iter()
        .map(|lease| (lease.job.variables.value("CI_NODE_INDEX"), lease.job.variables.value("CI_NODE_TOTAL")))
        .collect();
    assert_eq!(nodes, [("1".into(), "2".into()), ("2".into(), "2".into()), (String::new(), "1".into())]);
    Ok(())
}

#[test]
fn a_name_that_cannot_run_is_explained() {
    let excluded = PipelineJob { not_run: Some("no rule matched".into()), ..job("deploy:deploy") };
    let jobs = || pipeline(vec![job("build:compile"), excluded.clone()]);
    let message = |name| FakeRun::new(jobs(), &[name]).unwrap_err().to_string();
    assert_eq!(message("complie"), "there is no job `complie` in the pipeline; did you mean `compile`?");
    assert_eq!(message("xyz"), "there is no job `xyz` in the pipeline; it has `compile`, `deploy`");
    assert_eq!(message("deploy"), "the job `deploy` is not part of this pipeline: no rule matched");
}

#[tokio::test]
async fn an_empty_pipeline_is_over_at_once() -> Outcome {
    check(Vec::new(), &[], &[], "").await
}

#[tokio::test]
async fn jobs_of_a_resource_group_run_one_at_a_time() -> Outcome {
    let grouped = |path| PipelineJob { resource_group: Some("production".into()), ..job(path) };
    check(
        vec![grouped("test:a"), grouped("test:b"), job("test:c")],
        &[],
        &["a c", "b"],
        "a:success b:success c:success",
    )
    .await
}

#[tokio::test]
async fn a_later_job_gets_variables_and_artifacts_of_those_it_names() -> Outcome {
    let spec_with = |variables| runner_core::JobSpec { variables, ..runner_core::JobSpec::default() };
    let variables = || Variables(vec![Variable::new("FILE", "file"), Variable::new("A", "file")]);
    let without = PipelineJob {
        needs: Some(vec![runner_pipeline::Need { job: "b1".into(), artifacts: false, optional: false }]),
        ..job("test:without")
    };
    let run = FakeRun::with_variables(
        pipeline(vec![
            job("build:b1"),
            job("build:b2"),
            PipelineJob { spec: spec_with(variables()), ..job("test:all") },
            needing("test:one", &["b1"]),
            without,
            PipelineJob { dependencies: Some(vec!["b2".into()]), ..job("test:two") },
        ]),
        &[],
        Variables(vec![Variable::new("C", "user")]),
    )?;
    let builds = run.ready().await?;
    upload(&builds[0], b"A=1\nC=1\n").await?;
    upload_archive(&builds[0], b"12345").await?;
    upload_gzip(&builds[1], b"B=2\n").await?;
    for lease in &builds {
        end_of(lease, &JobOutcome::Succeeded).await?;
    }
    let later = run.ready().await?;
    let facts: Vec<_> = later
        .iter()
        .map(|lease| {
            let value = |key| lease.job.variables.value(key);
            let givers: Vec<_> = lease.job.dependencies.iter().map(|giver| giver.name.as_str()).collect();
            format!(
                "{}: A={} B={} C={} FILE={} of {}",
                lease.job.name,
                value("A"),
                value("B"),
                value("C"),
                value("FILE"),
                givers.join(" ")
            )
        })
        .collect();
    assert_eq!(
        facts,
        [
            "all: A=1 B=2 C=user FILE=file of b1 b2",
            "one: A=1 B= C=user FILE= of b1",
            "without: A= B= C=user FILE= of ",
            "two: A= B=2 C=user FILE= of b2",
        ]
    );
    let giver = &later[0].job.dependencies[0];
    assert_eq!(giver.id.as_ref(), Some(&builds[0].job.id));
    assert_eq!(giver.file.as_ref().map(|file| file.size), Some(5));
    assert_eq!(later[0].job.dependencies[1].file, None);
    assert_eq!(run.artifacts.uploads().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_job_of_a_file_gets_the_work_tree_of_its_repository() -> Outcome {
    let tree = WorkTree::new()?;
    tree.write("new", "x")?;
    let repository = Repository::discover(tree.root()).await?;
    let predefined = Predefined::of(&repository, PipelineEvent::Push, "ci.yml").await?;
    let context = Context { predefined: predefined.variables.clone(), ..Context::default() };
    let text = "workflow: {name: for $CI_COMMIT_BRANCH}\na:\n  image: rust:$OWN\n  script: x\n  variables: {GIT_DEPTH: 3, OWN: $CI_JOB_NAME}\n  rules: [if: $CI_COMMIT_BRANCH == \"main\"]\n";
    let snapshot = Arc::new(Snapshot::take(&repository, &predefined, &tree.beside("scratch")).await?);
    let run = PipelineRun {
        pipeline: parse("ci.yml", text, &context)?,
        predefined,
        snapshot: Some(Arc::clone(&snapshot)),
        variables: Variables::default(),
        jobs: Vec::new(),
    };
    let store: Arc<dyn ArtifactStore> = MemoryArtifacts::new();
    let source =
        PipelineSource::new(run, Arc::new(move |_| Arc::clone(&store)), Arc::new(Recorder::default()))?;
    let lease = source.next(Capacity { free: 1 }, &CancellationToken::new()).await?.ok_or("no job came")?;
    let value = |key| lease.job.variables.value(key);
    assert_eq!((value("OWN").as_str(), value("CI_JOB_ID").as_str()), ("a", lease.job.id.as_str()));
    assert_eq!(value("CI_JOB_IMAGE"), "rust:a");
    assert_eq!(value("CI_PIPELINE_NAME"), "for main");
    assert_eq!(value("CI_COMMIT_SHA"), snapshot.sha());
    assert_eq!(value("CI_REPOSITORY_URL"), snapshot.url());
    assert_eq!(lease.job.git, snapshot.git_info(Some(3)));
    assert!(lease.job.project.id > 0 && lease.job.features.sections);
    Ok(())
}

#[tokio::test]
async fn a_bad_dotenv_report_fails_its_upload_plainly() -> Outcome {
    let run = FakeRun::new(pipeline(vec![job("build:b")]), &[])?;
    let lease = run.ready().await?.remove(0);
    let error = upload(&lease, b"A=1\n\nB=2\n").await.unwrap_err();
    let error = error.downcast::<runner_core::Error>()?;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Invalid, false));
    assert!(error.chain().contains("line 2"), "{}", error.chain());
    let large = vec![b'x'; 6 << 10];
    assert!(upload(&lease, &large).await.is_err());
    assert!(run.artifacts.uploads().is_empty());
    Ok(())
}

#[tokio::test]
async fn canceling_stops_what_runs_and_cancels_the_rest() -> Outcome {
    let run =
        FakeRun::new(pipeline(vec![job("build:b1"), retrying(2, &[], job("build:b2")), job("test:t")]), &[])?;
    let running = run.ready().await?;
    run.source.cancel_all(WishAction::CancelGracefully);
    for lease in &running {
        assert_eq!(lease.report.heartbeat(JobState::Running).await?.action, WishAction::CancelGracefully);
    }
    run.source.cancel_all(WishAction::Abort);
    run.source.cancel_all(WishAction::CancelGracefully);
    assert_eq!(running[0].report.heartbeat(JobState::Running).await?.action, WishAction::Abort);
    assert!(!run.source.is_exhausted());
    end_of(&running[0], &JobOutcome::Canceled).await?;
    end_of(&running[1], &JobOutcome::script_failed(1)).await?;
    assert_eq!(run.statuses(), "b1:canceled b2:failed t:canceled");
    assert!(run.source.is_exhausted());
    Ok(())
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_job_that_is_to_stop_at_once() -> Outcome {
    let run = FakeRun::new(pipeline(vec![job("build:b")]), &[])?;
    let running = run.ready().await?.remove(0);
    run.output.is_stuck.store(true, Ordering::Relaxed);
    let (reply, ()) = tokio::join!(running.report.append_log(0, Bytes::from_static(b"unread")), async {
        run.source.cancel_all(WishAction::CancelGracefully);
        tokio::task::yield_now().await;
        run.source.cancel_all(WishAction::Abort);
    });
    assert_eq!(reply?.ack, LogAck::Closed);
    end_of(&running, &JobOutcome::Canceled).await?;
    Ok(())
}

#[tokio::test]
async fn a_waiting_request_ends_with_the_pipeline_or_with_its_stop() -> Outcome {
    let run = FakeRun::new(pipeline(vec![job("build:b"), job("test:t")]), &[])?;
    let first = run.ready().await?.remove(0);
    let stop = CancellationToken::new();
    let (lease, ()) = tokio::join!(run.source.next(Capacity { free: 1 }, &stop), async {
        tokio::task::yield_now().await;
        end_of(&first, &JobOutcome::Succeeded).await.map(drop).unwrap_or_default();
    });
    let second = lease?.ok_or("no job came")?;
    assert_eq!(second.job.name, "t");
    let (lease, ()) = tokio::join!(run.source.next(Capacity { free: 1 }, &stop), async { stop.cancel() });
    assert!(lease?.is_none() && !run.source.is_exhausted());
    let stop = CancellationToken::new();
    let (lease, ()) = tokio::join!(run.source.next(Capacity { free: 1 }, &stop), async {
        end_of(&second, &JobOutcome::Succeeded).await.map(drop).unwrap_or_default();
    });
    assert!(lease?.is_none() && run.source.is_exhausted());
    Ok(())
}

#[tokio::test]
async fn a_log_is_applied_once_whatever_is_repeated() -> Outcome {
    let run = FakeRun::new(pipeline(vec![job("build:b")]), &[])?;
    let lease = run.ready().await?.remove(0);
    let append = async |offset, bytes: &'static [u8]| {
        lease.report.append_log(offset, Bytes::from_static(bytes)).await.map(|reply| reply.ack)
    };
    assert_eq!(append(0, b"abc").await?, LogAck::UpTo(3));
    assert_eq!(append(0, b"abc").await?, LogAck::UpTo(3));
    assert_eq!(append(5, b"x").await?, LogAck::Rewind(3));
    assert_eq!(append(1, b"bcde").await?, LogAck::UpTo(5));
    let digest = Some(LogDigest { size: 7, crc32: 0 });
    let outcome = JobOutcome::Succeeded;
    assert_eq!(lease.report.complete(&outcome, digest).await?, Completion::ResendLog(5));
    assert_eq!(append(5, b"fg").await?, LogAck::UpTo(7));
    assert_eq!(lease.report.complete(&outcome, digest).await?, Completion::Done);
    assert_eq!(lease.report.complete(&outcome, digest).await?, Completion::Done);
    let logs = run.output.logs.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(logs.get("b").map(Vec::as_slice), Some(&b"abcdefg"[..]));
    Ok(())
}

#[tokio::test]
async fn a_log_that_is_lost_does_not_hold_the_end_up() -> Outcome {
    let run = FakeRun::new(pipeline(vec![job("build:b")]), &[])?;
    let lease = run.ready().await?.remove(0);
    let digest = Some(LogDigest { size: 7, crc32: 0 });
    assert_eq!(lease.report.complete(&JobOutcome::Succeeded, digest).await?, Completion::ResendLog(0));
    assert_eq!(lease.report.complete(&JobOutcome::Succeeded, digest).await?, Completion::Done);
    Ok(())
}

#[tokio::test]
async fn changes_are_told_in_order() -> Outcome {
    let run = FakeRun::new(pipeline(vec![job("build:b"), job("test:t")]), &[])?;
    run.run(&[("b", "1")]).await?;
    let changes = run.output.changes.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*changes, ["b pending", "b running", "b failed", "t skipped"]);
    Ok(())
}

#[tokio::test]
async fn a_thousand_jobs_are_decided_quickly_enough_to_test() -> Outcome {
    let jobs = (0..1000).map(|number| job(&format!("{}:j{number}", ["build", "test", "deploy"][number % 3])));
    let run = FakeRun::new(pipeline(jobs.collect()), &[])?;
    assert_eq!(run.run(&[]).await?.len(), 3);
    Ok(())
}

async fn upload(lease: &JobLease, bytes: &[u8]) -> Outcome {
    upload_as(lease, "dotenv", ArtifactFormat::Raw, bytes.to_vec()).await
}

async fn upload_gzip(lease: &JobLease, bytes: &[u8]) -> Outcome {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    upload_as(lease, "dotenv", ArtifactFormat::Gzip, encoder.finish()?).await
}

async fn upload_archive(lease: &JobLease, bytes: &[u8]) -> Outcome {
    upload_as(lease, "archive", ArtifactFormat::Zip, bytes.to_vec()).await
}

async fn upload_as(lease: &JobLease, kind: &str, format: ArtifactFormat, bytes: Vec<u8>) -> Outcome {
    let artifact =
        ArtifactUpload { filename: format!("{kind}.x"), kind: kind.into(), format, expire_in: None };
    Ok(lease.artifacts.upload(&artifact, Box::new(std::io::Cursor::new(bytes))).await?)
}
