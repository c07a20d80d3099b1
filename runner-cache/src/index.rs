//! The index of an entry: where each chunk lies, and which chunks each file consists of.
//!
//! ```text
//! magic
//! number of frames; each: pack, offset, length, digest, number of chunks; each of these: length, digest
//! number of entries; each: path (how much of the one before, and the rest), kind, and by kind
//!   file       mode, time, size, number of extents; each: length of a hole, or a first chunk and how many
//!   hard link  the entry that has the content
//!   folder     mode, time
//!   link       target
//! ```
//! Numbers are LEB128. Entries are in the order of their paths, component by component. The whole is one frame of zstd, and
//! its digest stands in the head. It was written by a job: [`Index::parse`] believes nothing of it.

use std::{ffi::OsStr, io, os::unix::ffi::OsStrExt, path::Path};

mod entry;
mod number;
mod parse;
mod write;

pub(crate) use entry::{Entry, Extent, Node};
pub(crate) use write::{Written, to_bytes};

/// A digest of bytes.
pub(crate) type Digest = [u8; 32];

const MAGIC: &[u8; 8] = b"rcindex1";
/// So large an index may be when it is unpacked, in bytes: millions of files, and memory within bounds for a hostile one.
pub(crate) const LARGEST: u64 = 128 << 20;
/// The most bytes of content in a frame.
pub(crate) const LARGEST_FRAME: u64 = 16 << 20;
/// What zstd may add to what it cannot make smaller.
const SLACK: u64 = 128 << 10;

/// Bytes of a pack that are one frame of zstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The pack, by its place in the head.
    pub(crate) pack: u32,
    /// Where it begins in the pack.
    pub(crate) offset: u64,
    /// Its size in the pack.
    pub(crate) length: u32,
    /// The size of its content.
    pub(crate) size: u32,
    /// The digest of its bytes in the pack.
    pub(crate) digest: Digest,
    /// Its first chunk.
    pub(crate) first: u32,
    /// How many chunks it has.
    pub(crate) count: u32,
}

/// Content that is stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The digest of the content.
    pub(crate) digest: Digest,
    /// The frame.
    pub(crate) frame: u32,
    /// Where it begins in the content of the frame.
    pub(crate) offset: u32,
    /// Its size.
    pub(crate) length: u32,
}

/// What an entry holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    pub(crate) frames: Vec<Frame>,
    pub(crate) chunks: Vec<Chunk>,
    /// The entries as they are written.
    entries: Vec<u8>,
    /// How many there are.
    pub(crate) count: u64,
    /// Size of all files.
    pub(crate) bytes: u64,
}

impl Index {
    /// The entries, in order.
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.entries, path: Vec::new(), number: 0 }
    }

    /// The chunks of an extent.
    pub(crate) fn chunks_of(&self, first: u32, count: u32) -> &[Chunk] {
        let first = first as usize;
        self.chunks.get(first..first + count as usize).unwrap_or_default()
    }
}

/// Reads entries one after the other.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    path: Vec<u8>,
    number: u32,
}

impl Entries<'_> {
    /// The next entry, with its number.
    ///
    /// # Errors
    /// Where there is none any more although bytes are left.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u32, Entry)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let node = entry::read(&mut self.rest, &mut self.path)?;
        let number = self.number;
        self.number += 1;
        Ok(Some((number, Entry { path: path(&self.path).to_owned(), node })))
    }
}

pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The error for an index that is none.
pub(crate) fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the cache's index has {what}"))
}

#[cfg(test)]
pub(crate) mod tests;
