//! From bytes to an index, of which nothing is believed.

use std::{
    io::{self, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use zstd::stream::read::Decoder;

use super::{
    Chunk, Digest, Extent, Frame, Index, LARGEST, LARGEST_FRAME, MAGIC, Node, SLACK,
    number::{get, get_small, get_up_to},
    wrong,
};
use crate::{head::Head, tree};

/// The largest window that is accepted, as a power of two: 8 MB of memory.
const WINDOW: u32 = 23;

impl Index {
    /// Reads the index of `head` from its bytes in the pack, whose digest was checked.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for everything that a save would not have written: numbers that do not fit together,
    /// paths that lead out of the work tree or through another entry, places outside of a pack.
    pub(crate) fn parse(bytes: &[u8], head: &Head) -> io::Result<Self> {
        let mut decoder = Decoder::with_buffer(bytes)?;
        decoder.window_log_max(WINDOW)?;
        let mut input = BufReader::new(decoder.take(LARGEST + 1));
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(wrong("another form"));
        }
        let mut index = Self::default();
        for _ in 0..get(&mut input)? {
            index.read_frame(&mut input, head)?;
        }
        index.count = get(&mut input)?;
        input.read_to_end(&mut index.entries)?;
        if input.get_ref().limit() == 0 {
            return Err(wrong("more bytes than any index"));
        }
        index.entries.shrink_to_fit();
        index.check(head)?;
        Ok(index)
    }

    fn read_frame(&mut self, input: &mut impl Read, head: &Head) -> io::Result<()> {
        let pack = get_up_to(input, head.packs.len().saturating_sub(1) as u64)?;
        let pack_size = head.packs.get(pack as usize).map_or(0, |pack| pack.size);
        let offset = get_up_to(input, pack_size)?;
        let length = get_up_to(input, (pack_size - offset).min(LARGEST_FRAME + SLACK))? as u32;
        let digest = read_digest(input)?;
        let count = get_small(input)?;
        let (frame, first) = (self.frames.len() as u32, self.chunks.len() as u32);
        let mut size = 0_u64;
        for _ in 0..count {
            let length = get_up_to(input, LARGEST_FRAME - size)?;
            let chunk =
                Chunk { digest: read_digest(input)?, frame, offset: size as u32, length: length as u32 };
            if length == 0 {
                return Err(wrong("an empty chunk"));
            }
            size += length;
            self.chunks.push(chunk);
        }
        self.frames.push(Frame {
            pack: pack as u32,
            offset,
            length,
            size: size as u32,
            digest,
            first,
            count,
        });
        Ok(())
    }

    fn check(&mut self, head: &Head) -> io::Result<()> {
        let (mut entries, mut count, mut bytes) = (self.entries(), 0, 0_u64);
        // Where each chunk begins if all stand in a row, so that a run of them costs no more than one.
        let mut begins = vec![0_u64];
        for chunk in &self.chunks {
            begins.push(begins.last().copied().unwrap_or_default() + u64::from(chunk.length));
        }
        // By number: whether it is a file with content of its own.
        let mut files = Vec::new();
        let mut before = PathBuf::new();
        // The last one that is no folder: nothing may be below it.
        let mut last = PathBuf::from("/");
        while let Some((number, entry)) = entries.next()? {
            let plain = tree::relative_path(entry.path.as_os_str().as_bytes()).map_err(io::Error::other)?;
            if plain.as_os_str() != entry.path.as_os_str() || (count > 0 && entry.path <= before) {
                return Err(wrong("a path that is not in its place"));
            }
            if entry.path.starts_with(&last) {
                return Err(wrong("an entry below what is no folder"));
            }
            match &entry.node {
                Node::File { size, extents, .. } => {
                    check_extents(&begins, *size, extents)?;
                    bytes = bytes.checked_add(*size).ok_or_else(|| wrong("more bytes than can be"))?;
                }
                Node::Link { target } if target.is_empty() || target.contains(&0) => {
                    return Err(wrong("a link to nothing"));
                }
                Node::HardLink { file } if *file >= number || files.get(*file as usize) != Some(&true) => {
                    return Err(wrong("a hard link to no file"));
                }
                _ => {}
            }
            files.push(matches!(entry.node, Node::File { .. }));
            if !matches!(entry.node, Node::Folder { .. }) {
                last.clone_from(&entry.path);
            }
            before = entry.path;
            count += 1;
        }
        if count != self.count || count != head.files || bytes != head.bytes {
            return Err(wrong("other entries than its head says"));
        }
        self.bytes = bytes;
        Ok(())
    }
}

fn check_extents(begins: &[u64], size: u64, extents: &[Extent]) -> io::Result<()> {
    let mut sum = 0_u64;
    for extent in extents {
        let length = match *extent {
            Extent::Hole(length) => length,
            Extent::Chunks { first, count } => {
                let (first, end) = (first as usize, first as usize + count as usize);
                match (begins.get(first), begins.get(end)) {
                    (Some(begin), Some(end)) if begin < end => end - begin,
                    _ => return Err(wrong("a file of chunks that are not there")),
                }
            }
        };
        sum = sum
            .checked_add(length)
            .filter(|sum| *sum <= size)
            .ok_or_else(|| wrong("a file of another size"))?;
    }
    if sum == size { Ok(()) } else { Err(wrong("a file of another size")) }
}

fn read_digest(input: &mut impl Read) -> io::Result<Digest> {
    let mut digest = [0; 32];
    input.read_exact(&mut digest)?;
    Ok(digest)
}
