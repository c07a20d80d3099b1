//! A stream that is made by work on another thread, with flat memory.

use std::{
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use runner_cache::blocking::Interrupt;
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::mpsc,
};

const CHUNK: usize = 64 * 1024;
/// How many chunks wait for a slow reader.
const WAITING: usize = 4;

#[derive(Debug)]
enum Item {
    Bytes(Bytes),
    /// The work is done. Without it, a stream that ends is a stream that was cut.
    End,
    Failed(io::Error),
}

/// What the work writes into.
#[derive(Debug)]
pub(super) struct Sink {
    chunk: BytesMut,
    sender: mpsc::Sender<Item>,
}

impl Sink {
    fn send(&mut self) -> io::Result<()> {
        let bytes = self.chunk.split().freeze();
        let sent = if bytes.is_empty() { Ok(()) } else { self.sender.blocking_send(Item::Bytes(bytes)) };
        sent.map_err(|_gone| io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads the archive any more"))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK.saturating_sub(self.chunk.len()).max(1);
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() >= CHUNK {
            self.send()?;
        }
        Ok(taken.len())
    }

    /// Small writes are collected until there is a chunk of them, or the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The stream. Dropping it ends the work.
#[derive(Debug)]
pub(super) struct Body {
    items: mpsc::Receiver<Item>,
    rest: Bytes,
    has_ended: bool,
    interrupt: Interrupt,
}

impl Body {
    /// A stream of what `work` writes on a thread where it may block. Where the work fails or panics, the stream ends
    /// with an error.
    pub(super) fn new(work: impl FnOnce(&mut Sink, &Interrupt) -> io::Result<()> + Send + 'static) -> Self {
        let (sender, items) = mpsc::channel(WAITING);
        let interrupt = Interrupt::default();
        let watched = interrupt.clone();
        // Not awaited: the work ends when nobody reads it any more.
        drop(tokio::task::spawn_blocking(move || {
            let mut sink = Sink { chunk: BytesMut::with_capacity(CHUNK), sender };
            let worked = work(&mut sink, &watched).and_then(|()| sink.send());
            // A reader that is gone needs no end.
            drop(sink.sender.blocking_send(worked.map_or_else(Item::Failed, |()| Item::End)));
        }));
        Self { items, rest: Bytes::new(), has_ended: false, interrupt }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.interrupt.trigger();
    }
}

impl AsyncRead for Body {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.has_ended {
            match ready!(self.items.poll_recv(context)) {
                Some(Item::Bytes(bytes)) => self.rest = bytes,
                Some(Item::End) => self.has_ended = true,
                Some(Item::Failed(cause)) => return Poll::Ready(Err(cause)),
                None => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        let count = buffer.remaining().min(self.rest.len());
        buffer.put_slice(&self.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read() {
        let expected: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let content = expected.clone();
        let mut body =
            Body::new(move |sink, _| content.chunks(777).try_for_each(|part| sink.write_all(part)));
        let mut read = Vec::new();
        body.read_to_end(&mut read).await.unwrap();
        assert!(read == expected);
    }

    #[tokio::test]
    async fn a_failure_is_never_an_end() {
        let mut failing = Body::new(|sink, _| {
            sink.write_all(b"half")?;
            Err(io::Error::other("no"))
        });
        assert_eq!(failing.read_to_end(&mut Vec::new()).await.unwrap_err().to_string(), "no");
        let mut panicking = Body::new(|_, _| panic!("no"));
        let error = panicking.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_reader_that_goes_ends_the_work() {
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let body = Body::new(move |sink, _| {
            let written = std::iter::repeat_with(|| sink.write_all(&[0; 1000])).find_map(Result::err);
            ended.send(written.map(|cause| cause.kind())).unwrap();
            Ok(())
        });
        drop(body);
        assert_eq!(has_ended.await.unwrap(), Some(io::ErrorKind::BrokenPipe));
    }
}
