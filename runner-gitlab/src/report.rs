//! Reports one job: its log, that it still is, and its end.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_RANGE, CONTENT_TYPE},
};
use runner_core::{
    ErrorKind, FailureReason, JobOutcome, JobReport, JobSpec, Result, Secret,
    outcome::LogDigest,
    source::{Completion, JobState, LogReply, Wish},
};
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Answer, Head},
    client::{Client, secret_header},
    fault::fault,
    retry::Gate,
};

mod body;
mod judge;

use body::Update;

/// The most that GitLab takes of a log at once.
const LONGEST_PATCH: usize = 1 << 20;

/// What of a job its reports need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobKey {
    /// The job.
    pub(crate) id: String,
    /// Its token.
    pub(crate) token: Secret,
    /// The log shows what only few may see, which the server must know.
    pub(crate) debug: bool,
    /// The reasons that the server knows; none: all.
    pub(crate) failure_reasons: Vec<FailureReason>,
}

impl JobKey {
    pub(crate) fn of(job: &JobSpec) -> Self {
        let shows_all = ["CI_DEBUG_TRACE", "CI_DEBUG_SERVICES"];
        Self {
            id: job.id.as_str().to_owned(),
            token: job.token.clone(),
            debug: shows_all.iter().any(|key| job.variables.is_true(key)),
            failure_reasons: job.features.failure_reasons.clone(),
        }
    }
}

/// Reports one job to a GitLab server.
///
/// It repeats nothing; where the server says when to come back, the next call waits until then before it is sent.
#[derive(Debug)]
pub struct GitLabReport {
    client: Client,
    job: JobKey,
    gate: Gate,
}

impl GitLabReport {
    /// The report of a job that `client`'s server handed out.
    pub fn new(client: Client, job: &JobSpec) -> Self {
        Self::of_key(client, JobKey::of(job))
    }

    pub(crate) fn of_key(client: Client, job: JobKey) -> Self {
        Self { client, job, gate: Gate::default() }
    }

    /// Whether the server certainly knows the job to be over. Where it says something else, it may still be.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where there is no answer within `limit`.
    pub(crate) async fn is_gone(&self, limit: Duration) -> Result<bool> {
        // This state keeps a job that was not accepted, and does not accept it.
        let update = Update::state(&self.job.token, "pending");
        let request = self.client.json(Method::PUT, &["jobs", &self.job.id], &update)?;
        let answer = self.client.send_within(limit, "ask for a stored job", request).await?;
        Ok(judge::is_gone(&answer.drain().await))
    }

    async fn put(&self, doing: &str, update: &Update<'_>) -> Result<Answer> {
        self.gate.pass().await;
        let request = self.client.json(Method::PUT, &["jobs", &self.job.id], update)?;
        let answer = self.client.send(doing, request).await?;
        self.gate.note(&answer.head);
        Ok(answer)
    }

    async fn put_state(
        &self,
        doing: &str,
        state: &'static str,
        judge: impl Fn(&Head) -> Option<Wish> + Send,
    ) -> Result<Wish> {
        let answer = self.put(doing, &Update::state(&self.job.token, state)).await?;
        self.judged(doing, answer, judge).await
    }

    /// What an answer means, or the error that it is.
    async fn judged<T: Send>(
        &self,
        doing: &str,
        answer: Answer,
        judge: impl Fn(&Head) -> Option<T> + Send,
    ) -> Result<T> {
        match judge(&answer.head) {
            Some(meaning) => {
                answer.drain().await;
                Ok(meaning)
            }
            None => Err(fault(doing, answer).await.with("job", &self.job.id)),
        }
    }
}

#[async_trait]
impl JobReport for GitLabReport {
    async fn accept(&self) -> Result<Wish> {
        self.put_state("accept a job", "running", judge::acceptance).await
    }

    async fn append_log(&self, offset: u64, bytes: Bytes) -> Result<LogReply> {
        self.gate.pass().await;
        let bytes = bytes.slice(..bytes.len().min(LONGEST_PATCH));
        let length = bytes.len() as u64;
        let doing = "send the log of a job";
        let mut url = self.client.endpoint(&["jobs", &self.job.id, "trace"]);
        url.set_query(Some(if self.job.debug { "debug_trace=true" } else { "debug_trace=false" }));
        let request = self
            .client
            .request(Method::PATCH, url)
            .header("JOB-TOKEN", secret_header(&self.job.token)?)
            // Without it the server takes the log for JSON.
            .header(CONTENT_TYPE, "text/plain")
            .header(CONTENT_RANGE, format!("{offset}-{}", offset + length.saturating_sub(1)))
            .body(bytes);
        let answer = self.client.send(doing, request).await?;
        self.gate.note(&answer.head);
        self.judged(doing, answer, |head| judge::log(head, offset, length)).await
    }

    async fn heartbeat(&self, state: JobState) -> Result<Wish> {
        let state = match state {
            JobState::Pending => "pending",
            JobState::Running => "running",
        };
        self.put_state("tell that a job still is", state, judge::heartbeat).await
    }

    async fn complete(&self, outcome: &JobOutcome, log: Option<LogDigest>) -> Result<Completion> {
        let doing = "report the end of a job";
        let update = Update::end(&self.job.token, outcome, log, &self.job.failure_reasons);
        let answer = self.put(doing, &update).await?;
        let completed = self.judged(doing, answer, |head| judge::completion(head, outcome)).await;
        match completed {
            // An answer that nobody knows ends nothing: the end of a job is too dear.
            Err(error) if error.kind() == ErrorKind::Corrupt => Err(error.retryable(true)),
            completed => completed,
        }
    }
}
