//! Updates: how a job ends.

use std::time::Duration;

use runner_testkit::gitlab::{GitLab, JobPayload, JobState};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::{Runner, send};

fn digest(trace: &str) -> Value {
    let checksum = format!("crc32:{:08x}", crc32fast::hash(trace.as_bytes()));
    json!({ "checksum": checksum, "output": { "checksum": checksum, "bytesize": trace.len() } })
}

#[tokio::test]
async fn a_failing_job_is_told_that_it_failed() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let reply = job.put_with("failed", json!({ "failure_reason": "script_failure", "exit_code": 3 })).await;
    assert_eq!((reply.status, reply.header("job-status")), (200, Some("failed")));
    let record = gitlab.wait_until(job.id, JobState::Failed).await;
    assert_eq!((record.failure_reason.as_deref(), record.exit_code), (Some("script_failure"), Some(3)));
    let states: Vec<_> = record.history.iter().map(|change| change.state).collect();
    assert_eq!(states, [JobState::Queued, JobState::Assigned, JobState::Running, JobState::Failed]);
}

#[tokio::test]
async fn a_reason_that_the_payload_does_not_name_is_unknown() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.put_with("failed", json!({ "failure_reason": "bad_luck" })).await;
    let record = gitlab.job(job.id);
    assert_eq!((record.failure_reason.as_deref(), record.exit_code), (Some("unknown_failure"), None));
}

#[tokio::test]
#[should_panic(
    expected = "is Failed (Some(\"script_failure\")) and will never be Success; its trace:\noh no"
)]
async fn waiting_for_another_end_than_there_is_fails_the_test() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.patch(0, "oh no").await;
    job.put_with("failed", json!({ "failure_reason": "script_failure" })).await;
    assert_eq!(gitlab.wait_until_over(job.id).await.state, JobState::Failed);
    gitlab.wait_until(job.id, JobState::Success).await;
}

#[tokio::test]
async fn a_repeated_end_is_refused_with_the_state_that_was_reached() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    assert_eq!(job.put("success").await.status, 200);
    let again = job.put("success").await;
    assert_eq!((again.status, again.header("job-status")), (403, Some("success")));
    assert_eq!(job.patch(0, "late").await.status, 403);
}

#[tokio::test]
async fn an_update_needs_its_token_in_the_body_and_a_state() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let path = format!("/api/v4/jobs/{}", job.id);
    let headers = [("job-token", job.token.as_str()), ("content-type", "application/json")];
    let reply = send(gitlab.url(), "PUT", &path, &headers, b"{\"state\":\"success\"}").await.unwrap();
    assert_eq!((reply.status, reply.json()), (400, json!({ "error": "token is missing" })));
    assert_eq!(job.put("canceled").await.status, 400);
    assert_eq!(job.put("pending").await.status, 400);
    assert_eq!(gitlab.job(job.id).state, JobState::Running);
}

#[tokio::test]
async fn a_deferred_end_is_accepted_later_and_the_pauses_double() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.defer_updates(job.id, 8);
    for pause in ["1", "2", "4", "8", "16", "32", "64", "64"] {
        let reply = job.put("success").await;
        assert_eq!((reply.status, reply.header("x-gitlab-trace-update-interval")), (202, Some(pause)));
        assert_eq!(reply.header("job-status"), Some("running"));
    }
    assert_eq!(job.put("success").await.status, 200);
}

#[tokio::test]
async fn a_wrong_checksum_asks_for_the_trace_from_its_beginning() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.patch(0, "hello").await;
    gitlab.damage_trace(job.id);
    let reply = job.put_with("success", digest("hello")).await;
    assert_eq!((reply.status, reply.header("job-status")), (412, Some("running")));
    assert_eq!(job.patch(0, "hello").await.status, 202);
    assert_eq!(job.put_with("success", digest("hell")).await.status, 412);
    assert_eq!(job.patch(0, "hello").await.status, 202);
    assert_eq!(job.put_with("success", digest("hello")).await.status, 200);
    assert_eq!(gitlab.job(job.id).trace_restarts, 2);
}

#[tokio::test]
async fn a_runner_cannot_end_a_job_that_it_did_not_acknowledge() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let id = gitlab.queue(JobPayload::new("build"));
    let payload = runner.request("").await.json();
    let end = json!({ "token": payload["token"], "state": "success" });
    assert_eq!(runner.call("PUT", &format!("jobs/{id}"), &end).await.status, 400);
    assert_eq!(gitlab.job(id).state, JobState::Assigned);
}

#[tokio::test(start_paused = true)]
async fn the_longest_silence_is_counted_between_messages() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    for pause in [5, 40, 7] {
        sleep(Duration::from_secs(pause)).await;
        assert_eq!(job.put("running").await.status, 200);
    }
    let before = Instant::now();
    job.put("success").await;
    let record = gitlab.job(job.id);
    assert_eq!(record.longest_silence.as_secs(), 40);
    assert!(record.history.last().unwrap().at >= before);
}
