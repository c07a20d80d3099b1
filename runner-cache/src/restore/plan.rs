//! Which content goes where.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Arc, atomic::AtomicU32},
};

use crate::{
    index::{Extent, Index, Node},
    kept::AtomicState,
};

/// A part of a frame that is a part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) file: u32,
    /// Where it begins in the frame.
    pub(super) from: u32,
    pub(super) length: u32,
    /// Where it goes in the file.
    pub(super) to: u64,
}

/// A file that is to be made.
#[derive(Debug)]
pub(super) struct Planned {
    /// Its number among the entries.
    pub(super) entry: u32,
    pub(super) mode: u32,
    pub(super) modified: (i64, i64),
    pub(super) size: u64,
    pub(super) has_holes: bool,
    /// How many of its pieces there are.
    pub(super) pieces: u32,
    /// How many of them are not written yet.
    pub(super) missing: AtomicU32,
    /// What it looked like when it was made.
    pub(super) state: AtomicState,
    /// Where its path ends among all of them.
    path: u32,
}

/// All files, and by frame what becomes of it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) index: Arc<Index>,
    pub(super) files: Vec<Planned>,
    /// The paths of the files, one after the other.
    paths: Vec<u8>,
    /// Sorted by frame.
    pieces: Vec<Piece>,
    /// By frame: where its pieces end.
    ends: Vec<u32>,
}

impl Plan {
    pub(super) fn new(index: &Arc<Index>) -> io::Result<Self> {
        let mut plan = Self {
            index: Arc::clone(index),
            files: Vec::new(),
            paths: Vec::new(),
            pieces: Vec::new(),
            ends: Vec::new(),
        };
        let mut all: Vec<(u32, Piece)> = Vec::new();
        let mut entries = index.entries();
        while let Some((number, entry)) = entries.next()? {
            let Node::File { mode, modified, size, extents } = entry.node else { continue };
            let before = all.len();
            let has_holes = plan.add_pieces(&extents, &mut all);
            plan.paths.extend_from_slice(entry.path.as_os_str().as_bytes());
            let pieces = (all.len() - before) as u32;
            plan.files.push(Planned {
                entry: number,
                mode,
                modified,
                size,
                has_holes,
                pieces,
                missing: AtomicU32::new(pieces),
                state: AtomicState::default(),
                path: plan.paths.len() as u32,
            });
        }
        all.sort_unstable_by_key(|(frame, piece)| (*frame, piece.file, piece.to));
        let mut all = all.into_iter().peekable();
        for frame in 0..index.frames.len() as u32 {
            while let Some((_, piece)) = all.next_if(|(of, _)| *of == frame) {
                plan.pieces.push(piece);
            }
            plan.ends.push(plan.pieces.len() as u32);
        }
        Ok(plan)
    }

    /// Adds the pieces of the next file. Returns whether it has holes.
    fn add_pieces(&self, extents: &[Extent], all: &mut Vec<(u32, Piece)>) -> bool {
        let file = self.files.len() as u32;
        let (mut to, mut has_holes, begin) = (0, false, all.len());
        for extent in extents {
            let (first, count) = match *extent {
                Extent::Hole(length) => {
                    to += length;
                    has_holes = true;
                    continue;
                }
                Extent::Chunks { first, count } => (first, count),
            };
            for chunk in self.index.chunks_of(first, count) {
                let before = if all.len() > begin { all.last_mut() } else { None };
                match before {
                    Some((frame, piece))
                        if *frame == chunk.frame
                            && piece.from + piece.length == chunk.offset
                            && piece.to + u64::from(piece.length) == to =>
                    {
                        piece.length += chunk.length;
                    }
                    _ => {
                        all.push((chunk.frame, Piece { file, from: chunk.offset, length: chunk.length, to }));
                    }
                }
                to += u64::from(chunk.length);
            }
        }
        has_holes
    }

    /// What becomes of a frame.
    pub(super) fn pieces(&self, frame: u32) -> &[Piece] {
        let end = |frame: u32| self.ends.get(frame as usize).map_or(0, |end| *end as usize);
        let begin = frame.checked_sub(1).map_or(0, end);
        self.pieces.get(begin..end(frame)).unwrap_or_default()
    }

    /// The path of a file, relative to the work tree.
    pub(super) fn path(&self, file: u32) -> &Path {
        let end = |file: u32| self.files.get(file as usize).map_or(0, |file| file.path as usize);
        let begin = file.checked_sub(1).map_or(0, end);
        Path::new(OsStr::from_bytes(self.paths.get(begin..end(file)).unwrap_or_default()))
    }

    /// How many bytes are written.
    pub(super) fn content(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.length)).sum()
    }
}
