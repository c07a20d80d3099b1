//! Walks over the files, and says what each consists of.

use std::{
    collections::HashMap,
    io::{self, Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::SyncSender},
};

use super::{
    Saved, Source,
    base::Base,
    cut, hole,
    table::{Table, extend},
};
use crate::{
    blocking::Interrupt,
    index::{Chunk, Entries, Entry, Extent, Node, Written},
    kept::Kept,
    reader::{Facts, Kind},
    tree,
};

/// The content of a frame: so much that zstd has something to look back to, so little that many are in memory at once.
const FRAME: usize = 2 << 20;

/// Content that is new.
#[derive(Debug)]
pub(super) struct Raw {
    /// Its place among the new frames.
    pub(super) number: usize,
    pub(super) content: Vec<u8>,
}

/// Takes content apart: chunks that are there, and those that come into a new frame.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) table: Table,
    frame: Vec<u8>,
    /// By new frame: its first chunk.
    pub(super) first: Vec<u32>,
    /// How many frames the base has.
    old: usize,
    output: &'a SyncSender<Raw>,
    pub(super) window: Vec<u8>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(table: Table, output: &'a SyncSender<Raw>) -> Self {
        let old = table.is_used.len();
        Self { table, frame: Vec::new(), first: Vec::new(), old, output, window: Vec::new() }
    }

    /// Takes content of up to `size` bytes as one chunk.
    pub(super) fn whole(
        &mut self,
        content: &mut dyn Read,
        size: usize,
        extents: &mut Vec<Extent>,
    ) -> io::Result<u64> {
        self.make_room(size)?;
        let begin = self.frame.len();
        let count = content.take(size as u64).read_to_end(&mut self.frame)?;
        if count > 0 {
            let digest = *blake3::hash(self.frame.get(begin..).unwrap_or_default()).as_bytes();
            let place = match self.table.find(&digest) {
                Some(place) => {
                    self.frame.truncate(begin);
                    place
                }
                None => self.add(digest, begin, count),
            };
            extend(extents, place);
        }
        Ok(count as u64)
    }

    /// Takes a chunk.
    pub(super) fn chunk(&mut self, content: &[u8], extents: &mut Vec<Extent>) -> io::Result<()> {
        let digest = *blake3::hash(content).as_bytes();
        let place = if let Some(place) = self.table.find(&digest) {
            place
        } else {
            self.make_room(content.len())?;
            let begin = self.frame.len();
            self.frame.extend_from_slice(content);
            self.add(digest, begin, content.len())
        };
        extend(extents, place);
        Ok(())
    }

    fn add(&mut self, digest: [u8; 32], offset: usize, length: usize) -> u32 {
        if offset == 0 {
            self.first.push(self.table.chunks.len() as u32);
            self.table.is_used.push(true);
        }
        let frame = (self.old + self.first.len()).saturating_sub(1) as u32;
        self.table.add(Chunk { digest, frame, offset: offset as u32, length: length as u32 })
    }

    fn make_room(&mut self, size: usize) -> io::Result<()> {
        if !self.frame.is_empty() && self.frame.len() + size > FRAME {
            self.flush()?;
        }
        if self.frame.capacity() == 0 {
            self.frame.reserve(FRAME);
        }
        Ok(())
    }

    /// Passes on what was collected.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let raw = Raw { number: self.first.len() - 1, content: std::mem::take(&mut self.frame) };
        self.output.send(raw).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// What is known of a save at its end, besides chunks.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) entries: Written,
    pub(super) saved: Saved,
    /// How many entries are as they are in the base.
    pub(super) same: u64,
}

/// Walks over the files.
pub(super) struct Walk<'a> {
    source: &'a Source,
    interrupt: &'a Interrupt,
    sink: Sink<'a>,
    before: Option<Before<'a>>,
    /// By device and inode: the entry that has the content of a file with several names.
    first_names: HashMap<(u64, u64), u32>,
    /// The last entry that is no folder.
    last: PathBuf,
    done: Walked,
}

