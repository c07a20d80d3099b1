//! What can go wrong on the way: faults, planned one by one or drawn from a seeded source.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::time::Instant;

use super::{
    answer::{self, Answer, Body},
    record::Endpoint,
};

/// A fault of one request. Unless it says otherwise, the request is read and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An answer of this status: HTML for 502, 503 and 504 as a proxy gives it, otherwise JSON. 416 has the `Range` of the
    /// trace, 202 an interval.
    Status(u16),
    /// 429, with seconds in `Retry-After`.
    RetryAfter(u64),
    /// 429, with a time from now in `RateLimit-ResetTime`, and a `Retry-After` of a day, which counts less.
    ResetTime(Duration),
    /// The connection is reset as soon as the head of the request is there.
    ResetBefore,
    /// The request has its effect, and the connection is reset in place of an answer.
    ResetAfter,
    /// The request has its effect, and its answer ends in the middle of the body.
    TruncatedBody,
    /// The request has its effect, and its answer comes this much later.
    Slow(Duration),
    /// A good status with a body that is no JSON.
    WrongJson,
    /// A good status with JSON of this many bytes.
    HugeJson(usize),
    /// A redirect to the same place, again each time it is followed there while faults are left.
    Redirect,
}

/// Faults drawn at random, the same ones for the same seed and the same order of requests.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// The seed.
    pub seed: u64,
    /// Of 1000 requests, how many have a fault; from 1000 on every one has.
    pub per_mille: u32,
    /// Where; everywhere if empty.
    pub endpoints: Vec<Endpoint>,
    /// Which; nothing happens if empty.
    pub faults: Vec<Fault>,
}

/// Faults to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: VecDeque<(Endpoint, Option<u64>, Fault)>,
    chaos: Option<(Chaos, fastrand::Rng)>,
    outage_until: Option<Instant>,
}

impl Faults {
    pub(super) fn plan(&mut self, endpoint: Endpoint, job: Option<u64>, fault: Fault) {
        self.planned.push_back((endpoint, job, fault));
    }

    pub(super) fn planned(&self) -> usize {
        self.planned.len()
    }

    pub(super) fn draw(&mut self, chaos: Option<Chaos>) {
        self.chaos = chaos.map(|chaos| {
            let source = fastrand::Rng::with_seed(chaos.seed);
            (chaos, source)
        });
    }

    pub(super) fn go_out(&mut self, duration: Duration) {
        self.outage_until = Some(Instant::now() + duration);
    }

    /// Whether nothing at all is answered now.
    pub(super) fn is_out(&self) -> bool {
        self.outage_until.is_some_and(|until| Instant::now() < until)
    }

    /// The fault of the next request: the first planned one for it, otherwise what chance gives.
    pub(super) fn next(&mut self, endpoint: Endpoint, job: Option<u64>) -> Option<Fault> {
        let is_for_it = |(place, which, _): &(Endpoint, Option<u64>, Fault)| {
            *place == endpoint && (which.is_none() || *which == job)
        };
        if let Some(index) = self.planned.iter().position(is_for_it) {
            return self.planned.remove(index).map(|(_, _, fault)| fault);
        }
        let (chaos, source) = self.chaos.as_mut()?;
        if chaos.faults.is_empty() || !(chaos.endpoints.is_empty() || chaos.endpoints.contains(&endpoint)) {
            return None;
        }
        if source.u32(0..1000) >= chaos.per_mille {
            return None;
        }
        let which = source.usize(0..chaos.faults.len());
        chaos.faults.get(which).cloned()
    }
}

impl Fault {
    /// The answer in place of an effect; none for a fault that comes after the effect.
    pub(super) fn instead(&self, target: &str, trace_size: usize) -> Option<Answer> {
        Some(match self {
            Self::Status(status) => of_status(*status, trace_size),
            Self::RetryAfter(seconds) => answer::with(of_status(429, trace_size), "retry-after", *seconds),
            Self::ResetTime(duration) => {
                let reset = httpdate::fmt_http_date(SystemTime::now() + *duration);
                let late = answer::with(of_status(429, trace_size), "retry-after", 86_400_u64);
                answer::with(late, "ratelimit-resettime", reset)
            }
            Self::WrongJson => answer::answer(StatusCode::OK, "application/json", "{\"id\": 1, \"tok"),
            Self::HugeJson(size) => huge(*size),
            Self::Redirect => answer::with(answer::error(StatusCode::FOUND, ""), "location", target),
            Self::ResetBefore | Self::ResetAfter | Self::TruncatedBody | Self::Slow(_) => return None,
        })
    }
}

fn of_status(status: u16, trace_size: usize) -> Answer {
    let known = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match status {
        202 => answer::with(answer::plain(known), "x-gitlab-trace-update-interval", 1_u64),
        204 => answer::no_content(),
        416 => answer::with(answer::error(known, ""), "range", format!("0-{trace_size}")),
        502..=504 => {
            let name = known.canonical_reason().unwrap_or("Error");
            let page = format!(
                "<!DOCTYPE html>\n<html><head><title>{name} ({status})</title></head>\n<body><h1>{status}</h1>\n\
                 <p>Whoops, GitLab is taking too much time to respond.</p></body></html>\n"
            );
            answer::answer(known, "text/html; charset=utf-8", page)
        }
        _ => answer::error(known, ""),
    }
}

/// JSON of about this many bytes, made while it is sent.
fn huge(size: usize) -> Answer {
    const PIECE: usize = 64 << 10;
    let piece = Bytes::from(vec![b'x'; PIECE]);
    let pieces = std::iter::once(Bytes::from_static(b"{\"id\":1,\"padding\":\""))
        .chain(std::iter::repeat_n(piece, size.div_ceil(PIECE)))
        .chain(std::iter::once(Bytes::from_static(b"\"}")));
    let frames = futures_util::stream::iter(pieces.map(|piece| Ok(Frame::data(piece))));
    let mut answer = answer::answer(StatusCode::CREATED, "application/json", "");
    *answer.body_mut() = StreamBody::new(frames).boxed_unsync();
    answer
}

/// The answer, whose body breaks off after half of it. None where it has none to break.
pub(super) async fn truncated(answer: Answer) -> Option<Answer> {
    let (mut head, body) = answer.into_parts();
    let whole = body.collect().await.ok()?.to_bytes();
    if whole.is_empty() {
        return None;
    }
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    let broken = std::io::Error::other("the answer was cut off on purpose");
    let frames = futures_util::stream::iter([Ok(Frame::data(half)), Err(broken)]);
    let body: Body = StreamBody::new(frames).boxed_unsync();
    Some(Answer::from_parts(head, body))
}
