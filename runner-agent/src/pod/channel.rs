//! The helper's end of the side channel, over which sources come and artifacts go both ways.
//!
//! Whoever serves it runs `runner-agent channel` in the helper container, which joins its own standard streams to a
//! socket here. Where that connection breaks, another one takes its place.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use runner_core::{
    Error, ErrorKind, Result,
    agent::{ChannelFault, ChannelFrame, ChannelLink, ChannelMessage},
};
use tokio::{
    io::AsyncWriteExt,
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime,
    sync::{Mutex, OwnedMutexGuard, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::paths;

mod artifacts;
mod sources;

pub(super) use artifacts::ChannelArtifacts;

/// How long a request waits for a connection before it fails.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often a request is begun whose connection turns out to be broken.
const TRIES: u32 = 3;

type Link = ChannelLink<OwnedReadHalf, OwnedWriteHalf>;

/// Joins the standard streams of this process to the helper's socket, until either of them ends.
pub(super) fn main() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let joined = runtime.block_on(async {
        let (mut source, mut sink) = UnixStream::connect(paths::CHANNEL_SOCKET).await?.into_split();
        let inwards = async { tokio::io::copy(&mut tokio::io::stdin(), &mut sink).await };
        let outwards = async {
            let mut stdout = tokio::io::stdout();
            tokio::io::copy(&mut source, &mut stdout).await?;
            stdout.flush().await
        };
        tokio::select! {
            ended = inwards => ended.map(drop),
            ended = outwards => ended,
        }
    });
    // The thread that reads the standard input may read for ever.
    runtime.shutdown_background();
    joined
}

/// The channel of a helper.
#[derive(Debug)]
pub(super) struct Channel {
    lines: Arc<Lines>,
    /// Accepts connections; owned so that it ends with this.
    _accept: JoinSet<()>,
}

/// The connections, and what came of the sources.
#[derive(Debug)]
struct Lines {
    current: watch::Sender<Option<Arc<Line>>>,
    sources: watch::Sender<Option<Result<Option<PathBuf>, ChannelFault>>>,
    /// Whether somebody is connected, also while sources are on their way.
    connected: watch::Sender<bool>,
}

/// One connection.
#[derive(Debug)]
struct Line {
    link: Arc<Mutex<Link>>,
    broken: CancellationToken,
}

impl Channel {
    /// Listens at `socket`, and takes the sources into `repository`. Must be called within a runtime.
    pub(super) fn listen(socket: &Path, repository: PathBuf) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let lines = Arc::new(Lines {
            current: watch::Sender::new(None),
            sources: watch::Sender::new(None),
            connected: watch::Sender::new(false),
        });
        let mut accept = JoinSet::new();
        accept.spawn(accept_all(listener, Arc::clone(&lines), repository));
        Ok(Self { lines, _accept: accept })
    }

    /// Waits for the sources. `None`: there are none to get this way.
    ///
    /// # Errors
    /// Those that the other side tells, and [`ErrorKind::TimedOut`] where nobody is connected for as long as `patience`.
    pub(super) async fn sources(&self, patience: Duration) -> Result<Option<PathBuf>> {
        let mut receiver = self.lines.sources.subscribe();
        tokio::select! {
            biased;
            came = receiver.wait_for(Option::is_some) => {
                let came = came.ok().and_then(|came| came.clone());
                came.unwrap_or(Ok(None)).map_err(Error::from)
            }
            () = self.lines.unconnected_for(patience) => {
                let error = Error::new(ErrorKind::TimedOut, "get the sources: nobody brought them");
                Err(error.with("waited for seconds", patience.as_secs()))
            }
        }
    }

    /// A store of artifacts at the other end.
    pub(super) fn artifacts(&self) -> ChannelArtifacts {
        ChannelArtifacts::new(Arc::clone(&self.lines))
    }
}

async fn accept_all(listener: UnixListener, lines: Arc<Lines>, repository: PathBuf) {
    let mut greeting = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        // The one before it is given up by whoever has connected again.
        greeting.shutdown().await;
        lines.give_up(None);
        lines.connected.send_replace(true);
        let (source, sink) = stream.into_split();
        let (lines, repository) = (Arc::clone(&lines), repository.clone());
        greeting.spawn(async move {
            if let Err(error) = greet(ChannelLink::new(source, sink), &lines, &repository).await {
                tracing::debug!(error = error.chain(), "a connection to the helper broke");
                lines.connected.send_replace(false);
            }
        });
    }
}

