//! Fills packs with frames.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use crate::{index::Digest, transfer::Content};

/// The size of the first packs: many small ones keep many connections busy, and fit into memory.
const SMALLEST: u64 = 3 << 20;
/// So many packs are of that size.
const SMALL: usize = 128;
/// After so many more, the size doubles.
const STEP: usize = 16;
/// Larger packs are written to a file first.
const IN_MEMORY: u64 = 2 * SMALLEST;
const LARGEST: u64 = 1 << 30;

/// A pack that is to be sent.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) number: usize,
    pub(super) content: Content,
}

/// Where a frame came to lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    /// The new pack.
    pub(super) pack: u32,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) digest: Digest,
}

/// Takes frames from several threads, in any order.
#[derive(Debug)]
pub(super) struct Packs(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    current: Filling,
    /// The sizes of the packs before the current one.
    sizes: Vec<u64>,
    /// How many there may be.
    room: usize,
    /// How many bytes all may have.
    limit: u64,
    folder: PathBuf,
    /// `None` at the end.
    output: Option<Sender<Full>>,
}

#[derive(Debug, Default)]
struct Filling {
    size: u64,
    bytes: Vec<u8>,
    file: Option<File>,
}

impl Packs {
    /// Up to `room` packs with up to `limit` bytes. Large ones are files without a name in `folder`, or in the folder for
    /// such files.
    pub(super) fn new(output: Sender<Full>, room: usize, limit: u64, folder: PathBuf) -> Self {
        let current = Filling::default();
        Self(Mutex::new(Inner { current, sizes: Vec::new(), room, limit, folder, output: Some(output) }))
    }

    /// Adds bytes to a pack. It may wait until there is room in memory.
    pub(super) fn push(&self, bytes: &[u8]) -> io::Result<Placed> {
        self.lock().push(bytes)
    }

    /// Passes on the last pack. Returns the sizes of all.
    pub(super) fn finish(&self) -> io::Result<Vec<u64>> {
        let mut inner = self.lock();
        inner.pass_on()?;
        inner.output = None;
        Ok(std::mem::take(&mut inner.sizes))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, bytes: &[u8]) -> io::Result<Placed> {
        if self.current.size > 0 && self.current.size + bytes.len() as u64 > target(self.sizes.len()) {
            self.pass_on()?;
        }
        if self.sizes.len() >= self.room {
            return Err(full("it needs more packs than may be written"));
        }
        let placed = Placed {
            pack: self.sizes.len() as u32,
            offset: self.current.size,
            length: bytes.len() as u32,
            digest: *blake3::hash(bytes).as_bytes(),
        };
        self.current.write(bytes, target(self.sizes.len()), &self.folder)?;
        if self.sizes.iter().sum::<u64>() + self.current.size > self.limit {
            return Err(full("it is larger than the largest cache that may be uploaded"));
        }
        Ok(placed)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let Filling { size, bytes, file } = std::mem::take(&mut self.current);
        if size == 0 {
            return Ok(());
        }
        let content = match file {
            Some(file) => Content::File(Arc::new(file), size),
            None => Content::Bytes(Bytes::from(bytes)),
        };
        let full = Full { number: self.sizes.len(), content };
        self.sizes.push(size);
        let sent = self.output.as_ref().and_then(|output| output.blocking_send(full).ok());
        sent.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Filling {
    fn write(&mut self, bytes: &[u8], target: u64, folder: &PathBuf) -> io::Result<()> {
        if target <= IN_MEMORY {
            if self.bytes.capacity() == 0 {
                self.bytes.reserve_exact(usize::try_from(target).unwrap_or(0).max(bytes.len()));
            }
            self.bytes.extend_from_slice(bytes);
        } else {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile())?),
            };
            file.write_all(bytes)?;
        }
        self.size += bytes.len() as u64;
        Ok(())
    }
}

/// The size of a pack: the more there are, the larger, so that the number of packs that may be written is enough for
/// anything.
fn target(number: usize) -> u64 {
    let steps = number.saturating_sub(SMALL).div_ceil(STEP).min(16);
    (SMALLEST << steps).min(LARGEST)
}

fn full(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_packs_as_may_be_written_hold_tens_of_gigabytes() {
        assert_eq!((target(0), target(SMALL)), (SMALLEST, SMALLEST));
        assert_eq!((target(SMALL + 1), target(255)), (2 * SMALLEST, SMALLEST << 8));
        assert!((0..256).map(target).sum::<u64>() > 10 << 30);
    }

    #[test]
    fn packs_that_are_too_large_for_memory_are_whole_too() {
        let folder = tempfile::tempdir().unwrap();
        let (output, mut full) = tokio::sync::mpsc::channel(1);
        let packs = Packs::new(output, 256, u64::MAX, folder.path().to_owned());
        // As if so many had been passed on: the next one is the last that fits into memory.
        packs.lock().sizes = vec![1; SMALL + STEP];
        let reader = std::thread::spawn(move || {
            let mut read = Vec::new();
            while let Some(Full { number, content }) = full.blocking_recv() {
                let size = content.size();
                let bytes = match content {
                    Content::Bytes(bytes) => bytes.to_vec(),
                    Content::File(file, size) => {
                        let mut bytes = vec![0; usize::try_from(size).unwrap()];
                        std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, 0).unwrap();
                        bytes
                    }
                };
                assert_eq!(bytes.len() as u64, size);
                read.push((number, bytes));
            }
            read
        });
        let frame = |number: u8| vec![number; 1_500_000];
        let placed: Vec<_> = (0..20).map(|number| packs.push(&frame(number)).unwrap()).collect();
        packs.finish().unwrap();
        let read = reader.join().unwrap();
        assert!(read.len() > 2);
        for (placed, number) in placed.iter().zip(0..) {
            let (_, bytes) = read.iter().find(|(number, _)| *number == placed.pack as usize).unwrap();
            let begin = usize::try_from(placed.offset).unwrap();
            assert!(bytes[begin..begin + placed.length as usize] == frame(number));
        }
    }
}
