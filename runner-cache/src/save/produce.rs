//! All that a save does away from the network.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError, mpsc as threads},
    thread,
};

use tokio::sync::mpsc::Sender;
use zstd::bulk::Compressor;

use super::{
    Level, SaveOptions, Saved, Source,
    base::Base,
    pack::{Full, Packs, Placed},
    table::Table,
    walk::{Raw, Sink, Walk, Walked},
};
use crate::{
    blocking::Interrupt,
    head::{Head, Pack, PackName, Place},
    index::{self, Frame},
};

/// More threads than these would need more memory than a save may have.
const MOST_THREADS: usize = 4;

/// What there is to do.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) options: SaveOptions,
    pub(super) base: Option<Base>,
    /// The id of the write.
    pub(super) id: String,
    /// How many packs may be written.
    pub(super) room: usize,
    pub(super) today: u32,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Made {
    /// `None`: the entry is as it was.
    pub(super) head: Option<Head>,
    pub(super) saved: Saved,
}

/// Reads the files, and passes packs to `output`.
pub(super) fn produce(mut job: Job, output: Sender<Full>, interrupt: &Interrupt) -> io::Result<Made> {
    job.source.files.sort_unstable();
    job.source.files.dedup();
    let limit = job.options.limit.unwrap_or(u64::MAX);
    let packs = Packs::new(output, job.room, limit, job.source.root.clone());
    let placed = Mutex::new(HashMap::new());
    let (walked, table, first) = thread::scope(|scope| {
        // No frame waits: the memory is for those that are worked on.
        let (frames, waiting) = threads::sync_channel(0);
        // Only those who compress have it, so that nobody waits for them when they have failed.
        let waiting = Arc::new(Mutex::new(waiting));
        let (packs, placed, level) = (&packs, &placed, job.options.level);
        let start = |waiting| scope.spawn(move || compress(&waiting, packs, placed, level));
        let compressing: Vec<_> = (0..threads()).map(|_| start(Arc::clone(&waiting))).collect();
        drop(waiting);
        let walked = walk(&job, &frames, interrupt);
        drop(frames);
        let failed = compressing.into_iter().find_map(|thread| match thread.join() {
            Ok(done) => done.err(),
            Err(_) => Some(io::Error::other("a thread that compresses ended too early")),
        });
        // That nobody takes frames any more is only the consequence of the other failure.
        failed.map_or(walked, Err)
    })?;
    let placed = placed.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ending { job: &job, packs: &packs, table: &table, first: &first, placed: &placed }.end(walked)
}

/// So many threads compress as there are cores for this process, in a container as well.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS))
}

fn walk(
    job: &Job,
    frames: &threads::SyncSender<Raw>,
    interrupt: &Interrupt,
) -> io::Result<(Walked, Table, Vec<u32>)> {
    let sink = Sink::new(Table::new(job.base.as_ref()), frames);
    Walk::new(&job.source, sink, interrupt)
        .comparing(job.options.kept.as_ref(), job.base.as_ref())?
        .all(&job.source.files)
}

fn compress(
    waiting: &Arc<Mutex<threads::Receiver<Raw>>>,
    packs: &Packs,
    placed: &Mutex<HashMap<usize, Placed>>,
    level: Level,
) -> io::Result<()> {
    let (mut compressor, mut bytes) = (Compressor::new(level.of_zstd())?, Vec::new());
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Raw { number, content }) = next else { return Ok(()) };
        bytes.clear();
        bytes.reserve(zstd::zstd_safe::compress_bound(content.len()));
        compressor.compress_to_buffer(&content, &mut bytes)?;
        drop(content);
        let done = packs.push(&bytes)?;
        placed.lock().unwrap_or_else(PoisonError::into_inner).insert(number, done);
    }
}

/// What remains when all files were read.
struct Ending<'a> {
    job: &'a Job,
    packs: &'a Packs,
    table: &'a Table,
    first: &'a [u32],
    placed: &'a HashMap<usize, Placed>,
}

impl Ending<'_> {
    fn end(self, walked: Walked) -> io::Result<Made> {
        let Walked { entries, mut saved, same } = walked;
        let base = self.job.base.as_ref();
        let is_same = base
            .is_some_and(|base| self.placed.is_empty() && same == base.index.count && same == saved.files);
        if let Some(base) = base.filter(|base| is_same && (base.may_stay || base.is_young(self.job.today))) {
            saved.stored = base.head.stored();
            let head = Head { made: self.job.today, ..base.head.clone() };
            return Ok(Made { head: (!base.may_stay).then_some(head), saved });
        }
        let (mut packs, numbers) = self.used_packs();
        let frames = self.frames(&numbers);
        let index = index::to_bytes(&frames, &self.table.chunks, &entries)?;
        let placed = self.packs.push(&index)?;
        for (number, size) in self.packs.finish()?.into_iter().enumerate() {
            let name = PackName::new(&self.job.id, number);
            let name = name.ok_or_else(|| io::Error::other("the right to write has an id that is none"))?;
            packs.push(Pack { name, size, day: self.job.today });
        }
        let place = Place {
            pack: numbers.len() + placed.pack as usize,
            offset: placed.offset,
            length: u64::from(placed.length),
            digest: placed.digest.into(),
        };
        let head = Head { made: self.job.today, files: saved.files, bytes: saved.bytes, index: place, packs };
        if head.stored() > self.job.options.limit.unwrap_or(u64::MAX) {
            let why = "it is larger than the largest cache that may be uploaded";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
        }
        Ok(Made { head: Some(head), saved })
    }

    /// The packs of the base that are still needed, and by pack of the base its place among these.
    fn used_packs(&self) -> (Vec<Pack>, HashMap<u32, u32>) {
        let (mut packs, mut numbers) = (Vec::new(), HashMap::new());
        let Some(base) = &self.job.base else { return (packs, numbers) };
        for (frame, _) in base.index.frames.iter().zip(&self.table.is_used).filter(|(_, is_used)| **is_used) {
            if let Some(pack) = base.head.packs.get(frame.pack as usize)
                && !numbers.contains_key(&frame.pack)
            {
                numbers.insert(frame.pack, packs.len() as u32);
                packs.push(pack.clone());
            }
        }
        (packs, numbers)
    }

    /// By frame: where it lies, by the numbers of packs in the new head; nothing for those that no file needs.
    fn frames(&self, numbers: &HashMap<u32, u32>) -> Vec<Option<Frame>> {
        let old = self.job.base.as_ref().map_or(&[][..], |base| &base.index.frames);
        let mut frames: Vec<_> = old
            .iter()
            .zip(&self.table.is_used)
            .map(|(frame, is_used)| {
                let pack = numbers.get(&frame.pack).filter(|_| *is_used)?;
                Some(Frame { pack: *pack, ..*frame })
            })
            .collect();
        for (number, first) in self.first.iter().enumerate() {
            let end = self.first.get(number + 1).copied().unwrap_or(self.table.chunks.len() as u32);
            frames.push(self.placed.get(&number).map(|placed| Frame {
                pack: numbers.len() as u32 + placed.pack,
                offset: placed.offset,
                length: placed.length,
                size: self.size(*first, end),
                digest: placed.digest,
                first: *first,
                count: end - first,
            }));
        }
        frames
    }

    fn size(&self, first: u32, end: u32) -> u32 {
        let chunks = self.table.chunks.get(first as usize..end as usize).unwrap_or_default();
        chunks.iter().map(|chunk| chunk.length).sum()
    }
}
