//! Faults, planned and at random.

use std::{io::ErrorKind, time::Duration};

use runner_testkit::gitlab::{Chaos, Endpoint, Fault, GitLab, JobPayload, JobState};
use tokio::time::{Instant, sleep};

use super::client::{Runner, send};

#[tokio::test]
async fn a_status_is_given_once_and_has_no_effect() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.patch(0, "abc").await;
    gitlab.fail(Endpoint::Trace, [500, 502, 504, 416, 403].map(Fault::Status));
    assert_eq!(job.patch(3, "def").await.header("content-type"), Some("application/json"));
    for status in [502, 504] {
        let reply = job.patch(3, "def").await;
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("text/html; charset=utf-8")));
        assert!(reply.text().starts_with("<!DOCTYPE html>"));
    }
    let reply = job.patch(3, "def").await;
    assert_eq!((reply.status, reply.header("range")), (416, Some("0-3")));
    assert_eq!(job.patch(3, "def").await.status, 403);
    assert_eq!((gitlab.job(job.id).trace.as_slice(), gitlab.faults_left()), (&b"abc"[..], 0));
    assert_eq!(job.patch(3, "def").await.status, 202);
    let told: Vec<_> = gitlab.requests().iter().filter_map(|request| request.status).collect();
    assert_eq!(told[told.len() - 6..], [500, 502, 504, 416, 403, 202]);
}

#[tokio::test]
async fn too_many_requests_come_with_a_time() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    gitlab.fail(Endpoint::Request, [Fault::RetryAfter(7), Fault::ResetTime(Duration::from_secs(5))]);
    let reply = runner.request("").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
    let reply = runner.request("").await;
    assert!(reply.header("ratelimit-resettime").unwrap().ends_with(" GMT"));
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("86400")));
}

#[tokio::test]
async fn a_lost_reply_has_its_effect() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.fail(Endpoint::Trace, [Fault::ResetBefore, Fault::ResetAfter]);
    for trace in ["", "abc"] {
        let fault = job.try_patch(0, "abc").await.unwrap_err();
        assert_eq!(fault.kind(), ErrorKind::ConnectionReset, "{fault}");
        assert_eq!(gitlab.job(job.id).trace, trace.as_bytes());
    }
    assert_eq!(job.patch(0, "abc").await.header("range"), Some("0-3"));
}

#[tokio::test]
async fn a_body_breaks_off() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let id = gitlab.queue(JobPayload::new("build"));
    gitlab.fail(Endpoint::Request, [Fault::TruncatedBody, Fault::WrongJson]);
    let body = runner.identity().to_string();
    let headers = [("content-type", "application/json")];
    let cut = send(gitlab.url(), "POST", "/api/v4/jobs/request", &headers, body.as_bytes()).await;
    // What was read before the reset may be lost with it.
    if let Ok(reply) = cut {
        assert!(reply.header("content-length").unwrap().parse::<usize>().unwrap() > reply.body.len());
    }
    assert_eq!(gitlab.job(id).state, JobState::Assigned);
    let wrong = runner.request("").await;
    assert!(serde_json::from_slice::<serde_json::Value>(&wrong.body).is_err());
}

#[tokio::test]
async fn an_answer_is_huge_or_leads_back_to_itself() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    gitlab.fail(Endpoint::Request, [Fault::HugeJson(3 << 20), Fault::Redirect]);
    let huge = runner.request("").await;
    assert!(huge.body.len() > 3 << 20);
    let loops = runner.request("").await;
    assert_eq!((loops.status, loops.header("location")), (302, Some("/api/v4/jobs/request")));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_has_its_effect_first() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.fail_job(job.id, Endpoint::Update, [Fault::Slow(Duration::from_secs(90))]);
    let began = Instant::now();
    let (reply, ended) = tokio::join!(job.put("success"), async {
        gitlab.wait_until(job.id, JobState::Success).await;
        began.elapsed()
    });
    assert_eq!(reply.status, 200);
    assert!(ended < Duration::from_secs(1) && began.elapsed() >= Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn an_outage_refuses_everything_until_it_is_over() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.outage(Duration::from_secs(30));
    for _ in 0..3 {
        assert_eq!(job.try_patch(0, "abc").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    sleep(Duration::from_secs(31)).await;
    assert_eq!(job.patch(0, "abc").await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_what_is_held() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let value = runner.request("").await.header("x-gitlab-last-update").unwrap().to_owned();
    let mut body = runner.identity();
    body["last_update"] = serde_json::json!(value);
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    let held = send(gitlab.url(), "POST", "/api/v4/jobs/request", &headers, body.as_bytes());
    let (held, ()) = tokio::join!(held, async {
        gitlab.wait_for_requests(Endpoint::Request, 2).await;
        gitlab.outage(Duration::from_secs(30));
    });
    assert_eq!(held.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_server_that_is_dropped_listens_no_more() {
    let gitlab = GitLab::start().await.unwrap();
    let url = gitlab.url().to_owned();
    assert_eq!(send(&url, "GET", "/", &[], b"").await.unwrap().status, 404);
    drop(gitlab);
    assert!(send(&url, "GET", "/", &[], b"").await.is_err());
}

#[tokio::test]
async fn a_client_that_follows_the_ranges_loses_nothing() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let faults = vec![Fault::ResetBefore, Fault::ResetAfter, Fault::TruncatedBody, Fault::Status(502)];
    gitlab.fail_randomly(Some(Chaos { seed: 3, per_mille: 500, endpoints: vec![Endpoint::Trace], faults }));
    let log = (0..200).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
    let mut sent = 0;
    while sent < log.len() {
        let (_, rest) = log.split_at(sent);
        let (piece, _) = rest.split_at(rest.len().min(97));
        let Ok(reply) = job.try_patch(sent, piece).await else { continue };
        if let Some(range) = reply.header("range") {
            sent = range.strip_prefix("0-").unwrap().parse().unwrap();
        }
    }
    let disturbed = gitlab.requests().iter().filter(|request| request.is_disturbed).count();
    assert!(disturbed > 5, "{disturbed}");
    assert_eq!(gitlab.job(job.id).text(), log);
}

async fn drawn(seed: u64) -> Vec<u16> {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let faults = [500, 503, 429].map(Fault::Status).to_vec();
    gitlab.fail_randomly(Some(Chaos { seed, per_mille: 500, endpoints: vec![Endpoint::Verify], faults }));
    let mut statuses = Vec::new();
    for _ in 0..24 {
        statuses.push(runner.call("POST", "runners/verify", &runner.identity()).await.status);
        assert_eq!(runner.request("").await.status, 204);
    }
    statuses
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let first = drawn(7).await;
    assert_eq!(first, drawn(7).await);
    assert_ne!(first, drawn(8).await);
    assert!([200, 500, 503, 429].iter().all(|status| first.contains(status)), "{first:?}");
}
