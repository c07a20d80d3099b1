//! Passes quickly over text in which no pattern can begin.
//!
//! Patterns of eight bytes or more are found by their groups of three bytes: in a window of eight bytes it is enough
//! to look at the last group, since any pattern that begins in the first six places has one of its first six groups
//! there (as in Wu and Manber's search). Shorter patterns are rare, and get a search of their own.

use aho_corasick::{AhoCorasick, MatchKind, packed};

use super::pattern::Pattern;

/// Patterns from this length on are found by groups.
const WINDOW: usize = 8;
const GROUP: usize = 3;
/// From one group to look at to the next.
const STEP: usize = WINDOW - GROUP + 1;
/// A group is read together with one more byte, which is ignored.
const READ: usize = 4;
/// Groups looked at between two branches.
const BATCH: usize = 4;
const HASH_BITS: u32 = 17;

/// A place from which on each byte must be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    /// No pattern begins in the text that was passed before this index.
    pub(super) start: usize,
    /// Beginnings up to this index have to be refuted before the text can be passed quickly again.
    pub(super) last: usize,
}

/// The quick search.
#[derive(Debug)]
pub(super) struct Candidates {
    groups: Option<Groups>,
    short: Option<Short>,
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

    /// The next candidate in `bytes` at `from` or later. There always is one: the end, where a pattern may begin that
    /// is not complete.
    ///
    /// `short_hit` is where the last call found a short pattern; it saves looking for it again.
    #[inline]
    pub(super) fn next(&self, bytes: &[u8], from: usize, short_hit: &mut Option<usize>) -> Candidate {
        let end = bytes.len();
        let mut start = end.saturating_sub(self.longest_short.saturating_sub(1)).max(from);
        let mut last = end;
        if let Some(groups) = &self.groups {
            let (found, is_hit) = groups.find(bytes, from);
            if is_hit || found < start {
                start = found;
                last = if is_hit { found + STEP - 1 } else { end };
            }
        }
        if let Some(short) = &self.short {
            if short_hit.is_none_or(|hit| hit < from) {
                *short_hit = Some(short.find(bytes, from));
            }
            if let Some(hit) = *short_hit
                && hit < start
            {
                return Candidate { start: hit, last: hit };
            }
        }
        Candidate { start, last }
    }
}

/// Which groups of three bytes occur in the first eight bytes of a pattern, as a bit set of their hashes.
struct Groups(Box<[u64; 1 << (HASH_BITS - 6)]>);

impl std::fmt::Debug for Groups {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Groups")
    }
}

impl Groups {
    fn new(patterns: &[&[u8]]) -> Self {
        let mut groups = Self(Box::new([0; 1 << (HASH_BITS - 6)]));
        for pattern in patterns {
            for group in pattern.windows(GROUP).take(STEP) {
                if let [first, second, third] = group {
                    let (word, bit) = place(u32::from_le_bytes([*first, *second, *third, 0]));
                    if let Some(word) = groups.0.get_mut(word) {
                        *word |= 1 << bit;
                    }
                }
            }
        }
        groups
    }

    #[inline]
    fn has(&self, group: [u8; READ]) -> bool {
        let (word, bit) = place(u32::from_le_bytes(group));
        self.0.get(word).is_some_and(|word| word >> bit & 1 != 0)
    }

    /// Where a window begins whose last group may be of a pattern, or the first that is not within `bytes`.
    #[inline]
    fn find(&self, bytes: &[u8], from: usize) -> (usize, bool) {
        let mut start = from;
        while let Some(batch) = batch(bytes, start) {
            let hit = |index: usize| {
                let at = index * STEP + WINDOW - GROUP;
                self.has([batch[at], batch[at + 1], batch[at + 2], batch[at + 3]])
            };
            if hit(0) | hit(1) | hit(2) | hit(3) {
                let first = (0..BATCH).find(|index| hit(*index)).unwrap_or(0);
                return (start + first * STEP, true);
            }
            start += BATCH * STEP;
        }
        while let Some(group) = bytes.get(start + WINDOW - GROUP..start + WINDOW - GROUP + READ) {
            if group.try_into().is_ok_and(|group| self.has(group)) {
                return (start, true);
            }
            start += STEP;
        }
        (start.min(bytes.len()), false)
    }
}

const BATCH_READ: usize = (BATCH - 1) * STEP + WINDOW - GROUP + READ;

#[inline]
fn batch(bytes: &[u8], start: usize) -> Option<&[u8; BATCH_READ]> {
    bytes.get(start..start + BATCH_READ)?.try_into().ok()
}

#[inline]
fn place(group: u32) -> (usize, u32) {
    // The shift drops the fourth byte; the factor is 2^32 divided by the golden ratio.
    let hash = (group << 8).wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS);
    ((hash >> 6) as usize, hash & 63)
}

/// Searches patterns of less than [`WINDOW`] bytes.
#[derive(Debug)]
enum Short {
    /// Compares many bytes at once; for few patterns.
    Packed(packed::Searcher),
    Any(AhoCorasick),
}

impl Short {
    fn new(patterns: &[&[u8]]) -> Option<Self> {
        if patterns.is_empty() {
            return None;
        }
        if patterns.iter().all(|pattern| pattern.len() >= GROUP)
            && let Some(searcher) = packed::Config::new()
                .match_kind(packed::MatchKind::LeftmostFirst)
                .builder()
                .extend(patterns)
                .build()
        {
            return Some(Self::Packed(searcher));
        }
        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(patterns).ok().map(Self::Any)
    }

    /// Where the first one begins, or the end.
    fn find(&self, bytes: &[u8], from: usize) -> usize {
        let found = match self {
            Self::Packed(searcher) => searcher.find_in(bytes, (from..bytes.len()).into()),
            Self::Any(searcher) => searcher.find(aho_corasick::Input::new(bytes).range(from..)),
        };
        found.map_or(bytes.len(), |found| found.start())
    }
}
