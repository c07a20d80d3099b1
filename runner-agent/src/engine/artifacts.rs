//! Sends what a job keeps, and fetches what it gets of earlier jobs.

use std::{path::Path, sync::Arc, time::Duration};

use runner_core::{
    ArtifactStore, ArtifactUpload, Error, ErrorKind, Result,
    job::{ArtifactFormat, ArtifactSpec, Dependency},
    log::JobLog,
};
use tokio::time::sleep;

use super::{
    colour,
    workplace::{Workplace, amount},
};
use crate::archive::{Packed, Summary, extract_file, only_regular, pack};

mod spool;

use spool::Spool;

/// How often an upload is tried.
const UPLOADS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Whether [`download`] has anything to do.
pub(crate) fn any_to_download(dependencies: &[Dependency]) -> bool {
    dependencies.iter().any(|dependency| dependency.file.is_some())
}

/// Whether [`upload`] has anything to do, for a job that `succeeded` so far.
pub(crate) fn any_to_upload(specs: &[ArtifactSpec], succeeded: bool) -> bool {
    wanted(specs, succeeded).next().is_some()
}

/// Unpacks the archives of earlier jobs into the work tree, in order, each tried up to `attempts` times.
///
/// # Cancellation
/// May be dropped: what was unpacked until then stays.
///
/// # Errors
/// The first one: without what it depends on, a job cannot run.
pub(crate) async fn download(
    dependencies: &[Dependency],
    store: &dyn ArtifactStore,
    project: &Path,
    log: &JobLog,
    attempts: u32,
) -> Result<()> {
    for dependency in dependencies.iter().filter(|dependency| dependency.file.is_some()) {
        let name = match &dependency.id {
            Some(id) => format!("{} ({id})", dependency.name),
            None => dependency.name.clone(),
        };
        log.line(&format!("Downloading artifacts of {name}…")).await;
        let mut tried = 1;
        let unpacked = loop {
            match download_once(dependency, store, project).await {
                // A damaged archive may have been damaged on its way.
                Err(error)
                    if tried < attempts && (error.is_retryable() || error.kind() == ErrorKind::Corrupt) =>
                {
                    let text = format!("trying again: failed to {}", error.chain());
                    log.line(&colour::warning(&text)).await;
                }
                unpacked => break unpacked.map_err(|error| error.with("job", &dependency.name))?,
            }
            sleep(PAUSE * tried).await;
            tried += 1;
        };
        log.line(&format!("{}: {}", dependency.name, amount(unpacked.files, unpacked.bytes))).await;
    }
    Ok(())
}

async fn download_once(
    dependency: &Dependency,
    store: &dyn ArtifactStore,
    project: &Path,
) -> Result<Summary> {
    // Beside the work tree, and so in the job's directory: a zip archive is read from its end.
    let beside = project.parent().unwrap_or(project);
    let spool = Spool::fill(beside, store.download(dependency).await?).await?;
    let project = project.to_owned();
    runner_cache::blocking::run(move |interrupt| extract_file(spool.into_file(), &project, interrupt)).await
}

/// Sends the artifacts and reports of a job that `succeeded` so far or did not.
///
/// What matches nothing is a warning. Where one cannot be sent, the others are sent all the same.
///
/// # Cancellation
/// May be dropped: an artifact that was not sent whole was not sent.
///
/// # Errors
/// The first one: a job whose artifacts are lost did not do what it should.
pub(crate) async fn upload(
    specs: &[ArtifactSpec],
    succeeded: bool,
    store: &dyn ArtifactStore,
    place: &Workplace<'_>,
) -> Result<()> {
    let mut first = Ok(());
    for spec in wanted(specs, succeeded) {
        let uploaded = upload_one(spec, store, place).await;
        match (uploaded, &first) {
            (Ok(()), _) => {}
            (Err(error), Ok(())) => first = Err(error),
            (Err(error), Err(_)) => place.warn(&format!("failed to {}", error.chain())).await,
        }
    }
    first
}

fn wanted(specs: &[ArtifactSpec], succeeded: bool) -> impl Iterator<Item = &ArtifactSpec> {
    let is_any = |spec: &&ArtifactSpec| spec.untracked || !spec.paths.is_empty();
    specs.iter().filter(is_any).filter(move |spec| spec.when.applies(succeeded))
}

async fn upload_one(spec: &ArtifactSpec, store: &dyn ArtifactStore, place: &Workplace<'_>) -> Result<()> {
    let what = if spec.kind == "archive" { "artifacts".into() } else { format!("{} report", spec.kind) };
    place.log.line(&format!("Uploading {what}…")).await;
    let mut files = place.select(&spec.paths, &spec.exclude, spec.untracked).await?;
    if spec.format != ArtifactFormat::Zip {
        files = only_regular(place.project, files, Arc::clone(&place.reader)).await?;
    }
    if files.is_empty() {
        let verb = if spec.kind == "archive" { "are" } else { "is" };
        place.warn(&format!("no files to upload, so there {verb} no {what}")).await;
        return Ok(());
    }
    let artifact = ArtifactUpload {
        filename: filename(spec, place),
        kind: spec.kind.clone(),
        format: spec.format,
        expire_in: spec.expire_in,
    };
    let packed = Packed {
        folder: place.project.to_owned(),
        files,
        format: spec.format,
        level: place.level("ARTIFACT_COMPRESSION_LEVEL").await,
        reader: Arc::clone(&place.reader),
    };
    send(&artifact, &packed, store, place).await?;
    place.log.line(&format!("Uploaded {}", artifact.filename)).await;
    Ok(())
}

/// Sends one artifact, packed anew for each try.
async fn send(
    artifact: &ArtifactUpload,
    packed: &Packed,
    store: &dyn ArtifactStore,
    place: &Workplace<'_>,
) -> Result<()> {
    let mut tried = 1;
    loop {
        let (body, fault) = pack(packed.clone());
        let sent = store.upload(artifact, body).await;
        // A file that cannot be read is the reason, whatever the store made of it, and stays so.
        let error = match (sent, fault.take()) {
            (Ok(()), None) => return Ok(()),
            (_, Some(cause)) => {
                return Err(describe(runner_cache::io_error("pack the artifacts", cause), artifact));
            }
            (Err(error), None) => error,
        };
        if tried >= UPLOADS || !error.is_retryable() {
            return Err(describe(error, artifact));
        }
        place.warn(&format!("trying again: failed to {}", error.chain())).await;
        sleep(PAUSE * tried).await;
        tried += 1;
    }
}

fn describe(error: Error, artifact: &ArtifactUpload) -> Error {
    error.with("artifact", &artifact.filename)
}

/// The name of the file: the last part of what the job says, and the ending of the format.
fn filename(spec: &ArtifactSpec, place: &Workplace<'_>) -> String {
    let default = if spec.kind == "archive" { "artifacts" } else { &spec.kind };
    let said = place.variables.expand(spec.name.as_deref().unwrap_or_default());
    let name = said.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name = if matches!(name, "" | "." | "..") { default } else { name };
    match spec.format {
        ArtifactFormat::Zip => format!("{name}.zip"),
        ArtifactFormat::Gzip => format!("{name}.gz"),
        ArtifactFormat::Raw => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
