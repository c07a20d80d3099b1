//! Everything that the server knows: runners, jobs, the queue, faults to come and requests that were.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    fault::Faults,
    job::{Job, JobState},
    payload,
    record::{Endpoint, Request},
    runners::Runner,
};

/// The state of a server.
#[derive(Debug)]
pub(super) struct World {
    pub(super) url: String,
    pub(super) runners: BTreeMap<String, Runner>,
    pub(super) registration_token: String,
    pub(super) jobs: BTreeMap<u64, Job>,
    next_id: u64,
    queue: VecDeque<u64>,
    queue_version: u64,
    pub(super) faults: Faults,
    pub(super) leaks: Vec<String>,
    requests: VecDeque<Request>,
    forgotten_requests: usize,
    remembered_requests: usize,
    counts: BTreeMap<Endpoint, usize>,
}

/// Why a runner may not speak for a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The job is unknown, or the token is not its.
    Unknown,
    /// The job is not with a runner.
    NotRunning(JobState),
}

impl World {
    pub(super) fn new(url: &str, first_job: u64, remembered_requests: usize) -> Self {
        Self {
            url: url.to_owned(),
            runners: BTreeMap::new(),
            registration_token: "GR1348941-registration".into(),
            jobs: BTreeMap::new(),
            next_id: first_job,
            queue: VecDeque::new(),
            queue_version: 1,
            faults: Faults::default(),
            leaks: Vec::new(),
            requests: VecDeque::new(),
            forgotten_requests: 0,
            remembered_requests,
            counts: BTreeMap::new(),
        }
    }

    /// Puts a job at the end of the queue.
    pub(super) fn queue(&mut self, payload: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.jobs.insert(id, Job::new(id, payload));
        self.queue.push_back(id);
        self.queue_version += 1;
        id
    }

    /// Puts a job that nobody acknowledged back into the queue.
    pub(super) fn queue_again(&mut self, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.enter(JobState::Queued);
        job.former_tokens.extend(job.token.take());
        job.record.heard_at = None;
        self.queue.push_back(id);
        self.queue_version += 1;
    }

    /// What `last_update` is compared with: another one for each change of the queue.
    pub(super) fn queue_value(&self) -> String {
        format!("{:032x}", self.queue_version)
    }

    /// Hands the first job of the queue to a runner: its id and what the runner gets.
    pub(super) fn assign(
        &mut self,
        cancels_gracefully: bool,
        acknowledge_by: Option<Instant>,
    ) -> Option<(u64, Value)> {
        loop {
            let id = self.queue.pop_front()?;
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.record.state != JobState::Queued || job.is_deleted {
                continue;
            }
            job.record.assignments += 1;
            let token = format!("glcbt-64_{id}-{:04}-Xy7Qp2", job.record.assignments);
            job.token = Some(token.clone());
            job.cancels_gracefully = cancels_gracefully;
            job.hear();
            job.enter(if acknowledge_by.is_some() { JobState::Assigned } else { JobState::Running });
            job.acknowledge_by = acknowledge_by;
            let payload = payload::complete(job.payload.clone(), id, &token, &self.url);
            return Some((id, payload));
        }
    }

    /// The job that a runner may speak for with this token.
    pub(super) fn authenticate(&mut self, id: u64, token: &str) -> Result<&mut Job, Refusal> {
        let job = self.jobs.get_mut(&id).filter(|job| !job.is_deleted).ok_or(Refusal::Unknown)?;
        if job.token.as_deref() != Some(token) {
            job.record.stale_requests += usize::from(job.former_tokens.iter().any(|former| former == token));
            return Err(Refusal::Unknown);
        }
        if !job.is_with_a_runner() {
            return Err(Refusal::NotRunning(job.record.state));
        }
        Ok(job)
    }

    /// Whether a token is that of a job that runs.
    pub(super) fn is_token_of_a_running_job(&self, token: &str) -> bool {
        self.jobs.values().any(|job| job.has_valid_token() && job.token.as_deref() == Some(token))
    }

    /// Remembers a request: the number under which more can be noted of it.
    pub(super) fn remember(&mut self, request: Request) -> usize {
        *self.counts.entry(request.endpoint).or_default() += 1;
        self.requests.push_back(request);
        if self.requests.len() > self.remembered_requests {
            self.requests.pop_front();
            self.forgotten_requests += 1;
        }
        self.forgotten_requests + self.requests.len() - 1
    }

    /// A request that was remembered, unless that is too long ago.
    pub(super) fn request_mut(&mut self, number: usize) -> Option<&mut Request> {
        self.requests.get_mut(number.checked_sub(self.forgotten_requests)?)
    }

    /// The requests that are remembered, oldest first.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter()
    }

    /// How many requests an endpoint had since the start.
    pub(super) fn count(&self, endpoint: Endpoint) -> usize {
        self.counts.get(&endpoint).copied().unwrap_or(0)
    }
}
