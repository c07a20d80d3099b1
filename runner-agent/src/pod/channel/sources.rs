//! The sources of a job, as they come over the channel: the files of a bare repository that the job fetches from.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use runner_core::{
    Error, ErrorKind, Result,
    agent::{ChannelFrame, ChannelMessage},
};
use tokio::{fs, io::AsyncWriteExt};

use super::{Link, unexpected};

/// Takes all files into `repository`, which is there only when they are complete. The inner result is the last word on
/// the sources; the outer one fails where the connection does, and another one may bring them.
pub(super) async fn receive(link: &mut Link, repository: &Path) -> Result<Result<Option<PathBuf>>> {
    let partial = repository.with_extension("partial");
    let mut stored = clear(&partial).await;
    let mut count = 0;
    loop {
        match link.receive().await? {
            ChannelFrame::Message(ChannelMessage::File { path }) => {
                let taken = take_file(link, &partial, &path).await?;
                stored = stored.and(taken);
                count += 1;
            }
            ChannelFrame::Message(ChannelMessage::Sources { files: 0 }) => return Ok(Ok(None)),
            ChannelFrame::Message(ChannelMessage::Sources { files }) if files == count => {
                return Ok(finish(stored, &partial, repository).await);
            }
            ChannelFrame::Message(ChannelMessage::Failed(fault)) => return Ok(Err(fault.into())),
            _ => return Err(unexpected()),
        }
    }
}

async fn finish(stored: io::Result<()>, partial: &Path, repository: &Path) -> Result<Option<PathBuf>> {
    let published = match stored {
        Ok(()) => fs::rename(partial, repository).await,
        Err(error) => Err(error),
    };
    published
        .map_err(|cause| Error::new(ErrorKind::Internal, "store the sources in the pod").because(cause))?;
    Ok(Some(repository.to_owned()))
}

/// An empty repository, with the folders that git wants to see even where they hold nothing.
async fn clear(partial: &Path) -> io::Result<()> {
    match fs::remove_dir_all(partial).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(partial.join("refs")).await?;
    fs::create_dir_all(partial.join("objects")).await
}

/// Takes one file. Where it cannot be stored, it is still read to its end.
async fn take_file(link: &mut Link, partial: &Path, path: &str) -> Result<io::Result<()>> {
    let mut file = create(partial, path).await;
    loop {
        match link.receive().await? {
            ChannelFrame::Data(data) => {
                if let Ok(open) = &mut file
                    && let Err(error) = open.write_all(&data).await
                {
                    file = Err(error);
                }
            }
            ChannelFrame::Message(ChannelMessage::End) => break,
            ChannelFrame::Message(ChannelMessage::Failed(fault)) => {
                return Ok(Err(io::Error::other(Error::from(fault))));
            }
            ChannelFrame::Message(_) => return Err(unexpected()),
        }
    }
    Ok(match file {
        Ok(mut file) => file.flush().await,
        Err(error) => Err(error),
    })
}

async fn create(partial: &Path, path: &str) -> io::Result<fs::File> {
    let path = Path::new(path);
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below || path.as_os_str().is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let place = partial.join(path);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).await?;
    }
    fs::File::create(place).await
}
