//! Keeps a log between the job that writes it and the reporter that sends it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, watch};

use crate::{Error, ErrorKind, Result};

/// Keeps a log's bytes, numbered from 0, from when they are written until they are sent, and longer where it can.
///
/// # Contract
/// One writer appends, one reader reads and acknowledges, both at the same time. The implementer keeps at least
/// what is not acknowledged, until it is told that [nobody reads it](Self::discard).
///
/// # Cancellation
/// All calls are cancel safe: an `append` that is dropped has appended all or nothing, and [`end`](Self::end) tells
/// which.
///
/// # Errors
/// [`ErrorKind::Exhausted`] where there is no room that could become free; [`ErrorKind::Corrupt`] where bytes are
/// asked for that are no longer kept.
#[async_trait]
pub trait LogSpool: Send + Sync + std::fmt::Debug {
    /// Appends `bytes`. May wait until acknowledged bytes make room.
    async fn append(&self, bytes: Bytes) -> Result<()>;

    /// Up to `most` bytes from number `from` on; none where `from` is the end.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where `from` is before what is kept or after the end; the error names both numbers.
    async fn read(&self, from: u64, most: usize) -> Result<Bytes>;

    /// Bytes before number `upto` have arrived and need not be kept, also those that are not appended yet. A lower number
    /// than before changes nothing.
    async fn acknowledge(&self, upto: u64);

    /// Nobody will read any of it: nothing is kept from now on, and no `append` waits.
    async fn discard(&self);

    /// The number after the last byte.
    fn end(&self) -> u64;

    /// Waits until [`end`](Self::end) is greater than `number`, and returns it.
    async fn wait_beyond(&self, number: u64) -> u64;
}

/// Pieces smaller than this are gathered into one, so that a log of short lines costs no allocation for each.
const GATHERED: usize = 16 << 10;

/// A [`LogSpool`] in memory.
#[derive(Debug)]
pub struct MemorySpool {
    kept: Mutex<Kept>,
    capacity: usize,
    room: Notify,
    end: watch::Sender<u64>,
}

impl MemorySpool {
    /// A spool that keeps everything, so that a log can be sent again from its first byte.
    pub fn new() -> Self {
        Self::bounded(usize::MAX)
    }

    /// A spool that holds about `capacity` bytes: a writer waits until acknowledged bytes, of which the newest are
    /// kept as long as there is room, can be dropped. A single piece larger than `capacity` is taken when nothing
    /// else is held.
    pub fn bounded(capacity: usize) -> Self {
        Self { kept: Mutex::new(Kept::default()), capacity, room: Notify::new(), end: watch::Sender::new(0) }
    }

