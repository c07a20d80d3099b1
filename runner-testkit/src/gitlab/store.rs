//! The object store that downloads may be redirected to: another host, which must not see a token.

use http::{HeaderMap, StatusCode};

use super::{
    answer::{self, Answer},
    artifacts::{self, Query},
    shared::Shared,
};

/// Headers that carry a secret of GitLab.
const SECRET_HEADERS: [&str; 4] = ["job-token", "private-token", "runner-token", "authorization"];

/// What makes a link to the store valid.
pub(super) fn signature(id: u64) -> String {
    format!("{:08x}", crc32fast::hash(&id.to_be_bytes()))
}

/// Answers a request to the store. A secret in its headers is noted: the server fails the test with it.
pub(super) fn get(shared: &Shared, path: &str, headers: &HeaderMap, query: &Query) -> Answer {
    if let Some(name) = SECRET_HEADERS.iter().find(|name| headers.contains_key(**name)) {
        shared.change(|world| world.leaks.push(format!("{name} was sent to the object store: {path}")));
        return answer::error(StatusCode::BAD_REQUEST, "Unsupported Authorization Type");
    }
    let id = path.strip_prefix("/artifacts/").and_then(|rest| rest.strip_suffix("/archive"));
    let Some(id) = id.and_then(|id| id.parse::<u64>().ok()) else {
        return answer::error(StatusCode::NOT_FOUND, "");
    };
    if query.get("signature").is_none_or(|given| *given != signature(id)) {
        return answer::error(StatusCode::FORBIDDEN, "");
    }
    shared.read(|world| {
        let archive = world
            .jobs
            .get(&id)
            .and_then(|job| job.record.artifacts.iter().find(|artifact| artifact.kind == "archive"));
        archive.map_or_else(|| answer::error(StatusCode::NOT_FOUND, ""), artifacts::of_artifact)
    })
}
