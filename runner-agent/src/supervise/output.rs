//! Carries what one process prints, and its end, in order and within its credit.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    net::unix::pipe,
    sync::{Semaphore, mpsc, oneshot},
};

use super::{
    frame::Frame,
    protocol::{self, Reply},
};
use crate::host::ProcessEnd;

/// The most that goes into one frame.
const CHUNK: usize = 128 << 10;

/// The room of a pipe that is asked for: fewer and larger reads.
#[cfg(target_os = "linux")]
const ROOM: i32 = 256 << 10;

/// The room of a pipe where the system does not tell.
const USUAL_ROOM: usize = 64 << 10;

/// One process's output on its way.
#[derive(Debug)]
pub(super) struct Output {
    /// The process's number.
    pub(super) process: u32,
    /// What the other end takes.
    pub(super) credit: Arc<Semaphore>,
    /// Where it goes.
    pub(super) frames: mpsc::Sender<Frame>,
}

impl Output {
    /// Carries everything until nobody holds the other end of `source`. Stops early where nobody listens any more.
    pub(super) async fn carry(
        self,
        source: io::PipeReader,
        end: oneshot::Receiver<ProcessEnd>,
    ) -> Option<()> {
        let room = widen(&source);
        let direct = source.try_clone();
        let (Ok(source), Ok(direct)) = (pipe::Receiver::from_owned_fd(source.into()), direct) else {
            let end = end.await.ok()?;
            self.say(&Reply::Ended { process: self.process, end }).await?;
            return self.say(&Reply::Closed { process: self.process }).await;
        };
        let mut buffer = BytesMut::new();
        let end = self.carry_until_end(&source, &mut buffer, end).await?;
        self.drain(&direct, room).await?;
        self.say(&Reply::Ended { process: self.process, end }).await?;
        while let Some(bytes) = read(&source, &mut buffer).await {
            self.send(bytes).await?;
        }
        self.say(&Reply::Closed { process: self.process }).await
    }

    async fn carry_until_end(
        &self,
        source: &pipe::Receiver,
        buffer: &mut BytesMut,
        mut end: oneshot::Receiver<ProcessEnd>,
    ) -> Option<ProcessEnd> {
        loop {
            tokio::select! {
                biased;
                end = &mut end => return end.ok(),
                bytes = read(source, buffer) => match bytes {
                    Some(bytes) => self.send(bytes).await?,
                    None => return end.await.ok(),
                },
            }
        }
    }

    /// Sends what the ended process left in its pipe. That is at most what fits into it; whatever comes after that much
    /// is from others. Reads past the event loop, which may not know yet that there is something.
    async fn drain(&self, source: &io::PipeReader, room: usize) -> Option<()> {
        let mut left = room;
        let mut chunk = vec![0; CHUNK];
        while left > 0 {
            let length = match (&mut &*source).read(&mut chunk) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            self.send(Bytes::copy_from_slice(bytes)).await?;
            left = left.saturating_sub(length);
        }
        Some(())
    }

    /// Sends output when there is credit for it; `None` where nobody listens any more.
    async fn send(&self, bytes: Bytes) -> Option<()> {
        self.credit.acquire_many(protocol::cost(bytes.len())).await.ok()?.forget();
        self.frames.send(Frame::Output(self.process, bytes)).await.ok()
    }

    async fn say(&self, reply: &Reply) -> Option<()> {
        self.frames.send(protocol::encode(reply).ok()?).await.ok()
    }
}

/// Waits for output; `None` at its end. Cancel safe.
async fn read(source: &pipe::Receiver, buffer: &mut BytesMut) -> Option<Bytes> {
    loop {
        source.readable().await.ok()?;
        buffer.reserve(CHUNK);
        match source.try_read_buf(buffer) {
            Ok(0) => return None,
            Ok(_) => return Some(buffer.split().freeze()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Gives a pipe more room, where the system allows it, and tells how much it has.
#[cfg(target_os = "linux")]
pub(super) fn widen(pipe: impl std::os::fd::AsFd) -> usize {
    use nix::fcntl::{FcntlArg, fcntl};

    let widened =
        fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(ROOM)).or_else(|_| fcntl(&pipe, FcntlArg::F_GETPIPE_SZ));
    widened.ok().and_then(|room| usize::try_from(room).ok()).unwrap_or(USUAL_ROOM)
}

/// Tells how much room a pipe has.
#[cfg(not(target_os = "linux"))]
pub(super) fn widen(_pipe: impl std::os::fd::AsFd) -> usize {
    USUAL_ROOM
}