    /// The same, for a log whose first bytes are elsewhere already: the first byte that is appended is number `start`.
    #[must_use]
    pub fn starting_at(self, start: u64) -> Self {
        self.kept().growing_start = start;
        self.end.send_replace(start);
        self
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere cannot leave it half changed: no call in here panics between two changes.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemorySpool {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LogSpool for MemorySpool {
    async fn append(&self, bytes: Bytes) -> Result<()> {
        loop {
            let mut freed = std::pin::pin!(self.room.notified());
            freed.as_mut().enable();
            if let Some(end) = self.kept().try_push(&bytes, self.capacity) {
                self.end.send_replace(end);
                return Ok(());
            }
            freed.await;
        }
    }

    async fn read(&self, from: u64, most: usize) -> Result<Bytes> {
        self.kept().read(from, most)
    }

    async fn acknowledge(&self, upto: u64) {
        let mut kept = self.kept();
        kept.acknowledged = kept.acknowledged.max(upto);
        drop(kept);
        self.room.notify_waiters();
    }

    async fn discard(&self) {
        self.kept().discard();
        self.room.notify_waiters();
    }

    fn end(&self) -> u64 {
        *self.end.borrow()
    }

    async fn wait_beyond(&self, number: u64) -> u64 {
        let mut end = self.end.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        end.wait_for(|end| *end > number).await.map_or(number, |end| *end)
    }
}

/// What is kept: pieces in order, and a last one that still grows.
#[derive(Debug, Default)]
struct Kept {
    pieces: VecDeque<(u64, Bytes)>,
    growing: BytesMut,
    growing_start: u64,
    acknowledged: u64,
    discarding: bool,
}

impl Kept {
    fn end(&self) -> u64 {
        self.growing_start + self.growing.len() as u64
    }

    fn start(&self) -> u64 {
        self.pieces.front().map_or(self.growing_start, |(start, _)| *start)
    }

    /// Takes `bytes` if there is room, and returns the new end.
    fn try_push(&mut self, bytes: &Bytes, capacity: usize) -> Option<u64> {
        let length = bytes.len() as u64;
        if self.discarding {
            self.growing_start += length;
            return Some(self.end());
        }
        let capacity = capacity as u64;
        if self.held() + length > capacity {
            self.close_growing();
            self.drop_acknowledged(capacity.saturating_sub(length));
            if self.held() > 0 && self.held() + length > capacity {
                return None;
            }
        }
        if bytes.len() < GATHERED {
            self.growing.extend_from_slice(bytes);
            if self.growing.len() >= GATHERED {
                self.close_growing();
            }
        } else {
            self.close_growing();
            self.pieces.push_back((self.growing_start, bytes.clone()));
            self.growing_start += length;
        }
        Some(self.end())
    }

    fn held(&self) -> u64 {
        self.end() - self.start()
    }

    fn close_growing(&mut self) {
        if !self.growing.is_empty() {
            let start = self.growing_start;
            self.growing_start = self.end();
            self.pieces.push_back((start, self.growing.split().freeze()));
        }
    }

    /// Drops the oldest pieces that are acknowledged as a whole, until no more than `target` bytes are held.
    fn drop_acknowledged(&mut self, target: u64) {
        while self.held() > target {
            let Some((start, piece)) = self.pieces.front() else { return };
            if start + piece.len() as u64 > self.acknowledged {
                return;
            }
            self.pieces.pop_front();
        }
    }

    fn discard(&mut self) {
        self.growing_start = self.end();
        self.growing = BytesMut::new();
        self.pieces = VecDeque::new();
        self.discarding = true;
    }

    fn read(&self, from: u64, most: usize) -> Result<Bytes> {
        if from < self.start() || from > self.end() {
            return Err(Error::new(ErrorKind::Corrupt, "read the log")
                .with("from byte", from)
                .with("kept from byte", self.start())
                .with("to byte", self.end()));
        }
        let first = self.pieces.partition_point(|(start, piece)| start + piece.len() as u64 <= from);
        let later = self.pieces.range(first..).map(|(start, piece)| (*start, piece.as_ref()));
        let mut found = BytesMut::new();
        if let Some((start, piece)) = self.pieces.get(first)
            && (start + piece.len() as u64 - from >= most as u64 || start + piece.len() as u64 == self.end())
        {
            return Ok(part(piece, from - start, most));
        }
        for (start, bytes) in later.chain([(self.growing_start, self.growing.as_ref())]) {
            let skipped = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
            let rest = bytes.get(skipped..).unwrap_or_default();
            found.extend_from_slice(rest.get(..most - found.len()).unwrap_or(rest));
            if found.len() == most {
                break;
            }
        }
        Ok(found.freeze())
    }
}

/// Up to `most` bytes of `piece` from `skipped` on, without copying them.
fn part(piece: &Bytes, skipped: u64, most: usize) -> Bytes {
    let mut rest = piece.clone();
    bytes::Buf::advance(&mut rest, usize::try_from(skipped).unwrap_or(usize::MAX).min(piece.len()));
    rest.truncate(most);
    rest
}

#[cfg(test)]
mod tests;
