//! `PATCH jobs/:id/trace`: a piece of the trace.

use http::{HeaderMap, StatusCode, header};

use super::{
    answer::{self, Answer},
    job::JobState,
    settings::Settings,
    world::World,
};

/// Appends a piece, which must begin where the trace ends. Only the begin in `Content-Range` counts.
pub(super) fn append(
    world: &mut World,
    settings: &Settings,
    id: u64,
    call: (&HeaderMap, &str),
    piece: &[u8],
) -> Answer {
    let (headers, token) = call;
    let job = match world.authenticate(id, token) {
        Ok(job) => job,
        Err(refusal) => return answer::refused(&refusal),
    };
    job.hear();
    let Some(range) = headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok()) else {
        return answer::error(StatusCode::BAD_REQUEST, "Missing header Content-Range");
    };
    let start = leading_number(range);
    let size = job.record.trace.len();
    if start.saturating_add(piece.len()) > settings.trace_limit {
        job.record.failure_reason = Some("trace_size_exceeded".into());
        job.enter(JobState::Failed);
        return answer::error(StatusCode::FORBIDDEN, "");
    }
    // GitLab compares only the end of the piece with the size of the trace, which it did not touch.
    let is_repeated = settings.accepts_repeated_pieces && start + piece.len() == size;
    if start == size {
        job.record.trace.extend_from_slice(piece);
    } else if !is_repeated {
        return answer::with(
            answer::error(StatusCode::RANGE_NOT_SATISFIABLE, ""),
            "range",
            format!("0-{size}"),
        );
    }
    let interval = job.interval.unwrap_or(settings.trace_interval);
    let answer = answer::plain(StatusCode::ACCEPTED);
    let answer = answer::with(answer, "range", format!("0-{}", job.record.trace.len()));
    let answer = answer::with(answer, "job-status", job.record.state.as_str());
    answer::with(answer, "x-gitlab-trace-update-interval", interval)
}

/// The number that a text begins with, as GitLab's language reads it: 0 where there is none.
fn leading_number(text: &str) -> usize {
    let text = text.trim_start();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end).0.parse().unwrap_or(0)
}
