//! Pieces of traces.

use runner_testkit::gitlab::{GitLab, JobPayload, JobState, Settings};

use super::client::{Runner, send};

#[tokio::test]
async fn a_piece_is_acknowledged_with_the_size_of_the_trace() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let reply = job.patch(0, "hello ").await;
    assert_eq!((reply.status, reply.header("range")), (202, Some("0-6")));
    assert_eq!(reply.header("job-status"), Some("running"));
    assert_eq!(reply.header("x-gitlab-trace-update-interval"), Some("3"));
    gitlab.set_trace_interval(job.id, 60);
    let reply = job.patch(6, "world").await;
    assert_eq!(reply.header("x-gitlab-trace-update-interval"), Some("60"));
    assert_eq!(gitlab.job(job.id).trace, b"hello world");
}

#[tokio::test]
async fn a_piece_that_does_not_begin_at_the_end_gets_416() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.patch(0, "hello").await;
    for start in [0, 4, 6] {
        let reply = job.patch(start, "hello").await;
        assert_eq!((reply.status, reply.header("range")), (416, Some("0-5")), "{start}");
        assert_eq!(reply.header("job-status"), None);
    }
    assert_eq!(gitlab.job(job.id).trace, b"hello");
}

#[tokio::test]
async fn a_piece_that_the_trace_ends_with_may_count_as_appended() {
    let settings = Settings { accepts_repeated_pieces: true, ..Settings::default() };
    let gitlab = GitLab::start_with(settings).await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.patch(0, "hello ").await;
    job.patch(6, "world").await;
    let again = job.patch(6, "world").await;
    assert_eq!((again.status, again.header("range")), (202, Some("0-11")));
    assert_eq!(job.patch(0, "hello ").await.status, 416);
    assert_eq!(job.patch(7, "world").await.status, 416);
    assert_eq!(gitlab.job(job.id).text(), "hello world");
}

#[tokio::test]
async fn the_end_of_a_range_is_ignored() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let path = format!("/api/v4/jobs/{}/trace", job.id);
    for (start, range) in [(0, "0-999"), (2, "2-"), (4, "4")] {
        let headers =
            [("job-token", job.token.as_str()), ("content-type", "text/plain"), ("content-range", range)];
        let reply = send(gitlab.url(), "PATCH", &path, &headers, b"ab").await.unwrap();
        assert_eq!(reply.header("range"), Some(format!("0-{}", start + 2).as_str()), "{range}");
    }
}

#[tokio::test]
async fn a_piece_must_be_plain_text_with_a_range() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let path = format!("/api/v4/jobs/{}/trace", job.id);
    let token = ("job-token", job.token.as_str());
    let range = ("content-range", "0-4");
    let plain = ("content-type", "text/plain");
    let untyped = send(gitlab.url(), "PATCH", &path, &[token, range], b"hello").await.unwrap();
    assert_eq!(untyped.status, 400);
    let binary = ("content-type", "application/octet-stream");
    assert_eq!(send(gitlab.url(), "PATCH", &path, &[token, range, binary], b"x").await.unwrap().status, 415);
    assert_eq!(send(gitlab.url(), "PATCH", &path, &[token, plain], b"hello").await.unwrap().status, 400);
    assert_eq!(send(gitlab.url(), "PATCH", &path, &[range, plain], b"hello").await.unwrap().status, 403);
    assert_eq!(gitlab.job(job.id).trace, b"");
}

#[tokio::test]
async fn a_trace_over_the_limit_fails_the_job() {
    let settings = Settings { trace_limit: 8, ..Settings::default() };
    let gitlab = GitLab::start_with(settings).await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.patch(0, "12345678").await;
    let first = job.patch(8, "9").await;
    assert_eq!((first.status, first.header("job-status")), (403, None));
    let later = job.patch(8, "9").await;
    assert_eq!((later.status, later.header("job-status")), (403, Some("failed")));
    let record = gitlab.job(job.id);
    assert_eq!(
        (record.state, record.failure_reason.as_deref()),
        (JobState::Failed, Some("trace_size_exceeded"))
    );
}

#[tokio::test]
async fn a_deleted_job_is_refused_without_a_state() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    gitlab.delete(job.id);
    let reply = job.patch(0, "x").await;
    assert_eq!((reply.status, reply.header("job-status")), (403, None));
    assert_eq!(job.put("success").await.status, 403);
}
