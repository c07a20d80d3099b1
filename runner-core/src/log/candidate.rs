//! Passes quickly over text in which no pattern begins.
//!
//! Patterns of eight bytes or more are found by their groups of four bytes: in a window of eight bytes it is enough to
//! look at the last group, since any pattern that begins in the first five places has one of its first five groups
//! there (as in Wu and Manber's search). Shorter patterns, such as prefixes of tokens, are few and begin alike: a
//! vectorised search for their first two bytes finds them, which also brings the text into the processor's cache.

use std::fmt;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use memchr::memmem::Finder;

use super::pattern::Pattern;

/// Patterns from this length on are found by groups.
const WINDOW: usize = 8;
const GROUP: usize = 4;
/// From one group that is looked at to the next.
const STEP: usize = WINDOW - GROUP + 1;
/// The first of them in a window.
const FIRST: usize = WINDOW - GROUP;
/// Groups looked at between two branches.
const BATCH: usize = 8;
const BATCH_BYTES: usize = BATCH * STEP + GROUP - 1;
const SLOT_BITS: u32 = 16;
const SLOTS: usize = 1 << SLOT_BITS;

/// A place from which on each byte must be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// No pattern begins in the text that was passed before this index.
    pub(super) start: usize,
    /// Beginnings up to this index have to be refuted before text can be passed quickly again.
    pub(super) last: usize,
}

/// What was found ahead in one text, so that it is not searched for again.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// By groups: where, and whether it is more than the end.
    group: Option<(usize, bool)>,
    /// Short patterns, for each of their heads.
    short: [Option<usize>; Short::HEADS],
}

/// The quick search.
#[derive(Debug)]
pub(super) struct Candidates {
    groups: Option<Groups>,
    short: Short,
    longest_short: usize,
}

impl Candidates {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let (long, short): (Vec<_>, Vec<_>) =
            patterns.iter().map(|pattern| pattern.bytes.as_slice()).partition(|bytes| bytes.len() >= WINDOW);
        let longest_short = short.iter().map(|bytes| bytes.len()).max().unwrap_or(0);
        Self {
            groups: (!long.is_empty()).then(|| Groups::new(&long)),
            short: Short::new(&short),
            longest_short,
        }
    }

    /// The next candidate in `bytes` at `from` or later. There always is one, at the latest near the end, where a
    /// pattern may begin that is not complete. `hits` is of earlier calls for the same bytes, with lower `from`.
    pub(super) fn next(&self, bytes: &[u8], from: usize, hits: &mut Hits) -> Candidate {
        let end = bytes.len();
        if from == 0 && self.short.is_empty() {
            warm_up(bytes);
        }
        let short_hit = self.short.find(bytes, from, &mut hits.short);
        let unfinished = end.saturating_sub(self.longest_short.saturating_sub(1)).max(from);
        let mut next = Candidate { start: unfinished, last: end };
        if let Some(groups) = &self.groups {
            let known = hits.group.filter(|(start, _)| *start >= from);
            let (start, is_hit) = known.unwrap_or_else(|| groups.find(bytes, from));
            hits.group = Some((start, is_hit));
            if is_hit {
                next = Candidate { start, last: start + STEP - 1 };
            } else {
                next.start = start.min(unfinished);
            }
        }
        if short_hit < next.start { Candidate { start: short_hit, last: short_hit } } else { next }
    }
}

/// Reads something of each cache line, all of which are under way at once. Those of the search by groups are not: from
/// memory it is slower than this and that search in the cache together. A search for short patterns does the same.
fn warm_up(bytes: &[u8]) {
    // Whole words: what the compiler makes of single bytes takes twice as long.
    let (lines, _) = bytes.as_chunks::<64>();
    let words = lines.iter().filter_map(|line| line.first_chunk()).copied().map(u64::from_ne_bytes);
    std::hint::black_box(words.fold(0, |all, word| all | word));
}

/// Which groups of bytes occur in the first eight bytes of a pattern: a tag for each in a table by its hash.
struct Groups(Box<[u8; SLOTS]>);

impl Groups {
    /// In place of a tag: several groups have this slot.
    const SHARED: u8 = u8::MAX;

