//! Cancelled jobs.

use runner_testkit::gitlab::{GitLab, JobPayload, JobState};
use serde_json::json;

use super::client::Runner;

#[tokio::test]
async fn a_graceful_cancel_is_told_with_good_answers_until_the_job_ends() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.cancel(job.id);
    let reply = job.patch(0, "after_script").await;
    assert_eq!((reply.status, reply.header("job-status")), (202, Some("canceling")));
    let reply = job.put("running").await;
    assert_eq!((reply.status, reply.header("job-status")), (200, Some("canceling")));
    let reply = job.put_with("failed", json!({ "failure_reason": "unknown_failure" })).await;
    assert_eq!((reply.status, reply.header("job-status")), (200, Some("canceled")));
    assert_eq!(gitlab.job(job.id).state, JobState::Canceled);
}

#[tokio::test]
async fn a_hard_cancel_is_told_with_a_refusal() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.cancel_hard(job.id);
    for reply in [job.patch(0, "x").await, job.put("running").await, job.put("success").await] {
        assert_eq!((reply.status, reply.header("job-status")), (403, Some("canceled")));
    }
}

#[tokio::test]
async fn a_runner_that_cannot_cancel_gracefully_is_cancelled_hard() {
    let gitlab = GitLab::start().await.unwrap();
    let mut runner = Runner::of(&gitlab);
    runner.features = json!({});
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.cancel(job.id);
    assert_eq!(gitlab.job(job.id).state, JobState::Canceled);
}

#[tokio::test]
async fn features_that_verify_leaves_out_stay_unknown() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let bare = json!({ "token": gitlab.runner_token(), "system_id": "s_1" });
    runner.call("POST", "runners/verify", &bare).await;
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.cancel(job.id);
    assert_eq!(gitlab.job(job.id).state, JobState::Canceled);
}

#[tokio::test]
async fn a_cancelled_job_is_not_handed_out() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let id = gitlab.queue(JobPayload::new("build"));
    gitlab.cancel(id);
    assert_eq!(runner.request("").await.status, 204);
    assert_eq!(gitlab.job(id).assignments, 0);
}
