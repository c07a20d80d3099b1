//! The error that an answer is, with what GitLab says of the reason.

use runner_core::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    answer::{Answer, Head},
    retry::kind_of,
};

/// So much of an answer is read for its message.
const READ: usize = 64 << 10;
/// So much of a message is told.
const TOLD: usize = 200;

/// What an answer means that is not what was asked for. `doing` completes "failed to …".
pub(crate) async fn fault(doing: &str, answer: Answer) -> Error {
    let head = answer.head.clone();
    let is_json = head.text("content-type").is_some_and(|kind| kind.contains("json"));
    // What a proxy answers is a page, and says no more than its status.
    let body = if is_json { answer.body(READ).await.ok() } else { None };
    of_head(doing, &head, body.as_deref().and_then(message).as_deref())
}

/// The same without the body.
pub(crate) fn of_head(doing: &str, head: &Head, message: Option<&str>) -> Error {
    let kind = kind_of(head);
    // Somebody else changed the same thing at the same time, which passes.
    let is_passing = matches!(kind, ErrorKind::Unavailable | ErrorKind::Conflict);
    let mut error = Error::new(kind, doing).with("status", head.status.as_u16()).retryable(is_passing);
    if let Some(message) = message {
        error = error.with("the server says", message);
    } else if head.status.is_redirection() {
        let to = head.location().map_or("elsewhere", |to| to.split('?').next().unwrap_or_default());
        error = error.with("write this as the url, as the server redirects to", to);
    }
    match head.request_id() {
        Some(id) => error.with("request", id),
        None => error,
    }
}

/// A request that got no answer.
pub(crate) fn unanswered(doing: &str, cause: reqwest::Error) -> Error {
    let error = Error::new(ErrorKind::Unavailable, doing);
    let text = chain(&cause);
    let error = if text.contains("UnknownIssuer") || text.contains("SelfSigned") {
        error.with("hint", "give the certificate of the server's authority with tls-ca-file")
    } else {
        error
    };
    error.because(cause.without_url())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// GitLab's reason in the body of an answer, in one short line.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        message: Option<Value>,
        error: Option<Value>,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    let text = match said.message.or(said.error)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(TOLD).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::tests::head;

    #[test]
    fn a_message_is_one_short_line() {
        assert_eq!(message(br#"{"message":"403\nForbidden  - x"}"#).as_deref(), Some("403 Forbidden - x"));
        assert_eq!(message(br#"{"error":"token is missing"}"#).as_deref(), Some("token is missing"));
        assert_eq!(message(br#"{"message":{"a":["b"]}}"#).as_deref(), Some(r#"{"a":["b"]}"#));
        assert_eq!(message(b"<html>"), None);
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5000));
        assert_eq!(message(long.as_bytes()).map(|text| text.len()), Some(TOLD));
    }

    #[test]
    fn a_redirect_says_what_to_write() {
        let head = head(301, &[("location", "https://other.example/api?secret=1")]);
        let text = of_head("ask for a job", &head, None).chain();
        assert!(text.contains("https://other.example/api)"), "{text}");
    }
}
