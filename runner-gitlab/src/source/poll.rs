//! One request for a job, in a task of its own.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, StatusCode};
use runner_core::{Error, JobId, JobLease, Result, source::JobState};
use tokio::time::{Instant, sleep, timeout};

use super::{GRACE, Shared, pace::Empty, refusal};
use crate::{
    answer::{Answer, Head},
    fault::fault,
    payload::{self, Read},
    request::JobRequest,
};

const DOING: &str = "ask for a job";
/// A job is larger than that only by mistake.
const LONGEST_JOB: usize = 16 << 20;
/// How often the server hears of a job that nobody has taken yet.
const HOLD_INTERVAL: Duration = Duration::from_secs(30);

/// Asks once, and hands what comes to whoever waits; where there was nothing, they ask again.
pub(super) async fn run(shared: Arc<Shared>) {
    let under_way = UnderWay(Arc::clone(&shared));
    let started = Instant::now();
    let begun = tokio::select! {
        biased;
        () = shared.closed.cancelled() => return,
        begun = send(&shared) => begun,
        () = abandoned(&shared) => return,
    };
    // From here on the server may have given a job away: its answer is read to the end, whoever waits for it.
    let answer = tokio::select! {
        biased;
        () = shared.closed.cancelled() => return,
        answer = judge(&shared, begun, started) => answer.transpose(),
    };
    let kept = answer.and_then(|answer| keep(&shared, answer));
    drop(under_way);
    if let Some(lease) = kept {
        tokio::select! {
            () = shared.closed.cancelled() => {}
            () = hold(&shared, &lease) => {}
        }
    }
}

/// A request that is counted, as long as it lives.
struct UnderWay(Arc<Shared>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().requests -= 1;
        self.0.changed.notify_waiters();
    }
}

/// Ends when nobody has waited for a while.
async fn abandoned(shared: &Shared) {
    let mut waiting = shared.waiting.subscribe();
    loop {
        // The sender lives as long as `shared`, so that waiting cannot fail.
        let _gone = waiting.wait_for(|waiting| *waiting == 0).await.is_err();
        let is_back = timeout(GRACE, waiting.wait_for(|waiting| *waiting > 0)).await.is_ok();
        if !is_back {
            return;
        }
    }
}

/// Puts an answer where the next call finds it. Returns the job in it.
fn keep(shared: &Shared, answer: Result<JobLease>) -> Option<JobLease> {
    let kept = answer.as_ref().ok().cloned();
    let is_heard = *shared.waiting.borrow() > 0;
    // An error that nobody waits for has nobody to tell; a job always has.
    if kept.is_some() || is_heard {
        shared.state().answers.push_back(answer);
    }
    kept
}

/// Tells the server of a job again and again until a call has taken it.
async fn hold(shared: &Shared, lease: &JobLease) {
    loop {
        sleep(HOLD_INTERVAL).await;
        if !shared.holds(&lease.job.id) {
            return;
        }
        // A server that does not answer now is told again soon enough.
        drop(lease.report.heartbeat(JobState::Pending).await);
    }
}

impl Shared {
    fn holds(&self, id: &JobId) -> bool {
        self.state().answers.iter().any(|answer| answer.as_ref().is_ok_and(|lease| lease.job.id == *id))
    }

    /// Takes note of what an answer says of when to come back.
    fn note(&self, head: &Head, started: Instant) {
        self.gate.note(head);
        let mut state = self.state();
        if head.status != StatusCode::FORBIDDEN {
            state.health.answered();
        }
        if let Some(last_update) = head.last_update() {
            state.last_update = Some(last_update.to_owned());
        }
        match head.status {
            StatusCode::CREATED => state.pace.job(started, self.settings.strict_check_interval),
            StatusCode::NO_CONTENT => state.pace.empty(Empty::of(head), started),
            // Another runner was quicker, which is no fault.
            StatusCode::CONFLICT => state.pace.empty(Empty::Looked, started),
            _ => {}
        }
    }

    fn refused(&self, error: Error) -> Error {
        let resting = self.state().health.refused();
        let error =
            error.with("hint", "the runner may be paused or removed in GitLab, or its token be wrong");
        match resting {
            Some(interval) => error.with("not asked again for seconds", interval.as_secs()),
            None => error,
        }
    }
}

/// What came of the request that was sent at `started`; `None` where there is no job.
async fn judge(shared: &Shared, begun: Result<Answer>, started: Instant) -> Result<Option<JobLease>> {
    let answer = begun?;
    shared.note(&answer.head, started);
    match answer.head.status {
        StatusCode::CREATED => read(shared, answer).await,
        StatusCode::NO_CONTENT | StatusCode::CONFLICT => {
            answer.drain().await;
            Ok(None)
        }
        StatusCode::FORBIDDEN if answer.head.is_of_gitlab() => {
            Err(shared.refused(fault(DOING, answer).await))
        }
        _ => Err(fault(DOING, answer).await),
    }
}

async fn send(shared: &Shared) -> Result<Answer> {
    let settings = &shared.settings;
    let last_update = shared.state().last_update.clone();
    let body = JobRequest {
        token: &settings.token,
        system_id: &settings.system_id,
        last_update: last_update.as_deref(),
        info: &settings.info,
    };
    let request = shared.client.json(Method::POST, &["jobs", "request"], &body)?;
    // The server holds the request until something changes.
    shared.client.send_within(settings.connection.response_timeout, DOING, request).await
}

/// The job in an answer; `None` where it is one that is ended at once.
async fn read(shared: &Shared, answer: Answer) -> Result<Option<JobLease>> {
    let body = answer.body(LONGEST_JOB).await?;
    let settings = &shared.settings;
    match payload::read(&body, &settings.connection, &settings.info.executor)? {
        Read::Job(job) => shared.lease(*job).map(Some),
        Read::Unusable(unusable) => {
            let (job, error) = (&unusable.job.id, unusable.error.chain());
            tracing::warn!(%job, error, "a job cannot be run by this runner, and is ended");
            let (client, closed) = (shared.client.clone(), shared.closed.clone());
            shared.tasks.spawn(async move {
                tokio::select! {
                    () = closed.cancelled() => {}
                    () = refusal::end(client, *unusable) => {}
                }
            });
            Ok(None)
        }
    }
}
