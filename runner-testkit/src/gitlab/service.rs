//! One request: remembered, disturbed or not, and given to its endpoint.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    answer::{self, Answer},
    artifacts::{self, Query},
    fault::{self, Fault},
    git,
    record::{Endpoint, Request},
    request, runners,
    shared::Shared,
    store, trace, update,
};

/// The most bytes of a request for a job: more is refused.
const REQUEST_LIMIT: usize = 32 << 10;
/// The most bytes of any other body in JSON.
const JSON_LIMIT: usize = 1 << 20;
/// The most bytes of one piece of a trace.
const PIECE_LIMIT: usize = 32 << 20;

/// Which of the two servers a connection reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// GitLab.
    GitLab,
    /// The object store.
    Store,
}

/// The connection is to be reset.
#[derive(Debug)]
pub(super) struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection is reset on purpose")
    }
}

impl std::error::Error for Reset {}

/// A request on its way to its endpoint.
struct Call {
    endpoint: Endpoint,
    job: u64,
    number: usize,
    head: Parts,
}

/// Answers a request.
pub(super) async fn serve(
    shared: Arc<Shared>,
    face: Face,
    request: http::Request<Incoming>,
) -> Result<Answer, Reset> {
    let (head, body) = request.into_parts();
    let (endpoint, job) = match face {
        Face::GitLab => Endpoint::of(&head.method, head.uri.path()),
        Face::Store => (Endpoint::Store, None),
    };
    // From here on it would hear of an outage, so none can begin unseen between the question and the answer.
    let outage = shared.outage.notified();
    let (number, fault, is_out) = shared.change(|world| {
        let is_out = world.faults.is_out();
        let fault = if is_out { None } else { world.faults.next(endpoint, job) };
        let request = Request {
            at: Instant::now(),
            endpoint,
            job,
            target: head.uri.to_string(),
            headers: head.headers.clone(),
            body: Value::Null,
            status: None,
            is_disturbed: is_out || fault.is_some(),
        };
        (world.remember(request), fault, is_out)
    });
    if is_out || fault == Some(Fault::ResetBefore) {
        return Err(Reset);
    }
    let call = Call { endpoint, job: job.unwrap_or_default(), number, head };
    // An outage ends what is held as well; what has had its effect is then a lost reply.
    let answer = tokio::select! {
        biased;
        answer = disturbed(&shared, call, body, fault) => answer?,
        () = outage => return Err(Reset),
    };
    shared.change(|world| {
        if let Some(request) = world.request_mut(number) {
            request.status = Some(answer.status().as_u16());
        }
    });
    Ok(answer)
}

/// Answers with the fault that was drawn, or without.
async fn disturbed(
    shared: &Arc<Shared>,
    call: Call,
    body: Incoming,
    fault: Option<Fault>,
) -> Result<Answer, Reset> {
    let size = || shared.read(|world| world.jobs.get(&call.job).map_or(0, |job| job.record.trace.len()));
    if let Some(answer) = fault.as_ref().and_then(|fault| fault.instead(&call.head.uri.to_string(), size())) {
        discard(body).await;
        return Ok(answer);
    }
    let answer = dispatch(shared, call, body).await;
    match fault {
        Some(Fault::ResetAfter) => Err(Reset),
        Some(Fault::TruncatedBody) => fault::truncated(answer).await.ok_or(Reset),
        Some(Fault::Slow(duration)) => {
            sleep(duration).await;
            Ok(answer)
        }
        _ => Ok(answer),
    }
}

async fn dispatch(shared: &Arc<Shared>, call: Call, body: Incoming) -> Answer {
    let Call { endpoint, job, number, head } = call;
    let query: Query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let token = query.get("token").cloned().unwrap_or_else(|| text(&head.headers, "job-token"));
    match endpoint {
        Endpoint::Verify
        | Endpoint::Register
        | Endpoint::Unregister
        | Endpoint::UnregisterManager
        | Endpoint::Request
        | Endpoint::Update => {
            let limit = if endpoint == Endpoint::Request { REQUEST_LIMIT } else { JSON_LIMIT };
            match read_json(&head.headers, body, limit).await {
                Ok(body) => with_json(shared, (endpoint, job, number), body).await,
                Err(answer) => answer,
            }
        }
        Endpoint::Trace => match read_text(&head.headers, body).await {
            Ok(piece) => shared
                .change(|world| trace::append(world, &shared.settings, job, (&head.headers, &token), &piece)),
            Err(answer) => answer,
        },
        Endpoint::Authorize => artifacts::authorize(shared, job, &token, &query),
        Endpoint::Upload => artifacts::upload(shared, job, (&head.headers, &token, &query), body).await,
        Endpoint::Download => artifacts::download(shared, job, &token, &query),
        Endpoint::Store => store::get(shared, head.uri.path(), &head.headers, &query),
        Endpoint::Git => repository(shared, &head, body).await,
        Endpoint::Unknown => answer::error(StatusCode::NOT_FOUND, ""),
    }
}

