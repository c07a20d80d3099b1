//! Caches in the format of GitLab Runner: one zip archive.

use std::{fs::File, io::Seek, path::PathBuf, sync::Arc};

use runner_cache::{Saved, Transfer, blocking, io_error, transfer::Content};
use runner_core::{
    Error, ErrorKind, Location, ReadGrant, Result, WriteGrant, cache::Object, job::ArtifactFormat,
};
use tokio::io::AsyncWriteExt;

use crate::{
    archive::{Level, Packed, Summary, extract_file, pack},
    engine::workplace::Workplace,
};

/// Fetches the archive whole, since it is read from its end, and unpacks it. Names are checked before anything is written.
pub(super) async fn restore(
    grant: &ReadGrant,
    place: &Workplace<'_>,
    transfer: &Transfer,
) -> Result<Summary> {
    let mut file = tokio::fs::File::from_std(nameless(place).await?);
    let mut body = transfer.read_whole(location(&grant.objects)?);
    while let Some(bytes) = body.next().await? {
        file.write_all(&bytes).await.map_err(|cause| io_error("fetch the cache", cause))?;
    }
    file.flush().await.map_err(|cause| io_error("fetch the cache", cause))?;
    let (file, project) = (file.into_std().await, place.project.to_owned());
    blocking::run(move |interrupt| extract_file(rewound(file)?, &project, interrupt)).await
}

/// Packs the files into an archive, and sends that.
pub(super) async fn save(
    grant: &WriteGrant,
    files: Vec<PathBuf>,
    level: Level,
    place: &Workplace<'_>,
    transfer: &Transfer,
) -> Result<Saved> {
    let count = files.len() as u64;
    let packed = Packed {
        folder: place.project.to_owned(),
        files,
        format: ArtifactFormat::Zip,
        level,
        reader: Arc::clone(&place.reader),
    };
    let mut file = tokio::fs::File::from_std(nameless(place).await?);
    let (mut stream, fault) = pack(packed);
    let copied = tokio::io::copy(&mut stream, &mut file).await;
    let failed = |cause| io_error("pack the cache", cause);
    if let Some(cause) = fault.take() {
        return Err(failed(cause));
    }
    let size = copied.map_err(failed)?;
    file.flush().await.map_err(failed)?;
    if grant.limit.is_some_and(|limit| size > limit) {
        let cause = "it is larger than the largest cache that may be uploaded";
        return Err(Error::new(ErrorKind::Exhausted, "save the cache").because(cause));
    }
    let content = Content::File(Arc::new(file.into_std().await), size);
    transfer.write(location(&grant.objects)?, &content).await?;
    Ok(Saved { files: count, bytes: size, stored: size, sent: size, left_out: 0 })
}

/// A file without a name, beside the work tree and so in the job's directory.
async fn nameless(place: &Workplace<'_>) -> Result<File> {
    let beside = place.project.parent().unwrap_or(place.project).to_owned();
    blocking::run(move |_| {
        tempfile::tempfile_in(beside).map_err(|cause| io_error("make room for the cache", cause))
    })
    .await
}

fn rewound(mut file: File) -> Result<File> {
    file.rewind().map_err(|cause| io_error("read the cache", cause))?;
    Ok(file)
}

fn location(objects: &[Object]) -> Result<&Location> {
    let object = objects.first();
    object
        .map(|object| &object.location)
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "reach the cache's archive"))
}
