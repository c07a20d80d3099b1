//! `PUT jobs/:id`: a job is acknowledged, kept alive or ended.

use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    answer::{self, Answer},
    job::{Job, JobState},
    settings::Settings,
    world::World,
};

/// Applies an update. The state that the job is then in comes with the answer, also with a refusal.
pub(super) fn update(world: &mut World, settings: &Settings, id: u64, body: &Value) -> Answer {
    let Some(token) = body["token"].as_str() else { return answer::missing("token") };
    let Some(state) = body["state"].as_str() else { return answer::missing("state") };
    let job = match world.authenticate(id, token) {
        Ok(job) => job,
        Err(refusal) => return answer::refused(&refusal),
    };
    job.hear();
    let answer = match (job.record.state, state) {
        (JobState::Assigned, "pending") => {
            job.acknowledge_by = Some(Instant::now() + settings.acknowledge_within);
            answer::plain(StatusCode::OK)
        }
        (JobState::Assigned, "running") => {
            job.enter(JobState::Running);
            answer::plain(StatusCode::OK)
        }
        (JobState::Running | JobState::Canceling, "running") => answer::plain(StatusCode::OK),
        (JobState::Running | JobState::Canceling, "success") => finish(job, body, JobState::Success),
        (JobState::Running | JobState::Canceling, "failed") => finish(job, body, JobState::Failed),
        _ => answer::plain(StatusCode::BAD_REQUEST),
    };
    answer::with(answer, "job-status", job.record.state.as_str())
}

/// Ends a job, unless its trace is not what the runner says or is still being stored.
fn finish(job: &mut Job, body: &Value, state: JobState) -> Answer {
    if job.updates_to_defer > 0 {
        job.updates_to_defer -= 1;
        // 1, 2, 4 … 64 seconds.
        let pause = 1_u64 << job.updates_deferred.min(6);
        job.updates_deferred += 1;
        let later = answer::plain(StatusCode::ACCEPTED);
        return answer::with(later, "x-gitlab-trace-update-interval", pause);
    }
    if !is_trace_of(body, &job.record.trace) {
        job.record.trace.clear();
        job.record.trace_restarts += 1;
        return answer::error(StatusCode::PRECONDITION_FAILED, "");
    }
    if state == JobState::Failed {
        job.record.failure_reason = Some(failure_reason(job, body).to_owned());
        job.record.exit_code = body["exit_code"].as_i64();
    }
    job.end(state);
    answer::plain(StatusCode::OK)
}

/// The reason that a runner gives; one that the payload does not name counts as unknown.
fn failure_reason<'a>(job: &Job, body: &'a Value) -> &'a str {
    let known = job.payload["features"]["failure_reasons"].as_array();
    let given = body["failure_reason"].as_str();
    let is_known = |given: &&str| known.is_none_or(|known| known.iter().any(|reason| reason == *given));
    given.filter(is_known).unwrap_or("unknown_failure")
}

/// Whether checksum and size are those of the trace. What is not given is not compared.
fn is_trace_of(body: &Value, trace: &[u8]) -> bool {
    let output = &body["output"];
    let checksum =
        output["checksum"].as_str().or_else(|| body["checksum"].as_str()).filter(|text| !text.is_empty());
    let right = format!("crc32:{:08x}", crc32fast::hash(trace));
    let has_right_size = output["bytesize"].as_u64().is_none_or(|size| size == trace.len() as u64);
    has_right_size && checksum.is_none_or(|checksum| checksum == right)
}
