//! Runners, the queue, and jobs that nobody acknowledges.

use std::time::Duration;

use runner_testkit::gitlab::{Endpoint, GitLab, JobPayload, JobState, Settings};
use serde_json::{Value, json};

use super::client::{Runner, send};

const LAST_UPDATE: &str = "x-gitlab-last-update";

async fn without_polling() -> GitLab {
    GitLab::start_with(Settings { long_poll: Duration::ZERO, ..Settings::default() }).await.unwrap()
}

#[tokio::test]
async fn a_runner_is_verified_by_its_token() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let reply = runner.call("POST", "runners/verify", &runner.identity()).await;
    assert_eq!((reply.status, reply.json()["token_expires_at"].clone()), (200, Value::Null));
    assert_eq!(runner.call("POST", "runners/verify", &json!({ "token": "other" })).await.status, 403);
    assert_eq!(runner.call("POST", "runners/verify", &json!({})).await.status, 400);
}

#[tokio::test]
async fn a_runner_registers_and_unregisters() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    assert_eq!(runner.call("POST", "runners", &json!({ "token": "wrong" })).await.status, 403);
    let reply = runner.call("POST", "runners", &json!({ "token": gitlab.registration_token() })).await;
    assert_eq!(reply.status, 201);
    let token = json!({ "token": reply.json()["token"] });
    assert_eq!(runner.call("POST", "runners/verify", &token).await.status, 200);
    assert_eq!(runner.call("DELETE", "runners", &token).await.status, 204);
    assert_eq!(runner.call("POST", "runners/verify", &token).await.status, 403);
}

#[tokio::test]
async fn the_token_belongs_into_the_body() {
    let gitlab = GitLab::start().await.unwrap();
    let headers = [("runner-token", gitlab.runner_token()), ("content-type", "application/json")];
    let reply = send(gitlab.url(), "POST", "/api/v4/jobs/request", &headers, b"{}").await.unwrap();
    assert_eq!((reply.status, reply.json()), (400, json!({ "error": "token is missing" })));
}

#[tokio::test]
async fn a_revoked_runner_gets_403() {
    let gitlab = without_polling().await;
    gitlab.revoke_runner(gitlab.runner_token());
    assert_eq!(Runner::of(&gitlab).request("").await.status, 403);
}

#[tokio::test]
async fn a_request_over_32_kib_is_too_large() {
    let gitlab = without_polling().await;
    let runner = Runner::of(&gitlab);
    let mut body = runner.identity();
    body["info"]["padding"] = json!("x".repeat(33 << 10));
    assert_eq!(runner.call("POST", "jobs/request", &body).await.status, 413);
}

