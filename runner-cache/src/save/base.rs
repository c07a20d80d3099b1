//! The entry that a save begins with.

use std::{io, sync::Arc};

use runner_core::{CacheFormat, WriteGrant};

use super::OLD;
use crate::{
    head::{Head, MOST_PACKS},
    index::{Extent, Index, Node},
    kept::Kept,
    restore,
    transfer::Transfer,
};

/// So many packs of a base are used at most; the rest of what a head may name is for new ones.
const MOST_USED: usize = MOST_PACKS / 2;

/// An entry whose chunks may be used again.
#[derive(Debug)]
pub(super) struct Base {
    /// Whether it is the entry that will be replaced, and young enough to stay.
    pub(super) may_stay: bool,
    pub(super) head: Head,
    pub(super) index: Arc<Index>,
    /// By pack: whether its chunks may be used.
    pub(super) usable: Vec<bool>,
}

impl Base {
    /// The base of `grant`; `None` where there is none, or it cannot be read.
    pub(super) async fn load(
        grant: &WriteGrant,
        kept: Option<&Kept>,
        today: u32,
        transfer: &Transfer,
    ) -> Option<Self> {
        let base = grant.base.as_ref().filter(|base| base.format == CacheFormat::Packs)?;
        let head = Head::parse(base.head.as_bytes()).ok()?;
        let kept = kept.filter(|kept| kept.head == base.head);
        let index = match kept {
            Some(kept) => Arc::clone(&kept.index),
            None => Arc::new(restore::read_index(&head, base, transfer).await.ok()?),
        };
        let usable = usable(&head, &index, today).ok()?;
        let may_stay = base.key == grant.key && !is_old(head.made, today);
        Some(Self { may_stay, head, index, usable })
    }

    /// Whether all of it may be used again.
    pub(super) fn is_young(&self, today: u32) -> bool {
        !self.head.packs.iter().any(|pack| is_old(pack.day, today))
    }
}

/// Days in the future are those of a clock that was set back since.
pub(super) fn is_old(day: u32, today: u32) -> bool {
    today.saturating_sub(day) >= OLD
}

/// By pack: whether it is young, and at least half of it is of use, and it is not one of too many.
fn usable(head: &Head, index: &Index, today: u32) -> io::Result<Vec<bool>> {
    let used = used(head, index)?;
    let is_usable = |(pack, used): (&crate::head::Pack, &u64)| {
        !is_old(pack.day, today) && used.saturating_mul(2) >= pack.size
    };
    let mut usable: Vec<_> = head.packs.iter().zip(&used).map(is_usable).collect();
    let mut by_use: Vec<_> = (0..usable.len()).filter(|pack| usable.get(*pack) == Some(&true)).collect();
    by_use.sort_by_key(|pack| std::cmp::Reverse(used.get(*pack).copied()));
    for pack in by_use.into_iter().skip(MOST_USED) {
        if let Some(usable) = usable.get_mut(pack) {
            *usable = false;
        }
    }
    Ok(usable)
}

/// By pack: how many of its bytes the entry needs, more or less; its index counts.
fn used(head: &Head, index: &Index) -> io::Result<Vec<u64>> {
    let mut is_used = vec![false; index.chunks.len()];
    let mut entries = index.entries();
    while let Some((_, entry)) = entries.next()? {
        let Node::File { extents, .. } = entry.node else { continue };
        for extent in extents {
            if let Extent::Chunks { first, count } = extent {
                let first = first as usize;
                is_used.get_mut(first..first + count as usize).unwrap_or_default().fill(true);
            }
        }
    }
    let mut used = vec![0_u64; head.packs.len()];
    for frame in &index.frames {
        let (first, end) = (frame.first as usize, (frame.first + frame.count) as usize);
        let chunks = index.chunks.get(first..end).unwrap_or_default().iter();
        let needed = chunks.zip(is_used.get(first..end).unwrap_or_default()).filter(|(_, is_used)| **is_used);
        let needed: u64 = needed.map(|(chunk, _)| u64::from(chunk.length)).sum();
        if let Some(used) = used.get_mut(frame.pack as usize) {
            *used += u64::from(frame.length) * needed / u64::from(frame.size.max(1));
        }
    }
    if let Some(used) = used.get_mut(head.index.pack) {
        *used += head.index.length;
    }
    Ok(used)
}