/// Says what is wanted, takes it, and makes the connection the current one.
async fn greet(mut link: Link, lines: &Lines, repository: &Path) -> Result<()> {
    let wants_sources = lines.sources.borrow().is_none();
    link.tell(ChannelMessage::Ready { wants_sources }).await?;
    if wants_sources {
        let came = sources::receive(&mut link, repository).await?;
        lines.sources.send_replace(Some(came.map_err(|error| ChannelFault::from(&error))));
    }
    let greeted = Line { link: Arc::new(Mutex::new(link)), broken: CancellationToken::new() };
    lines.current.send_replace(Some(Arc::new(greeted)));
    Ok(())
}

impl Lines {
    /// Gives up the current connection, or `line` if it is that.
    fn give_up(&self, line: Option<&Arc<Line>>) {
        self.current.send_if_modified(|current| {
            let is_meant =
                current.as_ref().is_some_and(|current| line.is_none_or(|line| Arc::ptr_eq(line, current)));
            if is_meant && let Some(current) = current.take() {
                current.broken.cancel();
                self.connected.send_replace(false);
            }
            is_meant
        });
    }

    async fn line(&self) -> Result<Arc<Line>> {
        let mut receiver = self.current.subscribe();
        let line = timeout(PATIENCE, receiver.wait_for(Option::is_some)).await;
        let line = line.ok().and_then(std::result::Result::ok).and_then(|line| line.clone());
        line.ok_or_else(lost)
    }

    async fn unconnected_for(&self, patience: Duration) {
        let mut connected = self.connected.subscribe();
        loop {
            // The sender is part of this.
            drop(connected.wait_for(|connected| !connected).await);
            if timeout(patience, connected.wait_for(|connected| *connected)).await.is_err() {
                return;
            }
        }
    }

    /// Asks for something, over another connection where one turns out to be broken.
    async fn ask(self: &Arc<Self>, question: &ChannelMessage) -> Result<Exchange> {
        let mut last = lost();
        for _ in 0..TRIES {
            let mut exchange = Exchange::begin(self).await?;
            let answer = async {
                exchange.tell(question.clone()).await?;
                exchange.receive().await
            };
            match answer.await {
                Ok(ChannelFrame::Message(ChannelMessage::Begin)) => return Ok(exchange),
                Ok(ChannelFrame::Message(ChannelMessage::Failed(fault))) => {
                    exchange.end();
                    return Err(fault.into());
                }
                Ok(_) => return Err(unexpected()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A request under way. Dropped before its [end](Self::end), it breaks the connection, which is in the midst of
/// something that nobody reads any more.
struct Exchange {
    lines: Arc<Lines>,
    line: Arc<Line>,
    link: OwnedMutexGuard<Link>,
    ended: bool,
}

impl Exchange {
    async fn begin(lines: &Arc<Lines>) -> Result<Self> {
        loop {
            let line = lines.line().await?;
            let held = Arc::clone(&line.link).lock_owned().await;
            if !line.broken.is_cancelled() {
                return Ok(Self { lines: Arc::clone(lines), line, link: held, ended: false });
            }
        }
    }

    async fn tell(&mut self, message: ChannelMessage) -> Result<()> {
        tokio::select! {
            told = self.link.tell(message) => told,
            () = self.line.broken.cancelled() => Err(lost()),
        }
    }

    async fn send_body(&mut self, body: runner_core::artifact::ByteStream) -> Result<()> {
        tokio::select! {
            sent = self.link.send_body(body) => sent,
            () = self.line.broken.cancelled() => Err(lost()),
        }
    }

    async fn receive(&mut self) -> Result<ChannelFrame> {
        tokio::select! {
            frame = self.link.receive() => frame,
            () = self.line.broken.cancelled() => Err(lost()),
        }
    }

    /// The connection is free for the next request.
    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            self.lines.give_up(Some(&self.line));
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "reach the runner that keeps the sources and artifacts")
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Corrupt, "understand the runner that keeps the sources and artifacts")
}

#[cfg(test)]
mod tests;
