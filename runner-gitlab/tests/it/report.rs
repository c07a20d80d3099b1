//! How jobs are reported.

use std::time::Duration;

use bytes::Bytes;
use runner_core::{
    ErrorKind, FailureReason, JobOutcome,
    outcome::LogDigest,
    source::{Completion, JobState as State, LogAck, WishAction},
};
use runner_testkit::gitlab::{Endpoint, Fault, GitLab, JobPayload, JobState, Settings};
use tokio::time::Instant;

use crate::bench::{running, taken};

fn digest(log: &[u8]) -> LogDigest {
    LogDigest { size: log.len() as u64, crc32: crc32fast::hash(log) }
}

#[tokio::test]
async fn accepting_a_job_acknowledges_it() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = taken(&gitlab, JobPayload::new("build")).await;
    lease.report.heartbeat(State::Pending).await.unwrap();
    assert_eq!(gitlab.job(id).state, JobState::Assigned);
    let wish = lease.report.accept().await.unwrap();
    assert_eq!(wish.action, WishAction::GoOn);
    assert_eq!(gitlab.job(id).state, JobState::Running);
}

#[tokio::test]
async fn a_job_that_was_canceled_before_it_was_accepted_is_not_taken() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = taken(&gitlab, JobPayload::new("build")).await;
    gitlab.cancel(id);
    let error = lease.report.accept().await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(
        lease.report.complete(&JobOutcome::Canceled, Some(digest(b""))).await.unwrap(),
        Completion::Gone
    );
}

#[tokio::test]
async fn a_part_of_the_log_is_sent_as_the_server_wants_it() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build").variable("CI_DEBUG_TRACE", "true")).await;
    gitlab.set_trace_interval(id, 60);
    let reply = lease.report.append_log(0, Bytes::from_static(b"one\n")).await.unwrap();
    assert_eq!((reply.ack, reply.wish.interval), (LogAck::UpTo(4), Some(Duration::from_mins(1))));
    let sent = gitlab.requests().into_iter().find(|request| request.endpoint == Endpoint::Trace).unwrap();
    assert_eq!(sent.headers["content-type"], "text/plain");
    assert_eq!(sent.headers["content-range"], "0-3");
    assert_eq!(sent.headers["job-token"], lease.job.token.expose());
    assert!(sent.target.ends_with("/trace?debug_trace=true"), "{}", sent.target);
}

#[tokio::test]
async fn no_part_of_a_log_is_larger_than_the_server_takes() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    let reply = lease.report.append_log(0, Bytes::from(vec![b'x'; 3 << 20])).await.unwrap();
    assert_eq!(reply.ack, LogAck::UpTo(1 << 20));
    assert_eq!(gitlab.job(id).trace.len(), 1 << 20);
}

#[tokio::test]
async fn a_lost_answer_doubles_no_byte() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.fail(Endpoint::Trace, [Fault::ResetAfter]);
    let line = Bytes::from_static(b"one\n");
    assert!(lease.report.append_log(0, line.clone()).await.unwrap_err().is_retryable());
    let reply = lease.report.append_log(0, line).await.unwrap();
    assert_eq!(reply.ack, LogAck::Rewind(4));
    assert_eq!(gitlab.job(id).trace, b"one\n");
}

#[tokio::test]
async fn a_log_that_is_too_long_for_the_server_aborts_the_job() {
    let settings = Settings { trace_limit: 10, ..Settings::default() };
    let gitlab = GitLab::start_with(settings).await.unwrap();
    let (_, lease) = running(&gitlab, JobPayload::new("build")).await;
    for _ in 0..2 {
        let reply = lease.report.append_log(0, Bytes::from_static(b"more than ten\n")).await.unwrap();
        assert_eq!((reply.ack, reply.wish.action), (LogAck::Closed, WishAction::Abort));
    }
}

#[tokio::test]
async fn a_job_that_the_server_has_deleted_is_aborted() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.delete(id);
    let reply = lease.report.append_log(0, Bytes::from_static(b"a\n")).await.unwrap();
    assert_eq!((reply.ack, reply.wish.action), (LogAck::Closed, WishAction::Abort));
    assert_eq!(lease.report.heartbeat(State::Running).await.unwrap().action, WishAction::Abort);
    assert_eq!(
        lease.report.complete(&JobOutcome::Succeeded, Some(digest(b"a\n"))).await.unwrap(),
        Completion::Gone
    );
}

#[tokio::test]
async fn a_job_that_is_not_found_goes_on_until_its_end() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.fail(Endpoint::Trace, [Fault::Status(404)]);
    gitlab.fail(Endpoint::Update, [Fault::Status(404), Fault::Status(404)]);
    let reply = lease.report.append_log(0, Bytes::from_static(b"a\n")).await.unwrap();
    assert_eq!((reply.ack, reply.wish.action), (LogAck::Closed, WishAction::GoOn));
    assert_eq!(lease.report.heartbeat(State::Running).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        lease.report.complete(&JobOutcome::Succeeded, Some(digest(b"a\n"))).await.unwrap(),
        Completion::Gone
    );
    assert_eq!(gitlab.job(id).state, JobState::Running);
}