    #[expect(
        clippy::large_stack_arrays,
        reason = "only an array can be indexed without a check, and it is small"
    )]
    fn new(patterns: &[&[u8]]) -> Self {
        let mut groups = Self(Box::new([0; SLOTS]));
        for group in patterns.iter().flat_map(|pattern| pattern.windows(GROUP).take(STEP)) {
            let hash = group.try_into().map_or(0, hash);
            if let Some(entry) = groups.0.get_mut(slot(hash)) {
                *entry = if *entry == 0 || *entry == tag(hash) { tag(hash) } else { Self::SHARED };
            }
        }
        groups
    }

    /// Where a window begins whose last group may be of a pattern, or else the first that is not within `bytes`, or
    /// their end.
    #[inline(never)]
    fn find(&self, bytes: &[u8], from: usize) -> (usize, bool) {
        let mut start = from;
        while let Some(batch) = bytes.get(start + FIRST..).and_then(<[u8]>::first_chunk) {
            // Without a branch for each, which costs more than to look at all.
            let any = (0..BATCH).fold(0, |any, index| any | self.entry(hash_at(batch, index)));
            if any != 0
                && let Some(index) = self.find_in(batch)
            {
                return (start + index * STEP, true);
            }
            start += BATCH * STEP;
        }
        while let Some(group) = bytes.get(start + FIRST..).and_then(<[u8]>::first_chunk) {
            if self.has(hash(*group)) {
                return (start, true);
            }
            start += STEP;
        }
        (start.min(bytes.len()), false)
    }

    /// Which group of the batch may be of a pattern. Apart from the loop, so that what it needs does not slow that down.
    #[cold]
    #[inline(never)]
    fn find_in(&self, batch: &[u8; BATCH_BYTES]) -> Option<usize> {
        (0..BATCH).find(|index| self.has(hash_at(batch, *index)))
    }

    #[inline]
    fn entry(&self, hash: u64) -> u8 {
        // The slot is always within the table, which the compiler sees.
        self.0[slot(hash)]
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let entry = self.entry(hash);
        entry == tag(hash) || entry == Self::SHARED
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Groups")
    }
}

#[inline]
fn hash_at(batch: &[u8; BATCH_BYTES], index: usize) -> u64 {
    let at = index * STEP;
    hash([batch[at], batch[at + 1], batch[at + 2], batch[at + 3]])
}

#[inline]
fn hash(group: [u8; GROUP]) -> u64 {
    // 2^64 divided by the golden ratio spreads well into the upper bits.
    u64::from(u32::from_le_bytes(group)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[inline]
fn slot(hash: u64) -> usize {
    (hash >> (u64::BITS - SLOT_BITS)) as usize
}

/// Tells most groups of one slot apart: neither 0, which is an empty slot, nor the mark of a shared one.
#[inline]
fn tag(hash: u64) -> u8 {
    ((hash >> 40) & 0x3f) as u8 | 0x40
}

/// The first bytes of short patterns, and how they may go on.
#[derive(Debug)]
struct Head {
    finder: Finder<'static>,
    tails: Vec<Box<[u8]>>,
}

impl Head {
    /// A single pattern is searched as a whole: more of it is rarer.
    fn search_whole(&mut self) {
        if let [tail] = self.tails.as_slice() {
            let whole = [self.finder.needle(), tail].concat();
            *self = Self { finder: Finder::new(&whole).into_owned(), tails: vec![Box::default()] };
        }
    }

    /// Where the first of its patterns at `from` or later begins.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut start = from;
        loop {
            // Beginnings may overlap, which the finder's own iterator passes over.
            start += self.finder.find(bytes.get(start..)?)?;
            let rest = bytes.get(start + self.finder.needle().len()..)?;
            let goes_on = |tail: &&[u8]| rest.first() == tail.first() && rest.starts_with(tail);
            if self.tails.iter().map(|tail| &**tail).any(|tail| tail.is_empty() || goes_on(&tail)) {
                return Some(start);
            }
            start += 1;
        }
    }
}

/// Searches patterns of less than [`WINDOW`] bytes.
#[derive(Debug)]
enum Short {
    /// Few first bytes, each with the patterns that begin with them.
    Heads(Vec<Head>),
    /// Slower, for any patterns.
    Any(AhoCorasick),
}

impl Short {
    /// From so many different beginnings on, one search for all is quicker.
    const HEADS: usize = 4;

    fn new(patterns: &[&[u8]]) -> Self {
        let mut heads: Vec<Head> = Vec::new();
        for pattern in patterns {
            let (first, tail) = pattern.split_at(pattern.len().min(2));
            if let Some(head) = heads.iter_mut().find(|head| head.finder.needle() == first) {
                head.tails.push(tail.into());
            } else {
                heads.push(Head { finder: Finder::new(first).into_owned(), tails: vec![tail.into()] });
            }
        }
        for head in &mut heads {
            head.search_whole();
        }
        let searcher = (heads.len() > Self::HEADS)
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(patterns).ok());
        searcher.flatten().map_or(Self::Heads(heads), Self::Any)
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Heads(heads) if heads.is_empty())
    }

    /// Where the first one at `from` or later begins, or the end.
    fn find(&self, bytes: &[u8], from: usize, hits: &mut [Option<usize>]) -> usize {
        let refresh = |hit: &mut Option<usize>, search: &dyn Fn() -> Option<usize>| match *hit {
            Some(known) if known >= from => known,
            _ => *hit.insert(search().unwrap_or(bytes.len())),
        };
        match self {
            Self::Heads(heads) => heads
                .iter()
                .zip(hits)
                .map(|(head, hit)| refresh(hit, &|| head.find(bytes, from)))
                .min()
                .unwrap_or(bytes.len()),
            Self::Any(searcher) => {
                let search = || searcher.find(Input::new(bytes).range(from..)).map(|found| found.start());
                hits.first_mut().map_or(from, |hit| refresh(hit, &search))
            }
        }
    }
}
