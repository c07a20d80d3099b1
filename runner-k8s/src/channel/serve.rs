//! Answers what an agent asks for over its channel, one request after the other.

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use runner_core::{
    ArtifactUpload, Error, ErrorKind, Result,
    agent::{ChannelFault, ChannelFrame, ChannelLink, ChannelMessage},
    artifact::ByteStream,
    job::Dependency,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    pin,
    sync::mpsc,
    time::sleep,
};
use tokio_util::io::StreamReader;

use super::{Served, ShippedFile};

/// Something that nobody uses for longer may be closed by what is on the way.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Pieces of an artifact that wait for its store.
const WAITING: usize = 4;

/// Answers until the link breaks.
///
/// # Errors
/// Why it does.
pub(super) async fn serve<R, W>(link: &mut ChannelLink<R, W>, served: &Served) -> Result<Infallible>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    loop {
        let frame = tokio::select! {
            frame = link.receive() => frame?,
            () = sleep(KEEP_ALIVE) => {
                link.tell(ChannelMessage::Ping).await?;
                continue;
            }
        };
        match frame {
            ChannelFrame::Message(ChannelMessage::Ready { wants_sources: false }) => {}
            ChannelFrame::Message(ChannelMessage::Ready { wants_sources: true }) => {
                send_sources(link, served).await?;
            }
            ChannelFrame::Message(ChannelMessage::Upload(artifact)) => {
                upload(link, served, &artifact).await?;
            }
            ChannelFrame::Message(ChannelMessage::Download(from)) => download(link, served, &from).await?,
            _ => return Err(unexpected()),
        }
    }
}

async fn send_sources<R, W>(link: &mut ChannelLink<R, W>, served: &Served) -> Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let files = match served.shipper.sources(&served.job).await {
        Ok(files) => files,
        Err(error) => return fail(link, &error).await,
    };
    let count = files.len();
    for ShippedFile { path, content } in files {
        link.tell(ChannelMessage::File { path }).await?;
        link.send_body(content).await?;
    }
    link.tell(ChannelMessage::Sources { files: count }).await
}

async fn download<R, W>(link: &mut ChannelLink<R, W>, served: &Served, from: &Dependency) -> Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    match served.artifacts.download(from).await {
        Ok(body) => {
            link.tell(ChannelMessage::Begin).await?;
            link.send_body(body).await
        }
        Err(error) => fail(link, &error).await,
    }
}

async fn upload<R, W>(link: &mut ChannelLink<R, W>, served: &Served, artifact: &ArtifactUpload) -> Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    link.tell(ChannelMessage::Begin).await?;
    let (sender, body) = pipe();
    let storing = served.artifacts.upload(artifact, body);
    pin!(storing);
    let mut stored = None;
    {
        let pumping = pump(link, sender);
        pin!(pumping);
        // What the store refuses is still read to its end: the agent says all of it before it listens.
        loop {
            tokio::select! {
                pumped = &mut pumping => break pumped?,
                result = &mut storing, if stored.is_none() => stored = Some(result),
            }
        }
    }
    let stored = match stored {
        Some(stored) => stored,
        None => loop {
            tokio::select! {
                stored = &mut storing => break stored,
                () = sleep(KEEP_ALIVE) => link.tell(ChannelMessage::Ping).await?,
            }
        },
    };
    match stored {
        Ok(()) => link.tell(ChannelMessage::Done).await,
        Err(error) => fail(link, &error).await,
    }
}

/// Reads a body from the link to its end. Where the link breaks, the body does not end but fails.
async fn pump<R, W>(link: &mut ChannelLink<R, W>, sender: mpsc::Sender<io::Result<Bytes>>) -> Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    loop {
        let (item, ended) = match link.receive().await {
            Ok(ChannelFrame::Data(data)) => (Some(Ok(data)), None),
            Ok(ChannelFrame::Message(ChannelMessage::End)) => (None, Some(Ok(()))),
            Ok(ChannelFrame::Message(ChannelMessage::Failed(fault))) => {
                (Some(Err(io::Error::other(Error::from(fault)))), Some(Ok(())))
            }
            Ok(ChannelFrame::Message(_)) => (Some(Err(broken())), Some(Err(unexpected()))),
            Err(error) => (Some(Err(broken())), Some(Err(error))),
        };
        if let Some(item) = item {
            // A store that has given up takes no more.
            sender.send(item).await.ok();
        }
        if let Some(ended) = ended {
            return ended;
        }
    }
}

/// A stream of bytes, and where its pieces come from. It ends well where the sender is dropped.
fn pipe() -> (mpsc::Sender<io::Result<Bytes>>, ByteStream) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    (sender, Box::new(StreamReader::new(Box::pin(pieces))))
}

async fn fail<R, W>(link: &mut ChannelLink<R, W>, error: &Error) -> Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    link.tell(ChannelMessage::Failed(ChannelFault::from(error))).await
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Corrupt, "understand the agent")
}

#[cfg(test)]
mod tests;
