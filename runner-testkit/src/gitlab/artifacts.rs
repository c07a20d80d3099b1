//! `jobs/:id/artifacts`: what jobs keep, and what later ones get.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;

use super::{
    answer::{self, Answer},
    job::Artifact,
    service,
    shared::Shared,
    store,
    world::World,
};

/// The options of a query.
pub(super) type Query = BTreeMap<String, String>;

/// `POST jobs/:id/artifacts/authorize`.
pub(super) fn authorize(shared: &Shared, id: u64, token: &str, query: &Query) -> Answer {
    if let Err(refusal) = shared.change(|world| world.authenticate(id, token).map(drop)) {
        return answer::refused(&refusal);
    }
    let size = query.get("filesize").and_then(|size| size.parse().ok()).unwrap_or(0_usize);
    if size > shared.settings.artifact_limit {
        return answer::error(StatusCode::PAYLOAD_TOO_LARGE, "Artifacts are too large");
    }
    answer::json(StatusCode::OK, &json!({ "RemoteObject": null }))
}

/// `POST jobs/:id/artifacts`: a multipart body with one part named `file`.
pub(super) async fn upload(
    shared: &Arc<Shared>,
    id: u64,
    call: (&HeaderMap, &str, &Query),
    body: Incoming,
) -> Answer {
    let (headers, token, query) = call;
    if let Err(refusal) = shared.change(|world| world.authenticate(id, token).map(drop)) {
        service::discard(body).await;
        return answer::refused(&refusal);
    }
    let (filename, bytes) = match read_file(headers, body, shared.settings.artifact_limit).await {
        Ok(file) => file,
        Err(answer) => return answer,
    };
    let option =
        |name: &str, otherwise: &str| query.get(name).cloned().unwrap_or_else(|| otherwise.to_owned());
    let artifact = Artifact {
        kind: option("artifact_type", "archive"),
        format: option("artifact_format", "zip"),
        filename,
        expire_in: query.get("expire_in").cloned(),
        bytes,
    };
    shared.change(|world| keep(world, id, token, artifact))
}

/// The job may have ended while the file was on its way.
fn keep(world: &mut World, id: u64, token: &str, artifact: Artifact) -> Answer {
    let job = match world.authenticate(id, token) {
        Ok(job) => job,
        Err(refusal) => return answer::refused(&refusal),
    };
    if artifact.kind == "archive" && artifact.format != "zip" {
        return answer::error(StatusCode::BAD_REQUEST, "Invalid file format with specified file type");
    }
    match job.record.artifacts.iter().find(|other| other.kind == artifact.kind) {
        Some(other) if other.bytes == artifact.bytes => {}
        Some(_) => {
            return answer::error(
                StatusCode::BAD_REQUEST,
                "another artifact of the same type already exists",
            );
        }
        None => job.record.artifacts.push(artifact),
    }
    answer::plain(StatusCode::CREATED)
}

async fn read_file(headers: &HeaderMap, body: Incoming, limit: usize) -> Result<(String, Bytes), Answer> {
    let bad = |why: &str| answer::error(StatusCode::BAD_REQUEST, why);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(kind) else {
        service::discard(body).await;
        return Err(bad("file is invalid"));
    };
    let mut parts = multer::Multipart::new(body.into_data_stream(), boundary);
    let mut file = None;
    let mut size = 0;
    while let Some(mut part) = parts.next_field().await.map_err(|fault| bad(&fault.to_string()))? {
        let is_file = part.name() == Some("file");
        let filename = part.file_name().unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(piece) = part.chunk().await.map_err(|fault| bad(&fault.to_string()))? {
            size += piece.len();
            if size <= limit {
                bytes.extend_from_slice(&piece);
            }
        }
        if is_file {
            file = Some((filename, Bytes::from(bytes)));
        }
    }
    if size > limit {
        return Err(answer::error(StatusCode::PAYLOAD_TOO_LARGE, "Artifacts are too large"));
    }
    file.ok_or_else(|| bad("file is missing"))
}

/// `GET jobs/:id/artifacts`: the archive of a job, for any job that runs.
pub(super) fn download(shared: &Shared, id: u64, token: &str, query: &Query) -> Answer {
    shared.read(|world| {
        if !world.is_token_of_a_running_job(token) {
            return answer::error(StatusCode::UNAUTHORIZED, "");
        }
        let job = world.jobs.get(&id).filter(|job| !job.is_deleted);
        let archive =
            job.and_then(|job| job.record.artifacts.iter().find(|artifact| artifact.kind == "archive"));
        let Some(archive) = archive else { return answer::error(StatusCode::NOT_FOUND, "") };
        let is_direct = query.get("direct_download").is_some_and(|value| value == "true");
        if let Some(store) = shared.store_url.as_ref().filter(|_| is_direct) {
            let place = format!("{store}/artifacts/{id}/archive?signature={}", store::signature(id));
            return answer::with(answer::answer(StatusCode::FOUND, "text/plain", ""), "location", place);
        }
        of_artifact(archive)
    })
}

/// The answer that holds an artifact.
pub(super) fn of_artifact(artifact: &Artifact) -> Answer {
    let answer = answer::answer(StatusCode::OK, "application/octet-stream", artifact.bytes.clone());
    let name = artifact.filename.replace(['"', '\\'], "_");
    answer::with(answer, "content-disposition", format!("attachment; filename=\"{name}\""))
}
