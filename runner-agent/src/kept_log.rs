//! How much of a job's log is kept.

use runner_core::log::MemorySpool;

/// Logs up to this size are kept whole, so that a source may ask for all of it again; longer ones wait at this size
/// until the source has taken what came before.
const KEPT: u64 = 16 << 20;

/// A spool for a log of at most `limit` bytes.
pub(crate) fn spool(limit: u64) -> MemorySpool {
    if limit <= KEPT {
        MemorySpool::new()
    } else {
        MemorySpool::bounded(usize::try_from(KEPT).unwrap_or(usize::MAX))
    }
}
