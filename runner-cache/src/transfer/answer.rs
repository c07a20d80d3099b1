//! What a store answers, and what that means.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::Response;
use runner_core::{Error, ErrorKind, Result, SignedUrl};

/// So much of an answer that tells of a failure is read.
const MOST: usize = 4 << 10;
const EXPIRED: &str = "the right to this object has expired; it lives as long as the job may run";

/// The headers that were signed.
pub(super) fn headers(signed: &SignedUrl) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &signed.headers {
        let wrong = || Error::new(ErrorKind::Invalid, "send a header that was signed").with("name", name);
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
        headers.insert(name.map_err(|_| wrong())?, value.map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// There was no answer, which a store that refuses a right may do in the middle of a body. The address is left out, since
/// it is a right.
pub(super) fn unreachable(operation: &str, signed: &SignedUrl, cause: reqwest::Error) -> Error {
    if has_expired(signed) {
        return Error::new(ErrorKind::Unauthorized, operation).because(EXPIRED);
    }
    Error::new(ErrorKind::Unavailable, operation).because(cause.without_url())
}

fn has_expired(signed: &SignedUrl) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    signed.expires <= now
}

/// The answer, where it is a good one.
pub(super) async fn check(operation: &str, signed: &SignedUrl, answer: Response) -> Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let (code, message) = said(answer).await;
    let is_expired = status == StatusCode::FORBIDDEN && has_expired(signed);
    let kind = match status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::Exhausted,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
        // How S3 says that the body did not come in time.
        StatusCode::BAD_REQUEST if code == "RequestTimeout" => ErrorKind::Unavailable,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    };
    let error = Error::new(kind, operation).with("answer", status);
    Err(match (is_expired, code.is_empty()) {
        (true, _) => error.because(EXPIRED),
        (false, true) => error,
        (false, false) => error.because(format!("{code}: {message}")),
    })
}

/// The code and the message of an error of S3; empty where there are none.
async fn said(mut answer: Response) -> (String, String) {
    let mut bytes = Vec::new();
    while bytes.len() < MOST {
        match answer.chunk().await {
            Ok(Some(more)) => bytes.extend_from_slice(&more),
            _ => break,
        }
    }
    bytes.truncate(MOST);
    let text = String::from_utf8_lossy(&bytes);
    (element(&text, "Code"), element(&text, "Message"))
}

/// The text of the first element `name`, without what a log must not contain.
fn element(text: &str, name: &str) -> String {
    let inner =
        text.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    inner
        .map(|(inner, _)| inner.chars().filter(|letter| !letter.is_control()).take(200).collect())
        .unwrap_or_default()
}
