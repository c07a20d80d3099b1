//! Artifacts, and the object store.

use runner_testkit::gitlab::{Endpoint, Fault, GitLab, JobPayload, JobState, Settings};

use super::client::{Runner, send};

const ARCHIVE: &str = "artifact_type=archive&artifact_format=zip&expire_in=1+day";

#[tokio::test]
async fn an_upload_is_kept_with_its_options() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    assert_eq!(job.upload(ARCHIVE, "zip of everything").await.status, 201);
    let artifact = gitlab.job(job.id).artifacts.remove(0);
    assert_eq!((artifact.kind.as_str(), artifact.format.as_str()), ("archive", "zip"));
    assert_eq!(artifact.expire_in.as_deref(), Some("1 day"));
    assert_eq!(
        (artifact.filename.as_str(), &artifact.bytes[..]),
        ("artifacts.zip", &b"zip of everything"[..])
    );
}

#[tokio::test]
async fn a_second_upload_of_a_kind_must_be_the_same() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    assert_eq!(job.upload(ARCHIVE, "one").await.status, 201);
    assert_eq!(job.upload(ARCHIVE, "one").await.status, 201);
    assert_eq!(job.upload(ARCHIVE, "two").await.status, 400);
    assert_eq!(job.upload("artifact_type=junit&artifact_format=gzip", "two").await.status, 201);
    assert_eq!(gitlab.job(job.id).artifacts.len(), 2);
}

#[tokio::test]
async fn an_upload_is_refused_when_it_is_too_large_or_has_no_file() {
    let gitlab = GitLab::start_with(Settings { artifact_limit: 10, ..Settings::default() }).await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    assert_eq!(job.upload(ARCHIVE, "01234567890").await.status, 413);
    let token = ("job-token", job.token.as_str());
    let path = format!("/api/v4/jobs/{}/artifacts", job.id);
    let form = ("content-type", "multipart/form-data; boundary=edge");
    let body = b"--edge\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n--edge--\r\n";
    assert_eq!(send(gitlab.url(), "POST", &path, &[token, form], body).await.unwrap().status, 400);
    assert_eq!(send(gitlab.url(), "POST", &path, &[token], b"x").await.unwrap().status, 400);
    for (size, status) in [(10, 200), (11, 413)] {
        let path = format!("{path}/authorize?filesize={size}");
        assert_eq!(send(gitlab.url(), "POST", &path, &[token], b"").await.unwrap().status, status);
    }
    job.put("success").await;
    assert_eq!(job.upload(ARCHIVE, "0").await.status, 403);
}

#[tokio::test]
async fn a_large_upload_is_read_to_its_end_before_it_is_refused() {
    let gitlab = GitLab::start_with(Settings { artifact_limit: 10, ..Settings::default() }).await.unwrap();
    let runner = Runner::of(&gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    let large = "x".repeat(20 << 20);
    assert_eq!(job.upload(ARCHIVE, &large).await.status, 413);
    gitlab.fail(Endpoint::Upload, [Fault::Status(503)]);
    assert_eq!(job.upload(ARCHIVE, &large).await.status, 503);
    gitlab.cancel_hard(job.id);
    assert_eq!(job.upload(ARCHIVE, &large).await.status, 403);
}

#[tokio::test]
async fn a_running_job_downloads_what_another_kept() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let earlier = runner.run(JobPayload::new("build")).await;
    earlier.upload(ARCHIVE, "the zip").await;
    earlier.put("success").await;
    let path = format!("/api/v4/jobs/{}/artifacts", earlier.id);
    let old = [("job-token", earlier.token.as_str())];
    assert_eq!(send(gitlab.url(), "GET", &path, &old, b"").await.unwrap().status, 401);

    let later =
        runner.run(JobPayload::new("test").dependency(earlier.id, "build", Some(("artifacts.zip", 7)))).await;
    let token = [("job-token", later.token.as_str())];
    let reply = send(gitlab.url(), "GET", &path, &token, b"").await.unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "the zip"));
    let nothing = format!("/api/v4/jobs/{}/artifacts", later.id);
    assert_eq!(send(gitlab.url(), "GET", &nothing, &token, b"").await.unwrap().status, 404);
}

#[tokio::test]
async fn a_job_that_is_not_yet_acknowledged_downloads_as_well() {
    let gitlab = GitLab::start().await.unwrap();
    let runner = Runner::of(&gitlab);
    let earlier = runner.run(JobPayload::new("build")).await;
    earlier.upload(ARCHIVE, "the zip").await;
    let id = gitlab.queue(JobPayload::new("test"));
    let payload = runner.request("").await.json();
    assert_eq!(gitlab.job(id).state, JobState::Assigned);
    let path = format!("/api/v4/jobs/{}/artifacts", earlier.id);
    let token = [("job-token", payload["token"].as_str().unwrap())];
    assert_eq!(send(gitlab.url(), "GET", &path, &token, b"").await.unwrap().text(), "the zip");
}

async fn redirected(gitlab: &GitLab) -> (String, String, String) {
    let runner = Runner::of(gitlab);
    let job = runner.run(JobPayload::new("build")).await;
    job.upload(ARCHIVE, "the zip").await;
    let path = format!("/api/v4/jobs/{}/artifacts?direct_download=true", job.id);
    let reply = send(gitlab.url(), "GET", &path, &[("job-token", &job.token)], b"").await.unwrap();
    assert_eq!(reply.status, 302);
    let place = reply.header("location").unwrap();
    let (host, path) = place.strip_prefix("http://").unwrap().split_once('/').unwrap();
    assert_ne!(format!("http://{host}"), gitlab.url());
    (format!("http://{host}"), format!("/{path}"), job.token.clone())
}

#[tokio::test]
async fn a_direct_download_comes_from_the_object_store() {
    let gitlab =
        GitLab::start_with(Settings { has_object_store: true, ..Settings::default() }).await.unwrap();
    let (host, path, _) = redirected(&gitlab).await;
    assert_eq!(send(&host, "GET", &path, &[], b"").await.unwrap().text(), "the zip");
    let unsigned = path.split('?').next().unwrap();
    assert_eq!(send(&host, "GET", unsigned, &[], b"").await.unwrap().status, 403);
    let forged = format!("{unsigned}?signature=0");
    assert_eq!(send(&host, "GET", &forged, &[], b"").await.unwrap().status, 403);
    assert_eq!(gitlab.count(Endpoint::Store), 3);
    assert_eq!(gitlab.leaks(), [""; 0]);
}

#[tokio::test]
#[should_panic(expected = "job-token was sent to the object store")]
async fn a_token_that_reaches_the_object_store_fails_the_test() {
    let gitlab =
        GitLab::start_with(Settings { has_object_store: true, ..Settings::default() }).await.unwrap();
    let (host, path, token) = redirected(&gitlab).await;
    assert_eq!(send(&host, "GET", &path, &[("job-token", &token)], b"").await.unwrap().status, 400);
}
