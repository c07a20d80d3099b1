//! How artifacts are sent and fetched.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use runner_core::{
    ArtifactUpload, ErrorKind, JobId, JobLease, JobOutcome,
    job::{ArtifactFormat, Dependency},
};
use runner_testkit::gitlab::{Endpoint, Fault, GitLab, JobPayload, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::bench::running;

fn archive() -> ArtifactUpload {
    ArtifactUpload {
        filename: "artifacts.zip".into(),
        kind: "archive".into(),
        format: ArtifactFormat::Zip,
        expire_in: Some(Duration::from_hours(1)),
    }
}

async fn upload(lease: &JobLease, artifact: &ArtifactUpload, body: &'static [u8]) -> runner_core::Result<()> {
    lease.artifacts.upload(artifact, Box::new(body)).await
}

/// The dependency on a job, as the job that has it knows it.
fn on(id: u64, lease: &JobLease) -> Dependency {
    Dependency {
        id: Some(JobId::new(id.to_string())),
        token: lease.job.token.clone(),
        ..Dependency::default()
    }
}

async fn download(lease: &JobLease, dependency: &Dependency) -> runner_core::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut stream = lease.artifacts.download(dependency).await?;
    stream.read_to_end(&mut bytes).await.unwrap();
    Ok(bytes)
}

/// A server with a job that keeps `body`, and a later job.
async fn with_archive(settings: Settings, body: &'static [u8]) -> (GitLab, u64, JobLease) {
    let gitlab = GitLab::start_with(settings).await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("first")).await;
    upload(&lease, &archive(), body).await.unwrap();
    let (_, later) = running(&gitlab, JobPayload::new("second")).await;
    (gitlab, id, later)
}

#[tokio::test]
async fn an_artifact_arrives_with_its_options() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    upload(&lease, &archive(), b"PK bytes").await.unwrap();
    let report = ArtifactUpload {
        filename: "a \"quoted\".xml.gz".into(),
        kind: "junit".into(),
        format: ArtifactFormat::Gzip,
        expire_in: None,
    };
    upload(&lease, &report, b"").await.unwrap();
    let kept = gitlab.job(id).artifacts;
    assert_eq!((kept[0].kind.as_str(), kept[0].format.as_str()), ("archive", "zip"));
    assert_eq!((kept[0].filename.as_str(), &kept[0].bytes[..]), ("artifacts.zip", &b"PK bytes"[..]));
    assert_eq!(kept[0].expire_in.as_deref(), Some("3600 seconds"));
    assert_eq!((kept[1].kind.as_str(), kept[1].format.as_str()), ("junit", "gzip"));
    assert_eq!((&kept[1].expire_in, kept[1].bytes.len()), (&None, 0));
    let sent = gitlab.requests().into_iter().find(|request| request.endpoint == Endpoint::Upload).unwrap();
    assert_eq!(sent.headers["transfer-encoding"], "chunked");
}

#[tokio::test]
async fn what_the_server_refuses_of_an_artifact_is_final() {
    let settings = Settings { artifact_limit: 4, ..Settings::default() };
    let gitlab = GitLab::start_with(settings).await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    let too_large = upload(&lease, &archive(), b"12345").await.unwrap_err();
    assert_eq!(too_large.kind(), ErrorKind::Exhausted);
    assert!(!too_large.is_retryable());
    upload(&lease, &archive(), b"1234").await.unwrap();
    upload(&lease, &archive(), b"1234").await.unwrap();
    assert_eq!(upload(&lease, &archive(), b"4321").await.unwrap_err().kind(), ErrorKind::Invalid);
    gitlab.cancel_hard(id);
    let refused = upload(&lease, &archive(), b"1234").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized);
    assert!(!refused.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn what_passes_may_be_tried_again() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    for fault in
        [Fault::Status(503), Fault::Status(500), Fault::ResetBefore, Fault::RetryAfter(5), Fault::ResetAfter]
    {
        gitlab.fail(Endpoint::Upload, [fault.clone()]);
        let error = upload(&lease, &archive(), b"PK").await.unwrap_err();
        assert!(error.is_retryable(), "{fault:?}: {error:?}");
    }
    upload(&lease, &archive(), b"PK").await.unwrap();
    assert_eq!(gitlab.job(id).artifacts.len(), 1);
}

/// Some bytes, and then an error.
struct Broken(usize);

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("a file could not be read")));
        }
        self.0 -= 1;
        buffer.put_slice(&[b'x'; 1024]);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn half_of_an_artifact_is_never_stored() {
    let gitlab = GitLab::start().await.unwrap();
    let (id, lease) = running(&gitlab, JobPayload::new("build")).await;
    for pieces in [0, 1, 200] {
        lease.artifacts.upload(&archive(), Box::new(Broken(pieces))).await.unwrap_err();
    }
    assert!(gitlab.job(id).artifacts.is_empty());
}

#[tokio::test]
async fn a_running_job_gets_the_archive_of_an_earlier_one() {
    let (gitlab, first, later) = with_archive(Settings::default(), b"PK archive").await;
    assert_eq!(download(&later, &on(first, &later)).await.unwrap(), b"PK archive");
    let missing = download(&later, &on(first + 1000, &later)).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    later.report.complete(&JobOutcome::Succeeded, None).await.unwrap();
    let over = download(&later, &on(first, &later)).await.unwrap_err();
    assert_eq!(over.kind(), ErrorKind::Unauthorized);
    assert_eq!(gitlab.count(Endpoint::Download), 3);
}

#[tokio::test]
async fn a_store_on_another_host_never_sees_the_token() {
    let settings = Settings { has_object_store: true, ..Settings::default() };
    let (gitlab, first, later) = with_archive(settings, b"PK archive").await;
    assert_eq!(download(&later, &on(first, &later)).await.unwrap(), b"PK archive");
    assert_eq!(gitlab.count(Endpoint::Store), 1);
    assert!(gitlab.leaks().is_empty());
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    let (gitlab, first, later) = with_archive(Settings::default(), b"PK archive").await;
    gitlab.fail(Endpoint::Download, std::iter::repeat_n(Fault::Redirect, 50));
    let error = download(&later, &on(first, &later)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(gitlab.count(Endpoint::Download), 11);
}

#[tokio::test(start_paused = true)]
async fn a_download_is_begun_three_times() {
    let (gitlab, first, later) = with_archive(Settings::default(), b"PK archive").await;
    gitlab.fail(Endpoint::Download, [Fault::Status(502), Fault::ResetBefore]);
    assert_eq!(download(&later, &on(first, &later)).await.unwrap(), b"PK archive");
    gitlab.fail(Endpoint::Download, std::iter::repeat_n(Fault::Status(502), 9));
    assert!(download(&later, &on(first, &later)).await.unwrap_err().is_retryable());
    assert_eq!(gitlab.faults_left(), 6);
}
