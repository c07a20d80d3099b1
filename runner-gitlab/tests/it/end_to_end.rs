//! Whole jobs over a network that fails all the time, reported by the core's reporter.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use runner_core::{
    JobOutcome, Runner,
    log::{LogSpool, MemorySpool},
    outcome::LogDigest,
    report::{ACCEPTANCE, Reporter, accept},
    run::{RunSummary, RunnerConfig, Shutdown, ShutdownLevel},
    source::{Completion, WishAction},
};
use runner_gitlab::remote;
use runner_testkit::{
    FakeExecutor,
    gitlab::{Chaos, Endpoint, Fault, GitLab, JobPayload, JobState},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bench::{next, source, taken};

/// Writes `lines` lines while the reporter runs, and reports the end.
async fn report(reporter: &Reporter, spool: &Arc<MemorySpool>, lines: usize) -> (Vec<u8>, Completion) {
    let finished = CancellationToken::new();
    let writing = async {
        let mut log = Vec::new();
        for number in 0..lines {
            let line = format!("{number} {}\n", "x".repeat(number % 3000));
            spool.append(Bytes::from(line.clone())).await.unwrap();
            log.extend_from_slice(line.as_bytes());
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        finished.cancel();
        log
    };
    let (log, ()) = tokio::join!(writing, reporter.run(&finished));
    let digest = LogDigest { size: log.len() as u64, crc32: crc32fast::hash(&log) };
    (log, reporter.complete(&JobOutcome::Succeeded, Some(digest)).await.unwrap())
}

fn reporter(state: &runner_core::Secret) -> (Reporter, Arc<MemorySpool>) {
    let spool = Arc::new(MemorySpool::new());
    let report = remote(state).unwrap().report;
    (Reporter::new(report, Arc::<MemorySpool>::clone(&spool), Duration::from_secs(3)), spool)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_reported_elsewhere_over_a_broken_network_loses_nothing() {
    for seed in 0..5 {
        let gitlab = GitLab::start().await.unwrap();
        let (id, lease) = taken(&gitlab, JobPayload::new("build")).await;
        gitlab.fail_randomly(Some(Chaos {
            seed,
            per_mille: 400,
            endpoints: vec![Endpoint::Update, Endpoint::Trace],
            faults: vec![
                Fault::Status(500),
                Fault::Status(502),
                Fault::Status(408),
                Fault::RetryAfter(2),
                Fault::ResetTime(Duration::from_secs(3)),
                Fault::ResetBefore,
                Fault::ResetAfter,
                Fault::TruncatedBody,
                Fault::Slow(Duration::from_secs(2)),
            ],
        }));
        let remote_report = remote(&lease.saved.state).unwrap().report;
        accept(&*remote_report, ACCEPTANCE).await.unwrap();
        let (reporter, spool) = reporter(&lease.saved.state);
        let (log, completion) = report(&reporter, &spool, 300).await;
        gitlab.fail_randomly(None);
        let disturbed = gitlab.requests().iter().filter(|request| request.is_disturbed).count();
        assert!(disturbed > 3, "seed {seed}: only {disturbed} faults");
        assert_eq!(completion, Completion::Done, "seed {seed}");
        let job = gitlab.job(id);
        assert_eq!((job.state, job.runs, job.trace_restarts), (JobState::Success, 1, 0), "seed {seed}");
        assert!(job.trace == log, "seed {seed}: {} bytes instead of {}", job.trace.len(), log.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_outlives_an_outage_of_the_server() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = taken(&gitlab, JobPayload::new("build")).await;
    lease.report.accept().await.unwrap();
    gitlab.outage(Duration::from_hours(2));
    let (reporter, spool) = reporter(&lease.saved.state);
    let (log, completion) = report(&reporter, &spool, 100).await;
    assert_eq!(completion, Completion::Done);
    assert!(gitlab.job(id).trace == log);
}

#[tokio::test(start_paused = true)]
async fn a_source_outlives_an_outage_of_the_server() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    gitlab.outage(Duration::from_mins(10));
    while next(&source).await.is_err() {
        gitlab.queue(JobPayload::new("build"));
        tokio::time::advance(Duration::from_mins(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reporter_learns_of_a_cancel_while_the_job_is_silent() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = taken(&gitlab, JobPayload::new("build")).await;
    lease.report.accept().await.unwrap();
    gitlab.cancel(id);
    let (reporter, _spool) = reporter(&lease.saved.state);
    let mut wishes = reporter.wishes();
    let never = CancellationToken::new();
    tokio::select! {
        () = reporter.run(&never) => panic!("it ended"),
        wish = wishes.wait_for(|wish| *wish == WishAction::CancelGracefully) => drop(wish.unwrap()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_drains_while_its_requests_are_held_ends_soon() {
    let gitlab = GitLab::start().await.unwrap();
    let executor = FakeExecutor::new([]);
    let requests = NonZeroUsize::new(3).unwrap();
    let config = RunnerConfig { requests, ..RunnerConfig::new("mine", source(&gitlab), executor) };
    let runner = Runner::builder().concurrent(requests).runner(config).build();
    let shutdown = Shutdown::new();
    let (summary, drained) = tokio::join!(runner.run(&shutdown), async {
        // Each asked once at once, and is held now.
        gitlab.wait_for_requests(Endpoint::Request, 6).await;
        shutdown.raise(ShutdownLevel::Drain);
        Instant::now()
    });
    assert_eq!(summary, RunSummary::default());
    assert!(drained.elapsed() <= Duration::from_secs(2), "{:?}", drained.elapsed());
}
