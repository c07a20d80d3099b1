//! One file, folder or link of an entry.

use std::{
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    number::{folded, get, get_small, get_up_to, put, unfolded},
    wrong,
};

/// The longest path, in bytes, that Linux knows, and the longest target of a link.
const LONGEST: u64 = 4096;
const FILE: u64 = 0;
const FOLDER: u64 = 1;
const LINK: u64 = 2;
const HARD_LINK: u64 = 3;

/// A file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative to the work tree.
    pub(crate) path: PathBuf,
    pub(crate) node: Node,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    File {
        mode: u32,
        modified: (i64, i64),
        size: u64,
        extents: Vec<Extent>,
    },
    Folder {
        mode: u32,
        modified: (i64, i64),
    },
    Link {
        target: Vec<u8>,
    },
    /// Another name of the file that has this number among the entries.
    HardLink {
        file: u32,
    },
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// So many zeros, which need no space.
    Hole(u64),
    /// The content of `count` chunks from `first` on.
    Chunks { first: u32, count: u32 },
}

/// Appends an entry that comes after the one with the path `before`.
pub(super) fn write(output: &mut Vec<u8>, before: &Path, path: &Path, node: &Node) {
    let (before, path) = (before.as_os_str().as_bytes(), path.as_os_str().as_bytes());
    let shared = before.iter().zip(path).take_while(|(one, other)| one == other).count();
    let rest = path.get(shared..).unwrap_or_default();
    put(output, shared as u64);
    put(output, rest.len() as u64);
    output.extend_from_slice(rest);
    match node {
        Node::File { mode, modified, size, extents } => {
            put(output, FILE);
            attributes(output, *mode, *modified);
            put(output, *size);
            put(output, extents.len() as u64);
            for extent in extents {
                let (hole, first, count) = match extent {
                    Extent::Hole(length) => (*length, 0, 0),
                    Extent::Chunks { first, count } => (0, *first, *count),
                };
                put(output, hole);
                if hole == 0 {
                    put(output, u64::from(first));
                    put(output, u64::from(count));
                }
            }
        }
        Node::Folder { mode, modified } => {
            put(output, FOLDER);
            attributes(output, *mode, *modified);
        }
        Node::Link { target } => {
            put(output, LINK);
            put(output, target.len() as u64);
            output.extend_from_slice(target);
        }
        Node::HardLink { file } => {
            put(output, HARD_LINK);
            put(output, u64::from(*file));
        }
    }
}

fn attributes(output: &mut Vec<u8>, mode: u32, (seconds, nanoseconds): (i64, i64)) {
    put(output, u64::from(mode & 0o777));
    put(output, folded(seconds));
    put(output, nanoseconds.unsigned_abs());
}

/// Reads an entry; `path` is that of the one before, and then its own.
pub(super) fn read(input: &mut impl Read, path: &mut Vec<u8>) -> io::Result<Node> {
    let shared = get_up_to(input, path.len() as u64)?;
    path.truncate(usize::try_from(shared).unwrap_or(0));
    let rest = bytes(input, LONGEST - shared.min(LONGEST))?;
    path.extend_from_slice(&rest);
    match get(input)? {
        FILE => {
            let (mode, modified) = read_attributes(input)?;
            let (size, count) = (get(input)?, get(input)?);
            // No more room than was filled: the number may be a lie.
            let mut extents = Vec::new();
            for _ in 0..count {
                extents.push(match get(input)? {
                    0 => Extent::Chunks { first: get_small(input)?, count: get_small(input)? },
                    length => Extent::Hole(length),
                });
            }
            Ok(Node::File { mode, modified, size, extents })
        }
        FOLDER => {
            let (mode, modified) = read_attributes(input)?;
            Ok(Node::Folder { mode, modified })
        }
        LINK => Ok(Node::Link { target: bytes(input, LONGEST)? }),
        HARD_LINK => Ok(Node::HardLink { file: get_small(input)? }),
        _ => Err(wrong("an entry that is neither a file, nor a folder, nor a link")),
    }
}

fn read_attributes(input: &mut impl Read) -> io::Result<(u32, (i64, i64))> {
    let mode = get_up_to(input, 0o777)? as u32;
    let seconds = unfolded(get(input)?);
    Ok((mode, (seconds, get_up_to(input, 999_999_999)? as i64)))
}

fn bytes(input: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(get_up_to(input, most)?).unwrap_or(0)];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
