//! Answers as GitLab words them.

use std::io;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

use super::world::Refusal;

/// The body of an answer: an error in it resets the connection.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub(super) type Answer = Response<Body>;

/// A whole body.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a type and a body.
pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/json", body.to_string())
}

/// An answer whose body is its status, as GitLab gives where there is nothing to say.
pub(super) fn plain(status: StatusCode) -> Answer {
    answer(status, "application/json", format!("\"{}\"", status.as_u16()))
}

/// 204, without a body.
pub(super) fn no_content() -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// An error as the API words it: `403 Forbidden - why`.
pub(super) fn error(status: StatusCode, why: &str) -> Answer {
    let name = status.canonical_reason().unwrap_or("Error");
    let why = if why.is_empty() { String::new() } else { format!(" - {why}") };
    json(status, &json!({ "message": format!("{} {name}{why}", status.as_u16()) }))
}

/// 400 for a parameter that is missing.
pub(super) fn missing(parameter: &str) -> Answer {
    json(StatusCode::BAD_REQUEST, &json!({ "error": format!("{parameter} is missing") }))
}

/// 403 for a job: the state is told only to who has its token.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Unknown => error(StatusCode::FORBIDDEN, ""),
        Refusal::NotRunning(state) => with(
            error(StatusCode::FORBIDDEN, "Job is not processing on runner"),
            "job-status",
            state.as_str(),
        ),
    }
}

/// The value of a header.
pub(super) struct Text(String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<u64> for Text {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

/// The answer with one more header; a value that is none is left out.
pub(super) fn with(mut answer: Answer, name: &'static str, value: impl Into<Text>) -> Answer {
    if let Ok(value) = HeaderValue::from_str(&value.into().0) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
    answer
}
