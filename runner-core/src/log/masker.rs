//! Replaces what must not show in a stream of bytes, however the stream is cut.

use std::{collections::VecDeque, fmt};

use super::{
    automaton::ROOT,
    candidate::{Candidate, Hits},
    mask::{Masks, Search},
    pattern::Follow,
};

/// What shows in place of a secret.
const MASK: &[u8] = b"[MASKED]";

/// Text is passed quickly again once no more than this of it begins a pattern: it is looked at twice.
const FEW: usize = 8;

/// Text passes in pieces that stay in a core's cache from one search to the next.
const CACHED: usize = 32 << 10;

/// Masks one stream of bytes.
///
/// All occurrences of all patterns are found, also overlapping ones; what they cover together is replaced by one
/// `[MASKED]`. Only the end of the text that could be the beginning of a masked value is held back, so that a prompt
/// shows at once. Bytes need not be UTF-8; control codes are bytes like others.
pub struct Masker {
    masks: Masks,
    state: u32,
    /// What has been seen: the number of the next byte of the stream.
    position: u64,
    /// What comes before this byte is given out or masked.
    released: u64,
    /// The bytes from `released` on that came with earlier calls.
    held: Vec<u8>,
    /// What is to be masked and not given out yet: in order, not overlapping.
    runs: VecDeque<(u64, u64)>,
    /// The end of the last run whose mask was given out.
    covered: u64,
    /// A prefix was found: what follows this byte is masked as far as it is of that kind.
    following: Option<(Follow, u64)>,
}

impl Masker {
    /// A masker at the beginning of a stream.
    pub fn new(masks: Masks) -> Self {
        Self {
            masks,
            state: ROOT,
            position: 0,
            released: 0,
            held: Vec::new(),
            runs: VecDeque::new(),
            covered: 0,
            following: None,
        }
    }

    /// Takes the next `bytes` of the stream and gives to `out` what can be shown by now, in order. What is not
    /// masked is passed on in slices of `bytes`, as long as can be.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        match self.masks.0.clone() {
            Some(search) => bytes.chunks(CACHED).for_each(|bytes| self.push_cached(&search, bytes, out)),
            None if bytes.is_empty() => {}
            None => out(bytes),
        }
    }

    fn push_cached(&mut self, search: &Search, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        let piece = Piece { bytes, first: self.position };
        let mut hits = Hits::default();
        let mut index = 0;
        let mut candidate = Candidate { start: 0, last: 0 };
        while index < bytes.len() {
            if self.state == ROOT && self.following.is_none() {
                candidate = search.candidates.next(bytes, index, &mut hits);
                index = candidate.start;
            }
            index = self.step_through(search, piece, index, candidate.last);
            if !self.runs.is_empty() {
                self.release(self.settled(search, piece.number(index)), piece, out);
            }
        }
        self.position = piece.number(bytes.len());
        self.release(self.settled(search, self.position), piece, out);
        self.hold(piece);
    }

    /// Gives to `out` what was held back, since what comes next, if anything, does not belong to it.
    pub fn finish(&mut self, out: &mut impl FnMut(&[u8])) {
        self.release(self.position, Piece { bytes: &[], first: self.position }, out);
        self.held.clear();
        self.state = ROOT;
        self.following = None;
    }

    /// Looks at each byte from `index` on, until all beginnings up to `last` are refuted or found, and the text can be
    /// passed quickly again. Returns from where.
    fn step_through(&mut self, search: &Search, piece: Piece<'_>, mut index: usize, last: usize) -> usize {
        while let Some(byte) = piece.bytes.get(index) {
            self.state = search.automaton.next(self.state, *byte);
            index += 1;
            let node = search.automaton.node(self.state);
            if node.value > 0 || node.follow.is_some() || self.following.is_some() {
                self.found(node.value, node.follow, *byte, piece.number(index));
            }
            let begun = node.begun as usize;
            if begun < FEW && index > last + begun && self.nothing_reaches(piece.number(index - begun)) {
                self.state = ROOT;
                return index - begun;
            }
        }
        index
    }

    /// The byte before which everything is decided, when `position` is the next one.
    fn settled(&self, search: &Search, position: u64) -> u64 {
        position - u64::from(search.automaton.node(self.state).held)
    }

    /// Whether nothing that was found reaches beyond the byte `number`.
    fn nothing_reaches(&self, number: u64) -> bool {
        self.following.is_none() && self.runs.back().is_none_or(|(_, end)| *end <= number)
    }

    /// Notes what ends with `byte`, the last one before `position`.
    fn found(&mut self, value: u32, follow: Option<Follow>, byte: u8, position: u64) {
        if let Some((kind, start)) = self.following {
            if kind.covers(byte) {
                self.cover(start, position);
            } else {
                self.following = None;
            }
        }
        if value > 0 {
            self.cover(position - u64::from(value), position);
        }
        if let (None, Some(kind)) = (self.following, follow) {
            self.following = Some((kind, position));
        }
    }

    /// Adds a run. It ends at the last byte seen, so that it can overlap only the last ones.
    fn cover(&mut self, mut start: u64, end: u64) {
        while let Some((last_start, last_end)) = self.runs.back().copied()
            && last_end > start
        {
            start = start.min(last_start);
            self.runs.pop_back();
        }
        self.runs.push_back((start, end));
    }

    /// Gives out everything before the byte `until`, masked.
    fn release(&mut self, until: u64, piece: Piece<'_>, out: &mut impl FnMut(&[u8])) {
        while let Some((start, end)) = self.runs.front().copied()
            && start <= until
        {
            self.runs.pop_front();
            if start >= self.covered {
                self.show(start, piece, out);
                out(MASK);
            }
            self.covered = self.covered.max(end);
        }
        self.show(until, piece, out);
    }

    /// Gives out what is not covered before the byte `until`.
    fn show(&mut self, until: u64, piece: Piece<'_>, out: &mut impl FnMut(&[u8])) {
        let from = self.released.max(self.covered);
        if from < until {
            for part in [Piece::before(piece.first, &self.held), piece] {
                let shown = part.bytes.get(part.index(from)..part.index(until)).unwrap_or_default();
                if !shown.is_empty() {
                    out(shown);
                }
            }
        }
        self.released = self.released.max(until);
    }

    /// Keeps what is not released of earlier bytes and of `piece`.
    fn hold(&mut self, piece: Piece<'_>) {
        let released = Piece::before(piece.first, &self.held).index(self.released);
        self.held.drain(..released);
        self.held.extend_from_slice(piece.bytes.get(piece.index(self.released)..).unwrap_or_default());
    }
}

/// A part of the stream.
#[derive(Debug, Clone, Copy)]
struct Piece<'a> {
    bytes: &'a [u8],
    /// The number of its first byte.
    first: u64,
}

impl<'a> Piece<'a> {
    /// The part that ends before the byte `number`.
    fn before(number: u64, bytes: &'a [u8]) -> Self {
        Self { bytes, first: number - bytes.len() as u64 }
    }

    /// The number in the stream of the byte at `index`.
    fn number(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    /// The index of the byte `number`, or the nearest there is.
    fn index(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.bytes.len())
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Masker").field("position", &self.position).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
