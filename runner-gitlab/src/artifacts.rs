//! Sends what a job keeps, and fetches what earlier jobs kept.

use async_trait::async_trait;
use runner_core::{ArtifactStore, ArtifactUpload, JobSpec, Result, artifact::ByteStream, job::Dependency};

use crate::{client::Client, report::JobKey, retry::Gate};

mod download;
mod upload;

/// The artifacts of one job on a GitLab server. Nothing is ever held as a whole.
#[derive(Debug)]
pub struct GitLabArtifacts {
    client: Client,
    job: JobKey,
    gate: Gate,
}

impl GitLabArtifacts {
    /// The artifacts of a job that `client`'s server handed out.
    pub fn new(client: Client, job: &JobSpec) -> Self {
        Self::of_key(client, JobKey::of(job))
    }

    pub(crate) fn of_key(client: Client, job: JobKey) -> Self {
        Self { client, job, gate: Gate::default() }
    }
}

#[async_trait]
impl ArtifactStore for GitLabArtifacts {
    async fn upload(&self, artifact: &ArtifactUpload, body: ByteStream) -> Result<()> {
        upload::send(self, artifact, body).await
    }

    async fn download(&self, dependency: &Dependency) -> Result<ByteStream> {
        download::begin(self, dependency).await
    }
}
