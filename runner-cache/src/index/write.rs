//! From frames and entries to the bytes of an index.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use zstd::stream::write::Encoder;

use super::{Chunk, Entries, Extent, Frame, LARGEST, MAGIC, Node, entry, number::put, wrong};

const LEVEL: i32 = 3;
const PIECE: usize = 64 << 10;

/// Entries as they are written, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Written {
    bytes: Vec<u8>,
    last: PathBuf,
    count: u32,
}

impl Written {
    /// Appends an entry, and returns its number. It must come after the one before.
    pub(crate) fn push(&mut self, path: &Path, node: &Node) -> u32 {
        entry::write(&mut self.bytes, &self.last, path, node);
        path.clone_into(&mut self.last);
        self.count += 1;
        self.count - 1
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.bytes, path: Vec::new(), number: 0 }
    }
}

/// The bytes of an index with those of `frames` that have a pack. `chunks` are those of all frames, in order, and the
/// entries tell of them by their place there.
pub(crate) fn to_bytes(frames: &[Option<Frame>], chunks: &[Chunk], entries: &Written) -> io::Result<Vec<u8>> {
    let mut output = Output { encoder: Encoder::new(Vec::new(), LEVEL)?, bytes: MAGIC.to_vec(), size: 0 };
    put(&mut output.bytes, frames.iter().flatten().count() as u64);
    for frame in frames.iter().flatten() {
        put(&mut output.bytes, u64::from(frame.pack));
        put(&mut output.bytes, frame.offset);
        put(&mut output.bytes, u64::from(frame.length));
        output.bytes.extend_from_slice(&frame.digest);
        put(&mut output.bytes, u64::from(frame.count));
        for chunk in chunks.iter().skip(frame.first as usize).take(frame.count as usize) {
            put(&mut output.bytes, u64::from(chunk.length));
            output.bytes.extend_from_slice(&chunk.digest);
        }
        output.write()?;
    }
    put(&mut output.bytes, u64::from(entries.count()));
    let shifts = shifts(frames);
    let (mut all, mut last) = (entries.entries(), PathBuf::new());
    while let Some((_, mut entry)) = all.next()? {
        if let Node::File { extents, .. } = &mut entry.node {
            for extent in extents {
                if let Extent::Chunks { first, .. } = extent {
                    let frame = chunks.get(*first as usize).map_or(0, |chunk| chunk.frame);
                    *first -= shifts.get(frame as usize).copied().unwrap_or_default();
                }
            }
        }
        entry::write(&mut output.bytes, &last, &entry.path, &entry.node);
        last = entry.path;
        output.write()?;
    }
    output.finish()
}

/// By frame: how many chunks before it are left out.
fn shifts(frames: &[Option<Frame>]) -> Vec<u32> {
    let mut kept = 0;
    let mut shifts = Vec::with_capacity(frames.len());
    for frame in frames {
        match frame {
            Some(frame) => {
                shifts.push(frame.first - kept);
                kept += frame.count;
            }
            None => shifts.push(0),
        }
    }
    shifts
}

struct Output {
    encoder: Encoder<'static, Vec<u8>>,
    bytes: Vec<u8>,
    size: u64,
}

impl Output {
    fn write(&mut self) -> io::Result<()> {
        if self.bytes.len() < PIECE { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.size += self.bytes.len() as u64;
        if self.size > LARGEST {
            return Err(wrong("too many files"));
        }
        self.encoder.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.flush()?;
        self.encoder.finish()
    }
}