/// What was restored, or else what is in the base.
struct Before<'a> {
    kept: Option<&'a Kept>,
    entries: Entries<'a>,
    next: Option<(u32, Entry)>,
    /// Whether it is the base, so that chunks have the same places.
    is_base: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a Source, sink: Sink<'a>, interrupt: &'a Interrupt) -> Self {
        Self {
            source,
            interrupt,
            sink,
            before: None,
            first_names: HashMap::new(),
            last: PathBuf::from("/"),
            done: Walked::default(),
        }
    }

    /// Compares with what was restored, or else with the base.
    pub(super) fn comparing(
        mut self,
        kept: Option<&'a Arc<Kept>>,
        base: Option<&'a Base>,
    ) -> io::Result<Self> {
        let index = kept.map(|kept| &kept.index).or(base.map(|base| &base.index));
        if let Some(index) = index {
            let mut entries = index.entries();
            let next = entries.next()?;
            let is_base = base.is_some_and(|base| Arc::ptr_eq(&base.index, index));
            self.before = Some(Before { kept: kept.map(|kept| &**kept), entries, next, is_base });
        }
        Ok(self)
    }

    /// Takes all files, which must be in order.
    pub(super) fn all(mut self, files: &[PathBuf]) -> io::Result<(Walked, Table, Vec<u32>)> {
        for path in files {
            self.interrupt.check()?;
            self.take(path)?;
        }
        self.sink.flush()?;
        Ok((self.done, self.sink.table, self.sink.first))
    }

    fn take(&mut self, path: &Path) -> io::Result<()> {
        let place = self.source.root.join(path);
        let found = match self.source.reader.facts(&place) {
            Err(cause) if is_gone(&cause) => None,
            found => Some(found?),
        };
        // What became a file or a link while the files were selected has nothing below it any more.
        let node = match found {
            Some(found) if !path.starts_with(&self.last) => self.node(path, &place, &found)?,
            _ => None,
        };
        let Some((node, is_same)) = node else {
            self.done.saved.left_out += 1;
            return Ok(());
        };
        let plain = tree::relative_path(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
        if !matches!(node, Node::Folder { .. }) {
            self.last.clone_from(&plain);
        }
        self.done.entries.push(&plain, &node);
        self.done.saved.files += 1;
        self.done.same += u64::from(is_same);
        Ok(())
    }

    /// What is at a path; `None` where it is not stored. And whether it is what is in the base.
    fn node(&mut self, path: &Path, place: &Path, found: &Facts) -> io::Result<Option<(Node, bool)>> {
        let before = self.before(path)?;
        let node = match found.kind {
            Kind::Other => return Ok(None),
            Kind::Link => Node::Link { target: found.target.clone() },
            Kind::Folder => Node::Folder { mode: found.mode, modified: found.modified },
            Kind::File => return self.file(place, found, before.as_ref()),
        };
        let is_same = self.is_same(before.as_ref(), &node);
        Ok(Some((node, is_same)))
    }

    fn is_same(&self, before: Option<&(u32, Node)>, node: &Node) -> bool {
        self.before.as_ref().is_some_and(|all| all.is_base)
            && before.is_some_and(|(_, before)| before == node)
    }

    /// What was there before at `path`.
    fn before(&mut self, path: &Path) -> io::Result<Option<(u32, Node)>> {
        let Some(before) = &mut self.before else { return Ok(None) };
        while let Some((_, entry)) = &before.next
            && entry.path.as_path() < path
        {
            before.next = before.entries.next()?;
        }
        match before.next.take_if(|(_, entry)| entry.path == path) {
            Some((number, entry)) => {
                before.next = before.entries.next()?;
                Ok(Some((number, entry.node)))
            }
            None => Ok(None),
        }
    }

    fn file(
        &mut self,
        place: &Path,
        found: &Facts,
        before: Option<&(u32, Node)>,
    ) -> io::Result<Option<(Node, bool)>> {
        if found.names > 1 {
            if let Some(file) = self.first_names.get(&found.identity) {
                let node = Node::HardLink { file: *file };
                let is_same = self.is_same(before, &node);
                return Ok(Some((node, is_same)));
            }
            self.first_names.insert(found.identity, self.done.entries.count());
        }
        if let Some(node) = self.unchanged(found, before) {
            self.done.saved.bytes += found.size;
            let is_same = self.is_same(before, &node);
            return Ok(Some((node, is_same)));
        }
        let mut extents = Vec::new();
        let size = match self.read(place, found, &mut extents) {
            Err(cause) if is_gone(&cause) => return Ok(None),
            size => size?,
        };
        self.done.saved.bytes += size;
        let node = Node::File { mode: found.mode, modified: found.modified, size, extents };
        let is_same = self.is_same(before, &node);
        Ok(Some((node, is_same)))
    }

    /// The file as it was restored, if it is still that and its chunks are still there.
    fn unchanged(&mut self, found: &Facts, before: Option<&(u32, Node)>) -> Option<Node> {
        let (number, Node::File { mode, modified, size, extents }) = before? else { return None };
        let kept = self.before.as_ref()?.kept?;
        if !kept.is_still(*number, found)
            || (found.mode, found.modified, found.size) != (*mode, *modified, *size)
        {
            return None;
        }
        let mut translated = Vec::new();
        for extent in extents {
            let Extent::Chunks { first, count } = *extent else {
                translated.push(*extent);
                continue;
            };
            for chunk in kept.index.chunks_of(first, count) {
                extend(&mut translated, self.sink.table.find(&chunk.digest)?);
            }
        }
        Some(Node::File { mode: *mode, modified: *modified, size: *size, extents: translated })
    }

    /// Reads a file, as far as it is as long as it was found to be. Returns its size.
    fn read(&mut self, place: &Path, found: &Facts, extents: &mut Vec<Extent>) -> io::Result<u64> {
        let reader = &self.source.reader;
        if found.allocated < found.size
            && found.size > cut::AVERAGE as u64
            && let Some(mut file) = reader.file(place)?
        {
            let mut end = 0;
            for part in hole::data(&file, found.size)? {
                if part.start > end {
                    extents.push(Extent::Hole(part.start - end));
                }
                file.seek(SeekFrom::Start(part.start))?;
                let wanted = part.end - part.start;
                let read = cut::content(&mut file, wanted, &mut self.sink, extents, self.interrupt)?;
                end = part.start + read;
                if read < wanted {
                    return Ok(end);
                }
            }
            if end < found.size {
                extents.push(Extent::Hole(found.size - end));
            }
            return Ok(found.size);
        }
        if found.size == 0 {
            return Ok(0);
        }
        let mut content = reader.content(place)?;
        cut::content(&mut *content, found.size, &mut self.sink, extents, self.interrupt)
    }
}

/// Whether something vanished between two looks at it.
fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
