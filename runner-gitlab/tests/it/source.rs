//! How jobs are asked for.

use std::time::Duration;

use runner_core::{ErrorKind, JobSource, Secret};
use runner_gitlab::{GitLabSource, SourceSettings};
use runner_testkit::gitlab::{Endpoint, Fault, GitLab, JobPayload, JobState, Request};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bench::{ROOM, next, running, settings, source, taken, without_polling};

fn requests(gitlab: &GitLab) -> Vec<Request> {
    gitlab.requests().into_iter().filter(|request| request.endpoint == Endpoint::Request).collect()
}

/// Asks until `count` requests arrived, and stops.
async fn ask(gitlab: &GitLab, source: &GitLabSource, count: usize) {
    tokio::select! {
        lease = next(source) => panic!("{lease:?}"),
        () = gitlab.wait_for_requests(Endpoint::Request, count) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_says_who_asks_and_what_the_server_said_last() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    ask(&gitlab, &source, 3).await;
    let requests = requests(&gitlab);
    assert_eq!(requests[0].body["token"], gitlab.runner_token());
    assert_eq!(requests[0].body["system_id"], "s_test");
    assert_eq!(requests[0].body["info"]["features"]["two_phase_job_commit"], true);
    assert!(requests[0].headers["user-agent"].to_str().unwrap().starts_with("gitlab-runner 19.4.0 (runner "));
    assert_eq!(requests[0].body.get("last_update"), None);
    // The second was held and said nothing new: the third says the same.
    assert!(requests[1].body["last_update"].is_string());
    assert_eq!(requests[2].body["last_update"], requests[1].body["last_update"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_queued_while_a_request_is_held_is_taken_at_once() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    ask(&gitlab, &source, 2).await;
    let queued = Instant::now();
    let id = gitlab.queue(JobPayload::new("build"));
    let lease = next(&source).await.unwrap();
    assert_eq!(lease.job.id.as_str(), id.to_string());
    assert!(queued.elapsed() < Duration::from_millis(100), "{:?}", queued.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_holds_nothing_is_asked_once_an_interval() {
    let gitlab = without_polling().await;
    let source = source(&gitlab);
    let start = Instant::now();
    ask(&gitlab, &source, 5).await;
    assert_eq!(start.elapsed().as_secs(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_jobs_needs_no_interval() {
    let gitlab = without_polling().await;
    let source = source(&gitlab);
    for _ in 0..5 {
        gitlab.queue(JobPayload::new("build"));
    }
    let start = Instant::now();
    for _ in 0..5 {
        next(&source).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_strict_interval_is_kept_after_a_job_as_well() {
    let gitlab = without_polling().await;
    let source =
        GitLabSource::new(SourceSettings { strict_check_interval: true, ..settings(&gitlab) }).unwrap();
    gitlab.queue(JobPayload::new("build"));
    gitlab.queue(JobPayload::new("build"));
    let start = Instant::now();
    next(&source).await.unwrap();
    next(&source).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_is_refused_three_times_leaves_the_server_alone_for_an_hour() {
    let gitlab = GitLab::start().await.unwrap();
    gitlab.revoke_runner(gitlab.runner_token());
    let source = source(&gitlab);
    for count in 1..=3 {
        let error = next(&source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(!error.is_retryable());
        assert_eq!(
            error.chain().contains("not asked again for seconds 3600"),
            count == 3,
            "{}",
            error.chain()
        );
    }
    let start = Instant::now();
    next(&source).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_makes_nobody_unhealthy() {
    let gitlab = GitLab::start().await.unwrap();
    let faults = [Fault::Status(500), Fault::Status(502), Fault::ResetBefore, Fault::Status(504)];
    let source = source(&gitlab);
    for fault in faults.into_iter().cycle().take(12) {
        gitlab.fail(Endpoint::Request, [fault.clone()]);
        let error = next(&source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault:?}");
        assert!(!error.chain().contains("Whoops"), "{}", error.chain());
    }
    gitlab.queue(JobPayload::new("build"));
    next(&source).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_runner_that_was_quicker_is_no_fault() {
    let gitlab = GitLab::start().await.unwrap();
    gitlab.fail(Endpoint::Request, [Fault::Status(409)]);
    gitlab.queue(JobPayload::new("build"));
    next(&source(&gitlab)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_a_time_is_not_asked_before() {
    for (fault, least, most) in
        [(Fault::RetryAfter(7), 7, 7), (Fault::ResetTime(Duration::from_secs(20)), 18, 21)]
    {
        let gitlab = GitLab::start().await.unwrap();
        gitlab.fail(Endpoint::Request, [fault]);
        gitlab.queue(JobPayload::new("build"));
        let source = source(&gitlab);
        assert_eq!(next(&source).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let start = Instant::now();
        next(&source).await.unwrap();
        let waited = start.elapsed().as_secs();
        assert!((least..=most).contains(&waited), "{waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_job_is_an_error_and_the_next_one_counts() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    for fault in [Fault::WrongJson, Fault::HugeJson(20 << 20), Fault::Redirect, Fault::Status(418)] {
        gitlab.fail(Endpoint::Request, [fault.clone()]);
        next(&source).await.expect_err(&format!("{fault:?}"));
    }
    gitlab.queue(JobPayload::new("build"));
    next(&source).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_answer_was_lost_is_handed_out_again() {
    for fault in [Fault::ResetAfter, Fault::TruncatedBody] {
        let gitlab = GitLab::start().await.unwrap();
        let id = gitlab.queue(JobPayload::new("build"));
        let source = source(&gitlab);
        gitlab.fail(Endpoint::Request, [fault]);
        assert_eq!(next(&source).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let lease = next(&source).await.unwrap();
        lease.report.accept().await.unwrap();
        let job = gitlab.job(id);
        assert_eq!((job.assignments, job.runs), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_request_is_broken_off_soon_and_its_job_goes_to_somebody_else() {
    let gitlab = GitLab::start().await.unwrap();
    let (first, other) = (source(&gitlab), source(&gitlab));
    ask(&gitlab, &first, 2).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let start = Instant::now();
    assert!(first.next(ROOM, &stop).await.unwrap().is_none());
    assert!(start.elapsed() <= Duration::from_secs(2));
    tokio::time::advance(Duration::from_secs(3)).await;
    let id = gitlab.queue(JobPayload::new("build"));
    let lease = next(&other).await.unwrap();
    assert_eq!(lease.job.id.as_str(), id.to_string());
    assert_eq!(gitlab.job(id).assignments, 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_arrives_while_a_request_is_stopped_is_returned() {
    let gitlab = GitLab::start().await.unwrap();
    let id = gitlab.queue(JobPayload::new("build"));
    gitlab.fail(Endpoint::Request, [Fault::Slow(Duration::from_secs(1))]);
    let source = source(&gitlab);
    let stop = CancellationToken::new();
    let (lease, ()) = tokio::join!(source.next(ROOM, &stop), async {
        gitlab.wait_until(id, JobState::Assigned).await;
        stop.cancel();
    });
    assert_eq!(lease.unwrap().unwrap().job.id.as_str(), id.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_waits_for_is_kept_and_kept_alive() {
    let gitlab = GitLab::start().await.unwrap();
    let id = gitlab.queue(JobPayload::new("build"));
    gitlab.fail(Endpoint::Request, [Fault::Slow(Duration::from_secs(1))]);
    let source = source(&gitlab);
    tokio::select! {
        lease = next(&source) => panic!("{lease:?}"),
        _ = gitlab.wait_until(id, JobState::Assigned) => {}
    }
    // Without a word it would be queued again after two minutes.
    gitlab.wait_for_requests(Endpoint::Update, 10).await;
    let lease = next(&source).await.unwrap();
    assert_eq!(lease.job.id.as_str(), id.to_string());
    assert_eq!(gitlab.job(id).assignments, 1);
    assert_eq!(requests(&gitlab).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_requests_wait_at_once() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    ask(&gitlab, &source, 1).await;
    let ids = [gitlab.queue(JobPayload::new("a")), gitlab.queue(JobPayload::new("b"))];
    let (one, two) = tokio::join!(next(&source), next(&source));
    let mut taken = [one.unwrap().job.id.to_string(), two.unwrap().job.id.to_string()];
    taken.sort_unstable();
    assert_eq!(taken, ids.map(|id| id.to_string()));
}

async fn refused(field: &str, value: Value) -> (String, Option<String>) {
    let gitlab = GitLab::start().await.unwrap();
    let id = gitlab.queue(JobPayload::new("build").with(field, value));
    let source = source(&gitlab);
    let job = tokio::select! {
        lease = next(&source) => panic!("{lease:?}"),
        job = gitlab.wait_until(id, JobState::Failed) => job,
    };
    (String::from_utf8(job.trace).unwrap(), job.failure_reason)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_asks_for_what_is_not_done_ends_and_says_why() {
    let (trace, reason) = refused("run", json!("[{\"name\":\"a\",\"step\":\"./a\"}]")).await;
    assert!(trace.contains("`run`: write its steps as a `script`"), "{trace}");
    assert_eq!(reason.as_deref(), Some("runner_unsupported"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_read_ends_and_says_so() {
    let (trace, reason) = refused("steps", json!({"a": 1})).await;
    assert!(trace.contains("failed to read a job"), "{trace}");
    assert_eq!(reason.as_deref(), Some("runner_system_failure"));
}

#[tokio::test(start_paused = true)]
async fn a_stored_job_is_gone_on_with_unless_the_server_has_certainly_ended_it() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    let resume = |lease: &runner_core::JobLease| source.resume(lease.saved.clone());
    let (id, lease) = taken(&gitlab, JobPayload::new("not accepted yet")).await;
    assert_eq!(resume(&lease).await.unwrap().job, lease.job);
    assert_eq!(gitlab.job(id).state, JobState::Assigned);
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    resume(&lease).await.unwrap();
    for fault in [Fault::Status(502), Fault::Status(500), Fault::Status(404), Fault::ResetBefore] {
        gitlab.fail(Endpoint::Update, [fault]);
        resume(&lease).await.unwrap();
    }
    // A server that was silent is not asked for so long.
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(gitlab.job(id).state, JobState::Running);
    gitlab.cancel_hard(id);
    assert_eq!(resume(&lease).await.unwrap_err().kind(), ErrorKind::NotFound);
    let (id, lease) = running(&gitlab, JobPayload::new("deleted")).await;
    gitlab.delete(id);
    assert_eq!(resume(&lease).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_keeps_many_stored_jobs_waiting_only_once() {
    let gitlab = GitLab::start().await.unwrap();
    let source = source(&gitlab);
    let (_, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.fail(Endpoint::Update, std::iter::repeat_n(Fault::Slow(Duration::from_hours(1)), 100));
    let start = Instant::now();
    for _ in 0..100 {
        source.resume(lease.saved.clone()).await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_runner_without_a_name_that_fits_is_refused_before_it_asks() {
    let gitlab = GitLab::start().await.unwrap();
    let long = SourceSettings { token: Secret::new("x".repeat(40_000)), ..settings(&gitlab) };
    assert_eq!(GitLabSource::new(long).unwrap_err().kind(), ErrorKind::Invalid);
}
