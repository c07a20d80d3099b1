//! The same against a server that other people wrote: what both understand alike is not a misreading of ours.

use bytes::Bytes;
use gitlab_runner_mock::{GitlabRunnerMock, MockJobState};
use runner_core::{
    ArtifactUpload, JobLease, JobOutcome,
    job::ArtifactFormat,
    outcome::LogDigest,
    source::{Completion, JobState, LogAck, WishAction},
};
use runner_gitlab::{GitLabSource, SourceSettings};

use crate::bench::{next, settings_at};

async fn take(server: &GitlabRunnerMock) -> JobLease {
    // It wants the form that GitLab Runner's has.
    let settings = SourceSettings {
        system_id: "s_0123456789ab".into(),
        ..settings_at(server.uri().as_str(), server.runner_token())
    };
    next(&GitLabSource::new(settings).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_job_is_taken_reported_and_ended() {
    let server = GitlabRunnerMock::start().await;
    let job = server.add_dummy_job("build".into());
    let lease = take(&server).await;
    assert_eq!((lease.job.id.as_str(), lease.job.name.as_str()), (job.id().to_string().as_str(), "build"));
    let report = &lease.report;
    assert_eq!(report.accept().await.unwrap().action, WishAction::GoOn);
    for (offset, line) in [(0, "one\n"), (4, "two\n")] {
        let reply = report.append_log(offset, Bytes::from_static(line.as_bytes())).await.unwrap();
        assert_eq!(reply.ack, LogAck::UpTo(offset + 4));
    }
    report.heartbeat(JobState::Running).await.unwrap();
    let artifact = ArtifactUpload {
        filename: "artifacts.zip".into(),
        kind: "archive".into(),
        format: ArtifactFormat::Zip,
        expire_in: None,
    };
    lease.artifacts.upload(&artifact, Box::new(&b"PK"[..])).await.unwrap();
    let digest = LogDigest { size: 8, crc32: crc32fast::hash(b"one\ntwo\n") };
    assert_eq!(report.complete(&JobOutcome::Succeeded, Some(digest)).await.unwrap(), Completion::Done);
    assert_eq!((job.state(), job.log()), (MockJobState::Success, b"one\ntwo\n".to_vec()));
    assert_eq!(job.uploaded_artifacts().count(), 1);
}

#[tokio::test]
async fn a_canceled_job_is_aborted() {
    let server = GitlabRunnerMock::start().await;
    let job = server.add_dummy_job("build".into());
    let lease = take(&server).await;
    lease.report.accept().await.unwrap();
    job.cancel();
    assert_eq!(lease.report.heartbeat(JobState::Running).await.unwrap().action, WishAction::Abort);
    let reply = lease.report.append_log(0, Bytes::from_static(b"a\n")).await.unwrap();
    assert_eq!((reply.ack, reply.wish.action), (LogAck::Closed, WishAction::Abort));
    let end = lease.report.complete(&JobOutcome::Canceled, None).await.unwrap();
    assert_eq!(end, Completion::Gone);
}
