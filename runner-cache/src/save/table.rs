//! Which chunks there are already.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::base::Base;
use crate::index::{Chunk, Digest, Extent};

/// A part of a digest is as good as its hash.
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// All chunks, those of the base first, each with the place that it has in this list until the index is written.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) chunks: Vec<Chunk>,
    /// By frame: whether a file needs it.
    pub(super) is_used: Vec<bool>,
    /// By the first bytes of the digest. Where two chunks share them, one is stored twice, and nothing else is lost; the
    /// memory for whole digests would be three times as much.
    places: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
}

impl Table {
    /// With the chunks of `base`, of which those that may be used are found.
    pub(super) fn new(base: Option<&Base>) -> Self {
        let Some(base) = base else { return Self::default() };
        let mut table = Self {
            chunks: base.index.chunks.clone(),
            is_used: vec![false; base.index.frames.len()],
            places: HashMap::default(),
        };
        for frame in &base.index.frames {
            if base.usable.get(frame.pack as usize) != Some(&true) {
                continue;
            }
            for place in frame.first..frame.first + frame.count {
                if let Some(chunk) = base.index.chunks.get(place as usize) {
                    table.places.insert(short(&chunk.digest), place);
                }
            }
        }
        table
    }

    /// The place of a chunk that may be used, which is from now on.
    pub(super) fn find(&mut self, digest: &Digest) -> Option<u32> {
        let place = *self.places.get(&short(digest))?;
        let chunk = self.chunks.get(place as usize).filter(|chunk| chunk.digest == *digest)?;
        if let Some(is_used) = self.is_used.get_mut(chunk.frame as usize) {
            *is_used = true;
        }
        Some(place)
    }

    /// Adds a chunk of a new frame.
    pub(super) fn add(&mut self, chunk: Chunk) -> u32 {
        let place = self.chunks.len() as u32;
        self.places.insert(short(&chunk.digest), place);
        self.chunks.push(chunk);
        place
    }
}

fn short(digest: &Digest) -> u64 {
    digest.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Appends a chunk to the extents of a file.
pub(super) fn extend(extents: &mut Vec<Extent>, place: u32) {
    match extents.last_mut() {
        Some(Extent::Chunks { first, count }) if *first + *count == place => *count += 1,
        _ => extents.push(Extent::Chunks { first: place, count: 1 }),
    }
}
