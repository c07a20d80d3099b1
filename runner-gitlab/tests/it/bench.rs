//! What the tests share: a server, and a source on it.

use std::{sync::Arc, time::Duration};

use runner_core::{Capacity, JobLease, JobSource, Result, Secret};
use runner_gitlab::{Connection, GitLabSource, RunnerInfo, SourceSettings};
use runner_testkit::gitlab::{GitLab, JobPayload, Settings};
use tokio_util::sync::CancellationToken;

pub(crate) const ROOM: Capacity = Capacity { free: 4 };

pub(crate) fn settings(gitlab: &GitLab) -> SourceSettings {
    settings_at(gitlab.url(), gitlab.runner_token())
}

pub(crate) fn settings_at(url: &str, token: &str) -> SourceSettings {
    let info = RunnerInfo::new("kubernetes");
    SourceSettings::new("mine", Connection::new(url), Secret::new(token), "s_test", info)
}

pub(crate) fn source(gitlab: &GitLab) -> Arc<GitLabSource> {
    Arc::new(GitLabSource::new(settings(gitlab)).unwrap())
}

/// A server that holds no request for a job.
pub(crate) async fn without_polling() -> GitLab {
    let settings = Settings { long_poll: Duration::ZERO, ..Settings::default() };
    GitLab::start_with(settings).await.unwrap()
}

/// Waits for a job. Nothing stops it.
pub(crate) async fn next(source: &GitLabSource) -> Result<JobLease> {
    loop {
        if let Some(lease) = source.next(ROOM, &CancellationToken::new()).await? {
            return Ok(lease);
        }
    }
}

/// Queues a job and takes it, without accepting it.
pub(crate) async fn taken(gitlab: &GitLab, payload: JobPayload) -> (u64, JobLease) {
    let id = gitlab.queue(payload);
    let lease = next(&source(gitlab)).await.unwrap();
    assert_eq!(lease.job.id.as_str(), id.to_string());
    (id, lease)
}

/// Queues a job, takes it and accepts it.
pub(crate) async fn running(gitlab: &GitLab, payload: JobPayload) -> (u64, JobLease) {
    let (id, lease) = taken(gitlab, payload).await;
    lease.report.accept().await.unwrap();
    (id, lease)
}