#[tokio::test]
async fn only_an_empty_answer_says_how_new_the_queue_is() {
    let gitlab = without_polling().await;
    let runner = Runner::of(&gitlab);
    let empty = runner.request("").await;
    let value = empty.header(LAST_UPDATE).unwrap().to_owned();
    assert_eq!((empty.status, empty.body.len()), (204, 0));
    assert_eq!(runner.request(&value).await.header(LAST_UPDATE), Some(value.as_str()));

    gitlab.queue(JobPayload::new("build"));
    let job = runner.request(&value).await;
    assert_eq!((job.status, job.header(LAST_UPDATE)), (201, None));
    let after = runner.request(&value).await;
    assert_eq!(after.status, 204);
    assert_ne!(after.header(LAST_UPDATE), Some(value.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_held_request_ends_without_the_header_when_its_time_is_over() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let value = runner.request("").await.header(LAST_UPDATE).unwrap().to_owned();
    let began = tokio::time::Instant::now();
    let reply = runner.request(&value).await;
    assert_eq!((reply.status, reply.header(LAST_UPDATE)), (204, None));
    assert!(began.elapsed() >= Duration::from_secs(50), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_held_request_ends_without_a_job_when_one_is_queued() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let value = runner.request("").await.header(LAST_UPDATE).unwrap().to_owned();
    let queue = async {
        gitlab.wait_for_requests(Endpoint::Request, 2).await;
        gitlab.queue(JobPayload::new("build"));
    };
    let (held, ()) = tokio::join!(runner.request(&value), queue);
    assert_eq!((held.status, held.header(LAST_UPDATE)), (204, None));
    assert_eq!(runner.request(&value).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_acknowledges_goes_to_another_runner() {
    let gitlab = without_polling().await;
    let runner = Runner::of(&gitlab);
    let id = gitlab.queue(JobPayload::new("build"));
    let first = runner.request("").await.json();
    assert_eq!(gitlab.job(id).state, JobState::Assigned);

    let job = gitlab.wait_until(id, JobState::Queued).await;
    assert_eq!(job.history[2].at - job.history[1].at, Duration::from_mins(2));
    let second = runner.take().await;
    assert_ne!(first["token"], json!(second.token));
    let late = json!({ "token": first["token"], "state": "running" });
    assert_eq!(runner.call("PUT", &format!("jobs/{id}"), &late).await.status, 403);
    let job = gitlab.job(id);
    assert_eq!((job.assignments, job.runs, job.stale_requests), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_said_to_be_pending_stays_with_its_runner() {
    let gitlab = without_polling().await;
    let runner = Runner::of(&gitlab);
    let id = gitlab.queue(JobPayload::new("build"));
    let payload = runner.request("").await.json();
    let pending = json!({ "token": payload["token"], "state": "pending" });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let reply = runner.call("PUT", &format!("jobs/{id}"), &pending).await;
        assert_eq!((reply.status, reply.header("job-status")), (200, Some("pending")));
    }
    let job = gitlab.wait_until(id, JobState::Queued).await;
    assert_eq!(job.history[2].at - job.history[1].at, Duration::from_mins(7));
}

#[tokio::test]
async fn a_runner_without_two_phases_runs_the_job_at_once() {
    let gitlab = without_polling().await;
    let mut runner = Runner::of(&gitlab);
    runner.features = json!({});
    let id = gitlab.queue(JobPayload::new("build"));
    assert_eq!(runner.request("").await.status, 201);
    assert_eq!(gitlab.job(id).state, JobState::Running);
}

#[tokio::test]
async fn a_payload_is_as_gitlab_sends_it() {
    let gitlab = without_polling().await;
    let runner = Runner::of(&gitlab);
    let payload = JobPayload::new("build")
        .service("postgres")
        .artifacts(["out/"])
        .dependency(77, "earlier", None)
        .commit("group/project.git", "main", "0123456789012345678901234567890123456789");
    let job = runner.run(payload).await;
    let payload = &job.payload;
    assert_eq!(payload["image"], Value::Null);
    assert_eq!(payload["services"][0]["alias"], Value::Null);
    assert_eq!(payload["artifacts"][0]["when"], Value::Null);
    assert_eq!(payload["dependencies"][0].get("artifacts_file"), None);
    assert_eq!(payload["dependencies"][0]["token"], json!(job.token));
    assert!(payload["job_info"]["project_jobs_running_on_instance_runners_count"].is_string());
    let host = gitlab.url().trim_start_matches("http://");
    let place = format!("http://gitlab-ci-token:{}@{host}/group/project.git", job.token);
    assert_eq!(payload["git_info"]["repo_url"], json!(place));
    let variables = payload["variables"].as_array().unwrap();
    let value =
        |key: &str| variables.iter().find(|variable| variable["key"] == key).unwrap()["value"].clone();
    assert_eq!((value("CI_JOB_ID"), value("CI_JOB_TOKEN")), (json!(job.id.to_string()), json!(job.token)));
    assert_eq!(value("CI_REPOSITORY_URL"), json!(place));
    let text = payload.to_string();
    assert!(!text.contains("[token") && !text.contains("[address"), "{text}");
}