async fn with_json(shared: &Arc<Shared>, call: (Endpoint, u64, usize), body: Value) -> Answer {
    let (endpoint, job, number) = call;
    shared.change(|world| {
        if let Some(request) = world.request_mut(number) {
            request.body = body.clone();
        }
    });
    if endpoint == Endpoint::Request {
        return request::request(shared, body).await;
    }
    shared.change(|world| match endpoint {
        Endpoint::Verify => runners::verify(world, &body),
        Endpoint::Register => runners::register(world, &body),
        Endpoint::Unregister => runners::unregister(world, &body),
        Endpoint::UnregisterManager => runners::unregister_manager(world, &body),
        _ => update::update(world, &shared.settings, job, &body),
    })
}

/// A repository, for whoever has the token of a job that runs.
async fn repository(shared: &Arc<Shared>, head: &Parts, body: Incoming) -> Answer {
    let Some(folder) = &shared.settings.repositories else { return answer::error(StatusCode::NOT_FOUND, "") };
    let given = text(&head.headers, "authorization");
    let login = given.strip_prefix("Basic ").and_then(|code| BASE64_STANDARD.decode(code.trim()).ok());
    let login = login.and_then(|login| String::from_utf8(login).ok()).unwrap_or_default();
    let is_allowed = login
        .strip_prefix("gitlab-ci-token:")
        .is_some_and(|token| shared.read(|world| world.is_token_of_a_running_job(token)));
    if is_allowed {
        return git::answer(folder, head, body, |task| shared.spawn(task)).await;
    }
    let refusal = answer::answer(StatusCode::UNAUTHORIZED, "text/plain", "HTTP Basic: Access denied\n");
    answer::with(refusal, "www-authenticate", "Basic realm=\"GitLab\"")
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The media type of a body, without its parameters. Without one, it is taken for JSON.
fn media_type(headers: &HeaderMap) -> String {
    let kind = text(headers, header::CONTENT_TYPE.as_str());
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body to its end: a client that is still sending would see a reset in place of the answer.
pub(super) async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Reads a whole body. One that is too large is read to its end as well: a client that is still sending would see a reset
/// in place of the answer.
async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Answer> {
    let mut kept = Vec::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|fault| answer::error(StatusCode::BAD_REQUEST, &fault.to_string()))?;
        let piece = frame.into_data().unwrap_or_default();
        size += piece.len();
        if size <= limit {
            kept.extend_from_slice(&piece);
        }
    }
    if size > limit { Err(answer::error(StatusCode::PAYLOAD_TOO_LARGE, "")) } else { Ok(kept.into()) }
}

async fn read_json(headers: &HeaderMap, body: Incoming, limit: usize) -> Result<Value, Answer> {
    let bytes = read(body, limit).await?;
    if !matches!(media_type(headers).as_str(), "" | "application/json") {
        return Err(unsupported(headers));
    }
    serde_json::from_slice(&bytes).map_err(|_| no_json())
}

async fn read_text(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Answer> {
    let bytes = read(body, PIECE_LIMIT).await?;
    match media_type(headers).as_str() {
        "text/plain" => Ok(bytes),
        "" | "application/json" => Err(no_json()),
        _ => Err(unsupported(headers)),
    }
}

fn no_json() -> Answer {
    answer::json(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": "Problems parsing JSON" }))
}

fn unsupported(headers: &HeaderMap) -> Answer {
    let error = format!("The provided content-type '{}' is not supported.", media_type(headers));
    answer::json(StatusCode::UNSUPPORTED_MEDIA_TYPE, &serde_json::json!({ "error": error }))
}