#[tokio::test]
async fn a_cancel_is_seen_by_every_call() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.cancel(id);
    let graceful = WishAction::CancelGracefully;
    assert_eq!(lease.report.heartbeat(State::Running).await.unwrap().action, graceful);
    let reply = lease.report.append_log(0, Bytes::from_static(b"bye\n")).await.unwrap();
    assert_eq!((reply.ack, reply.wish.action), (LogAck::UpTo(4), graceful));
    let ended = lease.report.complete(&JobOutcome::Canceled, Some(digest(b"bye\n"))).await.unwrap();
    assert_eq!(ended, Completion::Done);
    assert_eq!(gitlab.job(id).state, JobState::Canceled);
}

#[tokio::test]
async fn a_hard_cancel_aborts() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.cancel_hard(id);
    assert_eq!(lease.report.heartbeat(State::Running).await.unwrap().action, WishAction::Abort);
    let reply = lease.report.append_log(0, Bytes::from_static(b"a\n")).await.unwrap();
    assert_eq!((reply.ack, reply.wish.action), (LogAck::Closed, WishAction::Abort));
    assert_eq!(
        lease.report.complete(&JobOutcome::Succeeded, Some(digest(b""))).await.unwrap(),
        Completion::Gone
    );
}

#[tokio::test]
async fn an_end_says_how_and_why() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    let ended = lease.report.complete(&JobOutcome::script_failed(3), None).await.unwrap();
    assert_eq!(ended, Completion::Done);
    let job = gitlab.job(id);
    assert_eq!((job.exit_code, job.failure_reason.as_deref()), (Some(3), Some("script_failure")));
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    // The server knows this one not.
    let outcome = JobOutcome::failed(FailureReason::ConfigurationError, "");
    lease.report.complete(&outcome, None).await.unwrap();
    assert_eq!(gitlab.job(id).failure_reason.as_deref(), Some("unknown_failure"));
}

#[tokio::test]
async fn an_end_whose_answer_was_lost_is_done_when_it_is_repeated() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.fail(Endpoint::Update, [Fault::ResetAfter]);
    let outcome = JobOutcome::script_failed(1);
    assert!(lease.report.complete(&outcome, None).await.unwrap_err().is_retryable());
    assert_eq!(lease.report.complete(&outcome, None).await.unwrap(), Completion::Done);
    assert_eq!(gitlab.job(id).state, JobState::Failed);
}

#[tokio::test]
async fn an_end_waits_for_the_server_and_for_a_log_that_is_right() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    lease.report.append_log(0, Bytes::from_static(b"one\n")).await.unwrap();
    gitlab.defer_updates(id, 2);
    let end = || lease.report.complete(&JobOutcome::Succeeded, Some(digest(b"one\n")));
    assert_eq!(end().await.unwrap(), Completion::NotYet(Duration::from_secs(1)));
    assert_eq!(end().await.unwrap(), Completion::NotYet(Duration::from_secs(2)));
    gitlab.damage_trace(id);
    assert_eq!(end().await.unwrap(), Completion::ResendLog(0));
    lease.report.append_log(0, Bytes::from_static(b"one\n")).await.unwrap();
    assert_eq!(end().await.unwrap(), Completion::Done);
}

#[tokio::test]
async fn what_passes_ends_nothing() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    for status in [408, 409, 429, 500, 502, 503, 504, 521, 302] {
        gitlab.fail(Endpoint::Update, [Fault::Status(status), Fault::Status(status)]);
        gitlab.fail(Endpoint::Trace, [Fault::Status(status)]);
        let report = &lease.report;
        assert!(report.heartbeat(State::Running).await.unwrap_err().is_retryable(), "{status}");
        let log = report.append_log(0, Bytes::from_static(b"a\n")).await;
        assert!(log.unwrap_err().is_retryable(), "{status}");
        let end = report.complete(&JobOutcome::Succeeded, None).await;
        let error = end.unwrap_err();
        assert!(error.is_retryable() && !error.chain().contains("Whoops"), "{}", error.chain());
    }
    assert_eq!(gitlab.job(id).state, JobState::Running);
}

#[tokio::test(start_paused = true)]
async fn the_next_call_waits_as_long_as_the_server_asked() {
    let gitlab = GitLab::start().await.unwrap();
    let (_, lease) = running(&gitlab, JobPayload::new("build")).await;
    gitlab.fail(Endpoint::Update, [Fault::RetryAfter(40)]);
    lease.report.heartbeat(State::Running).await.unwrap_err();
    let start = Instant::now();
    lease.report.append_log(0, Bytes::from_static(b"a\n")).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 40);
}
